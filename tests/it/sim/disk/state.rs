//! The disk's memory: names, data, and how much of both a power cut leaves.

use super::checkpoint::{Kept, Known};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;
use upbit_recorder::files::{EntryKind, FileId, Identity};

/// What ends a life from one instant to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process dies; the system keeps what was written.
    Kill,
    /// The machine dies; the disk keeps what was synced.
    PowerCut,
}

/// What happens to a call instead of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails with this error number.
    Fail(i32),
    /// A write takes only a part of its bytes.
    Short,
    /// A sync, or what replaces a file durably, finds no room; what was written before may be lost.
    NoRoom,
    /// It works, and takes this long.
    Stall(Duration),
    /// It happens in part, or not at all, and then nothing happens any more.
    Crash(Crash),
}

/// What others do to an active file behind the recorder's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Displace {
    Unlink,
    /// To a name beside it that is none of the recorder's.
    Rename,
    /// By a copy of itself, as an editor does it.
    Replace,
    /// To this many thousandths of its length.
    Truncate(u64),
    /// By bytes that are no line.
    Grow,
    /// A segment of the exchange's that waits to be sealed, where there is one.
    UnlinkWaiting,
}

impl Displace {
    /// Whether it may cost lines.
    pub(crate) fn is_lossy(self) -> bool {
        matches!(self, Self::Truncate(_) | Self::Grow | Self::UnlinkWaiting)
    }
}

/// What a call does to the disk; decides which faults it can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Write,
    Create,
    Rename,
    Remove,
    MakeDirectory,
    Sync,
    SyncDirectory,
    /// In place, and durably.
    Replace,
    Read,
}

/// What a crash in the middle of a write leaves whole.
pub(super) const SECTOR: usize = 512;

pub(crate) const EINTR: i32 = 4;
pub(crate) const EIO: i32 = 5;
pub(crate) const EMFILE: i32 = 24;
pub(crate) const EFBIG: i32 = 27;
pub(crate) const ENOSPC: i32 = 28;
pub(crate) const EDQUOT: i32 = 122;

#[derive(Debug)]
pub(super) struct State {
    pub(super) inodes: Vec<Inode>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable: BTreeMap<PathBuf, usize>,
    pub(super) journal: Vec<Change>,
    pub(super) directories: BTreeSet<PathBuf>,
    /// Links, pipes and the like.
    pub(super) others: BTreeMap<PathBuf, EntryKind>,
    /// Files and directories that others than their owner may read.
    pub(super) open_to_others: BTreeSet<PathBuf>,
    /// What files hold that have names of ours and belong to somebody else.
    pub(super) strangers: BTreeMap<usize, Vec<u8>>,
    /// Names that archived segments have ever had, and the files they were.
    pub(super) used: BTreeMap<PathBuf, usize>,
    /// Sealed segments that the recorder has removed.
    pub(super) removed: BTreeMap<PathBuf, usize>,
    pub(super) life: u64,
    pub(super) calls: u64,
    pub(super) faults: VecDeque<(u64, Fault)>,
    /// Bytes that the disk still takes; `None`: it is large.
    pub(super) room: Option<u64>,
    /// Time that calls have taken and their thread has not waited for yet.
    pub(super) debt: Duration,
    /// How this life crashed, if a call made it.
    pub(super) crash: Option<Crash>,
    /// A sync has failed in this life.
    pub(super) sync_failed: bool,
    /// What the durable state says.
    pub(super) known: Option<Known>,
    /// The checkpoint behind each life.
    pub(super) kept: Vec<Kept>,
    /// What is called now is none of the recorder's own calls: it is not counted and meets no fault.
    pub(super) is_aside: bool,
    pub(super) rng: StdRng,
    pub(super) trace: Sha256,
    pub(super) violations: Vec<String>,
}

