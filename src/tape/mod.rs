//! The names of things on disk, and what a name tells. Pure: no file is touched here.
//!
//! Writing and reading share these rooms, so that there is one grammar.

pub mod event;
pub mod line;
pub mod manifest;
pub mod reader;
pub mod segment_name;
pub mod stream_key;
