//! The assembled recorder: both connections, the gap tracker, the writer, on any disk and any network.

pub mod assembly;
pub mod gaps;
pub mod supervisor;
