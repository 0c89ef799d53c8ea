//! upbit-recorder

pub mod clock;
pub mod commands;
pub mod config;
pub mod connection;
pub mod replay;
pub mod upbit;
