//! Reading `uploaded.jsonl`: which sealed files of a date are in an object store. Of lines with one name the last holds.

use crate::files::lines::{LONGEST_OWN, Lines};
use crate::files::open::Obstacle;
use crate::files::{Files, IoError};
use crate::tape::paths;
use crate::tape::uploaded::UploadedLine;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The files of a date that are in one store: their checksums by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uploaded(BTreeMap<String, String>);

impl Uploaded {
    /// Those in the directory of a date that are in the store `to`; none where there is no such file. Lines that are none
    /// are passed over: what they would tell is asked of the store once more.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(files: &dyn Files, directory: &Path, to: &str) -> Result<Self, IoError> {
        let path = directory.join(paths::UPLOADED);
        let file = match files.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || Obstacle::of(&error).is_some() => {
                return Ok(Self::default());
            }
            file => file.map_err(IoError::at("read", &path))?,
        };
        let (mut lines, mut found) = (Lines::new(file, LONGEST_OWN), BTreeMap::new());
        while let Some(line) = lines.next_line().map_err(IoError::at("read", &path))? {
            if let Ok(UploadedLine { name, to: there, sha256, .. }) = serde_json::from_slice(line)
                && there == to
            {
                found.insert(name, sha256);
            }
        }
        lines.tell(&path);
        Ok(Self(found))
    }

    /// Whether a file of this content is there.
    pub fn has(&self, name: &str, sha256: &str) -> bool {
        self.0.get(name).is_some_and(|known| known == sha256)
    }

    /// Whether a file of this name is there.
    pub fn names(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The checksum of a file that is there; `None`: it is not.
    pub fn checksum(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Their names, in order.
    pub fn each(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::files::disk::Disk;

    #[test]
    fn lines_count_for_their_store_and_torn_ones_for_none() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::existing(directory.path()).unwrap();
        assert_eq!(Uploaded::read(&disk, Path::new(""), "s3://a").unwrap().count(), 0);
        let line = |name: &str, to: &str, sha256: &str| {
            let (name, to, sha256) = (name.to_owned(), to.to_owned(), sha256.to_owned());
            UploadedLine { name, uploaded: Stamp::default(), to, zst_bytes: 1, sha256 }.to_line()
        };
        let lines = [
            line("a", "s3://a", "1"),
            line("b", "s3://b", "1"),
            "{\"name\":\"c\",\"upl\n".to_owned(),
            line("a", "s3://a", "2"),
        ];
        std::fs::write(directory.path().join(paths::UPLOADED), lines.concat()).unwrap();
        let found = Uploaded::read(&disk, Path::new(""), "s3://a").unwrap();
        assert!(found.has("a", "2") && !found.has("a", "1") && !found.names("b") && !found.names("c"));
        assert_eq!(found.count(), 1);
    }
}
