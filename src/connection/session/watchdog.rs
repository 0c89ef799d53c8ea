//! Whether what was asked for is what comes: the exchange acknowledges nothing and misspelt codes are just silent, and a
//! connection that answers pings may bring nothing any more.
//!
//! ```text
//! silence      subscribed, but no first frame in time                          one notice with the list
//! listing      LIST_SUBSCRIPTIONS leaves out what had brought data  5 s ──┐
//! staleness    trades moved the ticker, the trade stream brings none 30 s ─┼─▶ stale ─▶ escalation ─▶ remedies
//! pace         no data at all for longer than this feed is ever quiet ─┐  │
//! unreadable   bytes in place of data ─────────────────────────────────┴─▶ ask, 10 s
//! nothing      no first data on a new connection ────────────────────────────────────▶ escalation
//! ```
//!
//! A feed is proved by the data of subscribed streams alone: status, replies, errors and streams that nobody asked for keep
//! a socket warm, and no more. None of it is judged while the recorder does not read. What is learnt outlives the
//! connection: the watchdog is handed from one socket to the next.

use super::escalation::{AFTER_ASKING, Escalation, EscalationStep};
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
use crate::upbit::listing::{Difference, Listing, stream_name};
use crate::upbit::subscription::Request;
use crate::upbit::types::PRIVATE_TYPES;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a stream that the list leaves out may take to prove the list wrong. What was on its way comes within a second.
const UNLISTED: Duration = Duration::from_secs(5);

/// How often the list is asked for on a connection that brings data: a stream that is dropped from it is found in this time,
/// at the cost of one of the five hundred messages that may be sent meanwhile.
const ASK_EVERY: Duration = Duration::from_secs(300);

/// How long a new connection may bring nothing, where snapshots are due: three times what the slowest was seen to take.
const FIRST_DATA: Duration = Duration::from_secs(30);

/// The watch over the streams of one connection, from socket to socket.
#[derive(Debug, Default)]
pub(super) struct StreamWatchdog {
    first_frame_timeout: Duration,
    /// The account's feed may be quiet for days, and what the exchange says of it is redacted.
    is_private: bool,
    streams: Streams,
    pace: Pace,
    unreadable: Unreadable,
    escalation: Escalation,
    /// Of the open socket.
    silence: Silence,
    staleness: Staleness,
    wanted: Listing,
    listing: Asking,
    /// How the list differed when it last came, and when it is asked for again.
    difference: Difference,
    ask_at: Option<Instant>,
    paused: bool,
    /// Since when silence counts: the last data, the request, or the end of a pause.
    quiet_since: Option<Instant>,
    has_data: bool,
    /// When the first data is late, and whether it is.
    late_at: Option<Instant>,
    is_late: bool,
    mute: Mute,
    /// When the streams that the list leaves out are suspected.
    unlisted_at: Option<Instant>,
    /// What was reported: because no data came at all, because the list left it out; and what is fine again.
    told: BTreeSet<String>,
    missing: BTreeSet<String>,
    fresh: BTreeSet<String>,
}

/// Where the comparison with the exchange's list stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asking {
    Unasked,
    /// To be asked because streams are suspected.
    Wanted,
    Asked,
    #[default]
    Compared,
}

/// Whether the whole connection counts as mute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mute {
    #[default]
    No,
    /// It does from then on, unless data comes.
    At(Instant),
    Told,
}

impl StreamWatchdog {
    /// Over a connection without a request.
    pub(super) fn new(first_frame_timeout: Duration, feed: Feed) -> Self {
        Self { first_frame_timeout, is_private: feed == Feed::Private, ..Self::default() }
    }

    /// The request was handed to the socket. One that is repeated for mute streams has them reported already.
    pub(super) fn handle_requested(&mut self, now: Instant, request: &Request, reason: SubscribeReason) {
        if reason != SubscribeReason::Stale {
            self.silence = Silence::new(request, now + self.first_frame_timeout);
        }
        self.staleness.handle_requested(now, request);
        self.streams.handle_requested(request);
        // What is asked for no longer is suspected no longer.
        let names = self.streams.names(|_| true);
        for suspected in [&mut self.told, &mut self.missing] {
            move_unless(suspected, &names, &mut self.fresh);
        }
        self.wanted = Listing::of(request);
        (self.listing, self.unlisted_at, self.ask_at) = (Asking::Unasked, None, None);
        self.difference = Difference::default();
        self.streams.each().for_each(|stream| stream.is_unlisted = false);
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
                        self.staleness.handle_data(received, kind, (code, object));
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
        let unasked = self.listing == Asking::Unasked;
        if unasked {
            self.listing = Asking::Asked;
        }
        unasked
    }

