//! Tapes of real files, as recorders leave them.

use super::*;
use crate::clock::{Position, Stamp};
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::recording::seal::{Provenance, Sealer};
use crate::recording::segment::Finished;
use crate::tape::durable::DurableMark;
use crate::tape::paths;
use crate::tape::segment_name::SegmentName;
use crate::upbit::feed::{Feed, PerFeed};
use crate::upbit::venue::Venue;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// 2026-11-22T00:00:00Z.
const MIDNIGHT: u64 = 1_795_305_600_000_000;
const DAY: u64 = 86_400_000_000;

struct Scene {
    directory: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn tape(&self) -> Tape {
        tape(self.directory.path())
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.directory.path().join(path)
    }

    /// A waiting segment with lines at `stamps`.
    fn waiting(&self, stamps: &[u64]) -> SegmentName {
        self.write_in(0, stamps)
    }

    fn write_in(&self, epoch: u64, stamps: &[u64]) -> SegmentName {
        let name = SegmentName { feed: Feed::Public, stream: stream(), epoch, first: stamp(stamps[0]) };
        fs::create_dir_all(self.path(&name.directory())).unwrap();
        fs::write(self.path(&name.plain()), text(stamps)).unwrap();
        name
    }

    fn sealed(&self, stamps: &[u64]) -> SegmentName {
        let name = self.waiting(stamps);
        self.seal(&name);
        name
    }

    fn seal(&self, name: &SegmentName) {
        let files: Arc<dyn Files> = Arc::new(Disk::open(self.directory.path()).unwrap());
        let sealer = Sealer::new(
            files,
            3,
            Provenance { run: Stamp::default(), venue: Venue::named_after("local") },
            Arc::default(),
        );
        sealer
            .step(&Finished { name: name.clone(), origin: None, last: name.first, bytes: None, torn: Vec::new() })
            .unwrap();
    }

    fn mark(&self, epoch: u64) {
        let mark = DurableMark { durable: Stamp::default(), epoch, heard: PerFeed::default(), generation: 0 };
        fs::write(self.path(Path::new(paths::MARK)), mark.to_text()).unwrap();
    }

    fn active(&self, text: &[u8]) {
        fs::write(self.path(&paths::active(Feed::Public, &stream())), text).unwrap();
    }

    /// The stamps read between two moments, and the faults.
    fn read(&self, from: u64, to: u64) -> (Vec<u64>, Vec<TapeError>) {
        let lines = self.tape().lines(&stream(), stamp(from)..=stamp(to)).unwrap();
        let (mut stamps, mut faults) = (Vec::new(), Vec::new());
        for line in lines {
            match line {
                Ok(line) => stamps.push(line.stamp().as_micros()),
                Err(fault) => faults.push(fault),
            }
        }
        (stamps, faults)
    }

    fn stamps(&self, from: u64, to: u64) -> Vec<u64> {
        let (stamps, faults) = self.read(from, to);
        assert!(faults.is_empty(), "{faults:?}");
        stamps
    }
}

fn tape(directory: &Path) -> Tape {
    Tape::new(Disk::readable(directory).unwrap(), directory)
}

fn stream() -> StreamKey {
    StreamKey::from_stem("KRW-BTC_trade").unwrap()
}

fn stamp(micros: u64) -> Stamp {
    Stamp::from_micros(micros).unwrap()
}

fn text(stamps: &[u64]) -> Vec<u8> {
    stamps.iter().flat_map(|stamp| format!("{{\"ts_recv\":{stamp},\"n\":1}}\n").into_bytes()).collect()
}

#[test]
fn all_forms_of_a_segment_are_read_and_each_line_once() {
    let scene = Scene::new();
    let at = |offset: u64| MIDNIGHT + offset;
    scene.sealed(&[at(1), at(2)]);
    scene.waiting(&[at(5), at(6)]);
    // Interrupted before the source was removed: both forms are there, and a power cut has taken some of the source.
    let twice = scene.waiting(&[at(3), at(4)]);
    scene.seal(&twice);
    scene.waiting(&[at(3)]);
    scene.active(&[text(&[at(7), at(8)]), b"{\"ts_recv\":1795305600000009,\"n\":".to_vec()].concat());
    scene.sealed(&[at(0) - 2, at(0) - 1]);
    let all: Vec<u64> = [at(0) - 2, at(0) - 1].into_iter().chain((1..9).map(at)).collect();
    assert_eq!(scene.stamps(0, Stamp::MAX.as_micros()), all);
    assert_eq!(scene.stamps(at(2), at(7)), all[3..9]);
    assert_eq!(scene.stamps(at(0) - 1, at(1)), all[1..3]);
    assert_eq!(scene.stamps(at(DAY), at(2 * DAY)), [0; 0]);
    assert_eq!(scene.tape().streams().unwrap(), BTreeSet::from([stream()]));
}

