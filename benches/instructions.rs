//! Instructions of the three steps of a line: parse and route, append, seal. They repeat exactly, where times do not.
//!
//! ```text
//! benches/compare --workloads instructions      with valgrind, which every distribution has
//! ```
//!
//! Each counts 10,000 trades of about 210 bytes on one stream, or 1,000 books of about 2.9 KB over 40, in user space: what
//! the kernel does is in benches/compare. Valgrind's processor has no instructions for SHA-256 and no AVX-512, so sealing
//! costs more here than it does outside, always the same.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![expect(missing_docs, reason = "the attributes make public items")]

#[path = "load/texts.rs"]
mod texts;

use gungraun::{library_benchmark, library_benchmark_group, main};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use upbit_recorder::batch::Batch;
use upbit_recorder::clock::{Clock, Instant, Stamp};
use upbit_recorder::files::disk::Disk;
use upbit_recorder::recording::journal::{Journal, JournalCommand, Routed};
use upbit_recorder::recording::rotation::Rotation;
use upbit_recorder::recording::router::{Router, StreamId};
use upbit_recorder::recording::seal::{Provenance, Sealer};
use upbit_recorder::recording::segment::Finished;
use upbit_recorder::tape::words::RotationReason;
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::venue::Venue;

/// Of the first line: the lines of a segment have stamps of one day.
const FIRST: u64 = 1_795_317_064_154_123;

/// No segment ends by itself.
const ROTATION: Rotation = Rotation { interval: Duration::from_secs(86_400), bytes: 1 << 40 };

fn trades() -> Vec<String> {
    let mut frames = Vec::new();
    texts::trades(10_000, |text| frames.push(text.to_owned()));
    frames
}

fn books() -> Vec<String> {
    let mut frames = Vec::new();
    texts::books(1_000, 40, |text| frames.push(text.to_owned()));
    frames
}

/// Frames that left the socket, and nothing known of them.
struct Received {
    frames: Vec<String>,
    received: Instant,
    router: Router,
}

impl Received {
    fn new(frames: Vec<String>) -> Self {
        // Known streams are what counts: each name was routed once.
        let mut received = Self { frames, received: Clock::anchored(Stamp::MAX).now(), router: Router::new(10_000) };
        received.batches();
        received
    }

    /// All frames in batches, each line with its stream.
    fn batches(&mut self) -> Vec<Routed> {
        let (mut routed, mut batch) = (Vec::new(), Batch::default());
        for frame in &self.frames {
            batch.push(frame.as_bytes(), self.received);
            if batch.is_full() {
                routed.push(route(&mut self.router, std::mem::take(&mut batch)));
            }
        }
        routed.push(route(&mut self.router, batch));
        routed
    }
}

fn route(router: &mut Router, batch: Batch) -> Routed {
    let stamp = Stamp::from_micros(FIRST).unwrap();
    let lines: Vec<(Stamp, StreamId)> =
        batch.entries().map(|(_, entry)| (stamp, router.route(Feed::Public, &entry))).collect();
    Routed { batch, lines }
}

/// Routed frames, and a journal without any file yet.
struct Writing {
    directory: TempDir,
    disk: Arc<Disk>,
    journal: Journal,
    commands: Vec<JournalCommand>,
}

impl Writing {
    fn new(frames: Vec<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(directory.path()).unwrap());
        let journal = Journal::new(disk.clone(), ROTATION, Vec::new(), 0);
        let mut received = Received::new(frames);
        let lines = received.batches().into_iter().map(JournalCommand::Lines);
        let opened = received.router.take_fresh().into_iter().map(JournalCommand::Open);
        Self { directory, disk, journal, commands: opened.chain(lines).collect() }
    }

    /// All lines in files.
    fn append(&mut self) {
        for command in std::mem::take(&mut self.commands) {
            self.journal.accept(command);
            self.journal.work().unwrap();
        }
        self.journal.write_out().unwrap();
    }
}

/// Segments that have ended.
struct Sealing {
    directory: TempDir,
    sealer: Sealer,
    finished: Vec<Finished>,
}

impl Sealing {
    fn new(frames: Vec<String>) -> Self {
        let mut writing = Writing::new(frames);
        writing.append();
        writing.journal.accept(JournalCommand::Rotate(RotationReason::Requested));
        writing.journal.work().unwrap();
        while writing.journal.rotate_one().unwrap() {}
        let provenance = Provenance { run: Stamp::default(), venue: Venue::named_after("local") };
        let sealer = Sealer::new(writing.disk, 3, provenance, Arc::default());
        Self { directory: writing.directory, sealer, finished: writing.journal.take_sync_job().finished }
    }
}

#[library_benchmark(setup = Received::new)]
#[bench::trades(trades())]
#[bench::books(books())]
fn parse_and_route(mut received: Received) -> (Vec<Routed>, Received) {
    (received.batches(), received)
}

#[library_benchmark(setup = Writing::new)]
#[bench::trades(trades())]
#[bench::books(books())]
fn append(mut writing: Writing) -> Writing {
    writing.append();
    writing
}

#[library_benchmark(setup = Sealing::new)]
#[bench::trades(trades())]
#[bench::books(books())]
fn seal(sealing: Sealing) -> Sealing {
    assert!(!sealing.finished.is_empty() && sealing.directory.path().exists());
    for finished in &sealing.finished {
        sealing.sealer.step(finished).unwrap();
    }
    sealing
}

library_benchmark_group!(name = steps, benchmarks = [parse_and_route, append, seal]);
main!(library_benchmark_groups = steps);
