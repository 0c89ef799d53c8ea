//! What the directories hold, and what can be told without opening a segment: manifests, names, leftovers.

use super::fault::{Fault, Faults, Within};
use super::job::{Job, Task, is_pruned};
use super::lines::{Piece, Splitter};
use super::{Beside, Root};
use crate::files::lines::LONGEST_OWN;
use crate::files::{CHUNK, Listed};
use crate::tape::durable::DurableMark;
use crate::tape::manifest::{ManifestEntry, PrunedLine};
use crate::tape::paths;
use crate::tape::segment_name::{self, Archived, SegmentName};
use crate::tape::state::{SLOT, State};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// More than a certificate or a checkpoint has: of a longer one, this much is read.
const MOST_JSON: u64 = 1 << 30;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Every file is read.
    Files,
    /// Manifests and names alone: files may have been moved away.
    Manifests,
}

/// All jobs of a data directory, a date in memory at a time: those of a stream in the order in which it was written, active
/// files last.
#[derive(Debug)]
pub struct Walk {
    depth: Depth,
    /// Trees, the next one last.
    roots: Vec<Root>,
    /// Of the tree that is walked: its dates, and the newest epoch so far.
    tree: Option<(Root, VecDeque<String>, u64)>,
    jobs: VecDeque<Job>,
}

impl Walk {
    /// Through these trees.
    pub fn new(mut roots: Vec<Root>, depth: Depth) -> Self {
        roots.reverse();
        Self { depth, roots, tree: None, jobs: VecDeque::new() }
    }
}

impl Iterator for Walk {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(job) = self.jobs.pop_front() {
                return Some(job);
            }
            match &mut self.tree {
                None => {
                    let root = self.roots.pop()?;
                    match dates(&root) {
                        Ok(dates) => {
                            let epoch = root.epoch;
                            self.tree = Some((root, dates, epoch));
                        }
                        Err(fault) => self.jobs.push_back(Job { root, task: Task::Found(vec![fault]) }),
                    }
                }
                Some((root, dates, epoch)) => match dates.pop_front() {
                    Some(date) => {
                        let found = Date::read(root, &date).jobs(self.depth);
                        *epoch = found.iter().map(epoch_of).max().unwrap_or_default().max(*epoch);
                        self.jobs.extend(found);
                    }
                    None => {
                        if self.depth == Depth::Files {
                            self.jobs.extend(active(root, *epoch));
                        }
                        self.tree = None;
                    }
                },
            }
        }
    }
}

/// The bytes of all segments of these trees, for a progress bar.
pub fn weigh(roots: &[Root]) -> u64 {
    let of_tree = |root: &Root| -> u64 {
        let dates = dates(root).unwrap_or_default();
        let directories = dates.iter().map(|date| paths::archive(Feed::Public).join(date));
        let listed = directories.chain([PathBuf::new()]).filter_map(|directory| root.files.list(&directory).ok());
        listed.flatten().filter(|entry| entry.is_file() && is_segment(entry)).map(|entry| entry.bytes).sum()
    };
    roots.iter().map(of_tree).sum()
}

fn is_segment(entry: &Listed) -> bool {
    entry.name.to_str().is_some_and(|name| name.ends_with(".jsonl") || name.ends_with(".zst"))
}

fn epoch_of(job: &Job) -> u64 {
    match &job.task {
        Task::Sealed(name, _) | Task::Waiting(name) | Task::Listed(name, _) => name.epoch,
        Task::Active(..) | Task::Found(_) | Task::Pruned(_) => 0,
    }
}

fn dates(root: &Root) -> Result<VecDeque<String>, Fault> {
    let archive = paths::archive(Feed::Public);
    let listed = root.files.list(&archive).map_err(|error| unlisted(root, &archive, &error))?;
    let names = listed.into_iter().filter_map(|entry| entry.name.into_string().ok());
    Ok(names.filter(|name| paths::is_date_directory(name)).collect())
}

fn unlisted(root: &Root, path: &Path, error: &io::Error) -> Fault {
    let reason = format!("it cannot be listed: {error}");
    Fault { file: root.shown(path), offset: None, within: Within::File, reason }
}

/// The directory of a date.
struct Date<'a> {
    root: &'a Root,
    directory: PathBuf,
    sealed: BTreeMap<SegmentName, u64>,
    plain: BTreeSet<SegmentName>,
    entries: BTreeMap<String, ManifestEntry>,
    pruned: BTreeSet<String>,
    found: Vec<Fault>,
}

impl<'a> Date<'a> {
    fn read(root: &'a Root, date: &str) -> Self {
        let directory = paths::archive(Feed::Public).join(date);
        let mut this = Self {
            root,
            directory,
            sealed: BTreeMap::new(),
            plain: BTreeSet::new(),
            entries: BTreeMap::new(),
            pruned: BTreeSet::new(),
            found: Vec::new(),
        };
        // First, since what it lists is there: a file gets its line when it has its name.
        this.read_manifest();
        match root.files.list(&this.directory) {
            Ok(listed) => listed.iter().for_each(|entry| this.place(date, entry)),
            Err(error) => this.found.push(unlisted(root, &this.directory, &error)),
        }
        this
    }

