//! The outputs of a session, executed by the server.

use bytes::Bytes;

/// An action for the server.
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
