//! What the user set, checked and in the types that the rest of the program uses.

use crate::upbit::subscription::{Format, Subscription};
use std::path::PathBuf;
use std::time::Duration;

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is written; relative paths count from the working directory.
    pub data_dir: PathBuf,
    /// The market data connection.
    pub public: ConnectionConfig,
    /// The account connection.
    pub private: ConnectionConfig,
    /// Files, rotation, bounds.
    pub storage: StorageConfig,
    /// Logging.
    pub log: LogConfig,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// Whether it is made at all.
    pub enabled: bool,
    /// `ws://` or `wss://`, host, optional port, path.
    pub url: Url,
    /// How frames are spelt.
    pub format: Format,
    /// A ping is sent after this long without a frame.
    pub ping_interval: Duration,
    /// The connection counts as dead this long after an unanswered ping.
    pub pong_timeout: Duration,
    /// Resolve, TCP, TLS and upgrade together.
    pub connect_timeout: Duration,
    /// How long a subscribed stream may take to bring its first frame.
    pub first_frame_timeout: Duration,
    /// The first pause after a loss.
    pub backoff_min: Duration,
    /// The longest pause.
    pub backoff_max: Duration,
    /// Attempts in a row before giving up; 0: never.
    pub max_retries: u32,
    /// Connects in any one second.
    pub connects_per_second: u32,
    /// Messages in any one second.
    pub messages_per_second: u32,
    /// Messages in any minute.
    pub messages_per_minute: u32,
    /// The longest message accepted.
    pub max_message_bytes: usize,
    /// PEM certificates trusted in addition to the built-in roots.
    pub tls_ca_file: Option<PathBuf>,
    /// What to subscribe.
    pub subscribe: Vec<Subscription>,
}

/// A WebSocket address, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether TLS is used (`wss`).
    pub tls: bool,
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// The port, 80 or 443 where none was given.
    pub port: u16,
    /// The whole address as written.
    pub text: String,
}

/// Files, rotation, bounds.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Segments are rotated at UTC boundaries of this period; divides a day.
    pub rotate_interval: Duration,
    /// Segments are rotated when they reach this size, in bytes.
    pub rotate_bytes: u64,
    /// How often files are synced.
    pub sync_interval: Duration,
    /// Bytes of frames that may wait for the disk, per connection.
    pub buffer_bytes: usize,
    /// Streams beyond these go to `misc.jsonl`.
    pub max_streams: usize,
    /// zstd compression level, 1 to 19.
    pub zstd_level: i32,
}

/// Logging.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A tracing filter: `info`, `upbit_recorder=debug`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}
