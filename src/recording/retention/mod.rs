//! Retention: which sealed files are deleted, and when none may be.
//!
//! ```text
//! holdings ──Day──▶ plan (limits, now) ──Removal…──▶ batch ──▶ `pruned` lines ──sync──▶ files removed ──sync──▶ next
//!                                          circumstances ┘  before each: the clock, the last line, the last step
//! ```
//!
//! | part | owns |
//! |---|---|
//! | [`plan`] | PURE: what is beyond the limits, oldest first |
//! | [`circumstances`] | PURE: why nothing may be deleted; and what is read to know it |
//! | [`holdings`] | what the archive has of a date |
//! | [`run`] | a pass over the archive, in batches; what it does on the disk |
//!
//! It is about what the recorder wrote, in both trees. What was fetched into `rest/` stays: its checkpoint says that it
//! is there, and its stamps tell when it was fetched. So does everything in `quarantine/`, which waits for a person.
//!
//! A file goes when it is beyond one of the limits, never for lack of room alone: another program that fills the disk must
//! not cost what the operator wanted kept.

pub mod circumstances;
pub mod holdings;
pub mod plan;
pub mod run;
