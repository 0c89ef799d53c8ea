//! The requests that backfill, healing and audit make: each of them, in order, over three scripted histories.
//!
//! ```text
//! engine ─▶ Proxy: logs the request, injects faults ─▶ replay: seeded, anchored to a fixed time
//! ```
//!
//! A golden file per history lists the requests in order, then a summary of the files. The clocks of engine and exchange
//! are anchored to one fixed time, so neither the date nor midnight changes a request. Where requests run concurrently, the
//! proxy makes their order deterministic ([`proxy`]), so it is pinned across walks, too.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it rest::requests` rewrites the files.

mod audit;
mod backfill;
mod healing;
mod proxy;
mod tape;

use crate::support::Tape;
use crate::support::json::{object_of, parse};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use upbit_recorder::clock::Stamp;
use upbit_recorder::config::{self, Config, Sources};

/// The present of every history: noon of a Sunday.
const NOW: &str = "2026-11-22T12:00:00Z";

/// A moment in milliseconds since the epoch.
fn millis(moment: &str) -> i64 {
    moment.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// The stamp of a moment.
fn stamp(moment: &str) -> Stamp {
    Stamp::from_micros(u64::try_from(millis(moment)).unwrap() * 1_000).unwrap()
}

/// A configuration with REST at the proxy's `address` and without a limit of requests, because pacing depends on time.
fn config(data_dir: &Path, address: SocketAddr) -> Config {
    let settings = [
        format!("data_dir={}", data_dir.display()),
        format!("rest.url=http://{address}/v1"),
        // No exchange listens there: a live connection would add gaps of its own.
        "public.url=ws://127.0.0.1:1/websocket/v1".to_owned(),
    ];
    let sources = Sources { assignments: settings.to_vec(), ..Sources::default() };
    let mut config = config::load(&sources).unwrap().config;
    config.rest.requests_per_second = 1_000;
    config
}

/// The text of a golden file.
#[derive(Default)]
struct Golden(String);

impl Golden {
    /// Adds a section.
    fn part(&mut self, title: &str, lines: impl IntoIterator<Item = impl AsRef<str>>) {
        let blank = if self.0.is_empty() { "" } else { "\n" };
        writeln!(self.0, "{blank}== {title}").unwrap();
        lines.into_iter().for_each(|line| writeln!(self.0, "{}", line.as_ref()).unwrap());
    }

    /// Compares it with the file `name`, or rewrites the file.
    fn check(self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/rest/requests").join(name);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &self.0).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let lines = || self.0.lines().map(Some).chain([None]).zip(expected.lines().map(Some).chain([None]));
        let difference = lines().enumerate().find(|(_, (made, expected))| made != expected);
        assert!(self.0 == expected, "{name} differs, first in {difference:?}; all of it:\n{}", self.0);
    }
}

/// A line per stream of a directory that `is_meant`: count of objects, times of the first and the last, checksum.
fn stored(directory: PathBuf, is_meant: impl Fn(&str) -> bool) -> Vec<String> {
    let mut streams = Tape { path: directory }.lines();
    streams.retain(|stream, _| is_meant(stream));
    let line = |(stream, lines): (&String, &Vec<String>)| {
        let objects: Vec<String> = lines.iter().map(|line| object_of(line)).collect();
        let [first, last] = [objects.first(), objects.last()].map(|object| time_of(object.unwrap()));
        let mut hash = Sha256::new();
        objects.iter().for_each(|object| hash.update(format!("{object}\n")));
        let sum: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{stream}: {} objects, {first} to {last}, sha256 {sum}…", objects.len())
    };
    streams.iter().map(line).collect()
}

/// The time of a candle or a trade of the REST interface.
fn time_of(object: &str) -> String {
    let object = parse(object);
    match object["candle_date_time_utc"].as_str() {
        Some(time) => format!("{time}Z"),
        None => jiff::Timestamp::from_millisecond(object["timestamp"].as_i64().unwrap()).unwrap().to_string(),
    }
}
