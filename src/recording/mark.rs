//! The mark: up to which stamp everything is durable, kept beside the data so that the next process knows it.
//!
//! ```text
//! sync done ──▶ {"durable":1795324324113204,"epoch":0}␣␣␣␣\n      64 bytes, always, replaced in place
//! ```
//!
//! The files of a directory do not lose the same in a crash: a power cut takes from each what was not synced, and a kill
//! during a write has some streams written and others not. The newest line alone therefore does not say from where on
//! something may be missing; the mark does. It is written after the sync that it tells of and not synced itself: what is
//! read after a crash may be an older one, which errs on the safe side.

use crate::clock::Stamp;
use crate::files::{Files, StorageError};
use crate::tape::segment_name::MARK;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::Path;

/// A fixed length, so that replacing it never changes the size of the file.
const LENGTH: usize = 64;

/// What was durable, and in which time line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Every line stamped up to here survives whatever happens to process and machine.
    pub durable: Stamp,
    /// How often stamps had gone back.
    pub epoch: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    durable: u64,
    epoch: u64,
}

impl Mark {
    /// The mark of a directory; `None`: there is none that can be read.
    pub fn read(files: &dyn Files) -> Option<Self> {
        let mut text = Vec::new();
        files.read(Path::new(MARK)).ok()?.take(LENGTH as u64).read_to_end(&mut text).ok()?;
        let Line { durable, epoch } = serde_json::from_slice(&text).ok()?;
        Some(Self { durable: Stamp::from_micros(durable)?, epoch })
    }

    /// Puts the mark in place.
    pub fn write(self, files: &dyn Files) -> Result<(), StorageError> {
        let line = Line { durable: self.durable.as_micros(), epoch: self.epoch };
        let text = serde_json::to_string(&line).expect("numbers always serialise");
        let padded = format!("{text:<width$}\n", width = LENGTH - 1);
        let path = Path::new(MARK);
        files.overwrite(path, padded.as_bytes()).map_err(StorageError::at("write", path))
    }

    /// Makes the mark durable as well, for an end in order.
    pub fn sync(files: &dyn Files) -> Result<(), StorageError> {
        let path = Path::new(MARK);
        let synced = files.append(path).and_then(|file| file.sync());
        synced.and_then(|()| files.sync_directory(Path::new(""))).map_err(StorageError::at("sync", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;

    #[test]
    fn a_mark_is_replaced_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        assert_eq!(Mark::read(&disk), None);
        for (durable, epoch) in [(Stamp::MAX, 12), (Stamp::default(), 0)] {
            let mark = Mark { durable, epoch };
            mark.write(&disk).unwrap();
            Mark::sync(&disk).unwrap();
            assert_eq!(Mark::read(&disk), Some(mark));
            assert_eq!(std::fs::metadata(directory.path().join(MARK)).unwrap().len(), LENGTH as u64);
        }
    }

    #[test]
    fn what_is_no_mark_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        std::fs::write(directory.path().join(MARK), "{\"durable\":").unwrap();
        assert_eq!(Mark::read(&disk), None);
    }
}
