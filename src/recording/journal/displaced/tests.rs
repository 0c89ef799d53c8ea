//! Files displaced on a real disk, while the journal writes to them.

use super::*;
use crate::batch::Batch;
use crate::clock::Clock;
use crate::files::Files;
use crate::files::disk::Disk;
use crate::files::faulty::{Call, Faulty};
use crate::recording::journal::Journal;
use crate::recording::journal::{JournalCommand, Routed};
use crate::recording::rotation::Rotation;
use crate::recording::router::Router;
use crate::tape::segment_name::date;
use crate::tape::words::RotationReason;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

const TRADES: &str = "KRW-BTC_trade.jsonl";

struct Scene {
    directory: tempfile::TempDir,
    router: Router,
    journal: Journal,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_, _| Ok(()))
    }

    fn with(fate: impl Fn(Call, &Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(&directory.path().join("data")).unwrap());
        let files: Arc<dyn Files> = Arc::new(Faulty::new(disk, fate));
        let rotation = Rotation { interval: Duration::from_secs(86_400), bytes: 1 << 20 };
        Self { directory, router: Router::new(10), journal: Journal::new(files, rotation, Vec::new(), 0) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("data").join(path)
    }

    /// Lines stamped `micros` arrive and are written.
    fn receive(&mut self, micros: std::ops::Range<u64>) {
        for micros in micros {
            let mut batch = Batch::default();
            batch.push(trade(micros).as_bytes(), Clock::anchored(Stamp::default()).now());
            let lines = batch.entries().map(|(_, entry)| (stamp(micros), self.router.route(Feed::Public, &entry)));
            let lines = lines.collect();
            for command in self
                .router
                .take_fresh()
                .into_iter()
                .map(JournalCommand::Open)
                .chain([JournalCommand::Lines(Routed { batch, lines })])
            {
                self.journal.accept(command);
                self.journal.work().unwrap();
            }
        }
        self.journal.write_out().unwrap();
    }

    /// The content of the stream on disk, archived segments first.
    fn stamps(&self) -> Vec<u64> {
        let archive = self.path("archive/date=1970-01-01");
        let mut paths: Vec<_> =
            fs::read_dir(archive).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.extend(Some(self.path(TRADES)).filter(|path| path.exists()));
        let text: String = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        text.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["ts_recv"].as_u64().unwrap())
            .collect()
    }

    fn displaced(&mut self) -> Displaced {
        let displaced = self.journal.take_displaced().expect("something was displaced");
        assert_eq!(self.journal.take_displaced(), None);
        displaced
    }
}

fn stamp(micros: u64) -> Stamp {
    Stamp::from_micros(micros).unwrap()
}

