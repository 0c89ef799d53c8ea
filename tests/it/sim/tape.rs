//! What is on a disk, as a reader sees it: the lines of every stream in their order.

use super::disk::SimDisk;
use super::timeline::Moment;
use super::timeline::{Forgotten, Gap};
use crate::support::json::Stamped;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use upbit_recorder::clock::Stamp;
use upbit_recorder::tape::durable::DurableMark;
use upbit_recorder::tape::state::{Redo, SLOT, State};
use upbit_recorder::upbit::feed::{Feed, PerFeed};

/// The lines of a data directory.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    /// Segments of lines from the exchange: by connection, then by stream.
    pub(crate) streams: PerFeed<BTreeMap<String, Vec<Segment>>>,
    /// The recorder's own events, oldest first.
    pub(crate) events: Vec<serde_json::Value>,
    /// Lines that are none, and are not kept in quarantine either.
    pub(crate) broken: Vec<Broken>,
    /// Sealed files that cannot be decoded, or do not hold what their plain file holds.
    pub(crate) corrupt: Vec<String>,
    /// Files that are not what their manifest says, or are not in it.
    pub(crate) unlisted: Vec<String>,
    /// Files that should not be there after an orderly end.
    pub(crate) leftovers: Vec<String>,
    /// The state, where there is a whole one.
    pub(crate) state: Option<State>,
    /// The epoch of the active files.
    active: u64,
    /// The last stamp of each epoch, of any line, or up to which all is certain.
    pub(crate) last: BTreeMap<u64, u64>,
}

/// A line that is none.
#[derive(Debug)]
pub(crate) struct Broken {
    /// The file's name, without the ending of a sealed one.
    pub(crate) file: String,
    pub(crate) fault: String,
}

/// The manifests' entries, by the files that they list.
type Listing = BTreeMap<PathBuf, serde_json::Value>;

/// A file of lines from the exchange.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) lines: Vec<Line>,
    /// How often stamps had gone back.
    pub(crate) epoch: u64,
}

/// A line from the exchange.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) stamp: u64,
    pub(crate) content: Vec<u8>,
}

/// What a file's name says.
struct FileName<'a> {
    feed: Feed,
    stream: &'a str,
    is_sealed: bool,
    /// `None`: it is active.
    epoch: Option<u64>,
    /// The file's name without the ending of a sealed one.
    plain: String,
}

impl FileName<'_> {
    /// Whether the file may have had this name in the archive when a line of it was ended: it is named anew where a start
    /// cannot read it.
    fn was_named(&self, archived: &str) -> bool {
        archived.starts_with(&format!("{}.", self.stream))
    }

    fn is_active(&self) -> bool {
        self.plain.strip_suffix(".jsonl") == Some(self.stream)
    }
}

impl Tape {
    pub(crate) fn read(disk: &SimDisk) -> Self {
        let mut files = disk.files();
        let mut tape = Self::default();
        let torn = quarantined(&files);
        let listed = tape.read_manifests(&files);
        // What was pruned counts as if it were there: its line alone excuses it.
        let is_pruned = |path: &Path| listed.get(path).is_some_and(|entry| entry["pruned"].is_u64());
        for (path, content) in disk.removed().into_iter().filter(|(path, _)| is_pruned(path)) {
            files.entry(path).or_insert(content);
        }
        tape.read_checkpoint(&files);
        let epoch_of = |path: &Path| parse_name(path).and_then(|name| name.epoch);
        // Archived names sort by epoch and time; within a stream the active file comes last.
        let (mut archived, active): (Vec<_>, Vec<_>) = files.keys().partition(|path| path.components().count() > 2);
        archived.sort_by_key(|path| (epoch_of(path), *path));
        for path in archived.into_iter().chain(active) {
            let Some(name) = parse_name(path) else {
                if path.extension().is_some_and(|ending| ending == "tmp") {
                    tape.leftovers.push(path.display().to_string());
                }
                continue;
            };
            let mut content = files[path].clone();
            if name.is_sealed {
                match zstd::stream::decode_all(&*content) {
                    Ok(decoded) => content = decoded,
                    Err(error) => {
                        tape.corrupt.push(format!("{}: {error}", path.display()));
                        continue;
                    }
                }
                // Of a source that a power cut brought back the end may be lost, and any lines that a sync had no room for; its
                // sealed file was durable before, and listed once it was compared.
                let source = files.get(&path.with_extension("")).filter(|_| !listed.contains_key(path));
                let source = source.map(|plain| less_torn(plain, &name, &torn));
                if source.is_some_and(|plain| !has_lines(&content, &plain)) {
                    tape.corrupt.push(format!("{} does not hold its source", path.display()));
                }
            } else if files.contains_key(&sealed_beside(path)) {
                tape.leftovers.push(format!("{}, and its sealed file", path.display()));
                continue;
            }
            let known = tape.events.len();
            tape.add(&name, &content, &torn);
            tape.events[known..].iter_mut().for_each(|event| event["is_pruned"] = is_pruned(path).into());
        }
        tape.check_manifests(&files, &listed);
        tape
    }

