//! One connection against a real WebSocket server at the other end of a pipe, in virtual time.

mod auxiliary;
mod frozen;
mod hostile;
mod private;
pub(crate) mod rig;
mod session;
mod streams;