    /// The exchange's list came, or something that is none. Streams that it leaves out although they had brought data have
    /// a moment to prove it wrong.
    pub(super) fn handle_reply(&mut self, now: Instant, object: &[u8]) -> Option<Notice> {
        if self.listing != Asking::Asked {
            return None;
        }
        let subscribed = Listing::from_reply(object)?;
        (self.listing, self.ask_at) = (Asking::Compared, Some(now + ASK_EVERY));
        let difference = self.wanted.compare(&subscribed);
        for name in &difference.missing {
            let stream = self.streams.named(name).filter(|stream| stream.last.is_some() && !stream.list_is_wrong);
            if let Some(stream) = stream {
                stream.is_unlisted = true;
                self.unlisted_at = Some(now + UNLISTED);
            }
        }
        move_unless(&mut self.missing, &difference.missing, &mut self.fresh);
        // Told once for as long as it stays the same.
        let is_known = std::mem::replace(&mut self.difference, difference.clone()) == difference;
        let Difference { missing, unexpected } = difference;
        let same = missing.is_empty() && unexpected.is_empty();
        let unexpected = if self.is_private { redact(&unexpected) } else { unexpected };
        (!same && !is_known).then_some(Notice::Mismatch { missing, unexpected })
    }

    /// The recorder has no room to read: its own silence is not the exchange's.
    pub(super) fn handle_paused(&mut self) {
        self.paused = true;
    }

    /// All that had waited is read. After a `long` pause everything begins anew; a short one changes nothing, or one
    /// every few seconds would keep the watch from ever seeing anything.
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
        self.unlisted_at = self.unlisted_at.map(|at| at.max(now + UNLISTED));
        if let Mute::At(_) = self.mute {
            self.mute = Mute::No;
        }
    }

    /// The socket is gone, or will be: what was suspected ended with it, and what was learnt stays. Returns the outbreak
    /// of unreadable bytes that ended with it.
    pub(super) fn handle_lost(&mut self) -> Option<Notice> {
        let outbreak = self.unreadable.end();
        self.unreadable.handle_data();
        self.pace.handle_interrupted();
        self.escalation.handle_lost();
        let kept = std::mem::take(self);
        *self = Self {
            first_frame_timeout: kept.first_frame_timeout,
            is_private: kept.is_private,
            streams: kept.streams,
            pace: kept.pace,
            escalation: kept.escalation,
            ..Self::default()
        };
        outbreak
    }

    /// What is to be reported at this instant.
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

    /// What is to be done at this instant about streams that went mute.
    pub(super) fn poll_escalation(&mut self, now: Instant) -> Option<EscalationStep> {
        if self.paused {
            return None;
        }
        if self.late_at.take_if(|at| now >= *at).is_some() {
            self.is_late = true;
            self.escalation.begin(now, EscalationStep::Reconnect);
        }
        let is_due = self.ask_at.take_if(|at| now >= *at).is_some();
        let wanted = (self.listing == Asking::Wanted || is_due).then_some(EscalationStep::Ask);
        let remedy = wanted.or_else(|| self.escalation.poll(now))?;
        if remedy == EscalationStep::Ask {
            // Asked again by a request of its own, the answer is compared again as well.
            self.listing = Asking::Asked;
        }
        Some(remedy)
    }

    /// When to poll again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let mute = match self.mute {
            Mute::No => self.suspicious_at(),
            Mute::At(at) => Some(at),
            Mute::Told => None,
        };
        let own = [mute, self.late_at, self.unlisted_at, self.ask_at];
        let parts = [
            self.silence.deadline(),
            self.staleness.deadline(),
            self.escalation.deadline(),
            self.unreadable.deadline(),
        ];
        own.into_iter().chain(parts).flatten().min().filter(|_| !self.paused)
    }
}

