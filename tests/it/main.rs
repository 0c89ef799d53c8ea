//! The integration tests: a file per promise.

mod replay;
