//! Counts and times that a thread notes and others read: plain integers, behind a lock that is held for nanoseconds.
//!
//! | part | noted by | |
//! |---|---|---|
//! | [`durations`] | syncer, sealer | how long each job took |
//! | [`requests`] | REST clients | requests by group and status |
//! | [`uploads`] | the uploader | what waits to be uploaded, and what was |
//! | [`turns`] | writer, syncer, sealer | when each last took up work or put it down |

pub mod durations;
pub mod requests;
pub mod turns;
pub mod uploads;
