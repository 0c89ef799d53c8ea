//! Sealing on a real disk, whole and interrupted.

use super::*;
use crate::files::append_all;
use crate::files::disk::Disk;
use crate::files::faulty::{Call, Faulty};
use crate::tape::reader::manifest::Manifest;
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use std::sync::atomic::AtomicUsize;

struct Scene {
    _directory: tempfile::TempDir,
    disk: Arc<Disk>,
    finished: Finished,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(directory.path()).unwrap());
        let name = SegmentName {
            feed: Feed::Public,
            stream: StreamKey::from_stem("KRW-BTC_trade").unwrap(),
            epoch: 0,
            first: Stamp::from_micros(1_795_324_324_000_000).unwrap(),
        };
        disk.make_directory(&name.directory()).unwrap();
        let file = disk.create(&name.plain()).unwrap();
        for micros in 0..50_000 {
            let line = format!("{{\"ts_recv\":{},\"n\":{micros}}}\n", 1_795_324_324_000_000u64 + micros);
            append_all(&*file, line.as_bytes()).unwrap();
        }
        Self {
            _directory: directory,
            disk,
            finished: Finished { last: name.first, name, origin: None, bytes: None, torn: Vec::new() },
        }
    }

    fn sealer(&self) -> Sealer {
        self.stopped_by(Arc::default())
    }

    fn stopped_by(&self, stop: Arc<AtomicBool>) -> Sealer {
        let provenance = Provenance { run: Stamp::default(), venue: Venue::named_after("local") };
        Sealer::new(self.disk.clone(), 3, provenance, stop)
    }

    fn bytes(&self, path: &Path) -> Vec<u8> {
        std::fs::read(self.disk.path().join(path)).unwrap()
    }

    fn manifest_lines(&self) -> Vec<String> {
        String::from_utf8(self.bytes(&self.finished.name.manifest())).unwrap().lines().map(str::to_owned).collect()
    }

    /// How many files a reader finds in the manifest.
    fn listed(&self) -> usize {
        Manifest::open(&*self.disk, &self.finished.name.manifest()).unwrap().unwrap().entries().unwrap().len()
    }
}

#[test]
fn a_sealed_file_holds_its_source_and_is_listed() {
    let scene = Scene::new();
    let name = &scene.finished.name;
    let source = scene.bytes(&name.plain());
    let entry = scene.sealer().step(&scene.finished).unwrap().entry;
    let sealed = scene.bytes(&name.sealed());
    assert_eq!(zstd::stream::decode_all(&*sealed).unwrap(), source);
    assert_eq!((entry.lines, entry.bytes, entry.zst_bytes), (50_000, source.len() as u64, sealed.len() as u64));
    assert_eq!(entry.last.since(entry.first).as_micros(), 49_999);
    assert_eq!(scene.listed(), 1);
    let left: Vec<_> = scene.disk.list(&name.directory()).unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(left, [name.sealed().file_name().unwrap(), "manifest.jsonl".as_ref()]);
}

#[test]
fn what_is_not_its_source_is_given_up() {
    let scene = Scene::new();
    let name = scene.finished.name.clone();
    let plain = scene.disk.path().join(name.plain());
    let reads = AtomicUsize::new(0);
    // Another byte stands there once it is compressed, as if the disk had given a wrong one.
    let fate = move |call: Call, path: &Path| {
        if call == Call::Read && path == name.plain() && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            let mut source = std::fs::read(&plain).unwrap();
            source[1_000_000] ^= 1;
            std::fs::write(&plain, source).unwrap();
        }
        Ok(())
    };
    let provenance = Provenance { run: Stamp::default(), venue: Venue::named_after("local") };
    let sealer = Sealer::new(Arc::new(Faulty::new(scene.disk.clone(), fate)), 1, provenance, Arc::default());
    assert!(matches!(sealer.step(&scene.finished), Err(SealError::Mismatch(_))));
    let left: Vec<_> =
        scene.disk.list(&scene.finished.name.directory()).unwrap().into_iter().map(|file| file.name).collect();
    assert_eq!(left, [scene.finished.name.plain().file_name().unwrap()]);
    scene.sealer().step(&scene.finished).unwrap();
}

