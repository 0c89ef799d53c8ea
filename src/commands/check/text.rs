//! The report as text. It is a valid configuration file: everything but the settings is a comment.

use super::estimate::SEALED_SHARE;
use super::machine::Machine;
use super::report::{CheckReport, Route, connections};
use crate::config::{Config, Loaded, Setting};
use crate::quantity::{format_duration, format_size};
use figment::value::{Dict, Value};
use std::io::{self, Write};

/// Where the origins begin: behind the longest default.
const ORIGIN_COLUMN: usize = 48;

/// Writes the whole report.
pub(super) fn write(out: &mut dyn Write, loaded: &Loaded, report: &CheckReport) -> io::Result<()> {
    writeln!(out, "# The configuration is sound. Behind each value stands where it was written.")?;
    writeln!(out)?;
    write_settings(out, &loaded.settings)?;
    writeln!(out)?;
    write_connections(out, report, &loaded.config)?;
    writeln!(out, "#")?;
    write_needs(out, report, &loaded.config)?;
    write_disk(out, report, &loaded.config)?;
    writeln!(out, "#")?;
    report.start.write(out)
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
            _ => {
                writeln!(out, "{:<ORIGIN_COLUMN$} # {}", format!("{name} = {}", toml(&setting.value)), setting.origin)?
            }
        }
    }
    Ok(())
}

fn write_entries(out: &mut dyn Write, setting: &Setting, entries: &[Value]) -> io::Result<()> {
    for entry in entries.iter().filter_map(Value::as_dict) {
        writeln!(out, "\n{:<ORIGIN_COLUMN$} # {}", format!("[[{}]]", setting.key), setting.origin)?;
        let in_order = ["type", "codes", "count", "level", "only_snapshot", "only_realtime", "options"];
        for (name, value) in in_order.iter().filter_map(|name| entry.get_key_value(*name)) {
            writeln!(out, "{name} = {}", toml(value))?;
        }
    }
    Ok(())
}

