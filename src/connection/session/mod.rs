//! The life of one connection as a pure state machine: it takes inputs with their instants and returns commands and
//! notices.
//!
//! ```text
//! handle_opened  handle_dial_failed  handle_inbound  handle_closed  handle_reading
//! handle_awake  handle_request  handle_timeout  handle_shutdown
//!        │
//!        ▼
//!    [ Session ] ──poll_command──▶ dial, send, close, disconnect
//!                ──poll_event────▶ notices, each with its instant
//!                ──poll_deadline─▶ when to call handle_timeout
//!                ──poll_beat─────▶ when to call handle_awake, which comes before all others at each wake
//! ```
//!
//! After every `handle_*` both polls are drained to `None`. The diagram of the states is in [`super`].
//!
//! | part | owns |
//! |---|---|
//! | `state` | what it is doing: waiting, dialing, open, closing |
//! | `timer` | every deadline, and the order in which those that expired are handled |
//! | `retry`, `budget` | when the next attempt is made; the exchange's limits |
//! | `socket`, `pause`, `quiet` | an open socket: its liveness checks, and when they are suspended |
//! | `outbox`, `auxiliary` | messages that wait to be sent; which message an error is about |
//! | `refusals`, `served` | the exchange's refusals, weighed by requests and keys that it served before |
//! | `watchdog` | whether each subscribed stream brings data: `silence`, `list_check`, `staleness`, `pace`, `unreadable`, `streams`, `escalation` |

mod auxiliary;
mod budget;
mod dialogue;
mod escalation;
mod interface;
mod list_check;
mod outbox;
mod pace;
mod pause;
mod quiet;
mod refusals;
mod retry;
mod served;
mod silence;
mod socket;
mod staleness;
mod state;
mod streams;
mod timer;
mod unreadable;
mod watchdog;

pub use budget::ConnectBudget;
pub use interface::{Inbound, Outgoing, SessionCommand, Settings};

use super::Notice;
use crate::clock::heartbeat::Heartbeat;
use crate::clock::{Instant, Moment};
use crate::net::DialError;
use crate::printable;
use crate::tape::words::{Stage, SubscribeReason};
use crate::upbit::feed::Feed;
use crate::upbit::refusal::Objection;
use crate::upbit::subscription::Request;
use dialogue::Dialogue;
use interface::Output;
use outbox::Message;
use pause::Pause;
use quiet::Quiet;
use retry::{Failure, Retry};
use socket::{OpenSocket, Shared};
use state::State;
use std::sync::Arc;
use std::time::Duration;
use timer::{Timer, TimerTable};
use watchdog::StreamWatchdog;

/// How long the answer to our close frame is waited for, while frames before it are read. A second is left of the three
/// that the supervisor gives.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// One connection.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    state: State,
    heartbeat: Heartbeat,
    retry: Retry,
    /// While no socket is open.
    watchdog: StreamWatchdog,
    shared: Shared,
}

impl Session {
    /// A connection without a request; `seed` feeds jitter, tickets and nonces and must differ between processes.
    pub fn new(settings: Settings, connects: Arc<ConnectBudget>, seed: u64, now: Moment) -> Self {
        let dialogue = Dialogue::new(&settings, seed, now.at);
        Self {
            state: State::Waiting { refused_request: false },
            heartbeat: Heartbeat::new(now),
            retry: Retry::new(&settings, connects),
            watchdog: StreamWatchdog::new(settings.config.first_frame_timeout, settings.feed),
            shared: Shared { timers: TimerTable::default(), dialogue, output: Output::default() },
            settings,
        }
    }

    /// The shell is awake, for whatever reason. `true`: the process was not scheduled for a while, and the next read
    /// that brings nothing shows that all data that had waited is read.
    pub fn handle_awake(&mut self, now: Moment) -> bool {
        let ran = self.heartbeat.handle_awake(now);
        let State::Open(socket) = &mut self.state else { return false };
        if let Some(ran) = ran {
            socket.handle_frozen(now, ran, &mut self.shared.timers);
        }
        socket.take_settled(now.at)
    }

    /// The wanted request from now on; while the socket is down it waits, and the latest wins.
    pub fn handle_request(&mut self, now: Instant, request: Request) {
        if request == *self.shared.dialogue.request() {
            return;
        }
        let is_empty = request.subscriptions.is_empty();
        self.shared.dialogue.handle_request(request);
        match &mut self.state {
            State::Waiting { .. } if is_empty => self.shared.timers.stop(Timer::Retry),
            State::Waiting { refused_request } if *refused_request || !self.shared.timers.is_set(Timer::Retry) => {
                *refused_request = false;
                self.shared.timers.set(Timer::Retry, now);
            }
            State::Open(_) if is_empty => self.lose(now, "nothing is subscribed any more"),
            State::Open(_) => self.shared.dialogue.push(Message::Request(SubscribeReason::Changed)),
            State::Waiting { .. } | State::Dialing | State::Closing { .. } | State::Finished => {}
        }
        self.proceed(now);
    }