    /// Takes the lines of a file; `torn`: those that are kept in quarantine.
    fn add(&mut self, name: &FileName<'_>, content: &[u8], torn: &BTreeSet<Torn>) {
        let epoch = name.epoch.unwrap_or(self.active);
        let broken = |fault: String| Broken { file: name.plain.clone(), fault };
        let mut offset = 0;
        let mut lines = Vec::new();
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            let begin = offset;
            offset += line.len();
            // A line without an end is still being written, or was when the process died.
            let Some(line) = line.strip_suffix(b"\n") else {
                if !name.is_active() {
                    self.broken.push(broken("ends within a line".to_owned()));
                }
                break;
            };
            let is_kept =
                || !name.is_sealed && torn.iter().any(|torn| torn.offset == begin && name.was_named(&torn.file));
            match Line::parse(line) {
                Some(line) => {
                    let last = self.last.entry(epoch).or_default();
                    *last = line.stamp.max(*last);
                    match name.stream {
                        "recorder" => self.events.push(line.event(epoch)),
                        _ => lines.push(line),
                    }
                }
                None if is_kept() => {}
                None => {
                    let text = String::from_utf8_lossy(&line[..line.len().min(80)]);
                    self.broken.push(broken(format!("at {begin}: {text}")));
                }
            }
        }
        if name.stream != "recorder" {
            self.streams[name.feed].entry(name.stream.to_owned()).or_default().push(Segment { lines, epoch });
        }
    }

    /// The first event of an epoch, with which it begins.
    pub(crate) fn first_of(&self, epoch: u64) -> Option<Moment> {
        let own = self.events.iter().filter(|event| event["of_epoch"].as_u64() == Some(epoch));
        let stamp = own.filter_map(|event| event["ts_recv"].as_u64()).min()?;
        Some(Moment { epoch, stamp })
    }

    /// The epoch of the next line; that which begins, where one does.
    pub(crate) fn epoch(&self) -> u64 {
        let state = self.state.as_ref().filter(|state| state.epoch == self.active);
        state.and_then(|state| state.stepping).map_or(self.active, |stepping| stepping.epoch)
    }

    /// What the state alone knew: gaps that were open or decided.
    pub(crate) fn forgotten(&self) -> Vec<Forgotten> {
        let Some(state) = &self.state else { return Vec::new() };
        let gap = |epoch, from: Stamp, to: Stamp| Gap { epoch, from: from.as_micros(), to: to.as_micros() };
        let decided = state.redo.iter().map(|Redo { gap: redo, .. }| Forgotten {
            feed: redo.connection,
            gap: gap(redo.epoch, redo.from, redo.to),
        });
        let last = self.last.get(&state.epoch).and_then(|last| Stamp::from_micros(*last)).unwrap_or_default();
        let open = Feed::ALL.into_iter().filter_map(|feed| {
            let from = state.feeds[feed].open.as_ref()?.from;
            Some(Forgotten { feed, gap: gap(state.epoch, from, last) })
        });
        let unsure = state.unsure.iter().map(|unsure| gap(unsure.epoch, unsure.from, unsure.to));
        let of_all = unsure.flat_map(|gap| Feed::ALL.map(|feed| Forgotten { feed, gap }));
        decided.chain(open).chain(of_all).collect()
    }

    /// Once a state was lost, that a feed without a line had ever been wanted, while it is `off`.
    pub(crate) fn unheard(&self, off: Option<Feed>) -> impl Iterator<Item = Forgotten> {
        let feed = off.filter(|off| self.streams[*off].is_empty());
        let whole = |epoch| Gap { epoch, from: 0, to: Stamp::MAX.as_micros() };
        let epochs = 0..=self.epoch();
        feed.into_iter().flat_map(move |feed| epochs.clone().map(move |epoch| Forgotten { feed, gap: whole(epoch) }))
    }

    fn read_checkpoint(&mut self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        let slots = files.get(Path::new(".state")).into_iter().flat_map(|content| content.chunks(SLOT));
        let newest = slots.filter_map(State::of_slot).max_by_key(|(generation, _)| *generation);
        let mark = files.get(Path::new(".durable")).and_then(|content| DurableMark::parse(content));
        // A start believes no state that is older than what the mark was written under.
        let is_usable = |generation| mark.is_none_or(|mark| mark.generation <= generation);
        self.state = newest.filter(|(generation, _)| is_usable(*generation)).map(|(_, state)| state);
        if let Some(mark) = mark {
            self.last.insert(mark.epoch, mark.durable.as_micros());
        }
        let named = files.keys().filter_map(|path| parse_name(path)?.epoch).chain(self.last.keys().copied()).max();
        let begun = files.get(Path::new("recorder.jsonl")).and_then(|content| begun_epoch(content));
        let known = self.state.as_ref().map(|state| state.epoch);
        self.active = named.max(begun).max(known).unwrap_or_default();
    }

    fn read_manifests(&mut self, files: &BTreeMap<PathBuf, Vec<u8>>) -> Listing {
        let mut listed = Listing::new();
        for (path, content) in files.iter().filter(|(path, _)| path.ends_with("manifest.jsonl")) {
            for line in content.split(|byte| *byte == b'\n') {
                // Pages that a failing disk lost stand before a line as zeros.
                let begin = line.iter().take_while(|byte| **byte == 0).count();
                let Ok(entry) = serde_json::from_slice::<serde_json::Value>(&line[begin..]) else { continue };
                let file = path.with_file_name(entry["name"].as_str().unwrap());
                let is_pruned = entry["pruned"].is_u64();
                let earlier = listed.insert(file.clone(), entry.clone());
                // After an interruption the same is said again.
                if earlier.is_some_and(|earlier| earlier != entry) && !is_pruned {
                    self.unlisted.push(format!("{} is listed in two ways", file.display()));
                }
            }
        }
        listed
    }

    fn check_manifests(&mut self, files: &BTreeMap<PathBuf, Vec<u8>>, listed: &Listing) {
        for (path, content) in files.iter().filter(|(path, _)| is_sealed(path)) {
            match listed.get(path) {
                None => self.unlisted.push(format!("{} is not listed", path.display())),
                Some(entry) if entry["pruned"].is_u64() => {}
                Some(entry) if entry["zst_bytes"] != content.len() => {
                    self.unlisted.push(format!("{} is not what its manifest says", path.display()));
                }
                Some(entry) if entry["epoch"].as_u64() != parse_name(path).and_then(|name| name.epoch) => {
                    self.unlisted.push(format!("{} is of another epoch in its manifest", path.display()));
                }
                Some(_) => {}
            }
        }
    }
}

