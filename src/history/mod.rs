//! History, asked for afterwards over REST: by span, where a gap missed it, or to be compared with the tape.

pub mod audit;
pub mod backfill;
pub mod healing;
