//! A disk in memory that remembers what was synced, and loses the rest when the power is cut.
//!
//! ```text
//! names ──journal, in order──▶ durable names      a power cut keeps a part of the journal from its beginning
//! data  ──synced up to───────▶ durable data       a power cut keeps at least that much, and tears anywhere behind it
//! ```
//!
//! Every call has a number, counted through each life of the recorder, and a fault may wait for it. After a crash the
//! handles of the life that ended do nothing any more: whatever that process would still have done did not happen.

mod checkpoint;
mod files;
mod others;
mod state;

pub(crate) use checkpoint::Amnesia;
pub(crate) use state::{Crash, Displace, EDQUOT, EFBIG, EINTR, EIO, EMFILE, ENOSPC, Fault};

use files::SimFiles;
use sha2::Digest;
use state::State;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use upbit_recorder::files::Files;

/// The disk, as the world holds it; it outlives every life of the recorder.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    crashed: Notify,
}

impl SimDisk {
    /// An empty disk; `seed` decides what a crash tears.
    pub(crate) fn new(seed: u64) -> Self {
        let state = State::new(seed);
        Self(Arc::new(Shared { state: Mutex::new(state), crashed: Notify::new() }))
    }

    /// The disk for a new life; `faults` wait for their calls, in order of their numbers.
    pub(crate) fn begin_life(&self, faults: VecDeque<(u64, Fault)>) -> Arc<dyn Files> {
        let mut state = self.lock();
        state.life += 1;
        (state.calls, state.faults, state.crash) = (0, faults, None);
        state.sync_failed = false;
        state.debt = Duration::ZERO;
        Arc::new(SimFiles { disk: self.clone(), life: state.life })
    }

    /// Ends a life: whatever it would still do does not happen.
    pub(crate) fn end_life(&self, crash: Option<Crash>) {
        let mut state = self.lock();
        state.life += 1;
        state.room = None;
        if crash == Some(Crash::PowerCut) {
            state.cut_power();
        }
        drop(state);
        self.keep_checkpoint();
    }

    /// Waits for a call that ends the life.
    pub(crate) async fn crashed(&self) -> Crash {
        loop {
            if let Some(crash) = self.lock().crash {
                return crash;
            }
            self.0.crashed.notified().await;
        }
    }

    /// Whether there was such a call.
    pub(crate) fn has_crashed(&self) -> bool {
        self.lock().crash.is_some()
    }

    /// From now on the disk takes this many bytes; `None`: any number.
    pub(crate) fn set_room(&self, room: Option<u64>) {
        self.lock().room = room;
    }

    /// Somebody lays hands on an active file.
    pub(crate) fn displace(&self, how: Displace) {
        self.lock().displace(how);
    }

    /// The time that calls have taken since this was last asked.
    pub(crate) fn take_debt(&self) -> Duration {
        std::mem::take(&mut self.lock().debt)
    }

    /// Whether calls from now on are aside from the recorder's own, as those of the healer: reading alone, and so often that
    /// no fault would be left for the others.
    pub(crate) fn set_aside(&self, is_aside: bool) {
        self.lock().is_aside = is_aside;
    }

    /// Whether a sync has failed in this life.
    pub(crate) fn sync_failed(&self) -> bool {
        self.lock().sync_failed
    }

    /// What no program may do to a disk like this, and was done.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// Every file, by name.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.lock();
        state.names.iter().map(|(name, inode)| (name.clone(), state.inodes[*inode].data.clone())).collect()
    }

    /// What was in sealed files that the recorder has removed, by name.
    pub(crate) fn removed(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.lock();
        state.removed.iter().map(|(name, inode)| (name.clone(), state.inodes[*inode].data.clone())).collect()
    }

    /// A fingerprint of every call and every byte so far.
    pub(crate) fn fingerprint(&self) -> String {
        let state = self.lock();
        let mut hash = state.trace.clone();
        for (name, inode) in &state.names {
            hash.update(name.as_os_str().as_encoded_bytes());
            hash.update(&state.inodes[*inode].data);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}