/// A system writes back what was overwritten by itself before it was overwritten this often.
pub(super) const WRITE_BACK: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Inode {
    pub(super) data: Vec<u8>,
    pub(super) synced: usize,
    /// What it held before it was overwritten, as far back as a power cut may take it.
    pub(super) before: VecDeque<Vec<u8>>,
    /// Bytes of the disk that are set aside for it.
    pub(super) reserved: u64,
    /// The pages that a failed sync has dropped, as far as nothing behind them was synced: a power cut ends the file
    /// before them.
    pub(super) doomed: Option<Range<usize>>,
    /// Pages that a failed sync has dropped, with synced ones behind: a power cut leaves zeros there.
    pub(super) zeroed: Vec<Range<usize>>,
    /// Whole lines that a sync without room has dropped: a power cut takes them, and leaves what follows.
    pub(super) dropped: Vec<Range<usize>>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            inodes: Vec::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            journal: Vec::new(),
            directories: BTreeSet::new(),
            others: BTreeMap::new(),
            open_to_others: BTreeSet::new(),
            strangers: BTreeMap::new(),
            used: BTreeMap::new(),
            removed: BTreeMap::new(),
            life: 0,
            calls: 0,
            faults: VecDeque::new(),
            room: None,
            debt: Duration::ZERO,
            crash: None,
            sync_failed: false,
            known: None,
            kept: Vec::new(),
            is_aside: false,
            rng: StdRng::seed_from_u64(seed),
            trace: Sha256::new(),
            violations: Vec::new(),
        }
    }

    /// The fault that waits for this call: those whose number has come wait for the first call that can meet them.
    pub(super) fn take_fault(&mut self, call: Call) -> Option<Fault> {
        let index = self.faults.iter().position(|(number, fault)| *number <= self.calls && call.can_meet(*fault))?;
        self.faults.remove(index).map(|(_, fault)| fault)
    }

    pub(super) fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.journal.push(change);
    }

    /// Does it to one of the active files, which chance decides; what it costs must not be the recorder's own events.
    pub(super) fn displace(&mut self, how: Displace) {
        let is_waiting = how == Displace::UnlinkWaiting;
        let is_meant = |path: &&PathBuf| {
            let is_in_root =
                path.parent().is_some_and(|parent| parent.as_os_str().is_empty() || parent.ends_with("private"));
            let is_own = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("recorder."));
            let is_manifest = path.ends_with("manifest.jsonl") || path.starts_with("quarantine");
            is_in_root != is_waiting
                && !is_manifest
                && path.extension().is_some_and(|ending| ending == "jsonl")
                && !(is_own && how.is_lossy())
        };
        let meant: Vec<PathBuf> = self.names.keys().filter(is_meant).cloned().collect();
        if meant.is_empty() {
            return;
        }
        let path = meant[self.rng.random_range(0..meant.len())].clone();
        let inode = self.names[&path];
        self.trace.update(format!("{how:?} {}\n", path.display()));
        match how {
            Displace::Unlink | Displace::UnlinkWaiting => self.change(Change::Unlink(path)),
            Displace::Rename => {
                let other = format!("{}.{}", path.display(), self.calls);
                self.change(Change::Rename(path, other.into()));
            }
            Displace::Replace => {
                let data = self.inodes[inode].data.clone();
                self.inodes.push(Inode { synced: data.len(), data, ..Inode::default() });
                self.change(Change::Link(path, self.inodes.len() - 1));
            }
            Displace::Truncate(thousandths) => {
                let inode = &mut self.inodes[inode];
                inode.data.truncate(inode.data.len() * usize::try_from(thousandths).unwrap() / 1000);
                inode.synced = inode.synced.min(inode.data.len());
            }
            Displace::Grow => self.inodes[inode].data.extend_from_slice(&[0; 100]),
        }
    }

    pub(super) fn identify(&self, inode: usize) -> Identity {
        Identity {
            file: FileId { device: 1, inode: inode as u64 },
            links: self.names.values().filter(|named| **named == inode).count() as u64,
            bytes: self.inodes[inode].data.len() as u64,
        }
    }

    pub(super) fn commit(&mut self) {
        for change in std::mem::take(&mut self.journal) {
            apply(&mut self.durable, &change);
        }
        self.look_at_state();
    }

    pub(super) fn sync_inode(&mut self, inode: usize) {
        let inode = &mut self.inodes[inode];
        inode.before.clear();
        // What was clean after the failure is not written again: only more than that makes a sync true.
        let dropped = inode.doomed.take_if(|dropped| dropped.end < inode.data.len());
        inode.zeroed.extend(dropped);
        if inode.doomed.is_none() {
            inode.synced = inode.data.len();
        }
    }

    pub(super) fn cut_power(&mut self) {
        let kept = self.rng.random_range(0..=self.journal.len());
        let journal = std::mem::take(&mut self.journal);
        journal[..kept].iter().for_each(|change| apply(&mut self.durable, change));
        self.names = self.durable.clone();
        for inode in &mut self.inodes {
            let back = self.rng.random_range(0..=inode.before.len());
            if let Some(before) = std::mem::take(&mut inode.before).into_iter().nth_back(back) {
                inode.data = before;
                continue;
            }
            let end = inode.doomed.take().map_or(inode.data.len(), |dropped| dropped.start).max(inode.synced);
            let kept = self.rng.random_range(inode.synced..=end);
            inode.data.truncate(kept);
            for zeroed in std::mem::take(&mut inode.zeroed) {
                inode.data[zeroed.start.min(kept)..zeroed.end.min(kept)].fill(0);
            }
            for dropped in std::mem::take(&mut inode.dropped).into_iter().rev() {
                inode.data.drain(dropped.start.min(kept)..dropped.end.min(kept));
            }
            inode.synced = inode.data.len();
        }
        self.look_at_state();
    }

    pub(super) fn violation(&mut self, text: String) {
        self.violations.push(format!("in life {}: {text}", self.life / 2));
    }
}

impl Call {
    pub(super) fn can_meet(self, fault: Fault) -> bool {
        match fault {
            Fault::Fail(EINTR) => matches!(self, Self::Write | Self::Read),
            Fault::Fail(EIO) | Fault::Stall(_) | Fault::Crash(_) => true,
            Fault::Fail(EFBIG) => self == Self::Write,
            // What opens a file; reading is left out, since a start has to give up where nothing can be read.
            Fault::Fail(EMFILE) => matches!(self, Self::Create | Self::MakeDirectory | Self::SyncDirectory),
            Fault::Fail(_) => matches!(self, Self::Write | Self::Create | Self::Rename | Self::MakeDirectory),
            Fault::Short => self == Self::Write,
            Fault::NoRoom => matches!(self, Self::Sync | Self::Replace),
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, change: &Change) {
    match change {
        Change::Link(path, inode) => drop(names.insert(path.clone(), *inode)),
        Change::Unlink(path) => drop(names.remove(path)),
        Change::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

impl Inode {
    pub(super) fn doom(&mut self) {
        if self.synced < self.data.len() {
            let from = self.doomed.take().map_or(self.synced, |dropped| dropped.start);
            self.doomed = Some(from..self.data.len());
        }
    }
}
