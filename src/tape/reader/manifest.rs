//! Reading a manifest: the sealed segments in the directory of a date. Of lines with one name the last holds.

use crate::clock::Stamp;
use crate::files::lines::{LONGEST_OWN, Lines};
use crate::files::{Files, IoError, ReadFile};
use crate::tape::manifest::{ManifestEntry, PrunedLine};
use crate::tape::stream_key::StreamKey;
use crate::tape::words::{PruneReason, Word};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// A manifest that is open.
#[derive(Debug)]
pub struct Manifest {
    path: PathBuf,
    lines: Lines<Box<dyn ReadFile>>,
}

/// What a manifest says of its files.
#[derive(Debug, Default)]
pub struct Listing {
    /// The files that it lists, in the order in which they were sealed.
    pub sealed: Vec<ManifestEntry>,
    /// The files that were pruned, with what they had been listed as.
    pub pruned: BTreeMap<String, Option<ManifestEntry>>,
}

/// What a manifest says of one file, as far as retention has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is sealed.
    Sealed {
        /// The stamp of its last line.
        last: Stamp,
        /// Its length.
        zst_bytes: u64,
    },
    /// It is pruned.
    Pruned {
        /// The limit that it was beyond.
        reason: Word<PruneReason>,
    },
}

impl Manifest {
    /// Opens a manifest; `None`: there is none.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(files: &dyn Files, path: &Path) -> Result<Option<Self>, IoError> {
        match files.read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => {
                let lines = Lines::new(file.map_err(IoError::at("read", path))?, LONGEST_OWN);
                Ok(Some(Self { path: path.to_owned(), lines }))
            }
        }
    }

    /// Its entries, in the order in which files were sealed; lines that are none are passed over.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entries(self) -> Result<Vec<ManifestEntry>, IoError> {
        Ok(self.listing("")?.sealed)
    }

    /// The entries of one stream. A day of the whole exchange has thousands: most need not be understood.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entries_of(self, stream: &StreamKey) -> Result<Vec<ManifestEntry>, IoError> {
        Ok(self.listing_of(stream)?.sealed)
    }

    /// All that it says.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(self) -> Result<Listing, IoError> {
        self.listing("")
    }

    /// All that it says of one stream.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn listing_of(self, stream: &StreamKey) -> Result<Listing, IoError> {
        self.listing(&format!("{{\"name\":\"{stream}."))
    }

    /// All that it says of some files.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn listing_of_files(self, names: &BTreeSet<String>) -> Result<Listing, IoError> {
        // A line that begins in another way is understood first.
        self.listing_if(|line| name(line).is_none_or(|name| names.contains(name)))
    }

    /// What it says last of each file, in little memory.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn standings(self) -> Result<BTreeMap<String, Standing>, IoError> {
        /// The keys of both kinds of lines that tell.
        #[derive(Deserialize)]
        struct Told {
            name: String,
            pruned: Option<Stamp>,
            reason: Option<Word<PruneReason>>,
            last: Option<Stamp>,
            zst_bytes: Option<u64>,
        }
        let mut standings = BTreeMap::new();
        self.each_line(|line| {
            let Ok(Told { name, pruned, reason, last, zst_bytes }) = serde_json::from_slice(line) else { return };
            let sealed = last.zip(zst_bytes).map(|(last, zst_bytes)| Standing::Sealed { last, zst_bytes });
            if let Some(standing) = pruned.and(reason).map(|reason| Standing::Pruned { reason }).or(sealed) {
                standings.insert(name, standing);
            }
        })?;
        Ok(standings)
    }

    fn listing(self, begin: &str) -> Result<Listing, IoError> {
        self.listing_if(|line| line.starts_with(begin.as_bytes()))
    }

    fn listing_if(self, is_wanted: impl Fn(&[u8]) -> bool) -> Result<Listing, IoError> {
        let mut sealed: Vec<Option<ManifestEntry>> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut pruned = BTreeMap::new();
        self.each_line(|line| {
            if !is_wanted(line) {
                return;
            }
            if let Ok(entry) = serde_json::from_slice::<ManifestEntry>(line) {
                pruned.remove(&entry.name);
                if let Some(earlier) = places.insert(entry.name.clone(), sealed.len()) {
                    sealed[earlier] = None;
                }
                sealed.push(Some(entry));
            } else if let Ok(PrunedLine { name, .. }) = serde_json::from_slice(line) {
                let listed = places.remove(&name).and_then(|place| sealed[place].take());
                // What a run after an interruption announces again was listed before the first time.
                let known: &mut Option<ManifestEntry> = pruned.entry(name).or_default();
                *known = listed.or_else(|| known.take());
            }
        })?;
        Ok(Listing { sealed: sealed.into_iter().flatten().collect(), pruned })
    }

    /// Each line, without what stands before it of pages that a failing disk has lost: the system shows those as NULs.
    fn each_line(mut self, mut each: impl FnMut(&[u8])) -> Result<(), IoError> {
        while let Some(line) = self.lines.next_line().map_err(IoError::at("read", &self.path))? {
            let begin = line.iter().take_while(|byte| **byte == 0).count();
            each(&line[begin..]);
        }
        self.lines.tell(&self.path);
        Ok(())
    }
}

