//! The life of one connection as a pure machine: told what happened and when, it says what to do and what to report.
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

mod failure;
mod inbound;
mod interface;
mod open;
mod pacing;
mod served;
mod watch;

pub use interface::{Command, Inbound, Outgoing, Settings};
pub use pacing::ConnectBudget;

use super::Notice;
use crate::clock::heartbeat::Heartbeat;
use crate::clock::{Instant, Moment};
use crate::net::DialError;
use crate::tape::words::{Stage, SubscribeReason};
use crate::upbit::auth::Secret;
use crate::upbit::feed::Feed;
use crate::upbit::listing;
use crate::upbit::refusal::{Objection, Redaction, Refusal};
use crate::upbit::subscription::Request;
use open::{Keepalive, Open, Pause, Quiet};
use pacing::{Auxiliaries, Backoff, Message, MessageBudget, Outbox, Said};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use served::Served;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use watch::StreamWatchdog;

/// How long the answer to our close frame is waited for, and what comes before it is read. A second is left of the three
/// that the supervisor gives.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// One connection.
#[derive(Debug)]
pub struct Session {
    settings: Settings,
    request: Request,
    heartbeat: Heartbeat,
    state: State,
    /// The number of this attempt since the last live session.
    attempt: u32,
    backoff: Backoff,
    connects: Arc<ConnectBudget>,
    messages: MessageBudget,
    outbox: Outbox,
    auxiliaries: Auxiliaries,
    served: Served,
    rng: StdRng,
    /// The last error of this attempt or session.
    refusal: Option<Refusal>,
    /// The refusal that was reported and still stands, and since when.
    reported: Option<(Instant, Refusal)>,
    /// What is known of the streams, while no socket is open.
    watchdog: StreamWatchdog,
    /// The last request as it was sent.
    sent: Option<String>,
    commands: VecDeque<Command>,
    events: VecDeque<(Instant, Notice)>,
}

#[derive(Debug)]
enum State {
    /// `due` is `None` while there is nothing to ask for.
    Waiting {
        due: Option<Instant>,
        /// A new request would be a reason to try at once.
        refused_request: bool,
    },
    Dialing,
    Open(Box<Open>),
    Closing {
        stage: Stage,
        until: Instant,
        /// What waited in it may still be read.
        pause: Option<Pause>,
    },
    Finished,
}

