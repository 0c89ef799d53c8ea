//! The writer on a real disk, and its jobs for the syncer.

use super::*;
use crate::batch::Batch;
use crate::clock::Stamp;
use crate::files::disk::Disk;
use crate::recording::journal::{ClockStep, Routed};
use crate::recording::rotation::Rotation;
use crate::recording::router::Router;
use crate::tape::event::Event;
use crate::tape::words::RotationReason;
use crate::upbit::feed::Feed;
use tokio::sync::mpsc;

fn stamp(micros: u64) -> Stamp {
    Stamp::from_micros(micros).unwrap()
}

fn point(epoch: u64, micros: u64) -> SyncPoint {
    SyncPoint { up_to: Position { epoch, stamp: stamp(micros) }, ..SyncPoint::default() }
}

#[tokio::test]
async fn an_epoch_begins_between_two_syncs() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Files> = Arc::new(Disk::open(directory.path()).unwrap());
    let rotation = Rotation { interval: Duration::from_secs(3600), bytes: 1 << 20 };
    let journal = Journal::new(disk.clone(), rotation, Vec::new(), 0);
    let (commands, queue) = mpsc::channel(100);
    let (sync_jobs, mut jobs) = mpsc::channel(1);
    let (reports, _reports) = mpsc::channel(100);
    let channels = Channels { commands: queue, sync_jobs, reports };
    let writer = Writer::new(journal, disk, channels, WriterSignals::default(), Clock::anchored(Stamp::default()));

    let mut router = Router::new(10);
    let recorder = router.recorder();
    let event = |micros| JournalCommand::Event(recorder, stamp(micros), Event::DiskOk.to_json().into());
    let tick = |micros| JournalCommand::Tick { stamp: stamp(micros), sync: Some(Box::new(point(0, micros))) };
    let rotated = |reason: RotationReason, segments| Event::Rotated { reason: reason.into(), segments }.to_json();
    let of_step = Event::ClockStep { before: stamp(103), after: stamp(50), epoch: 1 }.to_json();
    let step = ClockStep { epoch: 1, recorder, first: stamp(50), event: of_step, second: stamp(51), rotated };
    let begin = BeginEpoch { stepping: point(0, 103), begun: point(0, 104), step };
    let opened = router.take_fresh().into_iter().map(JournalCommand::Open);
    let begin = JournalCommand::BeginEpoch(Box::new(begin));
    for command in opened.chain([event(100), tick(101), event(102), tick(103), begin, event(52)]) {
        commands.send(command).await.unwrap();
    }
    drop(commands);
    let active = || std::fs::read_to_string(directory.path().join("recorder.jsonl")).unwrap_or_default();
    let syncer = async {
        let mut seen = Vec::new();
        while let Some(mut job) = jobs.recv().await {
            let up_to = job.point.up_to;
            seen.push((up_to.epoch, up_to.stamp.as_micros(), job.done.is_some(), active().lines().count()));
            job.done.take().into_iter().for_each(|done| done.send(()).unwrap());
        }
        seen
    };
    let ((), seen) = tokio::join!(writer.run(), syncer);
    // The step is durable while the old file is active, and the epoch before the new one has a line.
    assert_eq!(seen[seen.len() - 3..], [(0, 103, true, 2), (0, 104, true, 0), (0, 104, false, 3)]);
}

#[tokio::test]
async fn lines_are_written_before_a_sync_is_due() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Files> = Arc::new(Disk::open(directory.path()).unwrap());
    let rotation = Rotation { interval: Duration::from_secs(3600), bytes: 1 << 20 };
    let journal = Journal::new(disk.clone(), rotation, Vec::new(), 0);
    let (commands, queue) = mpsc::channel(1_000);
    let (sync_jobs, _jobs) = mpsc::channel(1);
    let (reports, _reports) = mpsc::channel(100);
    let channels = Channels { commands: queue, sync_jobs, reports };
    let clock = Clock::anchored(Stamp::default());
    let mut writing = Box::pin(Writer::new(journal, disk, channels, WriterSignals::default(), clock).run());

    let mut router = Router::new(1_000);
    let written = || {
        let files = std::fs::read_dir(directory.path()).unwrap();
        files.filter(|file| file.as_ref().unwrap().metadata().unwrap().len() > 0).count()
    };
    // The second time more than are written at once.
    for codes in [10, 500] {
        let mut batch = Batch::default();
        (0..codes).for_each(|n| batch.push(format!(r#"{{"type":"trade","code":"KRW-{n}"}}"#).as_bytes(), clock.now()));
        let lines = batch.entries().map(|(_, entry)| (stamp(100), router.route(Feed::Public, &entry))).collect();
        for opened in router.take_fresh() {
            commands.send(JournalCommand::Open(opened)).await.unwrap();
        }
        commands.send(JournalCommand::Lines(Routed { batch, lines })).await.unwrap();
        let all_written = async {
            while written() < codes {
                clock::sleep_until(Some(clock.now() + Duration::from_millis(1))).await;
            }
        };
        tokio::select! {
            () = &mut writing => panic!("it ended"),
            () = clock::sleep_until(Some(clock.now() + Duration::from_secs(60))) => panic!("{} of {codes}", written()),
            () = all_written => {}
        }
    }
}
