//! Files that a crash, a full disk or somebody else left: looked at without a panic, and told apart reliably.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::LazyLock;
use tempfile::TempDir;
use upbit_recorder::files::disk::Disk;
use upbit_recorder::recording::recovery::inspect::{Inspected, inspect};

static PLACE: LazyLock<(TempDir, Disk)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("there is a place for temporary files");
    let disk = Disk::open(directory.path()).expect("it was just made");
    (directory, disk)
});

fuzz_target!(|content: &[u8]| {
    let (directory, disk) = &*PLACE;
    std::fs::write(directory.path().join("segment.jsonl"), content).expect("there is room");
    match inspect(disk, Path::new("segment.jsonl"), 1024).expect("it can be read") {
        Inspected::Empty => assert!(content.is_empty()),
        Inspected::Foreign => assert!(!content.is_empty()),
        Inspected::Damaged => assert!(content.len() > 1024),
        Inspected::Segment { bytes, torn, .. } => {
            assert_eq!(bytes, content.len() as u64);
            assert!(content.ends_with(&torn) && !torn.contains(&b'\n'));
            let whole = &content[..content.len() - torn.len()];
            assert!(whole.is_empty() || whole.ends_with(b"\n"), "all in front of a torn line is whole lines");
        }
    }
});