impl Session {
    /// A connection that wants to be made `now`; `seed` feeds jitter, tickets and nonces and must differ between
    /// processes.
    pub fn new(settings: Settings, connects: Arc<ConnectBudget>, seed: u64, now: Moment) -> Self {
        let config = &settings.config;
        let backoff = Backoff::new(config.backoff_min, config.backoff_max);
        let messages = MessageBudget::new(config.messages_per_second, config.messages_per_minute, now.at);
        let watchdog = StreamWatchdog::new(config.first_frame_timeout, settings.id == Feed::Public);
        Self {
            settings,
            request: Request::default(),
            heartbeat: Heartbeat::new(now),
            state: State::Waiting { due: None, refused_request: false },
            attempt: 0,
            backoff,
            connects,
            messages,
            outbox: Outbox::default(),
            auxiliaries: Auxiliaries::default(),
            served: Served::default(),
            rng: StdRng::seed_from_u64(seed),
            refusal: None,
            reported: None,
            watchdog,
            sent: None,
            commands: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The shell is awake, for whatever reason. `true`: the process was not let run for a while, and the next read that
    /// finds nothing more tells that all that had waited is read.
    pub fn handle_awake(&mut self, now: Moment) -> bool {
        let ran = self.heartbeat.handle_awake(now);
        let State::Open(open) = &mut self.state else { return false };
        if let Some(ran) = ran {
            open.handle_frozen(now, ran);
        }
        open.take_settled(now.at)
    }

    /// What should stand on the connection from now on; while the socket is down it waits, and the latest wins.
    pub fn handle_request(&mut self, now: Instant, request: Request) {
        if request == self.request {
            return;
        }
        self.request = request;
        self.reported = None;
        let nothing = self.request.subscriptions.is_empty();
        match &mut self.state {
            State::Waiting { due, .. } if nothing => *due = None,
            State::Waiting { due, refused_request } if due.is_none() || *refused_request => {
                *due = Some(now);
                *refused_request = false;
            }
            State::Open(_) if nothing => self.lose(now, "nothing is subscribed any more".to_owned()),
            State::Open(_) => self.outbox.push(Message::Request(SubscribeReason::Changed)),
            State::Waiting { .. } | State::Dialing | State::Closing { .. } | State::Finished => {}
        }
        self.proceed(now);
    }

    /// The WebSocket is open; `address` is who answered.
    pub fn handle_opened(&mut self, now: Instant, address: String) {
        let config = &self.settings.config;
        let keepalive = Keepalive::new(config.ping_interval, config.pong_timeout, now);
        let quiet = (self.settings.id == Feed::Private).then(|| Quiet::new(config.first_frame_timeout));
        self.auxiliaries.handle_opened(now + config.ping_interval);
        let watchdog = std::mem::take(&mut self.watchdog);
        self.state = State::Open(Box::new(Open::new(keepalive, watchdog, quiet)));
        self.outbox = Outbox::default();
        self.outbox.push(Message::Request(SubscribeReason::Connected));
        self.events.push_back((now, Notice::Connected { attempt: self.attempt, address }));
        self.proceed(now);
    }

    /// The attempt failed.
    pub fn handle_dial_failed(&mut self, now: Instant, error: &DialError) {
        // Who shows no keys cannot be refused for them: then it is a trouble of the exchange's, and worth a quick retry.
        let (words, signed) = (self.words(), self.settings.credentials.is_some());
        let refusal = error.answer.as_ref().and_then(|answer| Refusal::from_answer(answer, words, signed));
        self.refusal = refusal.map(|refusal| self.judged(refusal));
        self.report_refusal(now, None);
        self.fail(now, error.stage, error.cause.clone());
        self.proceed(now);
    }

    /// The socket brought something. Where the data of subscribed streams lie is marked in the batch.
    pub fn handle_inbound(&mut self, now: Instant, inbound: &mut Inbound) {
        if let State::Open(open) = &mut self.state {
            if inbound.heard {
                open.handle_heard(now, inbound.whole);
            }
            if inbound.sent {
                open.handle_sent();
            }
        }
        if inbound.drained {
            self.end_pause(now, false);
        }
        if matches!(self.state, State::Open(_)) {
            self.handle_batch(now, &mut inbound.batch);
            self.look_for_life(now);
        }
        if let Some(cause) = &inbound.closed {
            self.handle_closed(now, cause.clone());
        }
        self.proceed(now);
    }

    /// How much of what is received may be shown.
    fn words(&self) -> Redaction {
        match self.settings.id {
            Feed::Public => Redaction::None,
            Feed::Private => Redaction::NamesOnly,
        }
    }

    /// The connection ended.
    pub fn handle_closed(&mut self, now: Instant, cause: String) {
        match self.state {
            State::Open(_) => self.lose(now, cause),
            State::Closing { stage, .. } => self.finish(now, stage),
            State::Waiting { .. } | State::Dialing | State::Finished => {}
        }
    }

    /// The shell reads from the socket (`true`), or cannot because there is no room for what it would read.
    pub fn handle_reading(&mut self, now: Instant, reading: bool) {
        let now = self.heartbeat.moment(now);
        if let State::Open(open) = &mut self.state {
            open.handle_reading(now, reading);
        }
    }

    /// The instant named by [`Self::poll_deadline`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Waiting { due: Some(due), .. } if now >= *due => match self.connects.take(now) {
                Ok(()) => self.dial(now),
                Err(later) => *due = later,
            },
            State::Open(open) => {
                if let Some(trouble) = open.trouble(now) {
                    self.lose(now, trouble.to_owned());
                } else {
                    if open.keepalive.take_due_ping(now) {
                        self.outbox.push(Message::Ping);
                    }
                    self.look_for_life(now);
                    self.look_after_streams(now);
                }
            }
            State::Closing { stage, until, .. } if now >= *until => {
                let stage = *stage;
                self.finish(now, stage);
            }
            State::Waiting { .. } | State::Dialing | State::Closing { .. } | State::Finished => {}
        }
        self.proceed(now);
    }

    /// The user wants it to end: never retried.
    pub fn handle_shutdown(&mut self, now: Instant) {
        match &mut self.state {
            State::Open(open) => {
                self.events.extend(open.watch.handle_lost().map(|notice| (now, notice)));
                let stage = if open.live { Stage::Live } else { Stage::Subscribing };
                let pause = open.take_pause();
                self.state = State::Closing { stage, until: now + CLOSE_TIMEOUT, pause };
                self.commands.push_back(Command::Close);
            }
            State::Dialing => {
                self.commands.push_back(Command::Disconnect);
                self.state = State::Finished;
            }
            State::Waiting { .. } => self.state = State::Finished,
            State::Closing { .. } | State::Finished => {}
        }
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next thing to report, and when it happened.
    pub fn poll_event(&mut self) -> Option<(Instant, Notice)> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`], unless something happens before.
    pub fn poll_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { due, .. } => *due,
            State::Open(open) => {
                let deadlines = [open.deadline(), self.outbox.deadline(), self.auxiliaries.deadline()];
                deadlines.into_iter().flatten().min()
            }
            State::Closing { until, .. } => Some(*until),
            State::Dialing | State::Finished => None,
        }
    }

    /// When the shell has to be awake at the latest, with an open socket; without one there is a gap anyway.
    pub fn poll_beat(&self) -> Option<Instant> {
        let State::Open(open) = &self.state else { return None };
        open.settles_at().into_iter().chain([self.heartbeat.due()]).min()
    }

    /// Whether nothing will ever happen again.
    pub fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }
}

/// What the handlers have in common.
impl Session {
    fn dial(&mut self, now: Instant) {
        self.attempt = self.attempt.saturating_add(1);
        self.refusal = None;
        self.events.push_back((now, Notice::Dialing { attempt: self.attempt }));
        self.state = State::Dialing;
        match self.authorization() {
            Ok(authorization) => self.commands.push_back(Command::Dial { authorization }),
            Err(reason) => {
                let kind = Objection::Credentials;
                self.refusal = Some(Refusal { kind, reason: reason.clone(), may_have_expired: false });
                self.report_refusal(now, None);
                self.fail(now, Stage::Upgrade, reason);
            }
        }
    }

    /// Reports a pause in reading that is over, or ends because the connection is `lost`.
    fn end_pause(&mut self, now: Instant, lost: bool) {
        let to = self.heartbeat.moment(now);
        let ended = match &mut self.state {
            State::Open(open) => open.end_pause(to, lost),
            State::Closing { pause, .. } => pause.take().filter(|pause| pause.is_noted(to)),
            State::Waiting { .. } | State::Dialing | State::Finished => None,
        };
        if let Some(pause) = ended {
            self.events.push_back((now, Notice::Paused { from: pause.from, to, cause: pause.cause }));
        }
    }

    /// A fresh token: a nonce cannot be used twice.
    fn authorization(&mut self) -> Result<Option<Secret>, String> {
        let nonce = self.uuid();
        let credentials = self.settings.credentials.as_ref();
        credentials.map(|keys| keys.authorization(nonce).map_err(|error| error.to_string())).transpose()
    }

    fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }

    /// Sends what may be sent now.
    fn proceed(&mut self, now: Instant) {
        while matches!(self.state, State::Open(_)) {
            if let Some(said) = self.auxiliaries.poll(now) {
                self.outbox.push(if said == Said::Listing { Message::List } else { Message::Switch });
            }
            let Some(message) = self.outbox.poll(&mut self.messages, now) else { break };
            self.send(now, message);
        }
    }

    fn send(&mut self, now: Instant, message: Message) {
        let (frame, said) = match message {
            Message::Ping => (Outgoing::Ping, None),
            Message::Switch => (Outgoing::Text("PING".to_owned()), Some(Said::Keepalive)),
            Message::Request(reason) => (Outgoing::Text(self.standing_request(now, reason)), Some(Said::Request)),
            Message::List => {
                let question = listing::to_frame(&self.uuid().to_string(), self.request.format);
                (Outgoing::Text(question), Some(Said::Listing))
            }
        };
        if let State::Open(open) = &mut self.state {
            open.handle_sending(now);
            if message == Message::Ping {
                open.keepalive.handle_ping_sent(now);
            }
        }
        if let Some(said) = said {
            self.auxiliaries.handle_said(now, said);
        }
        self.commands.push_back(Command::Send(frame));
    }

    fn standing_request(&mut self, now: Instant, reason: SubscribeReason) -> String {
        let ticket = self.uuid().to_string();
        let request = self.request.to_frame(&ticket);
        self.served.handle_asked(now, &self.request, reason != SubscribeReason::Connected);
        if let State::Open(open) = &mut self.state {
            open.watch.handle_requested(now, &self.request, reason);
            if let Some(quiet) = &mut open.quiet {
                quiet.handle_requested(now);
                // Its answer comes behind what the request brings about, where that is nothing.
                self.outbox.push(Message::Ping);
            }
        }
        self.sent = Some(request.clone());
        let standing = Arc::new(self.request.clone());
        self.events.push_back((now, Notice::Subscribed { request: request.clone(), standing, reason }));
        request
    }
}

#[cfg(test)]
mod tests;
