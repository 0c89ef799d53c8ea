//! The snapshot as OpenMetrics, rendered when it is scraped. Pure; the only room that names the metrics library.
//!
//! | part | families about |
//! |---|---|
//! | `process` | the process, its configuration and loops, the clock, REST |
//! | `feeds` | connections, streams, gaps |
//! | `disk` | writing, syncing, sealing, room |
//! | `upload` | what is uploaded |
//! | `sink` | how a family is written |
//!
//! Labels are few and bounded: `type` is a type that the exchange is known to have, and a code is never one, since each
//! would cost every scrape a line for each of a thousand pairs: they stand in `/status`.

mod disk;
mod feeds;
mod process;
mod sink;
mod upload;

use super::status::Status;
use crate::clock::Instant;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::registry::Registry;
use sink::Sink;
use std::fmt;

/// What [`render`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// In front of every name.
pub const PREFIX: &str = "upbit_recorder";

/// A snapshot at a moment.
#[derive(Debug)]
struct Scrape {
    status: Status,
    now: Instant,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut sink = Sink::new(encoder);
        process::encode(&mut sink, &self.status, self.now)?;
        feeds::encode(&mut sink, &self.status)?;
        disk::encode(&mut sink, &self.status)?;
        upload::encode(&mut sink, &self.status)
    }
}

/// All families of a snapshot at `now`.
pub fn render(status: &Status, now: Instant) -> String {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Scrape { status: status.clone(), now }));
    let mut text = String::new();
    text::encode(&mut text, &registry).expect("writing to a string cannot fail");
    text
}

#[cfg(test)]
mod tests;
