//! Writing: from a batch of frames to sealed, checksummed files.

pub mod journal;
pub mod lock;
pub mod mark;
pub mod recovery;
pub mod rotation;
pub mod router;
pub mod seal;
pub mod sync;
pub mod threads;
pub mod writer;
