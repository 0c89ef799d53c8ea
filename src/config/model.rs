//! The effective configuration, section by section, checked and typed.

use super::keys::KeySources;
use super::proxy::ProxyConfig;
use super::upload::UploadConfig;
use crate::upbit::feed::Feed;
use crate::upbit::subscription::{Format, Subscription};
use crate::upbit::url::Url;
use crate::upbit::venue::Venue;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The root of all files; relative paths count from the working directory.
    pub data_dir: PathBuf,
    /// The venue of hosts that are not known; `None`: they have the name of the first of them.
    pub venue: Option<Venue>,
    /// The authorities that TLS trusts.
    pub tls_roots: TlsRoots,
    /// The market data connection.
    pub public: ConnectionConfig,
    /// The account connection.
    pub private: ConnectionConfig,
    /// Where the account's keys are; `Some` where the account connection is enabled.
    pub credentials: Option<KeySources>,
    /// The exchange's REST interface.
    pub rest: RestConfig,
    /// Files, rotation, bounds.
    pub storage: StorageConfig,
    /// The tape as Parquet.
    pub export: ExportConfig,
    /// Where sealed files go.
    pub upload: UploadConfig,
    /// Metrics, health, status.
    pub http: HttpConfig,
    /// Logging.
    pub log: LogConfig,
    /// The proxies that the environment names.
    pub proxies: ProxyConfig,
}

impl Config {
    /// The enabled connections; one at least.
    pub fn enabled(&self) -> impl Iterator<Item = (Feed, &ConnectionConfig)> {
        let all = [(Feed::Public, &self.public), (Feed::Private, &self.private)];
        all.into_iter().filter(|(_, connection)| connection.enabled)
    }

    /// The store that a file has to be in before it is deleted; `None`: none.
    pub fn uploaded_to(&self) -> Option<String> {
        self.upload.identity().filter(|_| self.storage.keep_until_uploaded)
    }

    /// The recorded venue: that of the first enabled connection.
    pub fn venue(&self) -> Venue {
        self.venue_of(self.enabled().next().map_or(&self.public.url, |(_, connection)| &connection.url))
    }

    /// The venue of `rest.url`.
    pub fn rest_venue(&self) -> Venue {
        self.venue_of(&self.rest.url)
    }

    /// Whether `rest.url` is of the recorded venue, as far as it is known.
    pub fn is_one_venue(&self) -> bool {
        self.venue() == self.rest_venue()
    }

    /// Hosts that are not known count as one venue, such as a local exchange on two ports.
    fn venue_of(&self, url: &Url) -> Venue {
        let named = || {
            let urls = self.enabled().map(|(_, connection)| &connection.url).chain([&self.rest.url]);
            let first = urls.map(Url::host).find(|host| Venue::of_host(host).is_none());
            Venue::named_after(first.unwrap_or(url.host()))
        };
        Venue::of_host(url.host()).or_else(|| self.venue.clone()).unwrap_or_else(named)
    }
}

/// The authorities that TLS trusts, beside those of `tls_ca_file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRoots {
    /// Those of Mozilla's list that are built into the program.
    Bundled,
    /// Those of this machine.
    System,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// Whether it is made at all.
    pub enabled: bool,
    /// `ws://` or `wss://`, host, optional port, path.
    pub url: Url,
    /// The format of frames.
    pub format: Format,
    /// The interval of pings, independent of traffic.
    pub ping_interval: Duration,
    /// The connection counts as dead this long after an unanswered ping.
    pub pong_timeout: Duration,
    /// Resolve, TCP, TLS and upgrade together.
    pub connect_timeout: Duration,
    /// How long a subscribed stream may take to bring its first frame, or an error the private request.
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
    /// The subscriptions.
    pub subscribe: Vec<Subscription>,
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
    /// Below this much free space, in bytes, the disk counts as nearly full; 0: never.
    pub min_free_bytes: u64,
    /// Sealed files older than this are deleted; `None` keeps them.
    pub keep_for: Option<Duration>,
    /// The oldest sealed files beyond this many bytes are deleted; `None` keeps them.
    pub keep_bytes: Option<u64>,
    /// Of those only files that are in the store of `upload`, and proved there.
    pub keep_until_uploaded: bool,
}

/// The exchange's REST interface.
#[derive(Clone, Debug)]
pub struct RestConfig {
    /// `http://` or `https://`, host, optional port, path.
    pub url: Url,
    /// Requests in any second, shared by all programs on one data directory.
    pub requests_per_second: u32,
    /// Requests a day that healing may spend; 0: nothing is healed.
    pub heal_max: u32,
    /// Whether what the exchange says of its pairs is recorded.
    pub instruments: bool,
}

/// The tape as Parquet.
#[derive(Clone, Debug)]
pub struct ExportConfig {
    /// Whether the recorder exports each day once it is over.
    pub enabled: bool,
    /// Where to; a relative path counts from `data_dir`.
    pub directory: PathBuf,
    /// So many levels of books in columns of their own, beside the lists; 0: none.
    pub levels: u16,
}

/// Metrics, health, status.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The address served; `None`: off.
    pub listen: Option<SocketAddr>,
}

/// Logging.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A tracing filter: `info`, `upbit_recorder=debug`.
    pub level: String,
    /// The format of log lines.
    pub format: LogFormat,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Human-readable text.
    Text,
    /// One object a line.
    Json,
}
