//! Liveness of every subscribed stream: the exchange acknowledges no subscription and says nothing of misspelt codes,
//! and a connection that answers pings may bring no data any more.
//!
//! ```text
//! silence      subscribed, but no first frame in time                         one notice with the streams
//! list_check   the exchange's list lacks a stream with data     5 s ──────┐
//! staleness    the ticker moves, the trade stream brings nothing 30 s ────┼─▶ stale ─▶ escalation
//! pace         no data at all for longer than this feed is ever quiet ─┐  │
//! unreadable   bytes in place of data ─────────────────────────────────┴─▶ ask for the list, 10 s
//! late         no first data on a new connection ────────────────────────────────────▶ escalation
//! ```
//!
//! Liveness of a feed is proved by data of subscribed streams alone: status, replies, errors and streams that were not
//! subscribed prove that of the socket. None of it is judged while the recorder does not read. The watchdog is handed
//! from one socket to the next, because its statistics outlive them.

use super::escalation::{AFTER_ASKING, Escalation, EscalationStep};
use super::list_check::{ListCheck, move_unless};
use super::pace::Pace;
use super::silence::Silence;
use super::staleness::Staleness;
use super::streams::Streams;
use super::unreadable::Unreadable;
use crate::batch::{Batch, DataSpan, Entry};
use crate::clock::Instant;
use crate::connection::Notice;
use crate::tape::words::SubscribeReason;
use crate::upbit::feed::Feed;
use crate::upbit::subscription::Request;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a new connection may bring nothing, where snapshots are due: three times the slowest measured.
const FIRST_DATA: Duration = Duration::from_secs(30);

/// The checks over the streams of one connection, from socket to socket.
#[derive(Debug, Default)]
pub(super) struct StreamWatchdog {
    first_frame_timeout: Duration,
    /// The account's feed may be quiet for days, and received names are redacted.
    is_private: bool,
    streams: Streams,
    pace: Pace,
    unreadable: Unreadable,
    escalation: Escalation,
    // From here on of the open socket.
    silence: Silence,
    staleness: Staleness,
    list: ListCheck,
    paused: bool,
    /// Since when silence counts: the last data, the request, or the end of a pause.
    quiet_since: Option<Instant>,
    has_data: bool,
    /// When the first data is late, and whether it is.
    late_at: Option<Instant>,
    is_late: bool,
    mute: Mute,
    /// Streams on record as mute because no data came at all.
    muted: BTreeSet<String>,
    /// Streams that bring data again.
    fresh: BTreeSet<String>,
}

/// Whether the whole connection counts as mute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mute {
    #[default]
    No,
    /// It does from then on, unless data comes.
    At(Instant),
    Reported,
}

impl StreamWatchdog {
    /// Over a connection without a request.
    pub(super) fn new(first_frame_timeout: Duration, feed: Feed) -> Self {
        let is_private = feed == Feed::Private;
        Self { first_frame_timeout, is_private, list: ListCheck::new(is_private), ..Self::default() }
    }

    /// The request is handed to the socket. Where it is repeated for mute streams, they are reported already.
    pub(super) fn handle_requested(&mut self, now: Instant, request: &Request, reason: SubscribeReason) {
        if reason != SubscribeReason::Stale {
            self.silence = Silence::new(request, now + self.first_frame_timeout);
        }
        self.staleness.handle_requested(now, request);
        self.streams.handle_requested(request);
        // A stream that is not subscribed any more is not suspected any more.
        let names = self.streams.names(|_| true);
        move_unless(&mut self.muted, &names, &mut self.fresh);
        self.list.retain(&names, &mut self.fresh);
        self.list.handle_requested(request, &mut self.streams);
        self.pace.handle_interrupted();
        self.quiet_since = Some(now);
        if !self.has_data && !self.is_private {
            let snapshots = (!self.silence.is_over()).then(|| FIRST_DATA.max(self.first_frame_timeout));
            self.late_at = snapshots.or_else(|| self.pace.absurd()).map(|patience| now + patience);
        }
    }

