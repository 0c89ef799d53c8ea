//! The durable mark, stored beside the data for the next process.
//!
//! ```text
//! sync done ──▶ DurableMark ──write──▶ .durable, replaced in place
//! ```
//!
//! A crash does not cut all files at one stamp: a power cut takes unsynced content, which differs per file, and a kill
//! during a write leaves some streams written and others not. The newest line therefore does not bound the interval in
//! doubt; the durable mark does. It is written after its sync and not synced itself: a crash may leave an older one,
//! which only widens the interval.

use crate::files::{Files, IoError};
use crate::tape::durable::{DurableMark, LENGTH};
use crate::tape::paths::MARK;
use std::io::Read;
use std::path::Path;

/// The durable mark of a directory; `None`: none is readable.
pub fn read(files: &dyn Files) -> Option<DurableMark> {
    let mut text = Vec::new();
    files.read(Path::new(MARK)).ok()?.take(LENGTH as u64).read_to_end(&mut text).ok()?;
    DurableMark::parse(&text)
}

/// Writes the durable mark.
///
/// # Errors
/// The file cannot be written.
pub fn write(files: &dyn Files, mark: DurableMark) -> Result<(), IoError> {
    let path = Path::new(MARK);
    files.overwrite(path, mark.to_text().as_bytes()).map_err(IoError::at("write", path))
}

/// Syncs the durable mark, for an orderly stop.
///
/// # Errors
/// The file cannot be synced.
pub fn sync(files: &dyn Files) -> Result<(), IoError> {
    let path = Path::new(MARK);
    let synced = files.append(path).and_then(|file| file.sync());
    synced.and_then(|()| files.sync_directory(Path::new(""))).map_err(IoError::at("sync", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::files::disk::Disk;

    #[test]
    fn a_mark_is_replaced_and_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        assert_eq!(read(&disk), None);
        for (durable, epoch) in [(Stamp::MAX, 12), (Stamp::default(), 0)] {
            let mark = DurableMark { durable, epoch };
            write(&disk, mark).unwrap();
            sync(&disk).unwrap();
            assert_eq!(read(&disk), Some(mark));
            assert_eq!(std::fs::metadata(directory.path().join(MARK)).unwrap().len(), LENGTH as u64);
        }
    }

    #[test]
    fn what_is_no_mark_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::open(directory.path()).unwrap();
        std::fs::write(directory.path().join(MARK), "{\"durable\":").unwrap();
        assert_eq!(read(&disk), None);
    }
}
