//! Commands of the queue to the journal: data, events and time, in the supervisor's order.

use crate::batch::Batch;
use crate::clock::Stamp;
use crate::recording::rotation::Rotation;
use crate::recording::router::{NewStream, StreamId};
use crate::recording::sync::SyncPoint;
use crate::tape::manifest::Origins;
use crate::tape::state::State;
use crate::tape::words::RotationReason;
use crate::upbit::feed::Feed;
use std::sync::Arc;

/// A command of the supervisor to the writer. Commands are executed in queue order.
#[derive(Debug)]
pub enum JournalCommand {
    /// A stream has got its number.
    Open(NewStream),
    /// Records for their streams.
    Lines(Routed),
    /// An event of the recorder's own.
    Event(StreamId, Stamp, EventObject),
    /// Objects that were fetched, with their stamps: as [`JournalCommand::Event`], but without its priority on a full disk.
    Missed(StreamId, Vec<(Stamp, String)>),
    /// The requests to the exchange from here on, per stream.
    Describe(Feed, Arc<Origins>),
    /// Time passes, and rotation periods end.
    Tick {
        /// The time.
        stamp: Stamp,
        /// A sync is due: what is certain once it is done.
        sync: Option<Box<SyncPoint>>,
    },
    /// Rotates every stream, for this reason.
    Rotate(RotationReason),
    /// Segments end by other bounds from here on.
    SetRotation(Rotation),
    /// Compares every active name with its open file, before the stop.
    CheckNames,
    /// Stamps go on from another time of the same epoch: rotates every stream before the `clock_step` event is written.
    Step(ClockStep),
    /// Stamps go back: as [`JournalCommand::Step`], but the states around it are durable in between, so that after a
    /// crash every active file belongs to the epoch in the state.
    BeginEpoch(Box<BeginEpoch>),
    /// The last command of a process that stops in order: the state that holds once everything is durable.
    Stop(Box<State>),
}

/// A new epoch.
#[derive(Debug)]
pub struct BeginEpoch {
    /// Durable before a segment is ended: the step, and in the redo list what is in doubt if the process dies in it.
    pub stepping: SyncPoint,
    /// Durable once all segments are ended, and before the first line.
    pub begun: SyncPoint,
    /// The first lines.
    pub step: ClockStep,
}

/// The object of an event, without its stamp.
#[derive(Debug)]
pub enum EventObject {
    /// Written unchanged.
    Text(String),
    /// Names the segments ended for this reason and not yet on record; without any, no line is written. The
    /// journal keeps the names until then, so that they are recorded in the epoch in which the segments ended.
    Ended(RotationReason, MakeEvent),
}

/// Makes the object of the event that names ended segments.
pub type MakeEvent = fn(RotationReason, Vec<String>) -> String;

impl From<String> for EventObject {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Stamps go on from the stepped clock.
#[derive(Debug)]
pub struct ClockStep {
    /// The epoch from here on.
    pub epoch: u64,
    /// The recorder's own stream.
    pub recorder: StreamId,
    /// The first stamp behind the step, that of the `clock_step` event.
    pub first: Stamp,
    /// The object of the `clock_step` event.
    pub event: String,
    /// The stamp of the `rotated` event behind it.
    pub second: Stamp,
    /// Makes the object of the `rotated` event.
    pub rotated: MakeEvent,
}

/// A batch with the stamp and the stream of each of its entries.
#[derive(Debug)]
pub struct Routed {
    /// The frames.
    pub batch: Batch,
    /// One per entry of the batch, in order.
    pub lines: Vec<(Stamp, StreamId)>,
}
