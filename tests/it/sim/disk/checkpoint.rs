//! What a start would know, held against what is on the disk: checked at every call that changes one of the two.
//!
//! ```text
//! .durable names a state          ──▶ that is durable
//! a name or a line of an epoch    ──▶ the durable state has it
//! a line in a file                ──▶ the durable state says that a process runs, and no step is pending
//! the durable state goes on to an epoch ──▶ all of the epoch before is in the archive, content and names durable
//! ```

use super::SimDisk;
use super::state::{ENOSPC, Inode, State};
use rand::RngExt;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use upbit_recorder::tape::durable::DurableMark;
use upbit_recorder::tape::state::{self as tape, Ended, SLOT};

const STATE: &str = ".state";
const MARK: &str = ".durable";

/// What happens to the checkpoint between two lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amnesia {
    NoState,
    NoMark,
    /// As in a copy without hidden files.
    NoDotFiles,
    /// The newer slot reads as zeros, or the older one.
    NoSlot {
        newer: bool,
    },
    /// State and mark are those of so many lives ago.
    Restored(usize),
}

/// What the durable state says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    generation: u64,
    epoch: u64,
    has_stopped: bool,
    is_stepping: bool,
}

/// A checkpoint's files, as a life left them.
pub(super) type Kept = BTreeMap<&'static str, Vec<u8>>;

impl SimDisk {
    /// Keeps the checkpoint of the life that is over.
    pub(super) fn keep_checkpoint(&self) {
        let mut state = self.lock();
        let kept = [STATE, MARK].into_iter().filter_map(|name| {
            let inode = state.names.get(Path::new(name))?;
            Some((name, state.inodes[*inode].data.clone()))
        });
        let kept = kept.collect();
        state.kept.push(kept);
    }

    /// Has the next start find less than was known.
    pub(crate) fn forget(&self, amnesia: Amnesia) {
        let mut state = self.lock();
        match amnesia {
            Amnesia::NoState => state.lose(|path| path == Path::new(STATE)),
            Amnesia::NoMark => state.lose(|path| path == Path::new(MARK)),
            Amnesia::NoDotFiles => state.lose(|path| path.to_string_lossy().starts_with('.')),
            Amnesia::NoSlot { newer } => state.lose_slot(newer),
            Amnesia::Restored(lives) => {
                let Some(index) = state.kept.len().checked_sub(lives + 1) else { return };
                for (name, data) in state.kept[index].clone() {
                    let inode = state.inodes.len();
                    state.inodes.push(Inode { synced: data.len(), data, ..Inode::default() });
                    state.names.insert(name.into(), inode);
                    state.durable.insert(name.into(), inode);
                }
            }
        }
        state.known = state.read_state();
    }
}

impl State {
    fn lose(&mut self, is_lost: impl Fn(&Path) -> bool) {
        self.names.retain(|path, _| !is_lost(path));
        self.durable.retain(|path, _| !is_lost(path));
    }

    fn lose_slot(&mut self, newer: bool) {
        let Some(inode) = self.names.get(Path::new(STATE)).copied() else { return };
        let generation = |slot: &[u8]| tape::State::of_slot(slot).map_or(0, |(generation, _)| generation);
        let slots = self.inodes[inode].data.chunks_mut(SLOT);
        let mut slots: Vec<&mut [u8]> = slots.collect();
        slots.sort_by_key(|slot| generation(slot));
        let chosen = if newer { slots.last_mut() } else { slots.first_mut() };
        chosen.into_iter().for_each(|slot| slot.fill(0));
    }

    /// The newest state that a power cut leaves.
    fn read_state(&self) -> Option<Known> {
        let file = &self.inodes[*self.durable.get(Path::new(STATE))?];
        let slots = file.data[..file.synced].chunks(SLOT).filter_map(tape::State::of_slot);
        let (generation, state) = slots.max_by_key(|(generation, _)| *generation)?;
        let (has_stopped, is_stepping) = (matches!(state.ended, Ended::Stopped { .. }), state.stepping.is_some());
        Some(Known { generation, epoch: state.epoch, has_stopped, is_stepping })
    }

    /// The durable state may be another one.
    pub(super) fn look_at_state(&mut self) {
        let now = self.read_state();
        let before = std::mem::replace(&mut self.known, now);
        // A step that is pending ends an epoch; the state before it may have been lost.
        if let (Some(before), Some(now)) = (before, self.known)
            && before.epoch < now.epoch
            && !now.is_stepping
        {
            self.check_ended(now.epoch);
        }
    }

