//! The integration tests: the real parts together, a file per promise.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod actor;
mod config;
mod console;
#[cfg(feature = "export")]
mod export;
mod format;
mod languages;
mod layers;
mod network;
mod ops;
mod packages;
mod reading;
mod record;
mod replay;
mod rest;
mod sim;
mod sources;
mod support;
mod upload;
mod verify;
