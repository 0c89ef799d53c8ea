//! Bytes that are no JSON: a word of the exchange's now and then, or all of the feed.
//!
//! ```text
//! first ──▶ outbreak ── a minute without, an hour, or the end of the connection ──▶ one notice: since when, how many
//!              └ three long ones and ten seconds without data ──▶ the feed has become unreadable
//! ```

use crate::clock::Instant;
use crate::connection::Notice;
use std::time::Duration;

/// An outbreak is over after this without another.
const OVER: Duration = Duration::from_secs(60);

/// One that goes on is reported this often.
const REPORTED_EVERY: Duration = Duration::from_secs(3600);

/// Shorter ones are words such as `PONG`: no spelling of an object with a type, a code and a price is as short, not a
/// compressed one either.
const OBJECT_BYTES: usize = 32;

/// So many in place of data, for at least so long: one page of HTML is no feed.
const LEAST: u32 = 3;
const INSTEAD: Duration = Duration::from_secs(10);

/// The unreadable bytes of one socket.
#[derive(Debug, Default)]
pub(super) struct Unreadable {
    outbreak: Option<Outbreak>,
    /// Those that may have been data, since the last data.
    instead: Option<Instead>,
}

#[derive(Debug)]
struct Outbreak {
    since: Instant,
    last: Instant,
    frames: u64,
}

#[derive(Clone, Copy, Debug)]
struct Instead {
    since: Instant,
    count: u32,
}

impl Unreadable {
    /// So many unreadable bytes came.
    pub(super) fn handle_unreadable(&mut self, at: Instant, length: usize) {
        let outbreak = self.outbreak.get_or_insert(Outbreak { since: at, last: at, frames: 0 });
        (outbreak.last, outbreak.frames) = (at, outbreak.frames.saturating_add(1));
        if length >= OBJECT_BYTES {
            let instead = self.instead.get_or_insert(Instead { since: at, count: 0 });
            instead.count = instead.count.saturating_add(1);
        }
    }

    /// Data came, or nothing was read for a while.
    pub(super) fn handle_data(&mut self) {
        self.instead = None;
    }

    /// When they have come in place of data for too long.
    pub(super) fn suspicious_at(&self) -> Option<Instant> {
        self.instead.filter(|instead| instead.count >= LEAST).map(|instead| instead.since + INSTEAD)
    }

    /// The outbreak that is over, or has gone on for long.
    pub(super) fn poll_notice(&mut self, now: Instant) -> Option<Notice> {
        if self.deadline().is_some_and(|deadline| now >= deadline) { self.end() } else { None }
    }

    /// Ends the outbreak, if there is one.
    pub(super) fn end(&mut self) -> Option<Notice> {
        let Outbreak { since, frames, .. } = self.outbreak.take()?;
        Some(Notice::Unreadable { since, frames })
    }

    /// When to poll again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.outbreak.as_ref().map(|outbreak| (outbreak.last + OVER).min(outbreak.since + REPORTED_EVERY))
    }
}
