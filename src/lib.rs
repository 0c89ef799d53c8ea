//! upbit-recorder

pub mod clock;
pub mod config;
pub mod connection;
pub mod upbit;
