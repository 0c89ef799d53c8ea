//! The journal on a real disk, and on one that is full at times.

use super::*;
use crate::batch::Batch;
use crate::clock::Clock;
use crate::files::disk::Disk;
use crate::files::faulty::{Call, Faulty};
use crate::recording::router::Router;
use crate::tape::manifest::Origins;
use crate::tape::segment_name::date;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use proptest::prelude::*;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const MINUTE: u64 = 60_000_000;

struct Scene {
    directory: tempfile::TempDir,
    router: Router,
    journal: Journal,
    commands: Vec<JournalCommand>,
}

impl Scene {
    fn new(full_every: usize, bytes: u64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(directory.path()).unwrap());
        let calls = AtomicUsize::new(0);
        let files = Arc::new(Faulty::new(disk, move |call, _| {
            if call == Call::Read || full_every == 0 {
                return Ok(());
            }
            let call = calls.fetch_add(1, Ordering::Relaxed);
            if call % full_every == full_every - 1 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }));
        let rotation = Rotation { interval: Duration::from_secs(60), bytes };
        let journal = Journal::new(files, rotation, Vec::new(), 0);
        Self { directory, router: Router::new(100), journal, commands: Vec::new() }
    }

    fn frame(&mut self, micros: u64, frame: &str) {
        let mut batch = Batch::default();
        batch.push(frame.as_bytes(), Clock::anchored(Stamp::default()).now());
        let stamp = Stamp::from_micros(micros).unwrap();
        let lines = batch.entries().map(|(_, entry)| (stamp, self.router.route(Feed::Public, &entry))).collect();
        self.commands.extend(self.router.take_fresh().into_iter().map(JournalCommand::Open));
        self.commands.push(JournalCommand::Lines(Routed { batch, lines }));
    }

    /// Executes the commands as the writer does: a step that reports a full disk is called again.
    fn run(&mut self) {
        let mut tries = 0;
        for command in std::mem::take(&mut self.commands) {
            self.journal.accept(command);
            for step in [Journal::work, Journal::write_out] {
                while let Err(error) = step(&mut self.journal) {
                    assert!(error.is_full(), "{error}");
                    tries += 1;
                    assert!(tries < 100_000, "no progress");
                }
            }
        }
        while self.journal.rotate_one().unwrap_or(true) {}
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    /// All lines of a stream, archived segments first, and the number of their files.
    fn lines(&self, stream: &str) -> (Vec<String>, usize) {
        let mut paths: Vec<_> = walk(&self.path("archive"));
        paths.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{stream}.")));
        paths.extend(Some(self.path(&format!("{stream}.jsonl"))).filter(|path| path.exists()));
        let text = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap();
        let lines = paths.iter().map(text).flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        (lines.collect(), paths.len())
    }
}

fn walk(path: &Path) -> Vec<std::path::PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { paths.extend(walk(&path)) } else { paths.push(path) }
    }
    paths.sort();
    paths
}