    fn place(&mut self, date: &str, entry: &Listed) {
        let Some(name) = entry.name.to_str() else { return };
        match segment_name::parse_archived(Feed::Public, date, name) {
            _ if !entry.is_file() => {}
            Some(Archived::Sealed(segment)) => drop(self.sealed.insert(segment, entry.bytes)),
            Some(Archived::Plain(segment)) => drop(self.plain.insert(segment)),
            Some(Archived::Unfinished(_)) => self.left(name, "it was left unfinished; the next start removes it"),
            None if [paths::SUMMARY, paths::CERTIFICATE].contains(&name) => {
                let mut faults = Faults::of(self.root.shown(&self.directory.join(name)));
                check_json(self.root, &self.directory.join(name), &mut faults);
                self.found.extend(faults.into_vec());
            }
            None => {}
        }
    }

    /// Something half done, where nobody is doing it.
    fn left(&mut self, name: &str, reason: &str) {
        if self.root.beside == Beside::Nobody {
            self.fault(name, None, reason.to_owned());
        }
    }

    fn fault(&mut self, name: &str, offset: Option<u64>, reason: String) {
        let file = self.root.shown(&self.directory.join(name));
        self.found.push(Fault { file, offset, within: Within::File, reason });
    }

    fn read_manifest(&mut self) {
        let path = paths::manifest(&self.directory);
        let mut faults = Faults::of(self.root.shown(&path));
        let (entries, pruned) = (&mut self.entries, &mut self.pruned);
        let mut each = |offset, line: &[u8]| {
            if let Ok(entry) = serde_json::from_slice::<ManifestEntry>(line) {
                pruned.remove(&entry.name);
                entries.insert(entry.name.clone(), entry);
                return Ok(());
            }
            match serde_json::from_slice::<PrunedLine>(line) {
                Ok(PrunedLine { name, .. }) => {
                    entries.remove(&name);
                    pruned.insert(name);
                    Ok(())
                }
                // A crash tore it, and what it was to say is said again, or missed.
                Err(error) if error.is_eof() => Ok(()),
                Err(error) => Err((offset, format!("a line is none of a manifest: {error}"))),
            }
        };
        let read = each_line(self.root, &path, LONGEST_OWN, &mut |offset, line| each(offset, line));
        match read {
            Ok(wrong) => wrong.into_iter().for_each(|(offset, reason)| faults.at(offset, Within::File, reason)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => faults.whole(format!("it cannot be read: {error}")),
        }
        self.found.extend(faults.into_vec());
    }

    fn jobs(mut self, depth: Depth) -> Vec<Job> {
        self.check_entries(depth);
        let mut jobs = Vec::new();
        let root = self.root.clone();
        let job = |task| Job { root: root.clone(), task };
        let mut entries = std::mem::take(&mut self.entries);
        if depth == Depth::Manifests {
            let mut listed: Vec<_> =
                entries.into_values().filter_map(|entry| Some((self.parse(&entry)?, entry))).collect();
            listed.sort_by(|(one, _), (other, _)| one.cmp(other));
            jobs.extend(listed.into_iter().map(|(name, entry)| job(Task::Listed(name, Box::new(entry)))));
        } else {
            let (sealed, plain) = (std::mem::take(&mut self.sealed), std::mem::take(&mut self.plain));
            let names: BTreeSet<&SegmentName> = sealed.keys().chain(&plain).collect();
            for name in names {
                let file = file_name(&name.sealed());
                jobs.push(job(match sealed.contains_key(name) {
                    true if self.pruned.contains(&file) => {
                        self.left(&file, "it is pruned, and was left; the next run of the retention deletes it");
                        continue;
                    }
                    true => {
                        if plain.contains(name) {
                            let reason = "it was left beside its sealed file; the next start compares and removes it";
                            self.left(&name.plain_name(), reason);
                        }
                        Task::Sealed(name.clone(), entries.remove(&file).map(Box::new))
                    }
                    false => Task::Waiting(name.clone()),
                }));
            }
        }
        let pruned = self.pruned.iter().filter_map(|file| Some(self.segment(file)?.stream));
        let pruned: BTreeSet<StreamKey> = pruned.filter(StreamKey::is_healed).collect();
        if !pruned.is_empty() {
            jobs.push(job(Task::Pruned(pruned)));
        }
        if !self.found.is_empty() {
            jobs.push(job(Task::Found(self.found)));
        }
        jobs
    }

    /// What lines of the manifest say of themselves, and of files that are not there.
    fn check_entries(&mut self, depth: Depth) {
        let mut wrong = Vec::new();
        for entry in self.entries.values() {
            let Some(name) = self.parse(entry) else {
                wrong.push((
                    entry.name.clone(),
                    "its manifest lists it, and it is no name of a segment of this date".to_owned(),
                ));
                continue;
            };
            let told = |reason: String| (entry.name.clone(), reason);
            if entry.stream != name.stream.as_str() || (name.epoch != 0 && entry.epoch != name.epoch) {
                wrong.push(told(format!("its manifest calls it {} of epoch {}", entry.stream, entry.epoch)));
            }
            if entry.first > entry.last || (entry.lines == 0) != (entry.bytes == 0) {
                wrong.push(told("its manifest contradicts itself about its lines".to_owned()));
            }
            match self.sealed.get(&name) {
                // Retention may have said so in between.
                None if depth == Depth::Files && !is_pruned(self.root, &name) => {
                    wrong.push(told("its manifest lists it, and it is not there".to_owned()));
                }
                Some(bytes) if *bytes != entry.zst_bytes && depth == Depth::Manifests => {
                    wrong.push(told(format!("it has {bytes} bytes, and its manifest says {}", entry.zst_bytes)));
                }
                _ => {}
            }
        }
        wrong.into_iter().for_each(|(name, reason)| self.fault(&name, None, reason));
    }

    fn parse(&self, entry: &ManifestEntry) -> Option<SegmentName> {
        self.segment(&entry.name)
    }

    /// The segment of a sealed file's name.
    fn segment(&self, file: &str) -> Option<SegmentName> {
        let date = file_name(&self.directory);
        match segment_name::parse_archived(Feed::Public, &date, file)? {
            Archived::Sealed(name) => Some(name),
            _ => None,
        }
    }
}

/// What lies beside the archive: active files, and the recorder's own.
fn active(root: &Root, epoch: u64) -> Vec<Job> {
    let job = |task| Job { root: root.clone(), task };
    let listed = match root.files.list(Path::new("")) {
        Ok(listed) => listed,
        Err(error) => return vec![job(Task::Found(vec![unlisted(root, Path::new(""), &error)]))],
    };
    let names = listed.iter().filter(|entry| entry.is_file()).filter_map(|entry| entry.name.to_str());
    let names: Vec<&str> = names.collect();
    let streams = names.iter().filter_map(|name| paths::parse_active(name));
    let epoch = if root.is_recorded() { epoch } else { 0 };
    let mut jobs: Vec<Job> = streams.map(|stream| job(Task::Active(stream, epoch))).collect();
    let mut found = Vec::new();
    for name in names.iter().filter(|_| root.is_quiet()) {
        let mut faults = Faults::of(root.shown(Path::new(name)));
        check_own(root, name, &mut faults);
        found.extend(faults.into_vec());
    }
    if !found.is_empty() {
        jobs.push(job(Task::Found(found)));
    }
    jobs
}

/// The recorder's own files: checkpoints, the mark, the state.
fn check_own(root: &Root, name: &str, faults: &mut Faults) {
    let path = Path::new(name);
    let content = || -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        root.files.read(path)?.take(2 * SLOT as u64).read_to_end(&mut content)?;
        Ok(content)
    };
    let is_right = match name {
        paths::MARK => content().map(|content| DurableMark::parse(&content).is_some()),
        paths::STATE => content().map(|content| content.chunks(SLOT).any(|slot| State::of_slot(slot).is_some())),
        name if name.ends_with(".checkpoint") || name == "markets.json" => {
            check_json(root, path, faults);
            return;
        }
        _ => return,
    };
    match is_right {
        Ok(true) => {}
        Ok(false) => faults.whole("it cannot be understood; the next start begins another epoch without it"),
        Err(error) => faults.whole(format!("it cannot be read: {error}")),
    }
}