#[test]
fn the_seek_table_leads_into_the_middle() {
    let scene = Scene::new();
    let source = scene.bytes(&scene.finished.name.plain());
    scene.sealer().step(&scene.finished).unwrap();
    let sealed = std::fs::File::open(scene.disk.path().join(scene.finished.name.sealed())).unwrap();
    let mut decoder = zeekstd::Decoder::new(sealed).unwrap();
    assert!(decoder.seek_table().num_frames() > 1);
    decoder.set_offset(1_500_000).unwrap();
    let mut tail = Vec::new();
    io::copy(&mut decoder, &mut tail).unwrap();
    assert_eq!(tail, source[1_500_000..]);
}

#[test]
fn doing_it_again_after_an_interruption_ends_the_same() {
    let scene = Scene::new();
    let name = &scene.finished.name;
    let source = scene.bytes(&name.plain());
    scene.sealer().step(&scene.finished).unwrap();
    // As after a crash between the manifest and the removal of the source.
    append_all(&*scene.disk.create(&name.plain()).unwrap(), &source).unwrap();
    scene.sealer().step(&scene.finished).unwrap();
    // Whether the first line was ever synced is not known.
    let lines = scene.manifest_lines();
    assert_eq!((scene.listed(), lines.len(), &lines[0]), (1, 2, &lines[1]));
    assert!(scene.disk.read(&name.plain()).is_err());
}

#[test]
fn a_sealed_file_that_does_not_hold_its_source_is_quarantined() {
    let scene = Scene::new();
    let name = &scene.finished.name;
    append_all(&*scene.disk.create(&name.sealed()).unwrap(), b"torn").unwrap();
    let source = scene.bytes(&name.plain());
    let moved = scene.sealer().step(&scene.finished).unwrap().quarantined.unwrap();
    assert_eq!(zstd::stream::decode_all(&*scene.bytes(&name.sealed())).unwrap(), source);
    assert_eq!((moved.file, scene.bytes(&moved.kept)), (name.sealed(), b"torn".to_vec()));
}

#[test]
fn a_shorter_source_goes_and_nothing_is_listed_twice() {
    let scene = Scene::new();
    let name = &scene.finished.name;
    let source = scene.bytes(&name.plain());
    let entry = scene.sealer().step(&scene.finished).unwrap().entry;
    let sealed = scene.bytes(&name.sealed());
    for kept in [0, 1, source.len() / 2, source.len()] {
        append_all(&*scene.disk.create(&name.plain()).unwrap(), &source[..kept]).unwrap();
        let again = scene.sealer().step(&scene.finished).unwrap();
        assert_eq!((again.quarantined, again.entry.to_line()), (None, entry.to_line()), "{kept}");
        assert_eq!((scene.bytes(&name.sealed()), scene.listed()), (sealed.clone(), 1));
        assert!(scene.disk.read(&name.plain()).is_err());
    }
    // As after a crash before the manifest: the figures are those of the sealed file.
    scene.disk.remove(&name.manifest()).unwrap();
    append_all(&*scene.disk.create(&name.plain()).unwrap(), &source[..100]).unwrap();
    assert_eq!(scene.sealer().step(&scene.finished).unwrap().entry.lines, 50_000);
    assert_eq!(scene.listed(), 1);
}

#[test]
fn an_unlisted_sealed_file_is_listed_unless_damaged() {
    let scene = Scene::new();
    let name = &scene.finished.name;
    let entry = scene.sealer().step(&scene.finished).unwrap().entry;
    scene.disk.remove(&name.manifest()).unwrap();
    assert_eq!(scene.sealer().step(&scene.finished).unwrap().entry.to_line(), entry.to_line());
    assert_eq!(scene.listed(), 1);
    std::fs::write(scene.disk.path().join(name.sealed()), "torn").unwrap();
    assert!(matches!(scene.sealer().step(&scene.finished), Err(SealError::Storage(_))));
    assert_eq!((scene.bytes(&name.sealed()), scene.listed()), (b"torn".to_vec(), 1));
}

