//! The on-disk format: names, lines, and their meaning. Pure: only `reader` and `quarantine` touch files.
//!
//! Writer and reader share these rooms, so that there is one grammar.

pub mod certificate;
pub mod checkpoint;
pub mod day;
pub mod day_summary;
pub mod decimal;
pub mod durable;
pub mod event;
mod feed_names;
pub mod gap;
pub mod healed;
pub mod line;
pub mod manifest;
pub mod paths;
pub mod quarantine;
pub mod reader;
pub mod record;
pub mod rest_objects;
pub mod segment_name;
pub mod state;
pub mod stream_key;
pub mod uploaded;
pub mod words;
