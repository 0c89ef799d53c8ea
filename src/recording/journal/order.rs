//! What crosses the queue to the journal: data, events and time in the one order that the supervisor gave them.

use crate::batch::Batch;
use crate::clock::Stamp;
use crate::recording::rotation::Reason;
use crate::recording::router::{NewStream, StreamId};
use crate::tape::manifest::Origins;
use crate::upbit::feed::Feed;
use std::sync::Arc;

/// What the supervisor tells the journal, in the one order of everything.
#[derive(Debug)]
pub enum Order {
    /// A stream has got its number.
    Open(NewStream),
    /// Records for their streams.
    Lines(Routed),
    /// An event of the recorder's own.
    Event(StreamId, Stamp, Object),
    /// Objects that were missed and fetched later, with their stamps: as [`Order::Event`], but they can wait.
    Missed(StreamId, Vec<(Stamp, String)>),
    /// What the exchange is asked from here on, per stream.
    Describe(Feed, Arc<Origins>),
    /// Time passes, and periods end.
    Tick {
        /// The time.
        stamp: Stamp,
        /// It is time for a sync, too: with it everything up to here is certain.
        sync: Option<Stamp>,
    },
    /// Every stream is rotated.
    Rotate,
    /// Every name is looked at, before the end.
    Look,
    /// Every stream is rotated, and only then it is written why: the stamps that follow are of another time line. So
    /// whoever finds that after a crash knows that every active file is of that line, and which segments are not.
    Step(Step),
}

/// The object of an event, without its stamp.
#[derive(Debug)]
pub enum Object {
    /// As it is.
    Text(String),
    /// One that tells which segments have ended for a reason and are not on record yet; without any, there is no line. The
    /// names stay with the journal until then, so that they are told in the time line in which they ended.
    Ended(Reason, Tell),
}

/// Makes the event that tells which segments have ended.
pub type Tell = fn(Reason, Vec<String>) -> String;

impl From<String> for Object {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Stamps go on elsewhere.
#[derive(Debug)]
pub struct Step {
    /// How often they have gone back.
    pub epoch: u64,
    /// The recorder's own stream.
    pub recorder: StreamId,
    /// The first stamp of the new time line, and the event that has it, without it.
    pub step: (Stamp, String),
    /// The next stamp, and what makes the event of it.
    pub rotated: (Stamp, Tell),
}

/// A batch with the stamp and the stream of each of its entries.
#[derive(Debug)]
pub struct Routed {
    /// The frames.
    pub batch: Batch,
    /// One per entry of the batch, in order.
    pub lines: Vec<(Stamp, StreamId)>,
}
