//! The snapshot as one line a second on a terminal. Pure.
//!
//! ```text
//! public live · 9 streams · 42 msg/s · 1.2 MiB written · last gap 3.1 s, 12 min ago
//! public: connection refused by 127.0.0.1:9 · attempt 4 in 3.2 s · not recording for 8 s
//! ```

use super::status::Status;
use super::status::feeds::Link;
use crate::clock::Instant;
use crate::quantity::{rounded_duration, rounded_size};
use crate::upbit::feed::Feed;
use std::fmt::Write;

/// Formats snapshots as lines; keeps the last one to compute rates.
#[derive(Debug, Default)]
pub struct Display {
    last: Option<(Instant, u64)>,
}

impl Display {
    /// The line for a snapshot taken at `now`.
    pub fn line(&mut self, status: &Status, now: Instant) -> String {
        let rate = self.rate(status.messages, now);
        let connections = status.connections.iter();
        let mut line = connections
            .map(|(feed, connection)| describe(*feed, &connection.link, now))
            .collect::<Vec<_>>()
            .join(" · ");
        let (streams, written) = (plural(status.stream_count, "stream"), rounded_size(status.bytes));
        // Writing to a string cannot fail.
        let _ = write!(line, " · {streams} · {rate:.0} msg/s · {written}");
        if let Some(gap) = status.gaps.last() {
            let (length, ago) = (gap.length(), status.at.since(gap.to));
            let _ = write!(line, " · last gap {}, {} ago", rounded_duration(length), rounded_duration(ago));
        }
        if let Some(room) = status.disk.room.filter(|room| room.is_low) {
            let _ = write!(line, " · LOW ON DISK: {} left", rounded_size(room.bytes));
        }
        match &status.disk.full {
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

/// The state of a connection, for people.
pub(super) fn describe(id: Feed, link: &Link, now: Instant) -> String {
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
    use crate::clock::{Clock, Position, Stamp};
    use crate::ops::status::feeds::ConnectionStatus;
    use crate::tape::gap::{Gap, GapKind};
    use std::collections::BTreeMap;
    use std::time::Duration;

    fn stamp(seconds: u64) -> Stamp {
        Stamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn connection(link: Link) -> BTreeMap<Feed, ConnectionStatus> {
        let (asked, count) = (Default::default(), Default::default());
        BTreeMap::from([(Feed::Public, ConnectionStatus { link, asked, mute: Vec::new(), gap: None, count })])
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
            connections: connection(Link::Live),
            stream_count: 9,
            bytes: 1_258_291,
            at: stamp(403),
            ..Status::default()
        };
        status.gaps.note(Position { epoch: 0, stamp: stamp(103) }, gap, stamp(103));
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
        let status = Status { connections: connection(waiting), ..Status::default() };
        let line = Display::default().line(&status, now);
        assert_eq!(line, "public NOT RECORDING: connection refused · attempt 4 in 3.2 s · 0 streams · 0 msg/s · 0 B");
    }
}
