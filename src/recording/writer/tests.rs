//! The writer on a real disk, and its jobs for the syncer.

use super::*;
use crate::files::disk::Disk;
use crate::recording::journal::ClockStep;
use crate::recording::rotation::Rotation;
use crate::recording::router::Router;
use crate::tape::event::Event;
use crate::tape::words::RotationReason;

#[tokio::test]
async fn what_a_step_ended_is_not_told_as_of_the_next_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Files> = Arc::new(Disk::open(directory.path()).unwrap());
    let rotation = Rotation { interval: Duration::from_secs(3600), bytes: 1 << 20 };
    let journal = Journal::new(disk.clone(), rotation, Vec::new(), 0);
    let (commands, queue) = mpsc::channel(100);
    let (sync_jobs, mut jobs) = mpsc::channel(1);
    let (reports, _reports) = mpsc::channel(100);
    let clock = Clock::anchored(Stamp::default());
    let signals = WriterSignals::default();
    let channels = Channels { commands: queue, sync_jobs, reports };
    let writer = Writer::new(journal, disk, channels, signals.clone(), clock);

    let stamp = |micros| Stamp::from_micros(micros).unwrap();
    let mut router = Router::new(10);
    let recorder = router.recorder();
    let opened = router.take_fresh().into_iter().map(JournalCommand::Open);
    let event = |micros| JournalCommand::Event(recorder, stamp(micros), Event::DiskOk.to_json().into());
    let tick = |micros| JournalCommand::Tick { stamp: stamp(micros), sync: Some(stamp(micros)) };
    let rotated =
        |reason: RotationReason, segments| Event::Rotated { reason: reason.into(), segments, epoch: None }.to_json();
    let event_of_step = Event::ClockStep {
        before: stamp(103),
        after: stamp(50),
        epoch: 1,
        missing_since: std::collections::BTreeMap::new(),
    };
    let step =
        ClockStep { epoch: 1, recorder, first: stamp(50), event: event_of_step.to_json(), second: stamp(51), rotated };
    let phases: [Vec<JournalCommand>; 3] = [
        opened.chain([event(100), tick(101)]).collect(),
        // The syncer has not taken its first job when the second one is due.
        vec![event(102), tick(103), JournalCommand::Step(step)],
        vec![event(52)],
    ];
    let supervisor = async {
        let mut told = Vec::new();
        for (phase, written) in phases.into_iter().zip([101, 51, 52]) {
            for command in phase {
                commands.send(command).await.unwrap();
            }
            while signals.progress.written() != stamp(written) {
                tokio::task::yield_now().await;
            }
            if written == 51 {
                told.extend(jobs.recv().await);
            }
        }
        drop(commands);
        while let Some(job) = jobs.recv().await {
            told.push(job);
        }
        told.iter().map(|job| (job.up_to.stamp.as_micros(), job.up_to.epoch)).collect::<Vec<_>>()
    };
    let ((), told) = tokio::join!(writer.run(), supervisor);
    assert_eq!(told, [(101, 0), (103, 0), (52, 1)]);
}
