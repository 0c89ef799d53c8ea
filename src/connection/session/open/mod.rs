//! One open socket: what can be wrong with it while it seems to live.
//!
//! ```text
//! mute       no byte in answer to a ping                     keepalive
//! stuck      bytes keep coming, but no message is ever whole  ASSEMBLY_TIMEOUT
//! congested  what we send does not leave                      SEND_TIMEOUT
//! refused    an error frame, and the close does not follow    REFUSAL_GRACE
//! ```
//!
//! None of it is judged while the recorder itself does not read: then the silence is ours.

mod keepalive;
mod quiet;

pub(super) use keepalive::Keepalive;
pub(super) use quiet::Quiet;

use super::watch::StreamWatchdog;
use crate::clock::Instant;
use std::time::Duration;

/// How long one message may take from its first byte to its last: 4 MiB in this time is 3.4 Mbit/s, while the exchange's
/// whole feed comes faster; a slower line could not keep up anyway.
const ASSEMBLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a message of ours, some tens of kilobytes at most, may take to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long after an error frame the close must follow (it takes 0.15 s on the wire), and how long a loss counts as its
/// consequence.
const REFUSAL_GRACE: Duration = Duration::from_secs(5);

/// Pauses shorter than this are not noted: they cannot be told from the machine being busy.
const PAUSE_NOTED: Duration = Duration::from_millis(100);

/// An open socket.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) keepalive: Keepalive,
    pub(super) watch: StreamWatchdog,
    /// Data has come, or the request stands without.
    pub(super) live: bool,
    /// On a connection that may be quiet for days.
    pub(super) quiet: Option<Quiet>,
    partial_since: Option<Instant>,
    unsent_since: Option<Instant>,
    refused_at: Option<Instant>,
    pause: Option<Pause>,
}

#[derive(Debug)]
struct Pause {
    from: Instant,
    /// Reading again, but not yet through with what had waited.
    draining: bool,
}

impl Open {
    /// A socket that was just opened.
    pub(super) fn new(keepalive: Keepalive, watch: StreamWatchdog, quiet: Option<Quiet>) -> Self {
        Self {
            keepalive,
            watch,
            live: false,
            quiet,
            partial_since: None,
            unsent_since: None,
            refused_at: None,
            pause: None,
        }
    }

    /// Bytes came; `whole` says whether they completed at least one message.
    pub(super) fn handle_heard(&mut self, now: Instant, whole: bool) {
        self.keepalive.handle_heard();
        if let Some(quiet) = &mut self.quiet {
            quiet.handle_heard(now);
        }
        if whole {
            self.partial_since = None;
        } else {
            self.partial_since.get_or_insert(now);
        }
    }

    /// Something was handed to the socket.
    pub(super) fn handle_sending(&mut self, now: Instant) {
        self.unsent_since.get_or_insert(now);
    }

    /// Everything handed to the socket has left.
    pub(super) fn handle_sent(&mut self) {
        self.unsent_since = None;
    }

    /// An error frame came.
    pub(super) fn handle_refused(&mut self, now: Instant) {
        self.refused_at = Some(now);
    }

    /// Whether a loss at this instant is the consequence of an error frame.
    pub(super) fn is_refused(&self, now: Instant) -> bool {
        self.refused_at.is_some_and(|refused_at| now <= refused_at + REFUSAL_GRACE)
    }

    /// Since when the request stands although it has brought nothing; `None` where that is not sure, or nothing new.
    pub(super) fn stands_since(&self, now: Instant) -> Option<Instant> {
        let quiet = self.quiet.as_ref().filter(|_| !self.live && self.refused_at.is_none());
        quiet.and_then(|quiet| quiet.stands_since(now))
    }

    /// The recorder reads (again), or has no room to.
    pub(super) fn handle_reading(&mut self, now: Instant, reading: bool) {
        let was_reading = self.pause.as_ref().is_none_or(|pause| pause.draining);
        if was_reading == reading {
            return;
        }
        self.keepalive.suspend(!reading);
        self.watch.handle_paused();
        self.partial_since = None;
        self.unsent_since = self.unsent_since.map(|_| now);
        let pause = self.pause.get_or_insert(Pause { from: now, draining: false });
        pause.draining = reading;
    }