fn trade(micros: u64) -> String {
    format!(r#"{{"type":"trade","code":"KRW-BTC","n":{micros}}}"#)
}

fn doubt(from: u64, to: u64, is_lost: bool) -> Option<Doubt> {
    Some(Doubt { from: stamp(from), to: stamp(to), is_lost })
}

/// Lines 10 to 19 were intact at a check, 20 to 29 were written since; then the fault; then 30 to 39 are written.
fn disturbed(happens: impl Fn(&Path)) -> (Scene, Displaced) {
    let mut scene = Scene::new();
    scene.receive(10..20);
    scene.journal.check_written(stamp(20)).unwrap();
    scene.receive(20..30);
    happens(&scene.path(TRADES));
    scene.receive(30..40);
    scene.journal.check_written(stamp(40)).unwrap();
    let displaced = scene.displaced();
    scene.receive(40..50);
    scene.journal.check_written(stamp(50)).unwrap();
    assert_eq!(scene.journal.take_displaced(), None, "the new file is in its place");
    (scene, displaced)
}

#[test]
fn a_file_that_is_removed_or_renamed_is_saved_whole() {
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let rename = |path: &Path| fs::rename(path, path.with_extension("jsonl.1")).unwrap();
    for (happens, what) in [(&remove as &dyn Fn(&Path), Displacement::Removed), (&rename, Displacement::Renamed)] {
        let (mut scene, displaced) = disturbed(happens);
        assert_eq!(scene.stamps(), (10..50).collect::<Vec<_>>());
        assert_eq!((displaced.what, displaced.kept), (what, None));
        assert_eq!(displaced.held, Some([stamp(10), stamp(39)]));
        assert_eq!(displaced.doubt, doubt(19, 40, false));
        assert_eq!(displaced.saved.as_deref(), Some("KRW-BTC_trade.19700101T000000.000010Z.jsonl"));
        let job = scene.journal.take_sync_job();
        assert_eq!((job.finished.len(), job.finished[0].last), (1, stamp(39)));
        assert_eq!(scene.journal.take_ended(), [((RotationReason::Displaced, date(stamp(0))), 1)].into());
    }
}

#[test]
fn what_replaces_a_file_goes_to_quarantine() {
    let (scene, displaced) = disturbed(|path| {
        fs::write(path.with_extension("new"), "edited\n").unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    });
    assert_eq!(scene.stamps(), (10..50).collect::<Vec<_>>());
    assert_eq!(displaced.what, Displacement::Replaced);
    assert_eq!(displaced.kept, Some(PathBuf::from("quarantine").join(TRADES)));
    assert_eq!(fs::read_to_string(scene.path("quarantine").join(TRADES)).unwrap(), "edited\n");
}

#[test]
fn what_is_cut_off_is_in_doubt_and_leaves_no_zeros() {
    let cut =
        |length: u64| move |path: &Path| fs::File::options().write(true).open(path).unwrap().set_len(length).unwrap();
    let length = |range: std::ops::Range<u64>| {
        range.map(|n| format!("{{\"ts_recv\":{n},{}\n", &trade(n)[1..]).len() as u64).sum::<u64>()
    };
    let (scene, displaced) = disturbed(cut(0));
    assert_eq!(scene.stamps(), (30..50).collect::<Vec<_>>());
    assert_eq!((displaced.what, displaced.doubt), (Displacement::Truncated, doubt(9, 40, true)));
    // Within a line, which swallows the next one.
    let (scene, displaced) = disturbed(cut(length(10..24) + 7));
    assert_eq!(scene.stamps(), (10..24).chain(31..50).collect::<Vec<_>>());
    assert_eq!(displaced.doubt, doubt(23, 40, true));
    // Longer than written: foreign bytes, and a line after them.
    let (scene, displaced) = disturbed(cut(100_000));
    assert_eq!(scene.stamps(), (10..30).chain(31..50).collect::<Vec<_>>());
    assert_eq!((displaced.what, displaced.doubt), (Displacement::Grown, doubt(29, 40, true)));
    assert!(displaced.kept.is_some());
}

#[test]
fn a_quiet_stream_is_looked_at_within_a_minute() {
    let mut scene = Scene::new();
    scene.receive(10..20);
    scene.journal.take_sync_job();
    fs::remove_file(scene.path(TRADES)).unwrap();
    for second in 1..=61 {
        scene.journal.check_written(stamp(second * 1_000_000)).unwrap();
    }
    assert_eq!((scene.displaced().what, scene.stamps()), (Displacement::Removed, (10..20).collect::<Vec<_>>()));
}

#[test]
fn every_stream_has_its_turn_in_a_minute_and_no_more() {
    for (streams, seconds) in [(2565, 1), (2565, 10), (7, 1), (1, 60)] {
        let looks = share(streams, Duration::from_secs(seconds)) as u64 * 60 / seconds;
        assert!((streams as u64..streams as u64 + 60).contains(&looks), "{streams} every {seconds} s: {looks}");
    }
    assert_eq!((share(0, ROUND), share(9, 5 * ROUND)), (0, 9));
}

#[test]
fn a_rotation_finds_what_is_displaced_and_does_not_fail() {
    let mut scene = Scene::new();
    scene.receive(10..20);
    fs::remove_file(scene.path(TRADES)).unwrap();
    scene.receive(20..30);
    scene.journal.accept(JournalCommand::Rotate(RotationReason::Requested));
    scene.journal.work().unwrap();
    while scene.journal.rotate_one().unwrap() {}
    assert_eq!((scene.displaced().what, scene.stamps()), (Displacement::Removed, (10..30).collect::<Vec<_>>()));
}

#[test]
fn a_data_directory_that_is_removed_is_made_again() {
    let mut scene = Scene::new();
    scene.receive(10..20);
    fs::remove_dir_all(scene.path("")).unwrap();
    scene.receive(20..30);
    scene.journal.check_written(stamp(30)).unwrap();
    let whole = scene.journal.take_displaced().unwrap();
    assert_eq!((whole.stream, whole.file, whole.what), (None, PathBuf::from("."), Displacement::Removed));
    assert_eq!(scene.displaced().doubt, doubt(10, 30, false));
    scene.receive(30..40);
    assert_eq!(scene.stamps(), (10..40).collect::<Vec<_>>());
}

#[test]
fn a_renamed_data_directory_is_written_to_and_told_once() {
    let mut scene = Scene::new();
    scene.receive(10..20);
    let moved = scene.directory.path().join("moved");
    fs::rename(scene.path(""), &moved).unwrap();
    for micros in [20, 30] {
        scene.receive(micros..micros + 10);
        scene.journal.check_written(stamp(micros)).unwrap();
    }
    assert_eq!(
        (scene.displaced().what, fs::read_to_string(moved.join(TRADES)).unwrap().lines().count()),
        (Displacement::Renamed, 30)
    );
}

#[test]
fn a_disk_that_is_full_meanwhile_gets_the_whole_copy_later() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = tries.clone();
    let mut scene = Scene::with(move |call, path| match call {
        Call::Write if path.starts_with("archive") && count.fetch_add(1, Ordering::Relaxed) < 5 => {
            Err(io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    });
    scene.receive(10..20);
    fs::remove_file(scene.path(TRADES)).unwrap();
    let mut full = 0;
    while let Err(error) = scene.journal.check_written(stamp(20)) {
        assert!(error.is_full());
        assert_eq!(scene.stamps(), [0; 0], "nothing is left of an attempt");
        full += 1;
    }
    assert_eq!((full, scene.stamps()), (5, (10..20).collect::<Vec<_>>()));
    assert_eq!(scene.displaced().doubt, doubt(10, 20, false));
}

#[test]
fn what_was_closed_and_removed_is_told_as_lost() {
    let mut scene = Scene::new();
    scene.receive(10..20);
    scene.journal.active.close_idle();
    fs::remove_file(scene.path(TRADES)).unwrap();
    scene.journal.check_all().unwrap();
    let displaced = scene.displaced();
    assert_eq!((displaced.saved, displaced.doubt), (None, doubt(9, 20, true)));
    // Closed, and truncated: it is opened again by its name.
    scene.receive(20..30);
    scene.journal.active.close_idle();
    fs::write(scene.path(TRADES), "").unwrap();
    scene.journal.check_all().unwrap();
    assert_eq!((scene.displaced().what, scene.stamps()), (Displacement::Truncated, vec![]));
}
