//! The session in scripts: its inputs, and its commands and notices.
//!
//! The scripts lie in `testscripts/`, each a list of commands (see [`Step`]) and behind `---` their output, with the
//! time since `live`, `start` or `attempt`. A command in parentheses is run in silence.
//!
//! `UPDATE_GOLDENFILES=1 cargo test --lib session::tests::script` writes the output behind `---`; review the
//! difference.

mod step;
mod text;

use super::*;
use crate::tests::scripts;
use std::error::Error;
use std::fmt::Write;
use step::{Span, Step};
use text::{Timeline, request_of, sent};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/connection/session/testscripts");

scripts! {
    SCRIPTS, Script::begin(Setup::default());
    account,
    auxiliary_messages,
    backoff,
    changed_request,
    closed,
    connect,
    first_data,
    frozen,
    limits,
    list_of_subscriptions,
    mute_streams,
    no_room,
    proofs_of_life,
    refused_keys,
    refused_request,
    shutdown,
    silence,
    stuck,
    unreadable,
    unsettled,
}

/// The behaviour of the other side.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Answers,
    Silent,
    Stuck,
}

/// How a session begins, see [`Step::Start`].
#[derive(Default)]
struct Setup {
    private: bool,
    keys: bool,
    max_retries: Option<u32>,
    limits: bool,
}

/// A session, the shell around it, and the time they live in.
struct Script {
    session: Session,
    clock: Timeline,
    suspended: Duration,
    peer: Peer,
    is_up: bool,
    has_room: bool,
    /// Frames that waited while nothing was read are not read yet.
    is_behind: bool,
    /// The frame just sent that the other side has to answer.
    unanswered: Option<Outgoing>,
    output: String,
}

impl Script {
    fn begin(setup: Setup) -> Self {
        let mut config = config();
        config.max_retries = setup.max_retries.unwrap_or(config.max_retries);
        // Powers of two: the ceiling that jitter was drawn from follows from the wait.
        (config.backoff_min, config.backoff_max) = (Duration::from_secs(1), Duration::from_secs(64));
        if !setup.limits {
            (config.messages_per_second, config.messages_per_minute) = (100, 1_000);
        }
        let credentials = setup.keys.then(|| Credentials {
            access_key: Secret::new("access"),
            secret_key: Secret::new("secret"),
            algorithm: JwtAlgorithm::Hs512,
        });
        let feed = if setup.private { Feed::Private } else { Feed::Public };
        let now = Clock::anchored(Stamp::MAX).now();
        let connects = Arc::new(ConnectBudget::new(config.connects_per_second, now));
        Self {
            session: Session::new(Settings { feed, config, credentials }, connects, 1, awake(now)),
            clock: Timeline { start: now, now },
            suspended: Duration::ZERO,
            peer: Peer::Answers,
            is_up: false,
            has_room: true,
            is_behind: false,
            unanswered: None,
            output: String::new(),
        }
    }

    /// One turn of the shell's loop.
    fn wake(&mut self, act: impl FnOnce(&mut Session, Instant)) {
        self.is_behind |= self.session.handle_awake(Moment { at: self.clock.now, suspended: self.suspended });
        act(&mut self.session, self.clock.now);
        self.drain();
        if self.is_up {
            self.session.handle_reading(self.clock.now, self.has_room);
            self.is_behind |= !self.has_room;
            if self.has_room && std::mem::take(&mut self.is_behind) {
                self.receive(Inbound { drained: true, ..Inbound::default() });
            }
        }
        match self.unanswered.take() {
            Some(_) if !self.is_up || self.peer == Peer::Stuck => {}
            Some(Outgoing::Ping) if self.peer == Peer::Answers => {
                let drained = self.has_room;
                self.receive(Inbound { heard: true, whole: true, sent: true, drained, ..Inbound::default() });
            }
            Some(_) => self.receive(Inbound { sent: true, ..Inbound::default() }),
            None => {}
        }
    }