#[test]
fn lines_are_read_epoch_by_epoch() {
    let scene = Scene::new();
    let at = |offset: u64| MIDNIGHT + offset;
    // The clock was set back by a day and then, over stamps that are there already, by some microseconds.
    scene.sealed(&[at(DAY + 1), at(DAY + 2)]);
    scene.write_in(1, &[at(5), at(6)]);
    scene.seal(&scene.write_in(1, &[at(7), at(8)]));
    scene.mark(2);
    scene.active(&text(&[at(6), at(7)]));
    let position = |epoch, offset| Position { epoch, stamp: stamp(at(offset)) };
    let read = |selected: Selection| -> Vec<Position> {
        scene.tape().lines(&stream(), selected).unwrap().map(|line| line.unwrap().position()).collect()
    };
    let all = [(0, DAY + 1), (0, DAY + 2), (1, 5), (1, 6), (1, 7), (1, 8), (2, 6), (2, 7)];
    let all = all.map(|(epoch, offset)| position(epoch, offset));
    assert_eq!(read((Position::default()..).into()), all);
    assert_eq!(read((position(0, DAY + 2)..).into()), all[1..]);
    assert_eq!(read((position(1, 8)..).into()), all[5..]);
    assert_eq!(read((position(2, 7)..).into()), all[7..]);
    assert_eq!(read(Selection::from(position(0, 0)..).not_before(stamp(at(8)))), [all[0], all[1], all[5]]);
    assert_eq!(scene.stamps(at(6), at(7)), [6, 7, 6, 7].map(at), "of every epoch");
}

#[test]
fn a_manifest_tells_the_epoch_that_a_name_does_not() {
    let scene = Scene::new();
    let stamps = [MIDNIGHT + 9, MIDNIGHT + 5].map(|first| scene.sealed(&[first]).first);
    let manifest = scene.directory.path().join("archive/date=2026-11-22/manifest.jsonl");
    let listed = fs::read_to_string(&manifest).unwrap().replacen("\"epoch\":0", "\"epoch\":1", 2);
    let listed = listed.replacen("\"epoch\":1", "\"epoch\":0", 1);
    fs::write(&manifest, listed).unwrap();
    let lines = scene.tape().lines(&stream(), Position::default()..).unwrap();
    let read: Vec<Position> = lines.map(|line| line.unwrap().position()).collect();
    assert_eq!(read, [Position { epoch: 0, stamp: stamps[0] }, Position { epoch: 1, stamp: stamps[1] }]);
}

#[test]
fn damage_is_named_and_the_rest_is_read() {
    let scene = Scene::new();
    let whole = |segment: u64| (0..60_000).map(|line| MIDNIGHT + segment * 1_000_000 + line).collect::<Vec<_>>();
    let (first, second) = (scene.sealed(&whole(0)), scene.sealed(&whole(1)));
    scene.sealed(&whole(2));
    let bytes = fs::read(scene.path(&first.sealed())).unwrap();
    // A frame of content is a MiB, of these lines some 30,000; the end of the first one is where its magic number returns.
    let magic = 0xFD2F_B528_u32.to_le_bytes();
    let cut = (4..bytes.len()).find(|at| bytes[*at..].starts_with(&magic)).unwrap();
    fs::write(scene.path(&first.sealed()), &bytes[..cut]).unwrap();
    let mut bytes = fs::read(scene.path(&second.sealed())).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(scene.path(&second.sealed()), bytes).unwrap();
    let (stamps, faults) = scene.read(0, Stamp::MAX.as_micros());
    assert!(stamps.len() > 85_000 && stamps.windows(2).all(|pair| pair[0] < pair[1]), "{} lines", stamps.len());
    let [TapeError::Short { path: short, .. }, TapeError::Io(IoError { path: damaged, .. })] = &faults[..] else {
        panic!("{faults:?}")
    };
    assert_eq!([short, damaged], [&scene.path(&first.sealed()), &scene.path(&second.sealed())]);
}

#[test]
fn a_segment_sealed_or_pruned_meanwhile_stops_no_reading() {
    let scene = Scene::new();
    let (first, second) = (scene.waiting(&[MIDNIGHT + 1]), scene.waiting(&[MIDNIGHT + 2]));
    scene.active(&text(&[MIDNIGHT + 3]));
    let lines = scene.tape().lines(&stream(), stamp(0)..=Stamp::MAX).unwrap();
    fs::remove_file(scene.path(&first.plain())).unwrap();
    scene.seal(&second);
    fs::remove_file(scene.path(&paths::active(Feed::Public, &stream()))).unwrap();
    let stamps: Vec<u64> = lines.map(|line| line.unwrap().stamp().as_micros() - MIDNIGHT).collect();
    assert_eq!(stamps, [2, 3]);
}

