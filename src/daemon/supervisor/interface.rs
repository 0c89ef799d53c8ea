//! What the driver and the sequencer hand each other, beside deliveries and commands.

use crate::clock::{Instant, Stamp};
use crate::desired::Wanted;
use crate::history::healing::HealerInput;
use crate::recording::retention::plan::KeepLimits;
use crate::recording::rotation::Rotation;
use crate::tape::rest_objects::RestObjects;
use crate::upbit::feed::{Feed, PerFeed};
use crate::upbit::subscription::Request;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// The clocks of the machine, read together once for each input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// The monotonic clock.
    pub(super) now: Instant,
    /// The wall clock.
    pub(super) wall: Stamp,
    /// For how long the machine has been suspended since it booted.
    pub(super) suspended: Duration,
}

/// A request of the operator, by a signal.
#[derive(Debug)]
pub enum OperatorRequest {
    /// Begin new files.
    Rotate,
    /// The configuration is being read again.
    Reloading,
    /// It was read; an error says why the earlier one stays in force.
    Reload(Result<Box<Reload>, String>),
}

/// What a reload brings into force.
#[derive(Debug)]
pub struct Reload {
    /// The subscriptions of each connection; one that is off ignores them.
    pub wanted: PerFeed<Wanted>,
    /// When segments end.
    pub rotation: Rotation,
    /// Which sealed files are kept.
    pub limits: KeepLimits,
    /// The keys that have another value.
    pub changed: Vec<String>,
    /// The keys that differ and need a restart.
    pub restart: Vec<String>,
}

/// The supervisor's end of whoever follows the list of pairs.
#[derive(Debug)]
pub struct PairsHandle {
    /// Calls for a look at once.
    pub look: Arc<Notify>,
    /// What is to be recorded of the exchange's answers.
    pub objects: mpsc::Receiver<RestObjects>,
}

/// Done by the driver, after each input.
#[derive(Debug)]
pub(super) enum Action {
    /// Connections hand over what they have, and close.
    CloseConnections,
    /// Connections that have not ended are aborted, and the sealer no longer paces itself.
    SealTheRest,
    /// A connection should send this request next.
    Request(Feed, Request),
    /// Sealed files are kept by these limits from now on.
    Keep(KeepLimits),
    /// The list of pairs may be about to change: it is looked at.
    LookAtPairs,
    /// The status is published at once: an operator waits for what it says of a reload.
    Publish,
    /// The healer, if there is one, gets the newest state.
    TellHealer(HealerInput),
}

/// How far the writer has come, where it has messages in hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unwritten {
    /// Everything stamped up to here is in its file.
    pub(super) written: Stamp,
    /// The number of clock steps up to it.
    pub(super) steps: u64,
}
