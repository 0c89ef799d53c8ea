//! The check of one file, which any thread can make.

use super::Root;
use super::fault::{Fault, Faults};
use super::plain::Plain;
use super::report::{Meter, Report, failed};
use super::sealed::Sealed;
use crate::clock::Stamp;
use crate::files::ReadFile;
use crate::tape::manifest::ManifestEntry;
use crate::tape::reader::manifest::{Manifest, Standing};
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::tape::{line, paths};
use crate::upbit::feed::Feed;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

/// A name is this much later than the first line at the most: where the stamp was taken by another segment, since a clock
/// had been set back.
const NAMED_LATER: Duration = Duration::from_millis(1);

/// More than a stamp takes at the beginning of a line.
const LINE_HEAD: u64 = 64;

/// A file to check.
#[derive(Debug)]
pub struct Job {
    /// Where it is.
    pub root: Root,
    /// What it is.
    pub task: Task,
}

/// What there is to check of it.
#[derive(Debug)]
pub enum Task {
    /// A sealed segment, and its line of the manifest.
    Sealed(SegmentName, Option<Box<ManifestEntry>>),
    /// A segment that waits.
    Waiting(SegmentName),
    /// An active file, in the present epoch.
    Active(StreamKey, u64),
    /// A segment that may have been moved away: its line of the manifest alone.
    Listed(SegmentName, Box<ManifestEntry>),
    /// Nothing more: what was found without opening it.
    Found(Vec<Fault>),
    /// The healed streams of which files of a date were deleted.
    Pruned(BTreeSet<StreamKey>),
}

impl Job {
    /// Reads the file.
    pub fn check(self, meter: &Meter) -> Report {
        let Self { root, task } = self;
        let mut report = match task {
            Task::Found(found) => {
                let file = found.first().map(|fault| fault.file.clone()).unwrap_or_default();
                return Report { found, ..Report::of(file) };
            }
            Task::Pruned(pruned) => return Report { pruned, ..Report::of(PathBuf::new()) },
            Task::Listed(name, entry) => {
                let mut report = Report::of(root.shown(&name.sealed()));
                report.stream = Some((name.stream.clone(), entry.epoch));
                report.ends = (entry.lines > 0).then_some((entry.first, entry.last));
                (report.lines, report.content_bytes) = (entry.lines, entry.bytes);
                report
            }
            Task::Sealed(name, entry) => check_sealed(&root, &name, entry.as_deref(), meter),
            Task::Waiting(name) => check_waiting(&root, &name, meter),
            Task::Active(stream, epoch) => check_active(&root, &stream, epoch, meter),
        };
        let faults = std::mem::replace(&mut report.faults, Faults::of(PathBuf::new()));
        report.found = faults.into_vec();
        if !root.is_recorded() {
            report.stream = None;
        }
        report
    }
}

fn check_sealed(root: &Root, name: &SegmentName, entry: Option<&ManifestEntry>, meter: &Meter) -> Report {
    let path = name.sealed();
    let mut report = Report::of(root.shown(&path));
    match root.files.read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Retention says so before it deletes.
            if !is_pruned(root, name) {
                report.faults.whole("it was there when this began, and is not any more");
            }
            return report;
        }
        Err(error) => report.faults.whole(failed(&error)),
        Ok(file) => Sealed { root, name, entry }.check(file, meter, &mut report),
    }
    report.stream = Some((name.stream.clone(), entry.map_or(name.epoch, |entry| entry.epoch)));
    let has_torn_first = entry.is_some_and(|entry| entry.torn.first().is_some_and(|torn| torn.offset == 0));
    check_name(name, has_torn_first, &mut report);
    report
}

fn check_waiting(root: &Root, name: &SegmentName, meter: &Meter) -> Report {
    let path = name.plain();
    let mut report = Report::of(root.shown(&path));
    match root.files.read(&path) {
        // It was sealed meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return match root.files.read(&name.sealed()) {
                Ok(_) => check_sealed(root, name, entry_of(root, name).as_ref(), meter),
                Err(_) => {
                    report.faults.whole("it was there when this began, and is not any more");
                    report
                }
            };
        }
        Err(error) => report.faults.whole(failed(&error)),
        Ok(mut file) => {
            let has_torn_first = first_stamp(&mut *file).is_none();
            Plain { root, name, is_active: false }.check(file, meter, &mut report);
            check_name(name, has_torn_first, &mut report);
        }
    }
    report.stream = Some((name.stream.clone(), name.epoch));
    report
}

fn check_active(root: &Root, stream: &StreamKey, epoch: u64, meter: &Meter) -> Report {
    let path = paths::active(Feed::Public, stream);
    let mut report = Report::of(root.shown(&path));
    match root.files.read(&path) {
        // It was rotated meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return report,
        Err(error) => report.faults.whole(failed(&error)),
        Ok(file) => {
            let name = SegmentName { feed: Feed::Public, stream: stream.clone(), epoch, first: Stamp::default() };
            Plain { root, name: &name, is_active: true }.check(file, meter, &mut report);
        }
    }
    report.stream = Some((stream.clone(), epoch));
    report
}

/// A segment has the stamp of its first line in its name, and lines of one date.
fn check_name(name: &SegmentName, has_torn_first: bool, report: &mut Report) {
    let Some((first, last)) = report.ends else { return };
    let is_named = first <= name.first && name.first <= first.after(NAMED_LATER);
    let date = |stamp| SegmentName { first: stamp, ..name.clone() }.directory();
    let reason = if !(is_named || has_torn_first && name.first <= first) {
        format!("its first line is stamped {first}, and its name says {}", name.first)
    } else if date(last) != name.directory() {
        format!("its last line is stamped {last}, which is of another date")
    } else {
        return;
    };
    let within = super::fault::Within::Content;
    report.misnamed = Some(Fault { file: report.file.clone(), offset: Some(0), within, reason });
}

/// The stamp of a file's first line. Leaves the file at its beginning.
fn first_stamp(file: &mut dyn ReadFile) -> Option<Stamp> {
    let mut head = Vec::new();
    let read = (&mut *file).take(LINE_HEAD).read_to_end(&mut head).and_then(|_| file.seek(io::SeekFrom::Start(0)));
    read.ok().and_then(|_| line::stamp(&head))
}

/// Whether the manifest says by now that a file is pruned.
pub(super) fn is_pruned(root: &Root, name: &SegmentName) -> bool {
    let manifest = Manifest::open(&*root.files, &name.manifest()).ok().flatten();
    let standings = manifest.and_then(|manifest| manifest.standings().ok()).unwrap_or_default();
    let file = name.sealed();
    let file = file.file_name().and_then(|file| file.to_str());
    matches!(file.and_then(|file| standings.get(file)), Some(Standing::Pruned { .. }))
}

fn entry_of(root: &Root, name: &SegmentName) -> Option<ManifestEntry> {
    let manifest = Manifest::open(&*root.files, &name.manifest()).ok().flatten()?;
    let entries = manifest.entries_of(&name.stream).ok()?;
    entries.into_iter().find(|entry| name.sealed().ends_with(&entry.name))
}
