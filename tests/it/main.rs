//! The promises, each tested against the real parts.

mod actor;
mod network;