    fn receive(&mut self, mut inbound: Inbound) {
        let (written, mut unsettled) = (self.output.len(), None);
        self.wake(|session, now| {
            session.handle_inbound(now, &mut inbound);
            unsettled = session.unsettled();
        });
        // As the shell does, before the notices.
        if let Some(from) = unsettled.filter(|_| !inbound.batch.is_empty()) {
            let text = format!("{} deliver frames{}\n", self.clock.time(self.clock.now), self.clock.unsettled(from));
            self.output.insert_str(written, &text);
        }
    }

    fn frame(&mut self, frame: &[u8]) {
        let mut inbound = Inbound { heard: true, whole: true, drained: true, ..Inbound::default() };
        inbound.batch.push(frame, self.clock.now);
        self.receive(inbound);
    }

    /// Frames again and again, or once.
    fn frames(&mut self, frame: &[u8], every: Option<Span>, length: Option<Span>) {
        let Some((Span(every), Span(length))) = every.zip(length) else { return self.frame(frame) };
        let end = self.clock.now + length;
        while self.clock.now < end && self.is_up {
            self.wait(every);
            self.frame(frame);
        }
    }

    fn wait(&mut self, length: Duration) {
        let until = self.clock.now + length;
        let due = |session: &Session| session.poll_deadline().into_iter().chain(session.poll_beat()).min();
        while let Some(due) = due(&self.session).filter(|due| *due <= until) {
            self.clock.now = self.clock.now.max(due);
            self.wake(Session::handle_timeout);
        }
        self.clock.now = until;
    }

    fn go_live(&mut self, kinds: &str, codes: &[String]) {
        *self = Script::begin(Setup::default());
        let request = request_of(Some(kinds), codes);
        let data =
            request.subscriptions.iter().flat_map(|entry| entry.codes.iter().map(move |code| (&entry.kind, code)));
        self.wake(|session, now| session.handle_request(now, request.clone()));
        self.wake(Session::handle_timeout);
        self.open();
        for (kind, code) in data {
            self.frame(serde_json::json!({ "type": kind, "code": code }).to_string().as_bytes());
        }
        self.run_frames(&Step::Status);
        self.run_frames(&Step::List { kinds: Some(kinds.to_owned()), codes: codes.to_vec() });
        self.output.clear();
    }

    fn open(&mut self) {
        (self.is_up, self.peer) = (true, Peer::Answers);
        self.wake(|session, now| session.handle_opened(now, "192.0.2.1:443".into()));
    }

    /// The steps in which bytes come.
    fn run_frames(&mut self, step: &Step) {
        match step {
            Step::Data { kind, code, every, length, volume } => {
                let mut object = serde_json::json!({ "type": kind });
                code.iter().for_each(|code| object["code"] = code.as_str().into());
                volume.iter().for_each(|volume| object["acc_trade_volume"] = (*volume).into());
                self.frames(object.to_string().as_bytes(), *every, *length);
            }
            Step::Status => self.frame(br#"{"status":"UP"}"#),
            Step::Error(name) => {
                self.frame(serde_json::json!({ "error": { "name": name, "message": "m" } }).to_string().as_bytes());
            }
            Step::List { kinds, codes } => {
                let kinds = kinds.iter().flat_map(|kinds| kinds.split('/'));
                let listed: Vec<_> = kinds.map(|kind| serde_json::json!({ "type": kind, "codes": codes })).collect();
                let reply = serde_json::json!({ "method": "LIST_SUBSCRIPTIONS", "result": listed });
                self.frame(reply.to_string().as_bytes());
            }
            Step::Garbage { every, length } => self.frames(&[0xab; 90], Some(*every), Some(*length)),
            Step::Part => self.receive(Inbound { heard: true, drained: true, ..Inbound::default() }),
            _ => unreachable!("it brings no bytes"),
        }
    }

    fn drain(&mut self) {
        while let Some((at, notice)) = self.session.poll_event() {
            let unsettled = self.session.unsettled().map_or(String::new(), |from| self.clock.unsettled(from));
            let text = self.clock.notice(&notice);
            self.write(at, &format!("report {text}{unsettled}"));
        }
        while let Some(command) = self.session.poll_command() {
            match command {
                SessionCommand::Dial { authorization } => {
                    let keys = authorization.map_or("", |_| " with a token");
                    self.write(self.clock.now, &format!("dial{keys}"));
                }
                SessionCommand::Send(frame) => {
                    self.write(self.clock.now, &format!("send {}", sent(&frame)));
                    // Of several frames the other side answers the ping.
                    if self.unanswered != Some(Outgoing::Ping) {
                        self.unanswered = Some(frame);
                    }
                }
                SessionCommand::Close => self.write(self.clock.now, "close"),
                SessionCommand::Disconnect => {
                    self.is_up = false;
                    self.write(self.clock.now, "disconnect");
                }
            }
        }
    }

    fn write(&mut self, at: Instant, text: &str) {
        let at = self.clock.time(at);
        writeln!(self.output, "{at} {text}").unwrap();
    }
}

impl goldenscript::Runner for Script {
    type Command = Step;

