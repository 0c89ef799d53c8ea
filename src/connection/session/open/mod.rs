//! One open socket: what can be wrong with it while it seems to live.
//!
//! ```text
//! mute       no byte in answer to a ping                     keepalive
//! stuck      bytes keep coming, but no message is ever whole  ASSEMBLY_TIMEOUT
//! congested  what we send does not leave                      SEND_TIMEOUT
//! refused    an error frame, and the close does not follow    REFUSAL_GRACE
//! ```
//!
//! None of it is judged while the recorder itself does not read, or has not yet read what waited while it did not run:
//! then the silence is ours, and the answer may be there already.

mod keepalive;
mod pause;
mod quiet;

pub(super) use keepalive::Keepalive;
pub(super) use pause::Pause;
pub(super) use quiet::Quiet;

use super::watch::StreamWatchdog;
use crate::clock::{Instant, Moment};
use crate::tape::words::PauseCause;
use std::time::Duration;

/// How long one message may take from its first byte to its last: 4 MiB in this time is 3.4 Mbit/s, while the exchange's
/// whole feed comes faster; a slower line could not keep up anyway.
const ASSEMBLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a message of ours, some tens of kilobytes at most, may take to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long after an error frame the close must follow (it takes 0.15 s on the wire), and how long a loss counts as its
/// consequence.
const REFUSAL_GRACE: Duration = Duration::from_secs(5);

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
        self.unproved().and_then(|quiet| quiet.stands_since(now))
    }

    /// The recorder reads (again), or has no room to.
    pub(super) fn handle_reading(&mut self, now: Moment, reading: bool) {
        let was_reading = self.pause.as_ref().is_none_or(|pause| pause.draining);
        let reading = reading && self.settles_at().is_none();
        if was_reading == reading {
            return;
        }
        self.keepalive.suspend(!reading);
        self.watch.handle_paused();
        self.partial_since = None;
        self.unsent_since = self.unsent_since.map(|_| now.at);
        self.pause.get_or_insert(Pause::without_room(now)).draining = reading;
    }

    /// The process was not let run since it `ran` last: what waits now is read before anything is judged, and time that
    /// nobody could use does not count.
    pub(super) fn handle_frozen(&mut self, now: Moment, ran: Moment) {
        let stood_still = now.at.saturating_duration_since(ran.at);
        let is_suspended = now.suspended_since(ran) > stood_still;
        let cause = if is_suspended { PauseCause::Machine } else { PauseCause::Process };
        self.pause.get_or_insert(Pause::without_room(ran)).handle_frozen(now, cause);
        self.keepalive.suspend(true);
        self.watch.handle_paused();
        self.partial_since = None;
        self.unsent_since = self.unsent_since.map(|_| now.at);
        self.refused_at = self.refused_at.map(|refused_at| refused_at + stood_still);
    }

    /// When a socket that brings nothing can be believed again.
    pub(super) fn settles_at(&self) -> Option<Instant> {
        self.pause.as_ref().and_then(|pause| pause.settles_at)
    }

    /// Whether it can be believed from now on.
    pub(super) fn take_settled(&mut self, now: Instant) -> bool {
        self.pause.as_mut().and_then(|pause| pause.settles_at.take_if(|at| now >= *at)).is_some()
    }

    /// Ends the pause, once everything that waited was read or the connection is lost; returns it where it is worth
    /// noting.
    pub(super) fn end_pause(&mut self, now: Moment, lost: bool) -> Option<Pause> {
        let pause = self.pause.take_if(|pause| pause.draining || lost)?;
        let long = pause.is_noted(now);
        self.watch.handle_resumed(now.at, long);
        long.then_some(pause)
    }

    /// The pause that goes on while the connection is closed in order.
    pub(super) fn take_pause(&mut self) -> Option<Pause> {
        self.pause.take()
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
            self.unproved().and_then(Quiet::deadline),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// What tells that the request stands, where that is not known: a refusal may be among what waits to be read.
    fn unproved(&self) -> Option<&Quiet> {
        self.quiet.as_ref().filter(|_| !self.live && self.refused_at.is_none() && self.pause.is_none())
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
        if self.live || self.pause.is_some() { None } else { Some(self.refused_at? + REFUSAL_GRACE) }
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

    /// An instant of a machine that was never suspended.
    fn awake(at: Instant) -> Moment {
        Moment { at, suspended: Duration::ZERO }
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
        let at = |ms| awake(start + Duration::from_millis(ms));
        let pause = |from| Some(Pause { draining: true, ..Pause::without_room(from) });
        open.handle_reading(at(0), true);
        assert_eq!(open.end_pause(at(5), false), None);
        open.handle_reading(at(10), false);
        assert_eq!(open.end_pause(at(200), false), None);
        open.handle_reading(at(300), true);
        open.handle_reading(at(310), false);
        open.handle_reading(at(320), true);
        assert_eq!(open.end_pause(at(400), false), pause(at(10)));
        assert_eq!(open.end_pause(at(401), false), None);
        open.handle_reading(at(500), false);
        assert_eq!(open.end_pause(at(800), true).map(|pause| pause.from), Some(at(500)));
    }

    #[test]
    fn short_pauses_are_not_noted() {
        let (mut open, start) = open();
        open.handle_reading(awake(start), false);
        open.handle_reading(awake(start), true);
        assert_eq!(open.end_pause(awake(start + Duration::from_millis(50)), false), None);
    }

    #[test]
    fn a_frozen_process_judges_nothing_before_it_has_read() {
        let (mut open, start) = open();
        let at = |seconds| start + Duration::from_secs(seconds);
        open.quiet = Some(Quiet::new(Duration::from_secs(10)));
        open.keepalive.handle_ping_sent(at(0));
        open.handle_sending(at(0));
        open.handle_heard(at(0), false);
        open.keepalive.handle_ping_sent(at(0));
        if let Some(quiet) = &mut open.quiet {
            quiet.handle_requested(at(0));
            quiet.handle_heard(at(0));
        }
        open.handle_frozen(awake(at(61)), awake(at(1)));
        assert_eq!((open.trouble(at(61)), open.stands_since(at(61))), (None, None));
        assert!(open.deadline() <= Some(at(61)), "a ping is due all the same");
        open.handle_reading(awake(at(61)), true);
        assert_eq!(open.end_pause(awake(at(61)), false), None, "that read may have been before");
        assert!(!open.take_settled(at(61)));
        open.handle_refused(at(61));
        assert_eq!(open.trouble(at(70)), None, "the close may wait behind what is not read yet");
        assert!(open.take_settled(at(62)) && !open.take_settled(at(62)), "once");
        open.handle_reading(awake(at(62)), true);
        let pause = open.end_pause(awake(at(70)), false).map(|pause| (pause.from, pause.cause));
        assert_eq!(pause, Some((awake(at(1)), PauseCause::Process)));
        assert_eq!(open.trouble(at(70)), Some("an error, and no close after it"));
    }

    #[test]
    fn a_close_that_waited_while_the_process_did_not_run_is_the_consequence_of_an_error() {
        let (mut open, start) = open();
        open.handle_refused(start);
        let frozen = Duration::from_secs(600);
        open.handle_frozen(awake(start + frozen), awake(start));
        assert!(open.is_refused(start + frozen));
    }

    #[test]
    fn the_stronger_cause_of_a_pause_counts_and_its_beginning_stays() {
        let (mut open, start) = open();
        let second = Duration::from_secs(1);
        let at = |seconds: u32, suspended: u32| Moment { at: start + seconds * second, suspended: suspended * second };
        open.handle_reading(at(1, 0), false);
        open.handle_frozen(at(6, 0), at(2, 0));
        assert_eq!(open.end_pause(at(6, 0), false), None, "there is no room yet");
        open.keepalive.handle_ping_sent(start);
        assert_eq!(open.keepalive.dead_at(), None, "still nothing is read");
        open.handle_frozen(at(7, 5), at(6, 0));
        assert!(open.take_settled(at(8, 5).at));
        open.handle_reading(at(8, 5), true);
        let pause = open.end_pause(at(8, 5), false).map(|pause| (pause.from, pause.cause));
        assert_eq!(pause, Some((at(1, 0), PauseCause::Machine)));
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