#[test]
fn a_source_with_a_hole_does_not_replace_its_sealed_file() {
    let scene = Scene::new();
    let name = &scene.finished.name;
    let source = scene.bytes(&name.plain());
    let zeros = [&source[..8_192], &[0; 4_096][..], &source[12_288..]].concat();
    let less_lines: Vec<u8> = source.split_inclusive(|byte| *byte == b'\n').step_by(2).flatten().copied().collect();
    for damaged in [zeros, less_lines, vec![0; source.len()]] {
        scene.sealer().step(&scene.finished).unwrap();
        let sealed = scene.bytes(&name.sealed());
        scene.disk.remove(&name.manifest()).unwrap();
        append_all(&*scene.disk.create(&name.plain()).unwrap(), &damaged).unwrap();
        let moved = scene.sealer().step(&scene.finished).unwrap().quarantined.unwrap();
        assert_eq!(moved.file, name.plain());
        assert!(scene.bytes(&moved.kept) == damaged && scene.bytes(&name.sealed()) == sealed);
        assert_eq!(scene.listed(), 1);
        assert!(scene.disk.read(&name.plain()).is_err());
    }
}

#[test]
fn a_damaged_source_does_not_replace_what_is_listed() {
    let scene = Scene::new();
    let name = &scene.finished.name;
    let length = scene.bytes(&name.plain()).len();
    scene.sealer().step(&scene.finished).unwrap();
    let sealed = scene.bytes(&name.sealed());
    append_all(&*scene.disk.create(&name.plain()).unwrap(), &vec![0; length]).unwrap();
    let moved = scene.sealer().step(&scene.finished).unwrap().quarantined.unwrap();
    assert_eq!((&moved.file, scene.bytes(&moved.kept)), (&name.plain(), vec![0; length]));
    assert_eq!((scene.bytes(&name.sealed()), scene.listed()), (sealed, 1));
    assert!(scene.disk.read(&name.plain()).is_err());
}

#[test]
fn a_rotten_listed_file_is_made_again_and_listed_once() {
    let scene = Scene::new();
    let name = &scene.finished.name;
    let source = scene.bytes(&name.plain());
    scene.sealer().step(&scene.finished).unwrap();
    append_all(&*scene.disk.create(&name.plain()).unwrap(), &source).unwrap();
    let path = scene.disk.path().join(name.sealed());
    std::fs::write(&path, &std::fs::read(&path).unwrap()[..50]).unwrap();
    assert!(scene.sealer().step(&scene.finished).unwrap().quarantined.is_some());
    assert_eq!(zstd::stream::decode_all(&*scene.bytes(&name.sealed())).unwrap(), source);
    assert_eq!(scene.listed(), 1);
}

#[test]
fn stopping_leaves_the_source_alone() {
    let scene = Scene::new();
    let stop = Arc::new(AtomicBool::new(true));
    let sealer = scene.stopped_by(stop);
    assert!(matches!(sealer.step(&scene.finished), Err(SealError::Stopped)));
    let left = scene.disk.list(&scene.finished.name.directory()).unwrap();
    assert_eq!(left.len(), 1);
}