impl Line {
    /// A line as documented; `None` where it is none.
    fn parse(line: &[u8]) -> Option<Self> {
        let Stamped { stamp, object } = Stamped::parse(line)?;
        let parsed: serde_json::Value = serde_json::from_slice(&object).ok()?;
        let content = match (&parsed["raw"], &parsed["raw_base64"]) {
            (serde_json::Value::String(raw), _) => raw.clone().into_bytes(),
            (_, serde_json::Value::String(raw)) => STANDARD.decode(raw).ok()?,
            _ => object,
        };
        Some(Self { stamp, content })
    }

    /// With the epoch of its file.
    fn event(&self, epoch: u64) -> serde_json::Value {
        let mut event: serde_json::Value = serde_json::from_slice(&self.content).unwrap();
        event["of_epoch"] = epoch.into();
        event["ts_recv"] = self.stamp.into();
        event
    }
}

/// A torn line that is kept in quarantine.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Torn {
    /// The file that it stands in.
    file: String,
    offset: usize,
}

/// The torn lines that are kept, by the names of their copies.
fn quarantined(files: &BTreeMap<PathBuf, Vec<u8>>) -> BTreeSet<Torn> {
    let copies = files.keys().filter(|path| path.parent().is_some_and(|parent| parent.ends_with("quarantine")));
    let torn = |path: &PathBuf| {
        let (file, offset) = path.file_name()?.to_str()?.rsplit_once(".torn-")?;
        Some(Torn { file: file.to_owned(), offset: offset.parse().ok()? })
    };
    copies.filter_map(torn).collect()
}

