//! The keys, section by section in the order of the shipped file, with their bounds, and the constraints between them.

use super::credentials;
use super::files;
use super::filter::check_filter;
use super::keys::KeySources;
use super::layers::Sources;
use super::model::{
    Config, ConnectionConfig, ExportConfig, HttpConfig, LogConfig, LogFormat, RestConfig, StorageConfig, TlsRoots,
};
use super::proxy::ProxyConfig;
use super::reader::Reader;
use super::subscribe;
use super::upload;
use crate::batch::room_needed;
use crate::quantity::{format_duration, format_size};
use crate::upbit::feed::Feed;
use crate::upbit::limits::{CONNECTS_PER_SECOND, MESSAGES_PER_SECOND, REST_PER_SECOND};
use crate::upbit::subscription::Format;
use crate::upbit::url::Url;
use crate::upbit::venue::Venue;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Durations from the shortest that a timer resolves well to `longest`.
const fn up_to(longest: Duration) -> RangeInclusive<Duration> {
    Duration::from_millis(10)..=longest
}

/// Reads everything; `reader` collects the faults.
pub(super) fn read(reader: &mut Reader<'_>, sources: &Sources) -> Config {
    let data_dir = reader.path("data_dir");
    let venue = reader.optional("venue", str::parse::<Venue>);
    let tls_roots = reader.text("tls_roots", |text| match text {
        "bundled" => Ok(TlsRoots::Bundled),
        "system" => Ok(TlsRoots::System),
        other => Err(format!("`{other}` is unknown: expected bundled or system")),
    });
    let (public, _) = read_connection(reader, sources, Feed::Public);
    let (private, credentials) = read_connection(reader, sources, Feed::Private);
    let rest = read_rest(reader);
    let storage = read_storage(reader);
    let upload = upload::read(reader, sources);
    let export = read_export(reader);
    let http = read_http(reader);
    let log = read_log(reader);
    let proxies = ProxyConfig::read(|name| sources.variable(name));
    let config = Config {
        data_dir,
        venue,
        tls_roots,
        public,
        private,
        credentials,
        rest,
        storage,
        export,
        upload,
        http,
        log,
        proxies,
    };
    refuse_contradictions(reader, &config);
    config
}

fn read_connection(
    reader: &mut Reader<'_>,
    sources: &Sources,
    connection: Feed,
) -> (ConnectionConfig, Option<KeySources>) {
    let key = |name: &str| format!("{connection}.{name}");
    let enabled = reader.flag(&key("enabled"));
    let config = ConnectionConfig {
        enabled,
        url: reader.text(&key("url"), Url::websocket),
        format: reader.text(&key("format"), str::parse::<Format>),
        // The exchange drops a connection that was idle for 60 s; the ping must have reached it before.
        ping_interval: reader.duration(&key("ping_interval"), up_to(Duration::from_secs(55))),
        pong_timeout: reader.duration(&key("pong_timeout"), up_to(Duration::from_secs(300))),
        connect_timeout: reader.duration(&key("connect_timeout"), up_to(Duration::from_secs(300))),
        first_frame_timeout: reader.duration(&key("first_frame_timeout"), up_to(HOUR)),
        backoff_min: reader.duration(&key("backoff_min"), Duration::from_millis(1)..=HOUR),
        backoff_max: reader.duration(&key("backoff_max"), Duration::from_millis(1)..=HOUR),
        max_retries: reader.number(&key("max_retries"), 0..=u32::MAX.into()),
        connects_per_second: reader.number(&key("connects_per_second"), 1..=CONNECTS_PER_SECOND.into()),
        messages_per_second: reader.number(&key("messages_per_second"), 1..=MESSAGES_PER_SECOND.into()),
        messages_per_minute: reader.number(&key("messages_per_minute"), 1..=100),
        max_message_bytes: to_usize(reader.size(&key("max_message_bytes"), 4 * KIB..=64 * MIB)),
        tls_ca_file: reader.optional(&key("tls_ca_file"), |text| {
            let path = PathBuf::from(text);
            files::check_certificates(&path).map(|()| path).map_err(|problem| format!("`{text}`: {problem}"))
        }),
        subscribe: Vec::new(),
    };
    let is_private = connection == Feed::Private;
    let credentials = is_private.then(|| credentials::read(reader, sources, enabled)).flatten();
    let subscribe = subscribe::read(reader, connection, enabled);
    (ConnectionConfig { subscribe, ..config }, credentials)
}

fn read_rest(reader: &mut Reader<'_>) -> RestConfig {
    RestConfig {
        url: reader.text("rest.url", Url::http),
        requests_per_second: reader.number("rest.requests_per_second", 1..=REST_PER_SECOND.into()),
        heal_max: reader.number("rest.heal_max", 0..=100_000),
        instruments: reader.flag("rest.instruments"),
    }
}