/// What the data shows.
impl StreamWatchdog {
    /// An object of a stream came; returns whether it was asked for.
    fn handle_data(&mut self, received: Instant, kind: &str, code: Option<&str>) -> bool {
        let Some(stream) = self.streams.find(kind, code) else { return false };
        stream.last = Some(received);
        stream.list_is_wrong |= std::mem::take(&mut stream.is_unlisted);
        (self.quiet_since, self.has_data, self.late_at, self.is_late) = (Some(received), true, None, false);
        self.unreadable.handle_data();
        // What had waited in a pause says nothing about the feed's pace.
        if !self.is_private && !self.paused {
            self.pace.handle_data(received);
        }
        if !self.missing.is_empty() {
            self.fresh.extend(self.missing.take(&stream_name(kind, code)));
        }
        if self.mute != Mute::No {
            self.mute = Mute::No;
            self.fresh.append(&mut self.told);
        }
        true
    }

    /// Nothing is suspected.
    fn is_sound(&self) -> bool {
        self.mute != Mute::Told && !self.is_late && self.missing.is_empty() && self.staleness.is_over()
    }

    fn poll_staleness(&mut self, now: Instant) -> Option<Notice> {
        let notice = self.staleness.poll_notice(now)?;
        if let Notice::Stale { .. } = notice {
            self.escalation.begin(now, EscalationStep::Ask);
        }
        Some(notice)
    }

    /// Streams that the list left out and that did not prove it wrong.
    fn poll_unlisted(&mut self, now: Instant) -> Option<Notice> {
        self.unlisted_at.take_if(|at| now >= *at)?;
        let mut suspects = self.streams.suspects(|stream| stream.is_unlisted, now);
        if !suspects.is_empty() {
            self.escalation.begin(now, EscalationStep::Resubscribe);
        }
        suspects.retain(|suspect| !self.is_suspected(&suspect.stream));
        self.missing.extend(suspects.iter().map(|suspect| suspect.stream.clone()));
        (!suspects.is_empty()).then_some(Notice::Stale { streams: suspects })
    }

    /// The whole connection, when nothing has come for too long: it is asked first, which costs nothing.
    fn poll_mute(&mut self, now: Instant) -> Option<Notice> {
        match self.mute {
            Mute::No if self.suspicious_at().is_some_and(|at| now >= at) => {
                (self.mute, self.listing) = (Mute::At(now + AFTER_ASKING), Asking::Wanted);
                None
            }
            Mute::At(at) if now >= at => {
                self.mute = Mute::Told;
                self.pace.handle_alarm();
                self.escalation.begin(now, EscalationStep::Resubscribe);
                let mut suspects = self.streams.suspects(|_| true, self.quiet_since.unwrap_or(now));
                suspects.retain(|suspect| !self.is_suspected(&suspect.stream));
                self.told.extend(suspects.iter().map(|suspect| suspect.stream.clone()));
                (!suspects.is_empty()).then_some(Notice::Stale { streams: suspects })
            }
            Mute::No | Mute::At(_) | Mute::Told => None,
        }
    }

    fn poll_fresh(&mut self) -> Option<Notice> {
        let fresh = std::mem::take(&mut self.fresh);
        let streams: Vec<String> = fresh.into_iter().filter(|stream| !self.is_suspected(stream)).collect();
        (!streams.is_empty()).then_some(Notice::Fresh { streams })
    }

    /// Whether a stream is on record as mute.
    fn is_suspected(&self, stream: &str) -> bool {
        self.told.contains(stream) || self.missing.contains(stream) || self.staleness.holds(stream)
    }

    /// From when on the whole connection is doubted, unless data comes.
    fn suspicious_at(&self) -> Option<Instant> {
        let absurd = self.pace.absurd().filter(|_| self.has_data);
        let silent = self.quiet_since.zip(absurd).map(|(since, absurd)| since + absurd);
        let unreadable = self.unreadable.suspicious_at().filter(|_| self.has_data || self.is_private);
        silent.into_iter().chain(unreadable).min()
    }
}

/// Moves the names that are not among the `kept`, which are sorted.
fn move_unless(names: &mut BTreeSet<String>, kept: &[String], to: &mut BTreeSet<String>) {
    let (stay, go) = std::mem::take(names).into_iter().partition(|name| kept.binary_search(name).is_ok());
    *names = stay;
    to.append(&mut { go });
}

/// Received names, of which only the types are shown that are known here.
fn redact(streams: &[String]) -> Vec<String> {
    let kind = |stream: &String| {
        let known = PRIVATE_TYPES.into_iter().find(|kind| stream.rsplit('_').next() == Some(*kind));
        known.unwrap_or("other").to_owned()
    };
    let kinds: BTreeSet<String> = streams.iter().map(kind).collect();
    kinds.into_iter().collect()
}

#[cfg(test)]
mod tests;