/// A file that is one JSON value, or a line each of them.
fn check_json(root: &Root, path: &Path, faults: &mut Faults) {
    let file = match root.files.read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return faults.whole(format!("it cannot be read: {error}")),
        Ok(file) => BufReader::new(file).take(MOST_JSON),
    };
    for value in serde_json::Deserializer::from_reader(file).into_iter::<IgnoredAny>() {
        if let Err(error) = value {
            return faults.whole(format!("it is no JSON: {error}"));
        }
    }
}

/// What is wrong at an offset.
type Wrong = (u64, String);

/// Looks at the line at an offset.
type Check<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Wrong> + 'a;

/// The lines of a file of the recorder's own; what is wrong with them, of the first thousand.
fn each_line(root: &Root, path: &Path, longest: usize, check: &mut Check<'_>) -> io::Result<Vec<Wrong>> {
    const MOST: usize = 1_000;
    let mut file = root.files.read(path)?;
    let (mut splitter, mut chunk, mut wrong) = (Splitter::new(longest), vec![0; CHUNK], Vec::new());
    let mut each = |offset, piece: Piece<'_>| {
        let result = match piece {
            Piece::Line(line) | Piece::Unended(line) => check(offset, line),
            Piece::TooLong => Err((offset, "a line is longer than any that is written there".to_owned())),
        };
        wrong.extend(result.err().filter(|_| wrong.len() < MOST));
    };
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => splitter.feed(&chunk[..length], &mut each),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    splitter.finish(&mut each);
    Ok(wrong)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
