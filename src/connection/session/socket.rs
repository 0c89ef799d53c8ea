//! One open socket: its frames, its liveness checks, and the pauses in which they are suspended.
//!
//! ```text
//! Pong          no byte in answer to a ping
//! Assembly      bytes keep coming, but no message is ever whole
//! Send          bytes handed to the socket do not leave
//! RefusalGrace  an error came, and the close does not follow
//!
//! reading ──no room, or the process did not run──▶ paused ──reads again──▶ draining ──nothing waits──▶ reading
//!             Pong, Assembly, Send stop               they start anew           RefusalGrace, Standing, Streams resume
//! ```
//!
//! Pings go out at a steady pace whatever arrives, because it is not known which direction of traffic resets the
//! exchange's idle timer (about 60 s on the wire). Any byte answers one, so a quiet market is never cut, and a mute socket
//! is lost within one interval and one timeout. During a pause silence is the recorder's own: no check counts it.

use super::dialogue::Dialogue;
use super::escalation::EscalationStep;
use super::interface::{Output, SessionCommand};
use super::outbox::Message;
use super::pause::Pause;
use super::quiet::Quiet;
use super::timer::{Timer, TimerTable};
use super::watchdog::StreamWatchdog;
use crate::batch::Batch;
use crate::clock::{Instant, Moment};
use crate::connection::Notice;
use crate::tape::words::{PauseCause, Stage, SubscribeReason};
use crate::upbit::refusal::Refusal;
use std::time::Duration;

/// How long one message may take from its first byte to its last: 4 MiB in this time is 3.4 Mbit/s, while the exchange's
/// whole feed comes faster; a slower line could not keep up anyway.
const ASSEMBLY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a message of ours, some tens of kilobytes at most, may take to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// How long after an error frame the close must follow (it takes 0.15 s on the wire), and how long a loss counts as its
/// consequence.
const REFUSAL_GRACE: Duration = Duration::from_secs(5);

/// The state that outlives the socket.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) timers: TimerTable,
    pub(super) dialogue: Dialogue,
    pub(super) output: Output,
}

/// An open socket.
#[derive(Debug)]
pub(super) struct OpenSocket {
    /// The number of the attempt that opened it.
    attempt: u32,
    pong_timeout: Duration,
    watchdog: StreamWatchdog,
    is_live: bool,
    /// On a connection that may be quiet for days.
    quiet: Option<Quiet>,
    has_unsent: bool,
    refused_at: Option<Instant>,
    pause: Option<Pause>,
}

impl OpenSocket {
    /// A socket that was just opened.
    pub(super) fn new(attempt: u32, pong_timeout: Duration, watchdog: StreamWatchdog, quiet: Option<Quiet>) -> Self {
        Self {
            attempt,
            pong_timeout,
            watchdog,
            is_live: false,
            quiet,
            has_unsent: false,
            refused_at: None,
            pause: None,
        }
    }

    /// Live once data has come, or the request stands without.
    pub(super) fn stage(&self) -> Stage {
        if self.is_live { Stage::Live } else { Stage::Subscribing }
    }

    /// Bytes came; `whole`: they completed at least one message.
    pub(super) fn handle_received(&mut self, now: Instant, whole: bool, timers: &mut TimerTable) {
        timers.stop(Timer::Pong);
        match whole {
            true => timers.stop(Timer::Assembly),
            false => timers.set_once(Timer::Assembly, now + ASSEMBLY_TIMEOUT),
        }
        if let Some(quiet) = &mut self.quiet {
            quiet.handle_received(now);
            self.arm_verdict(timers);
        }
    }

    /// Everything handed to the socket has left.
    pub(super) fn handle_sent(&mut self, timers: &mut TimerTable) {
        self.has_unsent = false;
        timers.stop(Timer::Send);
    }

