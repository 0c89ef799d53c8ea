//! The integration tests: the real parts together, a file per promise.

mod config;
mod replay;