/// A segment of three lines, the second one torn, and the copy of that in quarantine.
fn torn_scene() -> (Scene, String, TornLine) {
    let scene = Scene::new();
    let [first, torn, last] =
        ["{\"ts_recv\":1795324324000000,\"n\":1}", "{\"ts_recv\":17953", "{\"ts_recv\":1795324324000009,\"n\":2}"];
    let (name, offset) = (&scene.finished.name, first.len() as u64 + 1);
    let write = |path: &Path, content: &str| {
        let path = scene.disk.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write(&name.plain(), &format!("{first}\n{torn}\n{last}\n"));
    write(&torn::copy_path(name, offset), torn);
    let line = torn::kept(&*scene.disk, name, offset).unwrap().unwrap();
    let finished = Finished { torn: vec![line.clone()], ..scene.finished.clone() };
    (Scene { finished, ..scene }, format!("{first}\n{last}\n"), line)
}

#[test]
fn a_torn_line_is_left_out_and_the_manifest_says_so() {
    let (scene, whole, line) = torn_scene();
    let name = scene.finished.name.clone();
    let plain = scene.bytes(&name.plain());
    let entry = scene.sealer().step(&scene.finished).unwrap().entry;
    assert_eq!(zstd::stream::decode_all(&*scene.bytes(&name.sealed())).unwrap(), whole.as_bytes());
    assert_eq!((entry.lines, entry.bytes, entry.torn), (2, whole.len() as u64, vec![line.clone()]));
    assert_eq!((line.offset, line.length), (whole.find('\n').unwrap() as u64 + 1, 16));
    let listed: ManifestEntry = serde_json::from_slice(&scene.bytes(&name.manifest())).unwrap();
    assert_eq!(listed.torn, [line]);
    // Its source came back, or a part of it: the sealed file holds all but the torn line.
    for kept in [plain.len(), plain.len() - 3, whole.find('\n').unwrap() + 9] {
        append_all(&*scene.disk.create(&name.plain()).unwrap(), &plain[..kept]).unwrap();
        let again = scene.sealer().step(&scene.finished).unwrap();
        assert_eq!((again.quarantined, again.entry.torn.len(), scene.listed()), (None, 1, 1), "{kept}");
    }
}

#[test]
fn a_torn_line_without_its_copy_stays_in() {
    for copy in [None, Some("{\"ts_recv\":17"), Some("{\"ts_recv\":17954"), Some("")] {
        let (scene, whole, line) = torn_scene();
        let name = &scene.finished.name;
        let plain = scene.bytes(&name.plain());
        let path = scene.disk.path().join(torn::copy_path(name, line.offset));
        std::fs::remove_file(&path).unwrap();
        copy.into_iter().for_each(|copy| std::fs::write(&path, copy).unwrap());
        let entry = scene.sealer().step(&scene.finished).unwrap().entry;
        assert_eq!(zstd::stream::decode_all(&*scene.bytes(&name.sealed())).unwrap(), plain, "{copy:?}");
        assert_eq!((entry.torn.len(), entry.lines, whole.len() < plain.len()), (0, 3, true));
    }
}

#[test]
fn a_segment_that_was_cut_before_it_was_sealed_is_told() {
    let scene = Scene::new();
    let (name, source) = (&scene.finished.name, scene.bytes(&scene.finished.name.plain()));
    let last = Stamp::from_micros(1_795_324_324_049_999).unwrap();
    let finished = Finished { bytes: Some(source.len() as u64), last, ..scene.finished.clone() };
    let whole = source.iter().take(1000).rposition(|byte| *byte == b'\n').unwrap() + 1;
    std::fs::write(scene.disk.path().join(name.plain()), &source[..whole]).unwrap();
    let sealed = scene.sealer().step(&finished).unwrap();
    let doubt = sealed.cut.unwrap().doubt.unwrap();
    assert_eq!((doubt.from, doubt.to, doubt.is_lost), (sealed.entry.last, last.next(), true));
    std::fs::remove_file(scene.disk.path().join(name.sealed())).unwrap();
    std::fs::write(scene.disk.path().join(name.plain()), &source).unwrap();
    assert_eq!(scene.sealer().step(&finished).unwrap().cut, None);
}

#[test]
fn a_segment_that_was_taken_away_is_told_as_gone() {
    let scene = Scene::new();
    scene.disk.remove(&scene.finished.name.plain()).unwrap();
    assert!(matches!(scene.sealer().step(&scene.finished), Err(SealError::Gone(_))));
    std::fs::remove_dir_all(scene.disk.path().join("archive")).unwrap();
    assert!(matches!(scene.sealer().step(&scene.finished), Err(SealError::Gone(_))));
}
