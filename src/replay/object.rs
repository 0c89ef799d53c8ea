//! What is played: an object of a recording.

use crate::clock::Position;
use bytes::Bytes;

/// An object as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReelObject {
    /// When.
    pub at: Position,
    /// The stream that it is of.
    pub stream: String,
    /// Its bytes.
    pub object: Bytes,
}