#[test]
fn what_is_not_ours_is_not_read() {
    let scene = Scene::new();
    scene.active(b"my notes\n{\"ts_recv\":x}\n\xff\n");
    let archive = scene.directory.path().join("archive/date=2026-11-22");
    fs::create_dir_all(&archive).unwrap();
    fs::write(archive.join("KRW-BTC_trade.20261121T051204.113204Z.jsonl"), text(&[MIDNIGHT])).unwrap();
    fs::write(archive.join("KRW-BTC_trade.20261122T000000.000001Z.jsonl.zst.tmp"), text(&[MIDNIGHT])).unwrap();
    assert_eq!(scene.stamps(0, Stamp::MAX.as_micros()), [0; 0]);
    assert_eq!(tape(&scene.directory.path().join("nowhere")).streams().unwrap(), BTreeSet::new());
}

#[test]
fn a_minute_of_a_large_segment_costs_little() {
    const SECOND: u64 = 1_000_000;
    let scene = Scene::new();
    let filler = "x".repeat(1_000);
    // 64 MiB of 20 lines a second: 55 minutes.
    let stamps: Vec<u64> = (0..66_000).map(|line| MIDNIGHT + line * SECOND / 20).collect();
    let name = SegmentName { feed: Feed::Public, stream: stream(), epoch: 0, first: stamp(stamps[0]) };
    fs::create_dir_all(scene.path(&name.directory())).unwrap();
    let text: String = stamps.iter().map(|stamp| format!("{{\"ts_recv\":{stamp},\"n\":\"{filler}\"}}\n")).collect();
    assert!(text.len() > 64 << 20);
    fs::write(scene.path(&name.plain()), text).unwrap();
    scene.seal(&name);
    for minute in [0, 1, 30, 54] {
        let (from, to) = (MIDNIGHT + minute * 60 * SECOND, MIDNIGHT + (minute + 1) * 60 * SECOND - 1);
        let mut lines = scene.tape().lines(&stream(), stamp(from)..=stamp(to)).unwrap();
        let read: Vec<u64> = lines.by_ref().map(|line| line.unwrap().stamp().as_micros()).collect();
        assert_eq!(read, stamps.iter().copied().filter(|stamp| (from..=to).contains(stamp)).collect::<Vec<_>>());
        assert!(lines.decoded() < 5 << 20, "minute {minute}: {} bytes", lines.decoded());
    }
}

#[test]
fn many_streams_are_merged_by_position() {
    let scene = Scene::new();
    let named = |text: &str| StreamKey::from_stem(text).unwrap();
    let streams = ["KRW-BTC_trade", "KRW-ETH_trade", "KRW-XRP_trade"].map(named);
    let mut all = Vec::new();
    for (place, stream) in streams.iter().enumerate() {
        for epoch in 0..2 {
            let stamps: Vec<u64> = (0..4_000).map(|line| MIDNIGHT + line * (place as u64 + 2) + epoch).collect();
            for stamps in stamps.chunks(900) {
                let name = SegmentName { feed: Feed::Public, stream: stream.clone(), epoch, first: stamp(stamps[0]) };
                fs::create_dir_all(scene.path(&name.directory())).unwrap();
                fs::write(scene.path(&name.plain()), text(stamps)).unwrap();
                if stamps.len() == 900 {
                    scene.seal(&name);
                }
                all.extend(stamps.iter().map(|micros| (Position { epoch, stamp: stamp(*micros) }, place)));
            }
        }
    }
    all.sort_unstable();
    let is_meant = |stream: &StreamKey| stream.kind() == "trade";
    let (found, lines): (Vec<_>, Vec<_>) =
        scene.tape().lines_of(&is_meant, Position::default()..).unwrap().into_iter().unzip();
    assert_eq!(found, streams);
    let merged: Vec<_> = Merged::new(lines)
        .map(|item| item.map(|MergedLine { place, line }| (line.position(), place)).unwrap())
        .collect();
    assert_eq!(merged, all);
    let lines = scene.tape().lines_of(&|stream| *stream == streams[1], stamp(MIDNIGHT + 30)..=stamp(MIDNIGHT + 60));
    assert_eq!(Merged::new(lines.unwrap().into_iter().map(|(_, lines)| lines).collect()).count(), 21);
}