    /// The WebSocket is open, to the peer at `address`.
    pub fn handle_opened(&mut self, now: Instant, address: String) {
        let config = &self.settings.config;
        let ping_at = now + config.ping_interval;
        let quiet = (self.settings.feed == Feed::Private).then(|| Quiet::new(config.first_frame_timeout));
        let watchdog = std::mem::take(&mut self.watchdog);
        let attempt = self.retry.attempt();
        let socket = OpenSocket::new(attempt, config.pong_timeout, watchdog, quiet);
        self.enter(State::Open(Box::new(socket)));
        self.shared.timers.set(Timer::Ping, ping_at);
        self.shared.dialogue.handle_opened(ping_at);
        self.report(now, Notice::Connected { attempt, address });
        self.proceed(now);
    }

    /// The attempt failed.
    pub fn handle_dial_failed(&mut self, now: Instant, error: &DialError) {
        let refused = self.shared.dialogue.refusals.handle_dial_failed(now, error);
        self.report(now, refused);
        self.fail(now, error.stage, &error.cause);
        self.proceed(now);
    }

    /// The socket brought something. Marks in the batch where the data of subscribed streams lie.
    pub fn handle_inbound(&mut self, now: Instant, inbound: &mut Inbound) {
        if let State::Open(socket) = &mut self.state {
            if inbound.heard {
                socket.handle_received(now, inbound.whole, &mut self.shared.timers);
            }
            if inbound.sent {
                socket.handle_sent(&mut self.shared.timers);
            }
        }
        if inbound.drained {
            self.end_pause(now, false);
        }
        if let State::Open(socket) = &mut self.state {
            socket.handle_batch(now, &mut inbound.batch, &mut self.shared);
            if inbound.whole {
                socket.handle_whole(now, &mut self.shared.output);
            }
        }
        self.check_streams(now);
        if self.shared.timers.take_expired(Timer::Standing, now) {
            self.handle_timer(now, Timer::Standing);
        }
        if let Some(cause) = &inbound.closed {
            self.handle_closed(now, cause);
        }
        self.proceed(now);
    }

    /// The connection ended.
    pub fn handle_closed(&mut self, now: Instant, cause: &str) {
        match self.state {
            State::Open(_) => self.lose(now, cause),
            State::Closing { stage, .. } => self.finish(now, stage),
            State::Waiting { .. } | State::Dialing | State::Finished => {}
        }
    }

    /// The shell reads from the socket (`true`), or cannot because there is no room: backpressure.
    pub fn handle_reading(&mut self, now: Instant, reading: bool) {
        let now = self.heartbeat.moment(now);
        if let State::Open(socket) = &mut self.state {
            socket.handle_reading(now, reading, &mut self.shared.timers);
        }
    }