    /// Ends the pause, once everything that waited was read or the connection is lost; returns it where it is worth
    /// noting.
    pub(super) fn end_pause(&mut self, now: Instant, lost: bool) -> Option<(Instant, Instant)> {
        let pause = self.pause.take_if(|pause| pause.draining || lost)?;
        let long = now >= pause.from + PAUSE_NOTED;
        self.watch.handle_resumed(now, long);
        long.then_some((pause.from, now))
    }

    /// What is wrong, if anything is.
    pub(super) fn trouble(&self, now: Instant) -> Option<&'static str> {
        let over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| now >= deadline);
        if self.keepalive.is_dead(now) {
            Some("no answer to a ping")
        } else if over(self.stuck_at()) {
            Some("a message was begun but not finished in time")
        } else if over(self.congested_at()) {
            Some("what was sent did not leave in time")
        } else if over(self.leave_at()) {
            Some("an error, and no close after it")
        } else {
            None
        }
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            Some(self.keepalive.ping_at()),
            self.keepalive.dead_at(),
            self.stuck_at(),
            self.congested_at(),
            self.leave_at(),
            self.watch.deadline(),
            self.quiet.as_ref().filter(|_| !self.live && self.refused_at.is_none()).and_then(Quiet::deadline),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn stuck_at(&self) -> Option<Instant> {
        Some(self.partial_since? + ASSEMBLY_TIMEOUT)
    }

    /// A server that cannot send because nobody reads may not read either.
    fn congested_at(&self) -> Option<Instant> {
        let reading = self.pause.as_ref().is_none_or(|pause| pause.draining);
        self.unsent_since.filter(|_| reading).map(|unsent_since| unsent_since + SEND_TIMEOUT)
    }

    /// A refused request on a socket that brings data leaves the earlier one standing; only without data is it useless.
    fn leave_at(&self) -> Option<Instant> {
        if self.live { None } else { Some(self.refused_at? + REFUSAL_GRACE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    fn open() -> (Open, Instant) {
        let now = Clock::anchored(Stamp::MAX).now();
        let keepalive = Keepalive::new(Duration::from_secs(15), Duration::from_secs(10), now);
        (Open::new(keepalive, StreamWatchdog::new(Duration::from_secs(10), true), None), now)
    }

    #[test]
    fn a_message_that_never_ends_is_left() {
        let (mut open, start) = open();
        for second in 1..=10 {
            open.handle_heard(start + Duration::from_secs(second), false);
        }
        assert_eq!(open.deadline(), Some(start + Duration::from_secs(11)));
        assert!(open.trouble(start + Duration::from_secs(10)).is_none());
        assert!(open.trouble(start + Duration::from_secs(11)).is_some());
        open.handle_heard(start + Duration::from_secs(11), true);
        assert!(open.trouble(start + Duration::from_secs(11)).is_none());
    }

    #[test]
    fn a_pause_ends_when_all_that_waited_was_read() {
        let (mut open, start) = open();
        let at = |ms| start + Duration::from_millis(ms);
        open.handle_reading(at(0), true);
        assert_eq!(open.end_pause(at(5), false), None);
        open.handle_reading(at(10), false);
        assert_eq!(open.end_pause(at(200), false), None);
        open.handle_reading(at(300), true);
        open.handle_reading(at(310), false);
        open.handle_reading(at(320), true);
        assert_eq!(open.end_pause(at(400), false), Some((at(10), at(400))));
        assert_eq!(open.end_pause(at(401), false), None);
        open.handle_reading(at(500), false);
        assert_eq!(open.end_pause(at(800), true), Some((at(500), at(800))));
    }

    #[test]
    fn short_pauses_are_not_noted() {
        let (mut open, start) = open();
        open.handle_reading(start, false);
        open.handle_reading(start, true);
        assert_eq!(open.end_pause(start + Duration::from_millis(50), false), None);
    }

    #[test]
    fn a_loss_long_after_an_error_is_not_its_consequence() {
        let (mut open, start) = open();
        open.live = true;
        open.handle_refused(start);
        assert!(open.is_refused(start + Duration::from_millis(150)));
        assert!(!open.is_refused(start + Duration::from_secs(60)));
        assert!(open.trouble(start + Duration::from_secs(9)).is_none());
        open.live = false;
        assert!(open.trouble(start + Duration::from_secs(9)).is_some());
    }
}
