//! `check`: whether the configuration is sound, what is in force and why, and what it amounts to.
//!
//! What it prints as text is a configuration file itself: everything but the settings stands in comments.

use super::estimate::{self, PerDay, SEALED_SHARE};
use super::{complain, describe};
use crate::config::{self, Config, ConnectionConfig, Faults, Loaded, Setting, Sources, format_size};
use crate::connection::ConnectionId;
use crate::desired;
use crate::exit::Exit;
use clap::Args;
use figment::value::{Dict, Value};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use std::io::{self, Write};

/// Shown below the help.
pub const EXAMPLE: &str = "Example:\n  upbit-recorder check --config recorder.toml --set public.format=SIMPLE";

/// Stands where each connect puts a new UUID.
const TICKET: &str = "00000000-0000-4000-8000-000000000000";

/// Descriptors that are needed beside one per stream: sockets, journals, directories, the syncer, the sealer.
const OTHER_DESCRIPTORS: usize = 64;

/// How to show it.
#[derive(Args, Debug)]
pub struct Options {
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Checks and reports.
///
/// # Errors
///
/// `out` cannot be written.
pub fn run(sources: &Sources, options: &Options, out: &mut dyn Write) -> io::Result<Exit> {
    match (config::load(sources), options.json) {
        (Ok(loaded), false) => write_text(out, &loaded, &Report::of(&loaded, Descriptors::limits()))?,
        (Ok(loaded), true) => write_json(out, &Report::of(&loaded, Descriptors::limits()))?,
        (Err(faults), json) => {
            if json {
                write_json(out, &FaultReport::of(&faults))?;
            } else {
                complain(&describe(&faults));
            }
            return Ok(Exit::Config);
        }
    }
    Ok(Exit::Success)
}

/// Everything that follows from a configuration, in the shape of the JSON output.
#[derive(Serialize)]
struct Report {
    valid: bool,
    settings: Vec<ShownSetting>,
    connections: Vec<ShownConnection>,
    streams: usize,
    descriptors: Descriptors,
    bytes_per_day: PerDay,
    sealed_share: f64,
}

#[derive(Serialize)]
struct ShownSetting {
    key: String,
    /// Nothing where it is secret.
    value: Option<Value>,
    origin: String,
}

#[derive(Serialize)]
struct ShownConnection {
    connection: String,
    /// Nothing where it is secret.
    url: Option<String>,
    /// Nothing where what to subscribe is secret.
    frame: Option<String>,
    /// Where the keys are, and how the token is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize)]
struct Descriptors {
    needed: usize,
    /// What this process may open now; nothing: any number.
    soft: Option<u64>,
    /// What it may raise that to by itself.
    hard: Option<u64>,
}

#[derive(Serialize)]
struct FaultReport {
    valid: bool,
    faults: Vec<ShownFault>,
}

#[derive(Serialize)]
struct ShownFault {
    origin: String,
    key: String,
    problem: String,
}

impl Report {
    fn of(loaded: &Loaded, limits: Descriptors) -> Self {
        let config = &loaded.config;
        let mut report = Self {
            valid: true,
            settings: loaded.settings.iter().map(ShownSetting::of).collect(),
            connections: Vec::new(),
            streams: 0,
            descriptors: limits,
            bytes_per_day: PerDay::default(),
            sealed_share: SEALED_SHARE,
        };
        for (connection, settings) in connections(config).into_iter().filter(|(_, settings)| settings.enabled) {
            let request = desired::request(settings);
            let per_day = estimate::per_day(&request);
            report.streams += desired::streams(&request);
            report.bytes_per_day.low += per_day.low;
            report.bytes_per_day.high += per_day.high;
            let secret = |key: &str| is_secret(&loaded.settings, &format!("{connection}.{key}"));
            report.connections.push(ShownConnection {
                connection: connection.to_string(),
                url: (!secret("url")).then(|| settings.url.to_string()),
                frame: (!secret("subscribe")).then(|| request.to_frame(TICKET)),
                token: token(config, connection),
            });
        }
        report.descriptors.needed = report.streams.min(config.storage.max_streams) + OTHER_DESCRIPTORS;
        report
    }
}

impl ShownSetting {
    fn of(setting: &Setting) -> Self {
        let value = (!setting.origin.is_secret()).then(|| setting.value.clone());
        Self { key: setting.key.clone(), value, origin: setting.origin.to_string() }
    }
}

impl FaultReport {
    fn of(faults: &Faults) -> Self {
        let shown = |fault: &config::Fault| ShownFault {
            origin: fault.origin.to_string(),
            key: fault.key.clone(),
            problem: fault.problem.clone(),
        };
        Self { valid: false, faults: faults.0.iter().map(shown).collect() }
    }
}

impl Descriptors {
    fn limits() -> Self {
        let limits = getrlimit(Resource::Nofile);
        Self { needed: 0, soft: limits.current, hard: limits.maximum }
    }
}

fn connections(config: &Config) -> [(ConnectionId, &ConnectionConfig); 2] {
    [(ConnectionId::Public, &config.public), (ConnectionId::Private, &config.private)]
}

fn is_secret(settings: &[Setting], key: &str) -> bool {
    settings.iter().any(|setting| setting.key == key && setting.origin.is_secret())
}

fn token(config: &Config, connection: ConnectionId) -> Option<String> {
    let keys = config.credentials.as_ref().filter(|_| connection == ConnectionId::Private)?;
    let algorithm = keys.jwt_algorithm.as_str();
    Some(format!("signed with {algorithm}; keys in {} and {}", keys.access_key, keys.secret_key))
}

fn write_json(out: &mut dyn Write, report: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, report)?;
    writeln!(out)
}

fn write_text(out: &mut dyn Write, loaded: &Loaded, report: &Report) -> io::Result<()> {
    writeln!(out, "# The configuration is sound. Behind each value stands where it was written.")?;
    writeln!(out)?;
    write_settings(out, &loaded.settings)?;
    writeln!(out)?;
    write_connections(out, report, &loaded.config)?;
    writeln!(out, "#")?;
    write_needs(out, report, &loaded.config)
}

fn write_settings(out: &mut dyn Write, settings: &[Setting]) -> io::Result<()> {
    let mut section = "";
    for setting in settings {
        let (path, name) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        if path != section {
            writeln!(out, "\n[{path}]")?;
            section = path;
        }
        match setting.value.as_array() {
            _ if setting.origin.is_secret() => {
                writeln!(out, "# {name} is not shown: it is secret, from {}", setting.origin)?
            }
            Some(entries) if !entries.is_empty() => write_entries(out, setting, entries)?,
            _ => writeln!(out, "{:<34} # {}", format!("{name} = {}", toml(&setting.value)), setting.origin)?,
        }
    }
    Ok(())
}

fn write_entries(out: &mut dyn Write, setting: &Setting, entries: &[Value]) -> io::Result<()> {
    for entry in entries.iter().filter_map(Value::as_dict) {
        writeln!(out, "\n{:<34} # {}", format!("[[{}]]", setting.key), setting.origin)?;
        let in_order = ["type", "codes", "count", "level", "only_snapshot", "only_realtime"];
        for (name, value) in in_order.iter().filter_map(|name| entry.get_key_value(*name)) {
            writeln!(out, "{name} = {}", toml(value))?;
        }
    }
    Ok(())
}

/// A value as a TOML file spells it.
fn toml(value: &Value) -> String {
    let dict = |dict: &Dict| {
        let fields: Vec<String> = dict.iter().map(|(key, value)| format!("{key} = {}", toml(value))).collect();
        format!("{{ {} }}", fields.join(", "))
    };
    match value {
        Value::Array(_, values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Dict(_, values) => dict(values),
        // JSON's strings, numbers and flags are TOML's too.
        plain => serde_json::to_string(plain).unwrap_or_default(),
    }
}

fn write_connections(out: &mut dyn Write, report: &Report, config: &Config) -> io::Result<()> {
    for shown in &report.connections {
        let url = shown.url.as_deref().unwrap_or("an address that is not shown");
        let name = &shown.connection;
        writeln!(out, "# The {name} connection goes to {url}")?;
        if let Some(token) = &shown.token {
            writeln!(out, "# with a token {token}.")?;
        }
        writeln!(out, "# and sends this after each connect, with a new UUID for the ticket:")?;
        writeln!(out, "#   {}", shown.frame.as_deref().unwrap_or("a request that is not shown"))?;
    }
    for (connection, _) in connections(config).into_iter().filter(|(_, settings)| !settings.enabled) {
        writeln!(out, "# The {connection} connection is off ({connection}.enabled).")?;
    }
    Ok(())
}

fn write_needs(out: &mut dyn Write, report: &Report, config: &Config) -> io::Result<()> {
    let Report { streams, descriptors, bytes_per_day, .. } = report;
    let most = config.storage.max_streams;
    if *streams > most {
        let way_out = "the frames of the others go to misc.jsonl. Raise it";
        writeln!(out, "# WARNING: {streams} streams, and storage.max_streams allows {most}: {way_out}.")?;
    } else {
        writeln!(out, "# Streams: {streams}, a file each; storage.max_streams allows {most}.")?;
    }
    writeln!(out, "# Open files: {}", descriptors.sentence())?;
    let size = |bytes: f64| readable(bytes as u64);
    let (low, high) = (bytes_per_day.low, bytes_per_day.high);
    writeln!(out, "# Disk: {} to {} a day as frames arrive,", size(low), size(high))?;
    writeln!(
        out,
        "#   {} to {} once sealed: compression leaves about a tenth.",
        size(low * SEALED_SHARE),
        size(high * SEALED_SHARE)
    )?;
    writeln!(
        out,
        "#   This is an estimate: the lower end for pairs of middling trade, the upper for pairs as busy as KRW-BTC"
    )?;
    writeln!(out, "#   at its busiest, all day long.")?;
    match (config.storage.keep_for, config.storage.keep_bytes) {
        (None, None) => writeln!(out, "# Retention: none, every file is kept (storage.keep_for, storage.keep_bytes)."),
        (age, bytes) => {
            let limits = age.map(config::format_duration).into_iter().chain(bytes.map(format_size));
            writeln!(out, "# Retention: sealed files beyond {} are deleted.", limits.collect::<Vec<_>>().join(" or "))
        }
    }
}

impl Descriptors {
    fn sentence(&self) -> String {
        let Self { needed, soft, hard } = *self;
        let fits = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed as u64);
        let show = |limit: Option<u64>| limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string());
        if fits(soft) {
            format!("up to {needed}; the limit here is {}.", show(soft))
        } else if fits(hard) {
            format!("up to {needed}; the limit here is {}, and `record` raises it by itself.", show(soft))
        } else {
            let way_out = "ulimit -Hn, LimitNOFILE= of systemd, or --ulimit nofile= of Docker";
            format!("WARNING: up to {needed}, and no more than {} are allowed here. Raise that: {way_out}.", show(hard))
        }
    }
}

/// A size for people, two digits and more.
fn readable(bytes: u64) -> String {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let bytes = bytes as f64;
    let fitting = units.into_iter().find(|(_, unit)| bytes >= *unit);
    fitting.map_or_else(
        || format!("{bytes} bytes"),
        |(name, unit)| {
            let amount = bytes / unit;
            if amount < 10.0 { format!("{amount:.1} {name}") } else { format!("{amount:.0} {name}") }
        },
    )
}
