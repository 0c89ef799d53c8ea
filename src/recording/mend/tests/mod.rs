//! A data directory as an earlier process left it, and a start that finds it.

mod files;
mod obstacles;

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

    fn mend_without(&self, path: impl AsRef<Path>, errno: Errno) -> Result<Mended, IoError> {
        let unreadable = path.as_ref().to_owned();
        let files = Faulty::new(self.disk.clone(), move |call, path| match call {
            Call::Read if path == unreadable => Err(errno.into()),
            _ => Ok(()),
        });
        start(&files, stamp(TODAY + 50), None)
    }

    fn mend(&self, now: u64) -> Mended {
        start(&*self.disk, stamp(now), None).unwrap()
    }

    /// As after an orderly stop.
    fn resume(&self, now: u64) -> Mended {
        start(&*self.disk, stamp(now), Some(Rotation { interval: Duration::from_secs(86_400), bytes: 1 << 30 }))
            .unwrap()
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

fn start(files: &dyn Files, now: Stamp, continued: Option<Rotation>) -> Result<Mended, IoError> {
    let requests = PerFeed::from_fn(|_| &[][..]);
    mend(Survey::take(files, &Scope::All)?, files, &Mending { epoch: 0, now, continued, requests })
}