    /// Frames came. Returns where the data of subscribed streams lie among them.
    pub(super) fn handle_batch(&mut self, batch: &Batch) -> Option<DataSpan> {
        let mut data: Option<DataSpan> = None;
        for (index, (received, entry)) in batch.entries().enumerate() {
            match entry {
                Entry::Data { object, kind, code } => {
                    if self.handle_data(received, kind, code) {
                        data.get_or_insert(DataSpan { first: index, last: index }).last = index;
                    }
                    if let Some(code) = code {
                        self.silence.handle_data(kind, code);
                        self.staleness.handle_data(received, kind, code, object);
                    }
                }
                Entry::Unreadable { bytes } => self.unreadable.handle_unreadable(received, bytes.len()),
                Entry::Control { .. } => {}
            }
        }
        if let Some(last) = self.quiet_since.filter(|_| data.is_some() && self.is_sound()) {
            self.escalation.handle_calm(last);
        }
        data
    }

    /// Whether to ask for the exchange's list now: once for each request, after it has brought data.
    pub(super) fn take_question(&mut self) -> bool {
        self.list.take_question()
    }

    /// A reply came, perhaps the exchange's list.
    pub(super) fn handle_reply(&mut self, now: Instant, object: &[u8]) -> Option<Notice> {
        self.list.handle_reply(now, object, &mut self.streams, &mut self.fresh)
    }

    /// The recorder does not read: silence is its own.
    pub(super) fn handle_paused(&mut self) {
        self.paused = true;
    }

    /// All that had waited is read. After a `long` pause every check begins anew; a short one changes nothing, or one every
    /// few seconds would keep every check from ever coming to a result.
    pub(super) fn handle_resumed(&mut self, now: Instant, long: bool) {
        self.paused = false;
        if !long {
            return;
        }
        self.silence.postpone(now + self.first_frame_timeout);
        self.staleness.handle_interrupted(now);
        self.escalation.postpone(now);
        self.pace.handle_interrupted();
        self.unreadable.handle_data();
        self.quiet_since = self.quiet_since.map(|since| since.max(now));
        self.late_at = self.late_at.map(|at| at.max(now + FIRST_DATA));
        self.list.postpone(now);
        if let Mute::At(_) = self.mute {
            self.mute = Mute::No;
        }
    }

    /// The socket is lost: suspicions end with it, and statistics stay. Returns the outbreak of unreadable bytes that
    /// ended with it.
    pub(super) fn handle_lost(&mut self) -> Option<Notice> {
        let outbreak = self.unreadable.end();
        self.unreadable.handle_data();
        self.pace.handle_interrupted();
        self.escalation.handle_lost();
        let kept = std::mem::take(self);
        *self = Self {
            first_frame_timeout: kept.first_frame_timeout,
            is_private: kept.is_private,
            list: ListCheck::new(kept.is_private),
            streams: kept.streams,
            pace: kept.pace,
            escalation: kept.escalation,
            ..Self::default()
        };
        outbreak
    }

    /// The next finding at this instant.
    pub(super) fn poll_notice(&mut self, now: Instant) -> Option<Notice> {
        if self.paused {
            return None;
        }
        self.silence
            .take_silent(now)
            .or_else(|| self.poll_staleness(now))
            .or_else(|| self.poll_unlisted(now))
            .or_else(|| self.poll_mute(now))
            .or_else(|| self.poll_fresh())
            .or_else(|| self.unreadable.poll_notice(now))
    }

    /// The next step against mute streams at this instant.
    pub(super) fn poll_escalation(&mut self, now: Instant) -> Option<EscalationStep> {
        if self.paused {
            return None;
        }
        if self.late_at.take_if(|at| now >= *at).is_some() {
            self.is_late = true;
            self.escalation.begin(now, EscalationStep::Reconnect);
        }
        let ask = self.list.poll_ask(now).then_some(EscalationStep::Ask);
        let step = ask.or_else(|| self.escalation.poll(now))?;
        if step == EscalationStep::Ask {
            self.list.handle_asked();
        }
        Some(step)
    }

