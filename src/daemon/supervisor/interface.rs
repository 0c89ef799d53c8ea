//! What the driver and the sequencer hand each other, beside deliveries and commands.

use crate::clock::{Instant, Stamp};
use crate::history::healing::HealerInput;
use crate::upbit::feed::Feed;
use crate::upbit::subscription::Request;
use std::time::Duration;

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

/// Done by the driver, after each input.
#[derive(Debug)]
pub(super) enum Action {
    /// Connections hand over what they have, and close.
    CloseConnections,
    /// Connections that have not ended are aborted, and the sealer no longer paces itself.
    SealTheRest,
    /// A connection should send this request next.
    Request(Feed, Request),
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