    /// Everything of older epochs is where it stays.
    fn check_ended(&mut self, epoch: u64) {
        let mut faults = Vec::new();
        for (path, inode) in &self.names {
            let file = &self.inodes[*inode];
            let is_durable = self.durable.get(path) == Some(inode);
            let is_synced = file.synced == file.data.len() || file.doomed.is_some();
            match segment(path) {
                Some(Segment::Active) => faults.push(format!("{} is active as epoch {epoch} begins", path.display())),
                Some(Segment::Archived(of)) if of < epoch && !(is_durable && is_synced) => {
                    faults.push(format!("{} is not durable as epoch {epoch} begins", path.display()));
                }
                _ => {}
            }
        }
        let returns = |path: &&PathBuf| segment(path) == Some(Segment::Active) && !self.names.contains_key(*path);
        let returning = self.durable.keys().filter(returns);
        faults.extend(returning.map(|path| format!("{} may return behind epoch {epoch}", path.display())));
        faults.into_iter().for_each(|fault| self.violation(fault));
    }

    /// A mark is about to be written.
    pub(super) fn check_mark(&mut self, content: &[u8]) {
        let Some(mark) = DurableMark::parse(content) else { return };
        let is_known = self.known.is_some_and(|known| mark.generation <= known.generation && mark.epoch <= known.epoch);
        if !is_known {
            let text = format!("{mark:?} is beyond what is durable, {:?}", self.known);
            self.violation(text);
        }
    }

    /// A file is about to get a name.
    pub(super) fn check_name(&mut self, path: &Path) {
        if let Some(Segment::Archived(epoch)) = segment(path)
            && self.known.is_none_or(|known| known.epoch < epoch)
        {
            let text = format!("{} is beyond what is durable, {:?}", path.display(), self.known);
            self.violation(text);
        }
    }

    /// Lines are about to be written.
    pub(super) fn check_lines(&mut self, path: &Path, bytes: &[u8]) {
        let Some(kind) = segment(path) else { return };
        let Some(known) = self.known else {
            return self.violation(format!("{} is written to before there is a state", path.display()));
        };
        if known.has_stopped {
            self.violation(format!("{} is written to, and the state says stopped", path.display()));
        }
        if known.is_stepping && kind == Segment::Active && !bytes.is_empty() && bytes != b"\n" {
            self.violation(format!("{} is written to while a step is pending", path.display()));
        }
        for line in bytes.split(|byte| *byte == b'\n') {
            let event: Option<serde_json::Value> = serde_json::from_slice(line).ok();
            let begun = event.filter(|event| event["event"] == "started" || event["event"] == "clock_step");
            if begun.is_some_and(|event| event["epoch"].as_u64() != Some(known.epoch)) {
                self.violation(format!("{} is of another epoch than {known:?}", String::from_utf8_lossy(line)));
            }
        }
    }

    /// A sync of the file has failed.
    pub(super) fn fail_sync(&mut self, inode: usize, error: &io::Error) {
        if error.raw_os_error() == Some(ENOSPC) {
            self.drop_pages(inode);
        } else {
            self.inodes[inode].doom();
        }
    }

    /// Which bytes a sync without room takes from a file, as far as whole lines go; a later one brings them not back.
    fn drop_pages(&mut self, inode: usize) {
        let is_line_end = |data: &[u8], end: usize| end == 0 || data[end - 1] == b'\n';
        let file = &self.inodes[inode];
        let (from, to) = (file.synced, file.data.len());
        let is_whole = from < to && is_line_end(&file.data, from) && is_line_end(&file.data, to);
        if is_whole && file.doomed.is_none() && self.rng.random() {
            match self.inodes[inode].dropped.last_mut() {
                Some(last) if from < last.end => last.end = to,
                _ => self.inodes[inode].dropped.push(from..to),
            }
        }
    }
}

/// What of a segment a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    Active,
    Archived(u64),
}

/// `None`: it is none, or a sealed one.
fn segment(path: &Path) -> Option<Segment> {
    let below = path.strip_prefix("private").unwrap_or(path);
    let stem = below.file_name()?.to_str()?.strip_suffix(".jsonl")?;
    if below.components().count() == 1 {
        return Some(Segment::Active);
    }
    if !below.starts_with("archive") || stem == "manifest" {
        return None;
    }
    let epoch = stem.rsplit_once(".e").and_then(|(_, epoch)| epoch.parse().ok());
    Some(Segment::Archived(epoch.unwrap_or_default()))
}