    /// When to poll again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let mute = match self.mute {
            Mute::No => self.suspicious_at(),
            Mute::At(at) => Some(at),
            Mute::Reported => None,
        };
        let deadlines = [
            mute,
            self.late_at,
            self.list.deadline(),
            self.silence.deadline(),
            self.staleness.deadline(),
            self.escalation.deadline(),
            self.unreadable.deadline(),
        ];
        deadlines.into_iter().flatten().min().filter(|_| !self.paused)
    }

    /// An object of a stream came; returns whether it is subscribed.
    fn handle_data(&mut self, received: Instant, kind: &str, code: Option<&str>) -> bool {
        let Some(stream) = self.streams.find(kind, code) else { return false };
        stream.last = Some(received);
        stream.list_is_wrong |= std::mem::take(&mut stream.is_unlisted);
        (self.quiet_since, self.has_data, self.late_at, self.is_late) = (Some(received), true, None, false);
        self.unreadable.handle_data();
        // Frames that had waited in a pause carry no arrival times.
        if !self.is_private && !self.paused {
            self.pace.handle_data(received);
        }
        self.list.handle_data(kind, code, &mut self.fresh);
        if self.mute != Mute::No {
            self.mute = Mute::No;
            self.fresh.append(&mut self.muted);
        }
        true
    }

    /// Nothing is suspected.
    fn is_sound(&self) -> bool {
        self.mute != Mute::Reported && !self.is_late && self.list.is_over() && self.staleness.is_over()
    }

    fn poll_staleness(&mut self, now: Instant) -> Option<Notice> {
        let notice = self.staleness.poll_notice(now)?;
        if let Notice::Stale { .. } = notice {
            self.escalation.begin(now, EscalationStep::Ask);
        }
        Some(notice)
    }

    /// Streams that the list lacks and that did not prove it wrong.
    fn poll_unlisted(&mut self, now: Instant) -> Option<Notice> {
        let mut suspects = self.list.poll_unlisted(now, &self.streams);
        if !suspects.is_empty() {
            self.escalation.begin(now, EscalationStep::Resubscribe);
        }
        suspects.retain(|suspect| !self.is_suspected(&suspect.stream));
        self.list.handle_suspects(&suspects);
        (!suspects.is_empty()).then_some(Notice::Stale { streams: suspects })
    }

    /// The whole connection, when no data has come for too long: the list is asked for first, which costs nothing.
    fn poll_mute(&mut self, now: Instant) -> Option<Notice> {
        match self.mute {
            Mute::No if self.suspicious_at().is_some_and(|at| now >= at) => {
                self.mute = Mute::At(now + AFTER_ASKING);
                self.list.want();
                None
            }
            Mute::At(at) if now >= at => {
                self.mute = Mute::Reported;
                self.pace.handle_alarm();
                self.escalation.begin(now, EscalationStep::Resubscribe);
                let mut suspects = self.streams.suspects(|_| true, self.quiet_since.unwrap_or(now));
                suspects.retain(|suspect| !self.is_suspected(&suspect.stream));
                self.muted.extend(suspects.iter().map(|suspect| suspect.stream.clone()));
                (!suspects.is_empty()).then_some(Notice::Stale { streams: suspects })
            }
            Mute::No | Mute::At(_) | Mute::Reported => None,
        }
    }

    fn poll_fresh(&mut self) -> Option<Notice> {
        let fresh = std::mem::take(&mut self.fresh);
        let streams: Vec<String> = fresh.into_iter().filter(|stream| !self.is_suspected(stream)).collect();
        (!streams.is_empty()).then_some(Notice::Fresh { streams })
    }

    /// Whether a stream is on record as mute.
    fn is_suspected(&self, stream: &str) -> bool {
        self.muted.contains(stream) || self.list.holds(stream) || self.staleness.holds(stream)
    }

    /// From when on the whole connection is doubted, unless data comes.
    fn suspicious_at(&self) -> Option<Instant> {
        let absurd = self.pace.absurd().filter(|_| self.has_data);
        let silent = self.quiet_since.zip(absurd).map(|(since, absurd)| since + absurd);
        let unreadable = self.unreadable.suspicious_at().filter(|_| self.has_data || self.is_private);
        silent.into_iter().chain(unreadable).min()
    }
}

#[cfg(test)]
mod tests;
