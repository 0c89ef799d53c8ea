//! One file per command-line verb.

pub mod replay;