    /// Frames came. Marks in the batch where the data of subscribed streams lie.
    pub(super) fn handle_batch(&mut self, now: Instant, batch: &mut Batch, shared: &mut Shared) {
        batch.mark_data(self.watchdog.handle_batch(batch));
        let first_data = batch.data().and_then(|data| batch.received(data.first));
        if let Some(since) = first_data {
            self.go_live(now, since, shared);
        }
        shared.dialogue.handle_frames(now, batch.seen(), first_data.is_some());
        if batch.seen().error
            && let Some(object) = batch.controls().filter(|object| Refusal::is_error(object)).last()
        {
            shared.output.report(now, shared.dialogue.handle_error(now, object));
            self.refused_at = Some(now);
            self.arm_verdict(&mut shared.timers);
        }
        if first_data.is_some() && self.watchdog.take_question() {
            shared.dialogue.push(Message::Listing);
        }
        if batch.seen().reply {
            batch.controls().for_each(|object| shared.output.report(now, self.watchdog.handle_reply(now, object)));
        }
    }

    /// A whole message came, behind the frames that came with it. Reports an answer to a ping as proof of life, on a
    /// connection that may be quiet for days, whose request was not objected to, and outside a pause.
    pub(super) fn handle_whole(&mut self, now: Instant, output: &mut Output) {
        let is_proof = self.quiet.as_mut().is_some_and(|quiet| quiet.take_proof(now));
        if is_proof && self.is_live && self.refused_at.is_none() && self.pause.is_none() {
            output.report(now, Notice::Alive);
        }
    }

