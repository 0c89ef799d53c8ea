//! What stands on disk: names, lines, and what both tell. Pure: no file is touched here but by `reader` and
//! `quarantine`.
//!
//! Writing and reading share these rooms, so that there is one grammar.

pub mod certificate;
pub mod checkpoint;
pub mod day;
pub mod decimal;
pub mod durable;
pub mod event;
pub mod gap;
pub mod healed;
pub mod line;
pub mod manifest;
pub mod paths;
pub mod quarantine;
pub mod reader;
pub mod record;
pub mod segment_name;
pub mod stream_key;
pub mod words;
