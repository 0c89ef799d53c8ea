//! What a session has the server do.

use bytes::Bytes;

/// What the server has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Frame(Bytes),
    /// Send a close frame with this code.
    Close(u16),
    /// Begin a frame and cut the connection in the middle.
    Half,
    /// Cut the connection.
    Drop,
}
