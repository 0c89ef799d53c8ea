//! From the entries of the configuration and the list of pairs to the request that a connection should have standing.
//! Pure.
//!
//! ```text
//! entries ──resolve──▶ codes in the place of patterns ──merge──▶ Request
//!              ▲
//!        pairs listed, which changes while the recorder runs
//! ```

mod request;
mod resolve;

pub use request::{Wanted, request, streams};
pub use resolve::{Listed, Resolution, resolve};
