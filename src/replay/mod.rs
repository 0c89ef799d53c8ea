//! A local exchange: the server's side of Upbit's protocol, from recordings or from a sample market.
//!
//! ```text
//!  server ─ TCP, TLS ─▶ http ─ REST ────────────────▶ rest (pure) ────────┐
//!                        └─ upgrade ─▶ socket ──────▶ session (pure) ─────┼─▶ market (pure)
//!                                        └▶ sent log    └▶ recorded frames└─▶ reel: a recording, which the caller reads
//!                                                                               └─▶ live: and what comes behind it
//!  faults (pure): consulted at every step
//! ```
//!
//! It is written from the exchange's documentation and captures and shares no code with the recorder's own client, so
//! that one misunderstanding cannot hide the other. The rooms marked pure take times as arguments and do no I/O: a
//! simulated world can host a [`Session`] and its [`Faults`] as the server does.

#[cfg(test)]
mod fake;
mod faults;
mod live;
mod market;
mod object;
mod recorded;
mod reel;
mod rest;
mod server;
mod session;
mod wire;

pub use faults::{Fault, Faults, MAX_FAULTS, NoPlan, Plan, Stage};
pub use live::Live;
pub use market::{MAX_PAIRS, Market};
pub use object::ReelObject;
pub use recorded::{Recorded, RecordedError};
pub use reel::{Objects, Recording, Reel, Silence, Span};
pub use rest::Keys;
pub use server::{Exchange, PRIVATE_PATH, PUBLIC_PATH, SentLog, Server, ServerError, tls_acceptor};
pub use session::{Habits, Output, Session, Source};
pub use wire::request::Endpoint;