/// The file that a line names, as far as its first bytes tell.
fn name(line: &[u8]) -> Option<&str> {
    let rest = line.strip_prefix(b"{\"name\":\"")?;
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;
    use std::fs;

    fn sealed(name: &str, zst_bytes: u64) -> String {
        format!(
            "{{\"name\":\"{name}\",\"stream\":\"KRW-BTC_trade\",\"run\":1,\"version\":\"0\",\"format\":null,\
             \"subscription\":{{\"type\":\"trade\"}},\"epoch\":0,\"first\":1,\"last\":9,\"lines\":1,\"bytes\":1,\
             \"zst_bytes\":{zst_bytes},\"sha256\":\"0\"}}\n"
        )
    }

    fn pruned(name: &str) -> String {
        let reason = PruneReason::Age.into();
        PrunedLine { name: name.to_owned(), pruned: Stamp::default(), reason }.to_line()
    }

    fn manifest(lines: &[String]) -> impl Fn() -> Manifest + use<> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("manifest.jsonl"), lines.concat()).unwrap();
        let disk = Disk::existing(directory.path()).unwrap();
        move || {
            let _ = &directory;
            Manifest::open(&disk, Path::new("manifest.jsonl")).unwrap().unwrap()
        }
    }

    #[test]
    fn a_line_behind_lost_pages_is_read() {
        let lost = "\0".repeat(sealed("KRW-BTC_trade.b", 2).len());
        let open = manifest(&[sealed("KRW-BTC_trade.a", 1), lost, pruned("KRW-BTC_trade.a")]);
        let Listing { sealed, pruned } = open().read().unwrap();
        assert!(sealed.is_empty() && pruned["KRW-BTC_trade.a"].is_some());
    }

    #[test]
    fn the_last_line_of_a_name_holds() {
        let lines = [
            sealed("KRW-BTC_trade.a", 1),
            sealed("KRW-BTC_trade.b", 2),
            pruned("KRW-BTC_trade.a"),
            pruned("KRW-BTC_trade.a"),
            "{\"name\":\"KRW-BTC_trade.b\",\"pru\n".to_owned(),
            pruned("KRW-BTC_trade.c"),
            sealed("KRW-BTC_trade.d", 4),
            pruned("KRW-BTC_trade.d"),
            sealed("KRW-BTC_trade.d", 5),
            sealed("KRW-BTC_trade.b", 6),
        ];
        let open = manifest(&lines);
        let Listing { sealed, pruned } = open().read().unwrap();
        let found: Vec<_> = sealed.iter().map(|entry| (&*entry.name, entry.zst_bytes)).collect();
        assert_eq!(found, [("KRW-BTC_trade.d", 5), ("KRW-BTC_trade.b", 6)]);
        let names = BTreeSet::from(["KRW-BTC_trade.d".to_owned(), "KRW-BTC_trade.a".to_owned()]);
        let of_files = open().listing_of_files(&names).unwrap();
        assert_eq!(of_files.sealed.iter().map(|entry| entry.zst_bytes).collect::<Vec<_>>(), [5]);
        assert!(of_files.pruned.contains_key("KRW-BTC_trade.a") && !of_files.pruned.contains_key("KRW-BTC_trade.c"));
        let gone: Vec<_> = pruned.iter().map(|(name, entry)| (&**name, entry.is_some())).collect();
        assert_eq!(gone, [("KRW-BTC_trade.a", true), ("KRW-BTC_trade.c", false)]);
        let standings = open().standings().unwrap();
        let is_sealed = |name: &str| matches!(standings[name], Standing::Sealed { .. });
        assert_eq!(
            ["a", "b", "c", "d"].map(|end| is_sealed(&format!("KRW-BTC_trade.{end}"))),
            [false, true, false, true]
        );
        let stream = StreamKey::from_stem("KRW-BTC_trade").unwrap();
        assert_eq!(open().entries_of(&stream).unwrap().len(), 2);
        let other = StreamKey::from_stem("KRW-ETH_trade").unwrap();
        assert!(open().listing_of(&other).unwrap().pruned.is_empty());
    }
}
