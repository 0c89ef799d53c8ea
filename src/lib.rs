//! upbit-recorder

pub mod clock;
pub mod config;
pub mod connection;
pub mod events;
pub mod ledger;
pub mod recording;
pub mod status;
pub mod supervisor;
pub mod upbit;