    /// Reports streams that are not as subscribed, and escalates those that are mute; returns why the socket has to be left.
    pub(super) fn check_streams(&mut self, now: Instant, shared: &mut Shared) -> Option<&'static str> {
        while let Some(notice) = self.watchdog.poll_notice(now) {
            shared.output.report(now, notice);
        }
        match self.watchdog.poll_escalation(now)? {
            EscalationStep::Ask => shared.dialogue.push(Message::Listing),
            EscalationStep::Resubscribe => shared.dialogue.push(Message::Request(SubscribeReason::Stale)),
            EscalationStep::Reconnect if self.is_live => return Some("streams went mute and stayed so"),
            EscalationStep::Reconnect => return Some("no data of any subscribed stream"),
        }
        None
    }

    /// [`Timer::Standing`] has expired: the request stands although it has brought nothing.
    pub(super) fn handle_standing(&mut self, now: Instant, shared: &mut Shared) {
        if let Some(since) = self.quiet.as_ref().and_then(Quiet::answered_at) {
            self.go_live(now, since, shared);
        }
    }

    /// Sends the messages that may leave now, and arms the timers of the parts that keep their own deadlines.
    pub(super) fn send_due(&mut self, now: Instant, shared: &mut Shared) {
        while let Some(message) = shared.dialogue.poll(now) {
            if let Message::Request(reason) = message {
                self.watchdog.handle_requested(now, shared.dialogue.request(), reason);
                if let Some(quiet) = &mut self.quiet {
                    quiet.handle_requested(now);
                    // Its answer comes behind that to the request, where the request brings nothing.
                    shared.dialogue.push(Message::Ping);
                }
            }
            if message == Message::Ping
                && let Some(quiet) = &mut self.quiet
            {
                quiet.handle_pinged();
            }
            self.has_unsent = true;
            if self.is_reading() {
                shared.timers.set_once(Timer::Send, now + SEND_TIMEOUT);
            }
            if message == Message::Ping && self.is_reading() {
                // An earlier ping that is unanswered keeps its deadline.
                shared.timers.set_once(Timer::Pong, now + self.pong_timeout);
            }
            let frame = shared.dialogue.frame(now, message, &mut shared.output);
            shared.output.command(SessionCommand::Send(frame));
        }
        shared.timers.set(Timer::Streams, self.watchdog.deadline());
        shared.dialogue.arm(&mut shared.timers);
    }

    /// The socket is lost, or closed in order. Returns the watchdog, for the next socket.
    pub(super) fn handle_lost(&mut self, now: Instant, output: &mut Output) -> StreamWatchdog {
        output.report(now, self.watchdog.handle_lost());
        std::mem::take(&mut self.watchdog)
    }

    /// Whether a loss at this instant is the consequence of an error frame.
    pub(super) fn is_refused(&self, now: Instant) -> bool {
        self.refused_at.is_some_and(|refused_at| now <= refused_at + REFUSAL_GRACE)
    }

    /// The recorder reads (again), or has no room to.
    pub(super) fn handle_reading(&mut self, now: Moment, reading: bool, timers: &mut TimerTable) {
        let reading = reading && self.settles_at().is_none();
        if self.is_reading() == reading {
            return;
        }
        self.pause.get_or_insert(Pause::without_room(now)).draining = reading;
        self.handle_paused(timers);
        if reading && self.has_unsent {
            timers.set(Timer::Send, now.at + SEND_TIMEOUT);
        }
    }

    /// The process was not scheduled since it `ran` last: data that waits in the kernel is read before liveness is
    /// judged, and the time does not count.
    pub(super) fn handle_frozen(&mut self, now: Moment, ran: Moment, timers: &mut TimerTable) {
        let stood_still = now.at.saturating_duration_since(ran.at);
        let is_suspended = now.suspended_since(ran) > stood_still;
        let cause = if is_suspended { PauseCause::Machine } else { PauseCause::Process };
        self.pause.get_or_insert(Pause::without_room(ran)).handle_frozen(now, cause);
        self.refused_at = self.refused_at.map(|refused_at| refused_at + stood_still);
        self.handle_paused(timers);
    }

    /// When a read that brings nothing shows again that nothing waits.
    pub(super) fn settles_at(&self) -> Option<Instant> {
        self.pause.as_ref().and_then(|pause| pause.settles_at)
    }

    /// Whether it does from now on.
    pub(super) fn take_settled(&mut self, now: Instant) -> bool {
        self.pause.as_mut().and_then(|pause| pause.settles_at.take_if(|at| now >= *at)).is_some()
    }

    /// Ends the pause, once everything that waited is read or the connection is `lost`; returns it where it goes on record.
    pub(super) fn end_pause(&mut self, now: Moment, lost: bool, timers: &mut TimerTable) -> Option<Pause> {
        let pause = self.pause.take_if(|pause| pause.draining || lost)?;
        let is_noted = pause.is_noted(now);
        self.watchdog.handle_resumed(now.at, is_noted);
        self.arm_verdict(timers);
        is_noted.then_some(pause)
    }

    /// The current pause.
    pub(super) fn pause(&self) -> Option<&Pause> {
        self.pause.as_ref()
    }

    /// The pause that goes on while the connection is closed in order.
    pub(super) fn take_pause(&mut self) -> Option<Pause> {
        self.pause.take()
    }

    /// The session is live `since` then, if it was not before.
    fn go_live(&mut self, now: Instant, since: Instant, shared: &mut Shared) {
        if !std::mem::replace(&mut self.is_live, true) {
            self.arm_verdict(&mut shared.timers);
            shared.dialogue.handle_live(now);
            shared.output.report(since, Notice::Live { attempt: self.attempt });
        }
    }

    fn is_reading(&self) -> bool {
        self.pause.as_ref().is_none_or(|pause| pause.draining)
    }

    fn handle_paused(&mut self, timers: &mut TimerTable) {
        self.watchdog.handle_paused();
        [Timer::Pong, Timer::Assembly, Timer::Send, Timer::Streams].into_iter().for_each(|timer| timers.stop(timer));
        self.arm_verdict(timers);
    }

    /// Arms the timers that decide about the request before the first data. During a pause neither is armed: a refusal,
    /// or the close behind one, may wait in the kernel.
    fn arm_verdict(&self, timers: &mut TimerTable) {
        let is_open = !self.is_live && self.pause.is_none();
        let refused_at = self.refused_at.filter(|_| is_open);
        // A refused request on a live socket leaves the earlier one standing; only without data is the socket useless.
        timers.set(Timer::RefusalGrace, refused_at.map(|refused_at| refused_at + REFUSAL_GRACE));
        let quiet = self.quiet.as_ref().filter(|_| is_open && self.refused_at.is_none());
        timers.set(Timer::Standing, quiet.and_then(Quiet::deadline));
    }
}