fn trade(number: usize) -> String {
    format!(r#"{{"type":"trade","code":"KRW-BTC","n":{number}}}"#)
}

proptest! {
    /// For any step that meets a full disk, any number of times: each line exists once, whole and in order.
    #[test]
    fn a_full_disk_loses_doubles_and_glues_nothing(full_every in 0usize..6, lines in 1usize..60, size in 40u64..400) {
        // A disk that is full at every call never accepts anything.
        let full_every = if full_every == 1 { 2 } else { full_every };
        let mut scene = Scene::new(full_every, size);
        for number in 0..lines {
            scene.frame(1 + number as u64 * 7_000_000, &trade(number));
        }
        scene.run();
        let wanted: Vec<_> = (0..lines)
            .map(|number| trade(number).replacen('{', &format!("{{\"ts_recv\":{},", 1 + number * 7_000_000), 1))
            .collect();
        prop_assert_eq!(scene.lines("KRW-BTC_trade").0, wanted);
    }

    /// The same for healed objects in one command.
    #[test]
    fn what_was_missed_is_resumed_where_the_disk_was_full(full_every in 2usize..6, lines in 1u64..60, size in 40u64..400) {
        let mut scene = Scene::new(full_every, size);
        let stream = StreamKey::from_stem("KRW-BTC_trade.healed").unwrap();
        let id = scene.router.register(Feed::Public, stream);
        scene.commands.extend(scene.router.take_fresh().into_iter().map(JournalCommand::Open));
        let object = |number: u64| format!("{{\"gap\":7,\"n\":{number}}}");
        let stamp = |number: u64| 1 + number * 7_000_000;
        let missed = (0..lines).map(|number| (Stamp::from_micros(stamp(number)).unwrap(), object(number)));
        scene.commands.push(JournalCommand::Missed(id, missed.collect()));
        scene.run();
        let line = |number| object(number).replacen('{', &format!("{{\"ts_recv\":{},", stamp(number)), 1);
        prop_assert_eq!(scene.lines("KRW-BTC_trade.healed").0, (0..lines).map(line).collect::<Vec<_>>());
    }
}

#[test]
fn a_segment_ends_at_the_boundary_and_when_it_is_full() {
    let mut scene = Scene::new(0, 150);
    for (micros, number) in [(1, 0), (2, 1), (3, 2), (MINUTE, 3), (MINUTE + 1, 4)] {
        scene.frame(micros, &trade(number));
    }
    scene.run();
    let rotated: Vec<_> = std::mem::take(&mut scene.journal.active.handover.ended).into_iter().collect();
    let names = |micros: &str| vec![format!("KRW-BTC_trade.19700101T0000{micros}Z.jsonl")];
    assert_eq!(rotated, [(RotationReason::Interval, names("00.000001"))]);
    scene.frame(MINUTE + 2, &trade(5));
    scene.frame(MINUTE + 3, &trade(6));
    scene.run();
    let rotated: Vec<_> = std::mem::take(&mut scene.journal.active.handover.ended).into_iter().collect();
    assert_eq!(rotated, [(RotationReason::Size, vec!["KRW-BTC_trade.19700101T000100.000000Z.jsonl".to_owned()])]);
    assert_eq!(scene.lines("KRW-BTC_trade").1, 3);
}

#[test]
fn a_stream_that_went_quiet_is_rotated_by_the_tick() {
    let mut scene = Scene::new(0, 1 << 20);
    scene.frame(1, &trade(0));
    scene.commands.push(JournalCommand::Tick { stamp: Stamp::from_micros(MINUTE).unwrap(), sync: None });
    scene.run();
    assert!(!scene.path("KRW-BTC_trade.jsonl").exists());
    assert_eq!(scene.lines("KRW-BTC_trade").1, 1);
    let job = scene.journal.take_sync_job();
    assert_eq!(job.finished.len(), 1);
    assert!(scene.journal.take_sync_job().finished.is_empty());
}

#[test]
fn a_step_tells_of_everything_untold_that_ended_before_it() {
    use crate::tape::event::Event;
    let mut scene = Scene::new(0, 80);
    (0..3).for_each(|number| scene.frame(1 + number, &trade(0)));
    scene.run();
    let stamp = |micros| Stamp::from_micros(micros).unwrap();
    let rotated = |reason: RotationReason, segments| Event::Rotated { reason: reason.into(), segments }.to_json();
    let event = Event::ClockStep { before: stamp(3), after: stamp(1), epoch: 1 }.to_json();
    let recorder = scene.router.recorder();
    let step = ClockStep { epoch: 1, recorder, first: stamp(1), event, second: stamp(2), rotated };
    scene.commands.push(JournalCommand::Step(step));
    // A later report of the same segment finds nothing left to name.
    scene.commands.push(JournalCommand::Event(recorder, stamp(3), EventObject::Ended(RotationReason::Size, rotated)));
    scene.run();
    let written = std::fs::read_to_string(scene.path("recorder.jsonl")).unwrap();
    let [_, told] = written.lines().collect::<Vec<_>>()[..] else { panic!("{written}") };
    let told: serde_json::Value = serde_json::from_str(told).unwrap();
    let ended = ["00.000001", "00.000003"].map(|at| format!("KRW-BTC_trade.19700101T0000{at}Z.jsonl"));
    let mut segments: Vec<_> = told["segments"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    segments.sort_unstable();
    assert_eq!(segments, ended);
}

#[test]
fn a_changed_subscription_ends_the_segment_before_it() {
    use crate::upbit::subscription::{Format, Request, Subscription};
    let mut scene = Scene::new(0, 1 << 20);
    let origins = |format| {
        let trades = Subscription { kind: "trade".into(), codes: vec!["KRW-BTC".into()], ..Subscription::default() };
        Arc::new(Origins::of(&Request { subscriptions: vec![trades], format }))
    };
    scene.commands.push(JournalCommand::Describe(Feed::Public, origins(Format::Default)));
    scene.frame(1, &trade(0));
    scene.commands.push(JournalCommand::Describe(Feed::Public, origins(Format::Default)));
    scene.frame(2, &trade(1));
    scene.commands.push(JournalCommand::Describe(Feed::Public, origins(Format::Simple)));
    scene.frame(3, &trade(2));
    scene.run();
    assert_eq!(
        scene.journal.take_ended(),
        BTreeMap::from([((RotationReason::Subscription, date(Stamp::default())), 1)])
    );
    let job = scene.journal.take_sync_job();
    assert_eq!(job.finished[0].origin.as_ref().unwrap().format, Format::Default);
    assert_eq!(std::fs::read_to_string(scene.path("KRW-BTC_trade.jsonl")).unwrap().lines().count(), 1);
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    let mut scene = Scene::new(0, 1 << 20);
    std::fs::write(scene.path("KRW-BTC_trade.jsonl"), "my notes\n").unwrap();
    scene.frame(1, &trade(0));
    scene.frame(2, &trade(1));
    scene.run();
    assert_eq!(std::fs::read_to_string(scene.path("KRW-BTC_trade.jsonl")).unwrap(), "my notes\n");
    assert_eq!(scene.lines("misc").0.len(), 2);
}

#[test]
fn what_is_no_data_goes_to_misc_whole() {
    let mut scene = Scene::new(0, 1 << 20);
    for frame in [r#"{"type":"recorder","code":"A-B"}"#, r#"{"type":"../../x"}"#, "nonsense", r#"{"status":"UP"}"#] {
        scene.frame(7, frame);
    }
    scene.run();
    assert_eq!(
        scene.lines("misc").0,
        [
            r#"{"ts_recv":7,"type":"recorder","code":"A-B"}"#,
            r#"{"ts_recv":7,"type":"../../x"}"#,
            r#"{"ts_recv":7,"raw":"nonsense"}"#,
            r#"{"ts_recv":7,"status":"UP"}"#,
        ]
    );
}

#[test]
fn a_long_message_is_one_line_however_full_the_disk() {
    let message = "\u{1}원".repeat(100_000);
    for full_every in [0, 2, 3, 5] {
        let mut scene = Scene::new(full_every, 1 << 20);
        scene.frame(7, "before");
        scene.frame(8, &message);
        scene.frame(9, "behind");
        scene.run();
        let raw =
            |stamp: u64, text: &str| format!(r#"{{"ts_recv":{stamp},"raw":{}}}"#, serde_json::to_string(text).unwrap());
        assert!(scene.lines("misc").0 == [raw(7, "before"), raw(8, &message), raw(9, "behind")], "{full_every}");
    }
}
