//! upbit-recorder

pub mod clock;
pub mod config;
pub mod connection;
pub mod recording;
pub mod upbit;