/// A plain segment without the lines that are kept in quarantine.
fn less_torn(plain: &[u8], name: &FileName<'_>, torn: &BTreeSet<Torn>) -> Vec<u8> {
    let mut offset = 0;
    let mut rest = Vec::new();
    for line in plain.split_inclusive(|byte| *byte == b'\n') {
        if !torn.contains(&Torn { file: name.plain.clone(), offset }) {
            rest.extend_from_slice(line);
        }
        offset += line.len();
    }
    rest
}

/// Whether all lines of `part` are in `whole`, in this order, and the beginning of one that has no end.
fn has_lines(whole: &[u8], part: &[u8]) -> bool {
    let mut lines = whole.split_inclusive(|byte| *byte == b'\n');
    part.split_inclusive(|byte| *byte == b'\n').all(|line| lines.any(|found| found.starts_with(line)))
}

/// The epoch that the first line of a file of events names.
fn begun_epoch(content: &[u8]) -> Option<u64> {
    let line = content.split(|byte| *byte == b'\n').next()?;
    let event: serde_json::Value = serde_json::from_slice(line).ok()?;
    event["epoch"].as_u64().filter(|_| event["event"] == "started" || event["event"] == "clock_step")
}

fn sealed_beside(path: &Path) -> PathBuf {
    path.with_extension("jsonl.zst")
}

fn is_sealed(path: &Path) -> bool {
    parse_name(path).is_some_and(|name| name.is_sealed)
}

fn parse_name(path: &Path) -> Option<FileName<'_>> {
    let feed = if path.starts_with("private") { Feed::Private } else { Feed::Public };
    let name = path.file_name()?.to_str()?;
    let below = path.strip_prefix("private").unwrap_or(path);
    if name == "manifest.jsonl" || below.starts_with("quarantine") {
        return None;
    }
    let is_archived = below.starts_with("archive");
    let plain = name.strip_suffix(".zst").unwrap_or(name).to_owned();
    let stem = name.strip_suffix(".zst").unwrap_or(name).strip_suffix(".jsonl")?;
    let (stem, epoch) = match stem.rsplit_once(".e").filter(|_| is_archived) {
        Some((stem, epoch)) if epoch.parse::<u64>().is_ok() => (stem, epoch.parse().ok()),
        _ => (stem, is_archived.then_some(0)),
    };
    let stream = if is_archived { stem.rsplitn(3, '.').last()? } else { stem };
    Some(FileName { feed, stream, is_sealed: name.ends_with(".zst"), epoch, plain })
}
