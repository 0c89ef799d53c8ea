//! upbit-recorder

pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod connection;
pub mod desired;
pub mod exit;
pub mod logging;
pub mod signals;
pub mod upbit;
