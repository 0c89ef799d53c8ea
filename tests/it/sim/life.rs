//! A life: what happens to one process, and how it ends.

use super::disk::{Amnesia, Crash, Displace, EINTR, Fault};
use super::exchange::Mood;
use super::machine::Freeze;
use super::reloads::Reloading;
use std::collections::VecDeque;
use std::time::Duration;
use upbit_recorder::files::EntryKind;
use upbit_recorder::upbit::feed::Feed;

/// One process from its start to its end, and the time until the next one.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) mood: Mood,
    pub(crate) length: Duration,
    pub(crate) end: End,
    /// Faults of the disk by the number of the call, in order.
    pub(crate) faults: VecDeque<(u64, Fault)>,
    /// When the disk has only this many bytes left, and for how long.
    pub(crate) full: Option<(Duration, Duration, u64)>,
    /// When others lay hands on an active file, and what they do.
    pub(crate) displaced: Vec<(Duration, Displace)>,
    /// What stands at names of ours when it begins, and whether everything can be read by others then.
    pub(crate) obstacles: Vec<(&'static str, EntryKind)>,
    pub(crate) has_lost_modes: bool,
    /// What its start does not find of what the lives before it knew.
    pub(crate) amnesia: Option<Amnesia>,
    /// The feed that is not recorded.
    pub(crate) off: Option<Feed>,
    /// Nothing happens on the account.
    pub(crate) has_quiet_account: bool,
    /// Until the next life begins.
    pub(crate) pause: Duration,
    /// How far the wall clock is set forward in that time, or back, µs.
    pub(crate) jump: i64,
    /// When it is set while the recorder runs, and how far.
    pub(crate) steps: Vec<(Duration, i64)>,
    /// When the recorder does not run for a while, in order.
    pub(crate) freezes: Vec<Freeze>,
    /// It heals gaps.
    pub(crate) heals: bool,
    /// When its configuration is read again, in order.
    pub(crate) reloads: Vec<Reloading>,
    /// What its recorder keeps of sealed files, by age and by bytes.
    pub(crate) keep_for: Option<Duration>,
    pub(crate) keep_bytes: Option<u64>,
}

/// How a life ends when its time is over, unless a fault ends it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Stop,
    Crash(Crash),
}

impl Life {
    /// A life in which nothing goes wrong, stopped in order.
    pub(crate) fn quiet(seconds: u64) -> Self {
        Self {
            mood: Mood::Kind,
            length: Duration::from_secs(seconds),
            end: End::Stop,
            faults: VecDeque::new(),
            full: None,
            displaced: Vec::new(),
            obstacles: Vec::new(),
            has_lost_modes: false,
            amnesia: None,
            off: None,
            has_quiet_account: false,
            pause: Duration::from_secs(3),
            jump: 0,
            steps: Vec::new(),
            freezes: Vec::new(),
            heals: false,
            reloads: Vec::new(),
            keep_for: None,
            keep_bytes: None,
        }
    }

    /// A life with the time to heal what those before it have missed.
    pub(crate) fn healing() -> Self {
        Self { mood: Mood::Calm, heals: true, ..Self::quiet(180) }
    }

    /// Whether the disk does what it is asked to, until the life ends.
    pub(crate) fn has_sound_disk(&self) -> bool {
        let is_harmless = |fault: &Fault| matches!(fault, Fault::Short | Fault::Fail(EINTR) | Fault::Crash(_));
        self.is_left_alone() && self.full.is_none() && self.faults.iter().all(|(_, fault)| is_harmless(fault))
    }

    /// Whether the disk does so at last, however slowly.
    pub(crate) fn has_honest_disk(&self) -> bool {
        let is_refusal =
            |fault: &Fault| matches!(fault, Fault::Fail(errno) if *errno != EINTR) || *fault == Fault::NoRoom;
        let is_lossy = self.displaced.iter().any(|(_, how)| how.is_lossy());
        !is_lossy && self.full.is_none() && !self.faults.iter().any(|(_, fault)| is_refusal(fault))
    }

    /// Whether nobody else lays hands on its files.
    pub(crate) fn is_left_alone(&self) -> bool {
        self.displaced.is_empty()
    }
}
