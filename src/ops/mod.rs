//! The operator's view of a running recorder.

pub mod status;
pub mod systemd;
