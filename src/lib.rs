#![doc = include_str!("../ARCHITECTURE.md")]

pub mod backoff;
pub mod batch;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod connection;
pub mod counters;
pub mod daemon;
pub mod desired;
pub mod exit;
pub mod files;
pub mod history;
#[cfg(feature = "export")]
pub mod lake;
pub mod logging;
pub mod net;
pub mod ops;
pub mod ownership;
pub mod printable;
pub mod quantity;
pub mod reading;
pub mod recording;
pub mod replay;
pub mod rest;
pub mod signals;
pub mod tape;
pub mod upbit;
pub mod upload;
pub mod verify;
pub mod window;

#[cfg(test)]
mod tests;