    /// The instant named by [`Self::poll_deadline`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        for timer in Timer::ALL {
            if self.shared.timers.take_expired(timer, now) {
                self.handle_timer(now, timer);
            }
        }
        self.check_streams(now);
        self.proceed(now);
    }

    /// The user wants it to end: never retried.
    pub fn handle_shutdown(&mut self, now: Instant) {
        match &mut self.state {
            State::Open(socket) => {
                let stage = socket.stage();
                let pause = socket.take_pause();
                socket.handle_lost(now, &mut self.shared.output);
                self.enter(State::Closing { stage, pause });
                self.shared.timers.set(Timer::Close, now + CLOSE_TIMEOUT);
                self.shared.output.command(SessionCommand::Close);
            }
            State::Dialing => {
                self.shared.output.command(SessionCommand::Disconnect);
                self.enter(State::Finished);
            }
            State::Waiting { .. } => self.enter(State::Finished),
            State::Closing { .. } | State::Finished => {}
        }
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<SessionCommand> {
        self.shared.output.commands.pop_front()
    }

    /// The next thing to report, and when it happened.
    pub fn poll_event(&mut self) -> Option<(Instant, Notice)> {
        self.shared.output.events.pop_front()
    }

    /// When the pause began that is not told yet: it goes on, or its notice is among those to poll.
    pub fn unsettled(&self) -> Option<Moment> {
        let told_next = self.shared.output.events.iter().find_map(|(_, notice)| match notice {
            Notice::Paused { from, .. } => Some(*from),
            _ => None,
        });
        told_next.or_else(|| self.state.pause().map(|pause| pause.from))
    }

    /// When to call [`Self::handle_timeout`], unless something happens before.
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.shared.timers.next_timeout()
    }

    /// When the shell has to be awake at the latest, with an open socket; without one there is a gap anyway.
    pub fn poll_beat(&self) -> Option<Instant> {
        let State::Open(socket) = &self.state else { return None };
        socket.settles_at().into_iter().chain([self.heartbeat.due()]).min()
    }

    /// Whether nothing will ever happen again.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    fn enter(&mut self, state: State) {
        self.shared.timers = TimerTable::default();
        self.state = state;
    }

    fn report(&mut self, at: Instant, notice: impl Into<Option<Notice>>) {
        self.shared.output.report(at, notice);
    }

    fn handle_timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Retry => self.dial(now),
            Timer::Close => self.handle_closed(now, ""),
            Timer::Pong => self.lose(now, "no answer to a ping"),
            Timer::Assembly => self.lose(now, "a message was begun but not finished in time"),
            Timer::Send => self.lose(now, "what was sent did not leave in time"),
            Timer::RefusalGrace => self.lose(now, "an error, and no close after it"),
            Timer::Ping => {
                // Due an interval later, also where this one has to wait for the budget.
                self.shared.timers.set(Timer::Ping, now + self.settings.config.ping_interval);
                self.shared.dialogue.push(Message::Ping);
            }
            Timer::Standing => {
                if let State::Open(socket) = &mut self.state {
                    socket.handle_standing(now, &mut self.shared);
                }
            }
            // Handled at the end of every wake: the watchdog has findings without a deadline, too.
            Timer::Streams | Timer::Budget | Timer::Auxiliary => {}
        }
    }

    fn dial(&mut self, now: Instant) {
        let attempt = match self.retry.begin(now) {
            Ok(attempt) => attempt,
            Err(later) => return self.shared.timers.set(Timer::Retry, later),
        };
        self.shared.dialogue.refusals.handle_attempt();
        self.report(now, Notice::Dialing { attempt });
        self.enter(State::Dialing);
        let credentials = self.settings.credentials.as_ref();
        match self.shared.dialogue.authorization(credentials) {
            Ok(authorization) => self.shared.output.command(SessionCommand::Dial { authorization }),
            Err(reason) => {
                let refused = self.shared.dialogue.refusals.handle_unusable_keys(now, reason.clone());
                self.report(now, refused);
                self.fail(now, Stage::Upgrade, &reason);
            }
        }
    }

    /// Reports and escalates the watchdog's findings.
    fn check_streams(&mut self, now: Instant) {
        if let State::Open(socket) = &mut self.state
            && let Some(cause) = socket.check_streams(now, &mut self.shared)
        {
            self.lose(now, cause);
        }
    }

    /// Reports a pause in reading that is over, or ends because the connection is `lost`.
    fn end_pause(&mut self, now: Instant, lost: bool) {
        let to = self.heartbeat.moment(now);
        let ended = self.state.end_pause(to, lost, &mut self.shared.timers);
        self.report(now, ended.map(|Pause { from, cause, .. }| Notice::Paused { from, to, cause }));
    }

    /// Sends the messages that may leave now.
    fn proceed(&mut self, now: Instant) {
        if let State::Open(socket) = &mut self.state {
            socket.send_due(now, &mut self.shared);
        }
    }

    /// The open socket is lost, or left.
    fn lose(&mut self, now: Instant, cause: &str) {
        self.end_pause(now, true);
        let State::Open(socket) = &mut self.state else { return };
        let stage = socket.stage();
        let is_refused = socket.is_refused(now);
        self.watchdog = socket.handle_lost(now, &mut self.shared.output);
        self.shared.output.command(SessionCommand::Disconnect);
        let cause = self.shared.dialogue.refusals.handle_lost(cause, is_refused);
        self.fail(now, stage, &cause);
    }

    /// Reports one more failure, and arms the next attempt if there is to be one.
    fn fail(&mut self, now: Instant, stage: Stage, cause: &str) {
        let cause = printable::line(cause, printable::SENTENCE);
        let objection = self.shared.dialogue.refusals.objection();
        let Failure { attempt, due } = self.retry.handle_failure(now, stage, objection, self.shared.dialogue.rng());
        let retry_at = due.filter(|_| !self.shared.dialogue.request().subscriptions.is_empty());
        self.report(now, Notice::Lost { stage, cause, attempt, retry_at });
        if due.is_none() {
            self.report(now, Notice::GivenUp { attempts: attempt });
            return self.enter(State::Finished);
        }
        let refused_request = matches!(objection, Some(Objection::Request | Objection::ServedRequest));
        self.enter(State::Waiting { refused_request });
        self.shared.timers.set(Timer::Retry, retry_at);
    }

    fn finish(&mut self, now: Instant, stage: Stage) {
        self.end_pause(now, true);
        let cause = "closed by the recorder".to_owned();
        self.report(now, Notice::Lost { stage, cause, attempt: self.retry.attempt(), retry_at: None });
        self.shared.output.command(SessionCommand::Disconnect);
        self.enter(State::Finished);
    }
}

#[cfg(test)]
mod tests;