/// A value in TOML syntax.
fn toml(value: &Value) -> String {
    let dict = |dict: &Dict| {
        let fields: Vec<String> = dict.iter().map(|(name, value)| format!("{} = {}", key(name), toml(value))).collect();
        format!("{{ {} }}", fields.join(", "))
    };
    match value {
        Value::Array(_, values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Dict(_, values) => dict(values),
        // JSON's strings, numbers and flags are TOML's too.
        plain => serde_json::to_string(plain).unwrap_or_default(),
    }
}

/// A key in TOML syntax.
fn key(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match !name.is_empty() && name.bytes().all(is_bare) {
        true => name.to_owned(),
        false => serde_json::to_string(name).unwrap_or_default(),
    }
}

fn write_connections(out: &mut dyn Write, report: &CheckReport, config: &Config) -> io::Result<()> {
    let venue = report.venue.as_deref().unwrap_or("one that is not shown");
    writeln!(out, "# The venue that stands on record is {venue}.")?;
    for shown in &report.connections {
        let url = shown.url.as_deref().unwrap_or("an address that is not shown");
        let name = &shown.connection;
        writeln!(out, "# The {name} connection goes to {url}")?;
        writeln!(out, "# {}", route(&shown.route))?;
        if let Some(token) = &shown.token {
            writeln!(out, "# with a token {token}")?;
        }
        writeln!(out, "# and sends this after each connect, with a new UUID for the ticket:")?;
        writeln!(out, "#   {}", shown.frame.as_deref().unwrap_or("a request that is not shown"))?;
    }
    let rest = report.rest.url.as_deref().unwrap_or("an address that is not shown");
    writeln!(out, "# The REST interface is asked at {rest}")?;
    writeln!(out, "# {}", route(&report.rest.route))?;
    if let Some(warning) = report.rest.warning {
        writeln!(out, "# WARNING: {warning}.")?;
    }
    if crate::rest::codes::has_patterns(config) {
        writeln!(out, "# Its patterns are replaced by the pairs that {} lists.", config.rest.url)?;
    }
    for (connection, _) in connections(config).into_iter().filter(|(_, settings)| !settings.enabled) {
        writeln!(out, "# The {connection} connection is off ({connection}.enabled).")?;
    }
    Ok(())
}

/// The route of a connection to its address.
fn route(route: &Route) -> String {
    match (&route.proxy, &route.problem) {
        (_, Some(problem)) => format!("WARNING: and cannot get there: {problem}"),
        (Some(proxy), None) => format!("through the proxy {proxy}"),
        (None, None) => "straight, without a proxy".to_owned(),
    }
}

fn write_needs(out: &mut dyn Write, report: &CheckReport, config: &Config) -> io::Result<()> {
    let (streams, most) = (report.streams, config.storage.max_streams);
    if streams > most {
        let way_out = "the frames of the others go to misc.jsonl. Raise it";
        writeln!(out, "# WARNING: {streams} streams, and storage.max_streams allows {most}: {way_out}.")?;
    } else {
        writeln!(out, "# Streams: {streams}, a file each; storage.max_streams allows {most}.")?;
    }
    writeln!(out, "# Open files: {}", open_files(report.open_files, &report.machine))
}

fn open_files(needed: usize, machine: &Machine) -> String {
    let fits = |limit: Option<u64>| limit.is_none_or(|limit| limit >= needed as u64);
    let show = |limit: Option<u64>| limit.map_or_else(|| "any number".to_owned(), |limit| limit.to_string());
    let (soft, hard) = (machine.soft_open_files, machine.hard_open_files);
    if fits(soft) {
        format!("up to {needed}; the limit here is {}.", show(soft))
    } else if fits(hard) {
        format!("up to {needed}; the limit here is {}, and `record` raises it by itself.", show(soft))
    } else {
        let way_out = "ulimit -Hn, LimitNOFILE= of systemd, or --ulimit nofile= of Docker";
        format!("WARNING: up to {needed}, and no more than {} are allowed here. Raise that: {way_out}.", show(hard))
    }
}

fn write_disk(out: &mut dyn Write, report: &CheckReport, config: &Config) -> io::Result<()> {
    let (low, high) = (report.bytes_per_day.low, report.bytes_per_day.high);
    let (sealed_low, sealed_high) = (low * SEALED_SHARE, high * SEALED_SHARE);
    writeln!(out, "# Disk: {} to {} a day as the frames arrive,", readable(low), readable(high))?;
    writeln!(
        out,
        "#   {} to {} when sealed: compression leaves about a tenth.",
        readable(sealed_low),
        readable(sealed_high)
    )?;
    writeln!(
        out,
        "#   This is an estimate: the lower end for pairs of average trade, the upper end for pairs that are all"
    )?;
    writeln!(out, "#   as busy as they can be around the clock.")?;
    if let Some(free) = report.machine.free_bytes {
        let enough = if high > 0.0 { days(free, sealed_low, sealed_high) } else { String::new() };
        writeln!(out, "# Free where data_dir is: {}{enough}.", readable(free as f64))?;
    }
    if let Some(problem) = &report.machine.unwritable {
        writeln!(out, "# WARNING: data_dir cannot be written by this user: {problem}.")?;
    }
    match (config.storage.keep_for, config.storage.keep_bytes) {
        (None, None) => writeln!(out, "# Retention: none, every file is kept (storage.keep_for, storage.keep_bytes)."),
        (age, bytes) => {
            let limits = age.map(format_duration).into_iter().chain(bytes.map(format_size));
            let limits = limits.collect::<Vec<_>>().join(" or ");
            writeln!(out, "# Retention: sealed files beyond {limits} are deleted; `prune --dry-run` shows which.")
        }
    }
}

/// How long the free space lasts, from the busy end of the estimate to the quiet one.
fn days(free: u64, low: f64, high: f64) -> String {
    let show = |per_day: f64| match free as f64 / per_day {
        days if days < 10.0 => format!("{days:.1}"),
        days => format!("{days:.0}"),
    };
    format!(", enough for {} to {} days", show(high), show(low))
}

/// A human-readable size, at least two digits.
fn readable(bytes: f64) -> String {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("bytes", 1.0)];
    let (name, unit) = units.into_iter().find(|(_, unit)| bytes >= *unit).unwrap_or(("bytes", 1.0));
    let amount = bytes / unit;
    if amount < 10.0 && unit > 1.0 { format!("{amount:.1} {name}") } else { format!("{amount:.0} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(soft: u64, hard: u64) -> Machine {
        Machine { soft_open_files: Some(soft), hard_open_files: Some(hard), free_bytes: None, unwritable: None }
    }

    #[test]
    fn the_limit_of_open_files_is_met_raised_or_too_low() {
        assert_eq!(open_files(73, &machine(1024, 4096)), "up to 73; the limit here is 1024.");
        assert!(open_files(2629, &machine(1024, 4096)).ends_with("`record` raises it by itself."));
        assert!(open_files(9000, &machine(1024, 4096)).starts_with("WARNING: up to 9000, and no more than 4096"));
    }

    #[test]
    fn free_space_is_told_in_days() {
        assert_eq!(days(79_000_000_000, 26e9, 280e9), ", enough for 0.3 to 3.0 days");
        assert_eq!(days(79_000_000_000, 1e8, 1e9), ", enough for 79 to 790 days");
    }

    #[test]
    fn sizes_for_people() {
        let sizes = [0.0, 999.0, 1500.0, 98e6, 9.76e9, 1.9e14].map(readable);
        assert_eq!(sizes, ["0 bytes", "999 bytes", "1.5 kB", "98 MB", "9.8 GB", "190 TB"]);
    }
}
