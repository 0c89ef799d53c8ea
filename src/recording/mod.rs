//! Writing: from a batch of frames to sealed, checksummed files.

pub mod archive;
pub mod journal;
pub mod lock;
pub mod mark;
pub mod progress;
pub mod recovery;
pub mod report;
pub mod rotation;
pub mod router;
pub mod seal;
pub mod segment;
pub mod sync;
pub mod threads;
pub mod writer;
