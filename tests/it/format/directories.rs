//! Directories of every version of the format are read for ever: those beside this file, each with a step of the clock
//! back and one ahead, healed gaps, torn lines, sealed and plain segments and active files.
//!
//! `make` made them, with the program of their version: `before` with the last one whose names held no epochs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use upbit_recorder::clock::Position;
use upbit_recorder::files::disk::Disk;
use upbit_recorder::tape::event::Event;
use upbit_recorder::tape::healed::HealedTrade;
use upbit_recorder::tape::line::Line;
use upbit_recorder::tape::manifest::ManifestEntry;
use upbit_recorder::tape::reader::{Tape, manifest::Manifest};
use upbit_recorder::tape::record::Record;
use upbit_recorder::tape::stream_key::StreamKey;

const DIRECTORIES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/format");

#[test]
fn directories_of_every_version_are_read() {
    let directories = fs::read_dir(DIRECTORIES).unwrap().map(|entry| entry.unwrap().path());
    let directories: Vec<PathBuf> = directories.filter(|path| path.is_dir()).collect();
    assert!(directories.iter().any(|path| path.ends_with("before")));
    for directory in directories {
        for tree in [directory.clone(), directory.join("private")] {
            check_lines(&tree);
            check_manifests(&tree);
        }
        check_events(&directory);
    }
}

fn lines(tree: &Path, stream: &StreamKey) -> Vec<Line> {
    let tape = Tape::new(Disk::readable(tree).unwrap(), tree);
    tape.lines(stream, Position::default()..).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Every line of every file is read, in the order in which they were written.
fn check_lines(tree: &Path) {
    let mut count = 0;
    for stream in Tape::new(Disk::readable(tree).unwrap(), tree).streams().unwrap() {
        let lines = lines(tree, &stream);
        assert!(lines.windows(2).all(|pair| pair[0].position() < pair[1].position()), "{stream}");
        let is_whole = |line: &Line| serde_json::from_slice::<serde::de::IgnoredAny>(line.text()).is_ok();
        assert!(lines.iter().all(is_whole), "{stream}: torn lines were left out when their segments were sealed");
        count += lines.len();
    }
    let written = files(tree).iter().map(|path| content(path)).map(|content| ended(&content)).sum::<usize>();
    assert_eq!(count, written, "{}", tree.display());
}

/// Every sealed file is listed, as it is; one whose plain file is still beside it may not be yet.
fn check_manifests(tree: &Path) {
    let sealed = files(tree).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "zst"));
    for path in sealed.filter(|path| !path.with_extension("").exists()) {
        let directory = path.parent().unwrap();
        let disk = Disk::readable(directory).unwrap().unwrap();
        let entries = Manifest::open(&*disk, Path::new("manifest.jsonl")).unwrap().unwrap().entries().unwrap();
        let is_listed = |entry: &&ManifestEntry| path.ends_with(&entry.name);
        let entry = entries.iter().find(is_listed).unwrap_or_else(|| panic!("{} is not listed", path.display()));
        let content = content(&path);
        let found = (fs::metadata(&path).unwrap().len(), content.len() as u64, ended(&content) as u64);
        assert_eq!((entry.zst_bytes, entry.bytes, entry.lines), found, "{}", path.display());
    }
}

/// Every event is known; gaps, what was healed of them and steps belong together.
fn check_events(directory: &Path) {
    let (mut gaps, mut healed) = (BTreeSet::new(), BTreeSet::new());
    let (mut steps, mut torn) = (Vec::new(), 0);
    for line in lines(directory, &StreamKey::recorder()) {
        let of = |epoch: Option<u64>, id| (epoch.unwrap_or(line.position().epoch), id);
        match Record::parse(line.text()).unwrap().event.expect("a known event") {
            Event::Gap(gap) => assert!(gaps.insert(of(gap.epoch, gap.id))),
            Event::Healed { gap, gap_epoch, .. } => assert!(healed.insert(of(gap_epoch, gap))),
            Event::ClockStep { before, after, epoch, .. } => {
                assert_eq!(line.position(), Position { epoch, stamp: after });
                steps.push(after > before);
            }
            Event::Recovered { .. } => torn += 1,
            _ => {}
        }
    }
    assert_eq!(steps, [false, true], "the clock was set back, and then ahead");
    assert!(gaps.len() > 4 && healed.len() > 4 && healed.is_subset(&gaps) && torn > 0);
    let objects = lines(directory, &StreamKey::from_stem("KRW-BTC_trade.healed").unwrap());
    assert!(!objects.is_empty());
    for line in objects {
        let HealedTrade { gap, gap_epoch, .. } = serde_json::from_slice(line.text()).unwrap();
        assert!(healed.contains(&(gap_epoch.unwrap_or(line.position().epoch), gap)));
    }
}

/// The files of lines of a tree: where a plain one has its sealed one beside it, that one.
fn files(tree: &Path) -> Vec<PathBuf> {
    let names = |directory: &Path| -> Vec<PathBuf> {
        fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    };
    let dates = names(&tree.join("archive"));
    let mut files: Vec<PathBuf> = dates.iter().flat_map(|date| names(date)).chain(names(tree)).collect();
    let ends = |path: &Path, ending: &str| path.to_str().is_some_and(|path| path.ends_with(ending));
    files.retain(|path| ends(path, ".jsonl.zst") || (ends(path, ".jsonl") && !path.ends_with("manifest.jsonl")));
    files.retain(|path| ends(path, ".zst") || !path.with_extension("jsonl.zst").exists());
    files
}

fn content(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_some_and(|ending| ending == "zst") {
        zstd::stream::decode_all(&*bytes).unwrap()
    } else {
        bytes
    }
}

/// The number of lines that ended.
fn ended(content: &[u8]) -> usize {
    content.iter().filter(|byte| **byte == b'\n').count()
}
