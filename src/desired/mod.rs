//! From the entries of the configuration and the list of pairs to the request that a connection should have standing.
//! Pure.
//!
//! ```text
//! entries ──resolve──▶ codes instead of patterns ──merge──▶ Request
//!              ▲
//!        the pairs listed: they change while the recorder runs
//! ```

mod request;
mod resolve;

pub use request::{Wanted, request, streams};
pub use resolve::{Listed, Resolution, resolve};
