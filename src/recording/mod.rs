//! Writing: from a batch of frames to sealed, checksummed files.

pub mod archive;
pub mod checkpoint;
pub mod journal;
pub mod lock;
pub mod mend;
pub mod progress;
pub mod report;
pub mod resume;
pub mod retention;
pub mod rotation;
pub mod router;
pub mod seal;
pub mod segment;
pub mod start;
pub mod sync;
pub mod threads;
pub mod vitals;
pub mod writer;
