//! What is to be done with each sealed file, by what the store has. Pure.
//!
//! ```text
//! in a manifest there, of this content ──▶ Known      there, and in no manifest ──▶ Compare: a kill came in between
//! in one, of another content ──▶ Refused              not there ──▶ Put
//! ```

use super::layout::part_number;
use crate::tape::manifest::ManifestEntry;
use std::collections::BTreeMap;

/// What a directory of the store has.
#[derive(Clone, Debug, Default)]
pub struct RemoteDay {
    /// The bytes of each object, by name.
    pub objects: BTreeMap<String, u64>,
    /// What its manifest says of each file.
    pub committed: BTreeMap<String, Committed>,
}

/// A file as the store's manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its length.
    pub zst_bytes: u64,
    /// Its SHA-256, lower-case hex.
    pub sha256: String,
}

/// What is to be done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is there, and in the manifest there.
    Known,
    /// Something of its name and length is there: where it is the same, only its line is missing.
    Compare,
    /// It is not there; `is_listed`: the manifest there has its line.
    Put {
        /// Whether its line is there.
        is_listed: bool,
    },
    /// It cannot be brought there without replacing what is.
    Refused(Refusal),
}

/// Why a file is not uploaded. It stays, and so does what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The manifest there names another content.
    #[error("the manifest there lists another file of its name, which is not replaced")]
    Listed,
    /// The object has another length.
    #[error("something of its name and of another length is there, which is not replaced")]
    Length,
    /// The object has the same length.
    #[error("something of its name and of another content is there, which is not replaced")]
    Content,
    /// The store has taken it, and says that it is shorter or longer.
    #[error("the store says that it has another length than what was sent")]
    Lies,
    /// The file here is not what its manifest says.
    #[error("it is not what its manifest says here: see `verify`")]
    Damaged,
}

impl RemoteDay {
    /// Adds a part of the manifest. Lines that are none are passed over: nothing of ours leaves any.
    pub fn add_part(&mut self, content: &[u8]) {
        for line in content.split(|byte| *byte == b'\n') {
            if let Ok(ManifestEntry { name, zst_bytes, sha256, .. }) = serde_json::from_slice(line) {
                self.committed.entry(name).or_insert(Committed { zst_bytes, sha256 });
            }
        }
    }

    /// The number of the next part of the manifest.
    pub fn next_part(&self) -> u32 {
        self.objects.keys().filter_map(|name| part_number(name)).max().unwrap_or_default().saturating_add(1)
    }

    /// What is to be done with a file.
    pub fn step(&self, entry: &ManifestEntry) -> Step {
        let there = self.objects.get(&entry.name);
        let is_listed = match self.committed.get(&entry.name) {
            Some(committed) if committed.sha256 != entry.sha256 => return Step::Refused(Refusal::Listed),
            committed => committed.is_some(),
        };
        match there {
            None => Step::Put { is_listed },
            Some(bytes) if *bytes != entry.zst_bytes => Step::Refused(Refusal::Length),
            Some(_) if is_listed => Step::Known,
            Some(_) => Step::Compare,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, zst_bytes: u64, sha256: &str) -> ManifestEntry {
        let text = format!(
            "{{\"name\":\"{name}\",\"stream\":\"x\",\"run\":1,\"version\":\"0\",\"format\":null,\"subscription\":null,\
             \"epoch\":0,\"first\":1,\"last\":9,\"lines\":1,\"bytes\":1,\"zst_bytes\":{zst_bytes},\"sha256\":\"{sha256}\"}}"
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn each_state_of_the_store_has_its_step() {
        let mut day = RemoteDay::default();
        day.add_part((entry("known", 7, "a").to_line() + "torn\n" + &entry("lost", 7, "a").to_line()).as_bytes());
        for (name, bytes) in [("known", 7), ("left", 7), ("short", 6), ("manifest.000002.jsonl", 1)] {
            day.objects.insert(name.to_owned(), bytes);
        }
        for (name, sha256, step) in [
            ("known", "a", Step::Known),
            ("known", "b", Step::Refused(Refusal::Listed)),
            ("lost", "a", Step::Put { is_listed: true }),
            ("lost", "b", Step::Refused(Refusal::Listed)),
            ("left", "a", Step::Compare),
            ("short", "a", Step::Refused(Refusal::Length)),
            ("new", "a", Step::Put { is_listed: false }),
        ] {
            assert_eq!(day.step(&entry(name, 7, sha256)), step, "{name} {sha256}");
        }
        assert_eq!((day.next_part(), RemoteDay::default().next_part()), (3, 1));
    }

    #[test]
    fn the_first_line_of_a_name_holds() {
        let mut day = RemoteDay::default();
        day.add_part(entry("a", 1, "1").to_line().as_bytes());
        day.add_part(entry("a", 2, "2").to_line().as_bytes());
        assert_eq!(day.committed["a"], Committed { zst_bytes: 1, sha256: "1".to_owned() });
    }
}
