//! A local exchange: the server's side of Upbit's protocol, from recordings or from a sample market.
//!
//! ```text
//!  server ── TCP, TLS, upgrade ──▶ socket ──messages, times──▶ session (pure) ──▶ playback ──▶ market (pure)
//!                                    │                             └───────────▶ recorded frames
//!                                    └─▶ sent log
//! ```
//!
//! It is written from what is known of the exchange and shares no code with the recorder's own client, so that one
//! misunderstanding cannot hide the other.

mod market;
mod playback;
mod recorded;
mod sent;
mod server;
mod session;
mod socket;
mod wire;

pub use market::{MAX_PAIRS, Market};
pub use recorded::{Recorded, RecordedError};
pub use sent::SentLog;
pub use server::{PUBLIC_PATH, Server, ServerError, Service, tls_acceptor};
pub use session::Source;
