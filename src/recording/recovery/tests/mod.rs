//! A data directory as an earlier process left it, and a start that finds it.

mod files;
mod obstacles;
mod past;

use super::history::{End, Untold};
use super::*;
use crate::files::disk::Disk;
use crate::files::faulty::{Call, Faulty};
use crate::recording::seal::{Provenance, Sealer};
use crate::upbit::venue::Venue;
use rustix::io::Errno;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const DAY: u64 = 86_400_000_000;
/// A day's first microsecond, at which these tests play.
const TODAY: u64 = 1_795_305_600_000_000;

struct Scene {
    _directory: tempfile::TempDir,
    disk: Arc<Disk>,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(directory.path()).unwrap());
        Self { _directory: directory, disk }
    }

    fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.disk.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn read(&self, path: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.disk.path().join(path)).unwrap()
    }

    fn mark(&self, durable: u64, epoch: u64) {
        mark::write(&*self.disk, DurableMark { durable: stamp(durable), epoch }).unwrap();
    }

    fn recover_without(&self, path: impl AsRef<Path>, errno: Errno) -> Result<Recovered, IoError> {
        let rotation = Rotation { interval: Duration::from_secs(86_400), bytes: 1 << 30 };
        let unreadable = path.as_ref().to_owned();
        let files = Faulty::new(self.disk.clone(), move |call, path| match call {
            Call::Read if path == unreadable => Err(errno.into()),
            _ => Ok(()),
        });
        recover(&files, rotation, stamp(TODAY + 50))
    }

    fn recover(&self, now: u64) -> Recovered {
        let rotation = Rotation { interval: Duration::from_secs(86_400), bytes: 1 << 30 };
        recover(&*self.disk, rotation, stamp(now)).unwrap()
    }

    /// A sealed segment of lines, as an earlier process left it.
    fn seal(&self, stream: &str, first: u64, lines: &str, epoch: u64) {
        let name = SegmentName { epoch, ..segment(stream, first) };
        self.write(name.plain(), lines);
        let provenance = Provenance { run: Stamp::default(), venue: Venue::named_after("local") };
        let sealer = Sealer::new(self.disk.clone(), 1, provenance, Arc::default());
        sealer.step(&Finished { last: name.first, name, origin: None, bytes: None, torn: Vec::new() }).unwrap();
    }
}

fn stamp(micros: u64) -> Stamp {
    Stamp::from_micros(micros).unwrap()
}

fn segment(stream: &str, first: u64) -> SegmentName {
    SegmentName { feed: Feed::Public, stream: StreamKey::from_stem(stream).unwrap(), epoch: 0, first: stamp(first) }
}

fn line(micros: u64) -> String {
    format!("{{\"ts_recv\":{micros},\"type\":\"trade\"}}\n")
}

/// An event with the keys in `rest`, and those that do not matter here.
fn event(micros: u64, event: &str, rest: &str) -> String {
    let others = match event {
        "gap" => ",\"id\":1,\"cause\":\"x\",\"streams\":[]",
        "lost" => ",\"stage\":\"live\",\"cause\":\"x\",\"attempt\":1",
        "sync_failed" => ",\"cause\":\"x\"",
        _ => "",
    };
    format!("{{\"ts_recv\":{micros},\"type\":\"recorder\",\"event\":\"{event}\"{others}{rest}}}\n")
}

fn started(micros: u64) -> String {
    event(micros, "started", ",\"version\":\"0\",\"pid\":1,\"connections\":[\"public\"]")
}

fn stopped(micros: u64) -> String {
    event(micros, "stopped", ",\"reason\":\"signal\",\"requests\":{\"public\":\"[]\"}")
}
