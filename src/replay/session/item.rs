//! The events of a slot, and the objects sent for them.

use super::topic::Topic;
use crate::replay::market::{AccountEvent, Trade};
use crate::replay::wire::frames::StreamType;

/// An event of a slot.
#[derive(Clone, Debug)]
pub(super) enum SlotEvent {
    /// A code's book changed.
    Book { code: usize, slot: u64 },
    /// A code was traded.
    Trade { code: usize, trade: Trade },
    /// A second is full.
    Second,
    /// An event of the account.
    Account(AccountEvent),
}

/// One object for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The type's name.
    pub(super) kind: &'static str,
    /// The code's place in the market; `None` for types without one.
    pub(super) code: Option<usize>,
    /// A snapshot, or realtime.
    pub(super) stream: StreamType,
    /// The object.
    pub(super) text: String,
}

impl Item {
    /// A realtime object of a code.
    pub(super) fn realtime(topic: Topic, code: usize, text: String) -> Self {
        Self { kind: topic.kind(), code: Some(code), stream: StreamType::Realtime, text }
    }
}
