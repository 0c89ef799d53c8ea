//! The lines that a sealed segment gets in the manifest of its directory.
//!
//! ```text
//! {"name":"KRW-BTC_trade.20261122T051204.113204Z.jsonl.zst","stream":"KRW-BTC_trade",…,"sha256":"9f86d0…"}
//! ```
//!
//! A file that retention deletes gets another one: of two lines with one name the last holds.
//!
//! ```text
//! {"name":"KRW-BTC_trade.20261122T051204.113204Z.jsonl.zst","pruned":1803100324113204,"reason":"keep_for"}
//! ```

use super::stream_key::{StreamKey, WireName};
use super::words::{PruneReason, Word};
use crate::clock::Stamp;
use crate::upbit::subscription::{Format, Request};
use crate::upbit::venue::Venue;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The provenance of a stream's lines: the request that stood when they arrived.
#[derive(Clone, Debug)]
pub struct Origin {
    /// How the frames are spelt.
    pub format: Format,
    /// The entry of the request, narrowed to the stream, as sent.
    pub subscription: Arc<RawValue>,
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format && self.subscription.get() == other.subscription.get()
    }
}

/// The origins of all streams of one connection.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    by_stream: BTreeMap<StreamKey, Origin>,
    /// Types that were asked for without codes, such as `myOrder`.
    by_kind: BTreeMap<String, Origin>,
}

impl Origins {
    /// The provenance of each stream under `request`.
    pub fn of(request: &Request) -> Self {
        let mut origins = Self::default();
        for subscription in &request.subscriptions {
            let origin = |code: Option<&str>| Origin {
                format: request.format,
                subscription: RawValue::from_string(subscription.narrowed(code)).expect("it is JSON").into(),
            };
            if subscription.codes.is_empty() {
                origins.by_kind.insert(subscription.kind.clone(), origin(None));
            }
            for code in &subscription.codes {
                if let Some(name) = WireName::parse(&subscription.kind, Some(code)) {
                    origins.by_stream.insert(name.into(), origin(Some(code)));
                }
            }
        }
        origins
    }

    /// The streams asked for, in order; just the type where no codes were given.
    pub fn names(&self) -> Vec<String> {
        self.by_stream.keys().map(StreamKey::to_string).chain(self.by_kind.keys().cloned()).collect()
    }

    /// The origin of a stream; `None`: it was not asked for.
    pub fn get(&self, stream: &StreamKey) -> Option<&Origin> {
        self.by_stream.get(stream).or_else(|| self.by_kind.get(stream.kind()))
    }
}

/// A line that a crash tore. The sealed file is without it; a copy is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TornLine {
    /// Where it began in the plain file.
    pub offset: u64,
    /// Its length in bytes, without the line break that ended it.
    pub length: u64,
    /// Its SHA-256, lower-case hex.
    pub sha256: String,
}

/// A finished file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The file's name, in the directory of the manifest.
    pub name: String,
    /// The stream it is a segment of.
    pub stream: String,
    /// The process that sealed it: the stamp of its `started` event.
    pub run: Stamp,
    /// The venue whose lines it has; `None`: sealed by a version without this field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<Venue>,
    /// The version of the program that sealed it.
    pub version: String,
    /// How its frames are spelt; `null` for the recorder's own streams and where it is not known.
    pub format: Option<String>,
    /// The subscription of this stream, as sent; `null` likewise.
    pub subscription: Option<Box<RawValue>>,
    /// Its epoch: how often stamps had gone back in this directory. Stamps order lines within an epoch only.
    pub epoch: u64,
    /// The stamp of its first line, µs.
    pub first: Stamp,
    /// The stamp of its last line, µs.
    pub last: Stamp,
    /// Lines that a crash tore and that were left out, in the order of the plain file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub torn: Vec<TornLine>,
    /// Lines.
    pub lines: u64,
    /// Bytes before compression.
    pub bytes: u64,
    /// Bytes of the file.
    pub zst_bytes: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
}

impl ManifestEntry {
    /// The line, with its line break.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("strings and numbers always serialise");
        line.push('\n');
        line
    }
}

/// A sealed file that retention deletes: it is gone from this line on, or will be with the next run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedLine {
    /// The file's name, in the directory of the manifest.
    pub name: String,
    /// When that was decided, µs.
    pub pruned: Stamp,
    /// The limit that it was beyond.
    pub reason: Word<PruneReason>,
}

impl PrunedLine {
    /// The line, with its line break.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).expect("strings and numbers always serialise");
        line.push('\n');
        line
    }
}
