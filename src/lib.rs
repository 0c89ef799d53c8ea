#![doc = include_str!("../ARCHITECTURE.md")]

pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod connection;
pub mod desired;
pub mod events;
pub mod exit;
pub mod ledger;
pub mod logging;
pub mod recording;
pub mod replay;
pub mod signals;
pub mod status;
pub mod supervisor;
pub mod upbit;
