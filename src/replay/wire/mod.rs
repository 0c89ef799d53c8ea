//! The exchange's side of the wire: requests read, frames written.

pub(crate) mod frames;
mod number;
mod object;
pub(crate) mod request;
mod time;