fn read_storage(reader: &mut Reader<'_>) -> StorageConfig {
    StorageConfig {
        rotate_interval: reader.duration("storage.rotate_interval", Duration::from_secs(1)..=DAY),
        rotate_bytes: reader.size("storage.rotate_bytes", MIB..=TIB),
        sync_interval: reader.duration("storage.sync_interval", up_to(Duration::from_secs(60))),
        buffer_bytes: to_usize(reader.size("storage.buffer_bytes", MIB..=2 * GIB)),
        max_streams: reader.number("storage.max_streams", 1..=100_000),
        zstd_level: reader.number("storage.zstd_level", 1..=19),
        min_free_bytes: reader.size("storage.min_free_bytes", 0..=1024 * TIB),
        keep_for: reader.optional_duration("storage.keep_for", HOUR..=36_500 * DAY),
        keep_bytes: reader.optional_size("storage.keep_bytes", MIB..=1024 * 1024 * TIB),
        keep_until_uploaded: reader.flag("storage.keep_until_uploaded"),
    }
}

fn read_export(reader: &mut Reader<'_>) -> ExportConfig {
    let export = ExportConfig {
        enabled: reader.flag("export.enabled"),
        directory: reader.path("export.directory"),
        // The exchange's books have thirty.
        levels: reader.number("export.levels", 0..=30),
    };
    if export.enabled && !cfg!(feature = "export") {
        let problem = "this program was built without it: take a release, or build with --features export";
        reader.refuse("export.enabled", problem);
    }
    export
}

fn read_http(reader: &mut Reader<'_>) -> HttpConfig {
    let listen = reader.optional("http.listen", |text| {
        let hint = "write an IP address and a port, such as 127.0.0.1:9464 or [::1]:9464";
        text.parse().map_err(|_| format!("`{text}` is no address to listen on: {hint}"))
    });
    HttpConfig { listen }
}

fn read_log(reader: &mut Reader<'_>) -> LogConfig {
    LogConfig {
        level: reader.text("log.level", |text| check_filter(text).map(|()| text.to_owned())),
        format: reader.text("log.format", |text| match text {
            "auto" => Ok(LogFormat::Auto),
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            other => Err(format!("`{other}` is unknown: expected auto, text or json")),
        }),
    }
}

/// A token in plain text can be read by every hop, and so can the account's events.
fn refuse_plain_text(reader: &mut Reader<'_>, private: &ConnectionConfig) {
    if private.enabled && !private.url.tls() && !private.url.is_loopback() {
        let problem = "ws:// would send the token and bring the account's events in plain text, and it leads to another \
                       machine: write wss://";
        reader.refuse_openly("private.url", problem.to_owned());
    }
}

/// Values that are each valid but contradict each other.
fn refuse_contradictions(reader: &mut Reader<'_>, config: &Config) {
    if !config.public.enabled && !config.private.enabled {
        let problem = "nothing would be recorded: enable the public or the private connection";
        reader.refuse_together(["public.enabled", "private.enabled"], problem);
    }
    refuse_plain_text(reader, &config.private);
    upload::refuse_contradictions(reader, &config.upload, &config.data_dir);
    if config.storage.keep_until_uploaded && config.upload.to.is_none() {
        let problem = "there is no upload.url: nothing would ever be deleted";
        reader.refuse_together(["storage.keep_until_uploaded", "upload.url"], problem);
    }
    let connections = [(Feed::Public, &config.public), (Feed::Private, &config.private)];
    for (connection, settings) in connections {
        if settings.backoff_min > settings.backoff_max {
            let [min, max] = [settings.backoff_min, settings.backoff_max].map(format_duration);
            let keys = ["backoff_min", "backoff_max"].map(|name| format!("{connection}.{name}"));
            let problem = format!("backoff_min, {min}, is longer than backoff_max, {max}");
            reader.refuse_together(keys.each_ref().map(String::as_str), problem);
        }
        refuse_small_buffer(reader, config, connection, settings);
    }
    let interval = config.storage.rotate_interval;
    if !DAY.as_millis().is_multiple_of(interval.as_millis().max(1)) {
        let problem = "does not divide a day: 1h, 2h, 3h, 4h, 6h, 8h, 12h and 1d do, and so do 5m, 10m, 15m, 30m";
        reader.refuse("storage.rotate_interval", format!("{} {problem}", format_duration(interval)));
    }
}

/// A read reserves room for its largest result; the rest of the buffer, 1 MiB at least, bounds the backlog that waits
/// for the disk.
fn refuse_small_buffer(reader: &mut Reader<'_>, config: &Config, connection: Feed, settings: &ConnectionConfig) {
    let needed = u64::from(room_needed(settings.max_message_bytes)) + MIB;
    let buffer = config.storage.buffer_bytes as u64;
    if settings.enabled && buffer < needed {
        let [buffer, needed] = [buffer, needed].map(format_size);
        let longest = format!("{connection}.max_message_bytes");
        let problem = format!("a buffer_bytes of {buffer} is too little: {longest} makes at least {needed} necessary");
        reader.refuse_together(["storage.buffer_bytes", &longest], problem);
    }
}

/// The bounds above keep every size that is held in memory below 2 GiB.
fn to_usize(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}
