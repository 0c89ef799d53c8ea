//! The recorder's status, one line a second on a terminal. Pure.
//!
//! ```text
//! public live · 9 streams · 42 msg/s · 1.2 MiB written · last gap 3.1 s, 12 min ago
//! public: connection refused by 127.0.0.1:9 · attempt 4 in 3.2 s · not recording for 8 s
//! ```

use crate::clock::{Instant, Stamp};
use crate::quantity::{rounded_duration, rounded_size};
use crate::tape::gap::Gap;
use crate::upbit::feed::Feed;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A snapshot, published by the supervisor.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The connections that are enabled.
    pub connections: BTreeMap<Feed, Link>,
    /// Streams of the exchange seen so far.
    pub streams: usize,
    /// Messages recorded since the start.
    pub messages: u64,
    /// Bytes of messages recorded since the start.
    pub bytes: u64,
    /// The last gap that closed.
    pub last_gap: Option<Gap>,
    /// Why recording is suspended; `None`: it is not.
    pub disk_full: Option<String>,
    /// The free space compared with `min_free_bytes`.
    pub space: Space,
    /// The last time that the configuration was read.
    pub reload: LastReload,
    /// The time of the snapshot, by the clock of the stamps.
    pub at: Stamp,
    /// The process is shutting down.
    pub is_stopping: bool,
}

/// The last time that the configuration was read; the start counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastReload {
    /// It was taken over; otherwise the one before stayed in force.
    pub succeeded: bool,
    /// When.
    pub at: Stamp,
    /// It is being read once more.
    pub is_running: bool,
    /// How often it was read since the start, with whatever outcome.
    pub ended: u64,
}

impl Default for LastReload {
    fn default() -> Self {
        Self { succeeded: true, at: Stamp::default(), is_running: false, ended: 0 }
    }
}

/// The state of the disk's free space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Space {
    /// Not measured yet.
    #[default]
    Unknown,
    /// Enough.
    Enough,
    /// Less than `min_free_bytes`, or too few free inodes: an operator should make room.
    Low {
        /// Bytes left.
        bytes: u64,
        /// Files that can still be created.
        inodes: u64,
    },
}

/// The state of a connection.
#[derive(Clone, Debug)]
pub enum Link {
    /// Backing off until `until`; `None`: no further attempt.
    Waiting {
        /// Why the last one failed.
        cause: String,
        /// The number of the next attempt.
        attempt: u32,
        /// When it begins.
        until: Option<Instant>,
    },
    /// Blocked: no subscription resolves until the list of pairs is known.
    Unresolved,
    /// Connecting.
    Dialing {
        /// Its number.
        attempt: u32,
    },
    /// Connected; no data yet.
    Subscribing,
    /// Data is arriving.
    Live,
}

impl Link {
    /// Why there is no connection.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Waiting { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// Formats snapshots as lines; keeps the last one to compute rates.
#[derive(Debug, Default)]
pub struct Display {
    last: Option<(Instant, u64)>,
}

impl Display {
    /// The line for a snapshot taken at `now`.
    pub fn line(&mut self, status: &Status, now: Instant) -> String {
        let rate = self.rate(status.messages, now);
        let mut line =
            status.connections.iter().map(|(id, link)| describe(*id, link, now)).collect::<Vec<_>>().join(" · ");
        let (streams, written) = (plural(status.streams, "stream"), rounded_size(status.bytes));
        // Writing to a string cannot fail.
        let _ = write!(line, " · {streams} · {rate:.0} msg/s · {written}");
        if let Some(gap) = &status.last_gap {
            let (length, ago) = (gap.length(), status.at.since(gap.to));
            let _ = write!(line, " · last gap {}, {} ago", rounded_duration(length), rounded_duration(ago));
        }
        if let Space::Low { bytes, .. } = status.space {
            let _ = write!(line, " · LOW ON DISK: {} left", rounded_size(bytes));
        }
        match &status.disk_full {
            Some(cause) => format!("NOT RECORDING, {cause} · {line}"),
            None if status.is_stopping => format!("stopping · {line}"),
            None => line,
        }
    }

    fn rate(&mut self, messages: u64, now: Instant) -> f64 {
        let (then, before) = self.last.replace((now, messages)).unwrap_or((now, messages));
        let seconds = (now - then).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let count = (messages - before) as f64;
        if seconds > 0.0 { count / seconds } else { 0.0 }
    }
}

fn describe(id: Feed, link: &Link, now: Instant) -> String {
    match link {
        Link::Waiting { cause, attempt, until: Some(until) } => {
            let left = rounded_duration(until.saturating_duration_since(now));
            format!("{id} NOT RECORDING: {cause} · attempt {attempt} in {left}")
        }
        Link::Waiting { cause, until: None, .. } => format!("{id} given up: {cause}"),
        Link::Unresolved => format!("{id} NOT RECORDING: its patterns wait for the exchange's list of pairs"),
        Link::Dialing { attempt } => format!("{id} connecting, attempt {attempt}"),
        Link::Subscribing => format!("{id} connected, waiting for the first data"),
        Link::Live => format!("{id} live"),
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::tape::gap::GapKind;
    use std::time::Duration;

    fn stamp(seconds: u64) -> Stamp {
        Stamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn a_live_recorder_shows_what_it_gets() {
        let now = Clock::anchored(stamp(0)).now();
        let gap = Gap {
            connection: Feed::Public,
            epoch: 0,
            from: stamp(100),
            to: stamp(103),
            kind: GapKind::Disconnected,
            cause: String::new(),
            only: None,
        };
        let mut status = Status {
            connections: BTreeMap::from([(Feed::Public, Link::Live)]),
            streams: 9,
            bytes: 1_258_291,
            at: stamp(403),
            last_gap: Some(gap),
            ..Status::default()
        };
        let mut display = Display::default();
        display.line(&status, now);
        status.messages = 84;
        let line = display.line(&status, now + Duration::from_secs(2));
        assert_eq!(line, "public live · 9 streams · 42 msg/s · 1.2 MiB · last gap 3.0 s, 5 min ago");
    }

    #[test]
    fn a_recorder_that_does_not_record_says_why() {
        let now = Clock::anchored(stamp(0)).now();
        let until = Some(now + Duration::from_millis(3200));
        let waiting = Link::Waiting { cause: "connection refused".into(), attempt: 4, until };
        let status = Status { connections: BTreeMap::from([(Feed::Public, waiting)]), ..Status::default() };
        let line = Display::default().line(&status, now);
        assert_eq!(line, "public NOT RECORDING: connection refused · attempt 4 in 3.2 s · 0 streams · 0 msg/s · 0 B");
    }
}
