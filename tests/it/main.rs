//! The promises, each tested against the real parts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod actor;
mod network;