    fn run(&mut self, step: &Step, _: &goldenscript::Context) -> Result<String, Box<dyn Error>> {
        match step {
            Step::Start { private, keys, max_retries, limits } => {
                let setup = Setup { private: *private, keys: *keys, max_retries: *max_retries, limits: *limits };
                *self = Self::begin(setup);
            }
            Step::Subscribe { kinds, codes } => {
                let request = request_of(kinds.as_deref(), codes);
                self.wake(|session, now| session.handle_request(now, request));
            }
            Step::Live { kinds, codes } => self.go_live(kinds, codes),
            Step::Wait(Span(length)) => {
                self.wait(*length);
                if self.output.contains("dial") {
                    return Err("an attempt begins, at a time that jitter decides: say `attempt`".into());
                }
            }
            Step::Attempt => {
                let due = self.session.poll_deadline().ok_or("nothing is due")?;
                (self.clock.now, self.clock.start) = (due.max(self.clock.now), due.max(self.clock.now));
                self.wake(Session::handle_timeout);
            }
            Step::Open => self.open(),
            Step::Fail { stage, cause } => {
                let stage = [Stage::Tcp, Stage::Tls].into_iter().find(|known| known.to_string() == *stage);
                let error = DialError::new(stage.ok_or("no such stage")?, cause.clone());
                self.wake(|session, now| session.handle_dial_failed(now, &error));
            }
            Step::Answer { status, body } => {
                let body = body.clone().unwrap_or_default().into_bytes();
                let answer = Some(Box::new(Answer { status: *status, body, ..Answer::default() }));
                let error = DialError { answer, ..DialError::new(Stage::Upgrade, format!("HTTP {status}")) };
                self.wake(|session, now| session.handle_dial_failed(now, &error));
            }
            Step::Close(cause) => self.receive(Inbound { closed: Some(cause.clone()), ..Inbound::default() }),
            Step::Peer(peer) => {
                self.peer = match peer.as_str() {
                    "answers" => Peer::Answers,
                    "silent" => Peer::Silent,
                    "stuck" => Peer::Stuck,
                    _ => return Err("no such behaviour".into()),
                }
            }
            Step::NoRoom => {
                self.has_room = false;
                self.wake(|_, _| {});
            }
            Step::Room => {
                self.has_room = true;
                self.wake(|_, _| {});
            }
            Step::Freeze { length: Span(length), suspended } => {
                match suspended {
                    true => self.suspended += *length,
                    false => self.clock.now += *length,
                }
                self.wake(Session::handle_timeout);
            }
            Step::Shutdown => self.wake(Session::handle_shutdown),
            frames => self.run_frames(frames),
        }
        Ok(std::mem::take(&mut self.output))
    }
}
