//! The exchange's protocol: requests, frames, tokens, limits, addresses.
//!
//! Pure: no clock, no I/O; randomness is an argument. Facts come from Upbit's developer pages
//! (docs.upbit.com) and, where those differ from the wire, from the wire.

pub mod auth;
pub mod codes;
pub mod error_object;
pub mod excerpt;
pub mod feed;
pub mod limits;
pub mod listing;
pub mod message;
pub mod names;
pub mod refusal;
pub mod series;
pub mod subscription;
pub mod ticker;
pub mod types;
pub mod url;
pub mod venue;
