//! What a recorder wrote, read without its code, but for its own reader: by plain files, `zstd` and `sha256sum`.

use super::json::{lines_so_far, object_of, parse, stamp_of};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A data directory as a reader sees it.
pub(crate) struct Tape {
    /// The directory.
    pub(crate) path: PathBuf,
}

impl Tape {
    /// The program's own reader of it.
    pub(crate) fn reader(&self) -> upbit_recorder::tape::reader::Tape {
        let files = upbit_recorder::files::disk::Disk::readable(&self.path).unwrap();
        upbit_recorder::tape::reader::Tape::new(files, &self.path)
    }

    /// The lines of every stream, oldest first, from sealed, plain and active files, without those that a crash tore:
    /// each of these is in a plain file, and kept in quarantine.
    pub(crate) fn lines(&self) -> BTreeMap<String, Vec<String>> {
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let torn = self.torn();
        for path in self.segments() {
            let name = path.file_name().unwrap().to_str().unwrap();
            let stem = name.trim_end_matches(".zst").trim_end_matches(".jsonl");
            let stream = if is_active(&path) { stem } else { stream_of(stem) };
            let bytes = std::fs::read(&path).unwrap();
            let bytes = if name.ends_with(".zst") { zstd::stream::decode_all(&*bytes).unwrap() } else { bytes };
            let text = String::from_utf8(bytes).unwrap();
            let is_sealed = name.ends_with(".zst");
            assert!(text.ends_with('\n') || (is_sealed && text.is_empty()), "{name} ends within a line");
            let is_whole = |line: &&str| {
                let is_whole = serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
                let is_kept = !is_sealed && torn.iter().any(|torn| torn == line);
                assert!(is_whole || is_kept, "{name} holds what is no line: {line}");
                is_whole
            };
            lines.entry(stream.to_owned()).or_default().extend(text.lines().filter(is_whole).map(str::to_owned));
        }
        lines
    }

    /// The starts of lines that a crash tore, as they are kept.
    fn torn(&self) -> Vec<String> {
        let kept = files_below(&self.path.join("quarantine")).into_iter();
        let torn = kept.filter(|path| path.to_str().unwrap().contains(".torn-"));
        torn.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect()
    }

    /// The frames of every stream of the exchange, as they were received.
    pub(crate) fn frames(&self) -> BTreeMap<String, Vec<String>> {
        let mut frames = self.lines();
        frames.remove("recorder");
        frames.values_mut().flatten().for_each(|line| *line = object_of(line));
        frames
    }

    /// The recorder's events of one kind, oldest first.
    pub(crate) fn events(&self, event: &str) -> Vec<serde_json::Value> {
        let lines = self.lines().remove("recorder").unwrap_or_default();
        let events = lines.iter().map(|line| parse(line));
        events.filter(|found| found["event"] == event).collect()
    }

    /// The events in the active file of a running recorder, oldest first.
    pub(crate) fn active_events(&self) -> Vec<serde_json::Value> {
        lines_so_far(&self.path.join("recorder.jsonl"))
    }

    /// All stamps of all files, in the order of their values.
    pub(crate) fn stamps(&self) -> Vec<u64> {
        let mut stamps: Vec<u64> = self.lines().values().flatten().map(|line| stamp_of(line)).collect();
        stamps.sort_unstable();
        stamps
    }

    /// The names of the archive's files with an ending.
    pub(crate) fn archived(&self, ending: &str) -> Vec<PathBuf> {
        let mut files = files_below(&self.path.join("archive"));
        files.retain(|path| path.to_str().unwrap().ends_with(ending));
        files
    }

    /// Segments that wait for their compression.
    pub(crate) fn unsealed(&self) -> Vec<PathBuf> {
        let plain = self.archived(".jsonl").into_iter();
        plain.filter(|path| !path.ends_with("manifest.jsonl")).collect()
    }

    /// Asserts that stamps strictly increase over all lines of all files together, and within each stream.
    pub(crate) fn assert_stamps_increase(&self) {
        let stamps = self.stamps();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "a stamp was given twice");
        for (stream, lines) in self.lines() {
            let stamps: Vec<u64> = lines.iter().map(|line| stamp_of(line)).collect();
            assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{stream}");
        }
    }

    /// Asserts that nothing is left to be sealed, and that what is sealed is what the manifests say.
    pub(crate) fn assert_sealed(&self) {
        assert_eq!(self.archived(".tmp"), [""; 0].map(PathBuf::from));
        let plain = self.unsealed();
        assert_eq!(plain, [""; 0].map(PathBuf::from), "a plain segment is left");
        let sealed = self.archived(".zst");
        assert!(!sealed.is_empty());
        let checked = Command::new("zstd").args(["-t", "-q"]).args(&sealed).status();
        assert!(checked.expect("zstd is installed").success());
        let mut listed = 0;
        for manifest in self.archived("manifest.jsonl") {
            let text = std::fs::read_to_string(&manifest).unwrap();
            // Sealing that was interrupted writes the same line again.
            let entries: BTreeSet<String> = text.lines().map(|line| parse(line).to_string()).collect();
            let sums = entries
                .iter()
                .map(|entry| parse(entry))
                .map(|entry| format!("{}  {}\n", entry["sha256"].as_str().unwrap(), entry["name"].as_str().unwrap()));
            let directory = manifest.parent().unwrap();
            let list = directory.join("../sums");
            std::fs::write(&list, sums.collect::<String>()).unwrap();
            let mut check = Command::new("sha256sum");
            check.args(["--check", "--quiet", "--strict", "../sums"]).current_dir(directory);
            assert!(check.status().unwrap().success());
            std::fs::remove_file(list).unwrap();
            listed += entries.len();
        }
        assert_eq!(listed, sealed.len());
    }

    /// Segments in the order of time within each stream: archived ones sort by the time in their name.
    fn segments(&self) -> Vec<PathBuf> {
        let mut segments = self.archived(".jsonl");
        segments.extend(self.archived(".zst"));
        segments.sort();
        let entries = std::fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path());
        segments.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")));
        segments.retain(|path| !path.ends_with("manifest.jsonl"));
        segments
    }
}

/// The stream of an archived segment: `KRW-BTC_candle.1m.20261122T051204.113204Z`, with `.e1` behind it in epoch 1.
pub(crate) fn stream_of(stem: &str) -> &str {
    let named = if stem.ends_with('Z') { stem } else { stem.rsplit_once('.').unwrap().0 };
    named.rsplitn(3, '.').last().unwrap()
}

fn is_active(path: &Path) -> bool {
    !path.parent().unwrap().file_name().unwrap().to_str().unwrap().starts_with("date=")
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
