//! The machine at explicit instants, and under anything that may happen in any order.

mod blame;
mod script;
mod storm;

use super::*;
use crate::batch::DataSpan;
use crate::clock::{Clock, Stamp};
use crate::config::ConnectionConfig;
use crate::net::DialError;
use crate::printable;
use crate::upbit::auth::{Credentials, JwtAlgorithm, Secret};
use crate::upbit::feed::Feed;
use crate::upbit::limits::Answer;
use crate::upbit::subscription::{Format, Subscription};
use proptest::prelude::*;

fn config() -> ConnectionConfig {
    crate::config::load(&Default::default()).unwrap().config.public
}

fn request(code: &str) -> Request {
    let trade = Subscription { kind: "trade".into(), codes: vec![code.into()], ..Subscription::default() };
    Request { subscriptions: vec![trade], format: Format::Default }
}

/// An instant of a machine that was never suspended.
fn awake(at: Instant) -> Moment {
    Moment { at, suspended: Duration::ZERO }
}

/// A session and the time it lives in.
struct Rig {
    session: Session,
    now: Instant,
    commands: Vec<SessionCommand>,
    events: Vec<Notice>,
}

impl Rig {
    fn start() -> Self {
        let now = Clock::anchored(Stamp::MAX).now();
        Self::with(Settings { feed: Feed::Public, config: config(), credentials: None }, now)
    }

    fn private() -> Self {
        let credentials = Credentials {
            access_key: Secret::new("canary-access"),
            secret_key: Secret::new("canary-secret"),
            algorithm: JwtAlgorithm::Hs512,
        };
        let now = Clock::anchored(Stamp::MAX).now();
        Self::with(Settings { feed: Feed::Private, config: config(), credentials: Some(credentials) }, now)
    }

    fn with(settings: Settings, now: Instant) -> Self {
        let connects = Arc::new(ConnectBudget::new(settings.config.connects_per_second, now));
        let mut session = Session::new(settings, connects, 3, awake(now));
        session.handle_request(now, request("KRW-BTC"));
        let mut rig = Self { session, now, commands: Vec::new(), events: Vec::new() };
        rig.drain();
        rig
    }

    fn drain(&mut self) {
        self.commands.extend(std::iter::from_fn(|| self.session.poll_command()));
        self.events.extend(std::iter::from_fn(|| self.session.poll_event()).map(|(_, notice)| notice));
    }

    fn act(&mut self, act: impl FnOnce(&mut Session, Instant)) {
        act(&mut self.session, self.now);
        self.drain();
    }

    /// Lets the time pass to the next deadline.
    fn wait(&mut self) {
        self.now = self.now.max(self.session.poll_deadline().expect("something is due"));
        self.act(Session::handle_timeout);
    }

    /// An error ten times a second, each with words of its own.
    fn err_for_a_thousand_reasons(&mut self) {
        for n in 0..1000 {
            self.data(format!(r#"{{"error":{{"name":"WRONG_FORMAT","message":"{n}"}}}}"#).as_bytes());
            self.now += Duration::from_millis(100);
        }
    }

    fn data(&mut self, frame: &[u8]) {
        let mut inbound = Inbound { heard: true, whole: true, drained: true, sent: true, ..Inbound::default() };
        inbound.batch.push(frame, self.now);
        self.act(|session, now| session.handle_inbound(now, &mut inbound));
    }

    fn take_commands(&mut self) -> Vec<SessionCommand> {
        std::mem::take(&mut self.commands)
    }
}

#[test]
fn a_cause_is_one_printable_line_of_bounded_length() {
    let mut rig = Rig::start();
    let cause = format!("closed: \u{202e}\n\u{1b}[2J{}", "x".repeat(10_000));
    rig.wait();
    rig.act(|session, now| session.handle_dial_failed(now, &DialError::new(Stage::Tls, cause)));
    let told = rig.events.iter().find_map(|notice| match notice {
        Notice::Lost { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    let told = told.unwrap();
    assert!(told.starts_with(r"closed: \u202e\n\u001b[2Jxxx") && told.ends_with('…'), "{told}");
    assert!(told.chars().count() <= printable::SENTENCE);
}

#[test]
fn the_private_connection_has_a_fresh_token_for_each_attempt() {
    let mut rig = Rig::private();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        rig.wait();
        tokens.push(rig.take_commands());
        rig.act(|session, now| session.handle_dial_failed(now, &DialError::new(Stage::Tcp, "no")));
    }
    assert!(tokens.iter().all(|token| matches!(token[..], [SessionCommand::Dial { authorization: Some(_) }])));
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2]);
    let shown = format!("{:?} {tokens:?}", rig.session);
    assert!(!shown.contains("canary") && !shown.contains("Bearer"), "{shown}");
}

#[test]
fn where_the_data_lies_is_marked_in_the_batch() {
    let mut rig = Rig::start();
    rig.wait();
    rig.act(|session, now| session.handle_opened(now, "a".into()));
    let mut inbound = Inbound { heard: true, whole: true, drained: true, ..Inbound::default() };
    for frame in
        [&br#"{"status":"UP"}"#[..], br#"{"type":"trade","code":"KRW-BTC"}"#, br#"{"type":"trade","code":"KRW-X"}"#]
    {
        inbound.batch.push(frame, rig.now);
    }
    rig.session.handle_inbound(rig.now, &mut inbound);
    assert_eq!(inbound.batch.data(), Some(DataSpan { first: 1, last: 1 }));
}

#[test]
fn a_new_reason_for_every_frame_is_no_news_for_every_frame() {
    let mut rig = Rig::start();
    rig.wait();
    rig.act(|session, now| session.handle_opened(now, "a".into()));
    rig.data(br#"{"type":"trade","code":"KRW-BTC"}"#);
    rig.err_for_a_thousand_reasons();
    let refused = rig.events.iter().filter(|event| matches!(event, Notice::Refused { .. })).count();
    assert_eq!(refused, 2, "one for PING, one for LIST_SUBSCRIPTIONS");
    assert!(rig.session.poll_deadline().is_some(), "what stands is kept");
}

#[test]
fn a_refused_request_is_shown_once_however_many_reasons_follow() {
    let mut rig = Rig::start();
    rig.wait();
    rig.act(|session, now| session.handle_opened(now, "a".into()));
    rig.err_for_a_thousand_reasons();
    let refused = |event: &&Notice| matches!(event, Notice::Refused { objection: Objection::Request, .. });
    assert_eq!(rig.events.iter().filter(refused).count(), 1);
}

#[test]
fn a_block_holds_for_the_other_connection_too() {
    let now = Clock::anchored(Stamp::MAX).now();
    let connects = Arc::new(ConnectBudget::new(5, now));
    let settings = Settings { feed: Feed::Public, config: config(), credentials: None };
    let mut session = Session::new(settings, Arc::clone(&connects), 1, awake(now));
    session.handle_request(now, request("KRW-BTC"));
    session.handle_timeout(now);
    let answer = Answer { status: 418, body: b"blocked for 120 seconds".to_vec(), ..Answer::default() };
    session.handle_dial_failed(
        now,
        &DialError { answer: Some(Box::new(answer)), ..DialError::new(Stage::Upgrade, "HTTP 418") },
    );
    session.handle_request(now, request("KRW-ETH"));
    assert!(session.poll_deadline().unwrap() >= now + Duration::from_secs(120));
    assert_eq!(connects.take(now + Duration::from_secs(119)), Err(now + Duration::from_secs(121)));
}

/// Everything that can happen to a session.
#[derive(Clone, Debug)]
enum Happening {
    Wait(u64),
    Deadline,
    Opened,
    DialFailed(u16),
    Data,
    Error,
    Half,
    Closed,
    Reading(bool),
    Request(bool),
    Shutdown,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0..20_000_u64).prop_map(Happening::Wait),
        6 => Just(Happening::Deadline),
        4 => Just(Happening::Opened),
        2 => prop_oneof![Just(0), Just(401), Just(418), Just(429)].prop_map(Happening::DialFailed),
        3 => Just(Happening::Data),
        1 => Just(Happening::Error),
        1 => Just(Happening::Half),
        2 => Just(Happening::Closed),
        2 => any::<bool>().prop_map(Happening::Reading),
        2 => any::<bool>().prop_map(Happening::Request),
        1 => Just(Happening::Shutdown),
    ]
}

/// The shell's state, which limits the inputs that are possible.
#[derive(Debug, PartialEq)]
enum Line {
    Down,
    Dialing,
    Up,
}

impl Rig {
    fn happen(&mut self, happening: &Happening, line: &Line) {
        match (happening, line) {
            (Happening::Wait(ms), _) => {
                let most = self.session.poll_deadline().unwrap_or(self.now + Duration::from_secs(60));
                self.now = (self.now + Duration::from_millis(*ms)).min(most.max(self.now));
            }
            (Happening::Deadline, _) if self.session.poll_deadline().is_some() => self.wait(),
            (Happening::Opened, Line::Dialing) => self.act(|session, now| session.handle_opened(now, "a".into())),
            (Happening::DialFailed(status), Line::Dialing) => {
                let answer = (*status > 0).then(|| Box::new(Answer { status: *status, ..Answer::default() }));
                let error = DialError { answer, ..DialError::new(Stage::Upgrade, "no") };
                self.act(|session, now| session.handle_dial_failed(now, &error));
            }
            (Happening::Data, Line::Up) => self.data(br#"{"type":"trade","code":"KRW-BTC"}"#),
            (Happening::Error, Line::Up) => self.data(br#"{"error":{"name":"NO_CODES"}}"#),
            (Happening::Half, Line::Up) => {
                let mut inbound = Inbound { heard: true, drained: true, ..Inbound::default() };
                self.act(|session, now| session.handle_inbound(now, &mut inbound));
            }
            (Happening::Closed, Line::Up) => self.act(|session, now| session.handle_closed(now, "reset")),
            (Happening::Reading(reading), Line::Up) => {
                self.act(|session, now| session.handle_reading(now, *reading));
            }
            (Happening::Request(eth), _) => {
                let code = if *eth { "KRW-ETH" } else { "KRW-BTC" };
                self.act(|session, now| session.handle_request(now, request(code)));
            }
            (Happening::Shutdown, _) => self.act(Session::handle_shutdown),
            _ => {}
        }
    }
}

/// Opens a socket whose peer sends a pong at each of `pongs` (seconds, ascending) until `end`; returns when it is lost.
fn lost_at(pongs: &[u64], end: u64) -> Option<u64> {
    // The account's connection needs no data.
    let mut rig = Rig::private();
    rig.wait();
    rig.act(|session, now| session.handle_opened(now, "a".into()));
    let opened = rig.now;
    for second in 0..=end {
        rig.now = opened + Duration::from_secs(second);
        let mut inbound =
            Inbound { heard: pongs.contains(&second), whole: true, drained: true, sent: true, ..Inbound::default() };
        rig.act(|session, now| session.handle_inbound(now, &mut inbound));
        rig.act(Session::handle_timeout);
        if rig.take_commands().contains(&SessionCommand::Disconnect) {
            return Some(second);
        }
    }
    None
}

proptest! {
    #[test]
    fn a_mute_socket_is_lost_within_an_interval_and_a_timeout(mute_from in 1..100_u64) {
        let lost_at = lost_at(&(0..mute_from).collect::<Vec<_>>(), 200).unwrap();
        prop_assert!(lost_at <= mute_from + 25, "mute from {mute_from}, lost at {lost_at}");
    }

    #[test]
    fn an_answer_within_the_timeout_keeps_the_socket(delay in 1..10_u64) {
        let pongs: Vec<u64> = (0..20).map(|ping| ping * 15 + delay).collect();
        prop_assert_eq!(lost_at(&pongs, 290), None);
    }

    #[test]
    fn whatever_happens_the_rules_hold(happenings in proptest::collection::vec(happening(), 1..300)) {
        let mut rig = Rig::start();
        let mut line = Line::Down;
        let (mut dials, mut sends) = (Vec::new(), Vec::new());
        let (mut open, mut stopping) = (false, false);
        for happening in &happenings {
            stopping |= matches!(happening, Happening::Shutdown);
            rig.happen(happening, &line);
            line = match (happening, line) {
                (Happening::Opened, Line::Dialing) => Line::Up,
                (Happening::DialFailed(_), Line::Dialing) => Line::Down,
                (_, line) => line,
            };
            for command in rig.take_commands() {
                match command {
                    SessionCommand::Dial { .. } => {
                        prop_assert!(line != Line::Up && !stopping, "dials only while the line is down");
                        dials.push(rig.now);
                        line = Line::Dialing;
                    }
                    SessionCommand::Send(_) => {
                        prop_assert_eq!(&line, &Line::Up);
                        sends.push(rig.now);
                    }
                    SessionCommand::Close => prop_assert_eq!(&line, &Line::Up),
                    SessionCommand::Disconnect => line = Line::Down,
                }
            }
            for event in std::mem::take(&mut rig.events) {
                match event {
                    Notice::Connected { .. } => {
                        prop_assert!(!open, "one socket at a time");
                        open = true;
                    }
                    Notice::Live { .. } => prop_assert!(open),
                    Notice::Lost { stage: Stage::Live | Stage::Subscribing, .. } => {
                        prop_assert!(open, "each connection is lost once");
                        open = false;
                    }
                    Notice::Lost { .. } => prop_assert!(!open),
                    _ => {}
                }
            }
            let waits = rig.session.poll_deadline().is_some() || rig.session.is_finished() || line == Line::Dialing;
            prop_assert!(waits, "there always is a way on");
        }
        let most = |times: &[Instant], window: Duration| {
            times.iter().map(|&first| times.iter().filter(|&&t| t >= first && t < first + window).count()).max()
        };
        prop_assert!(most(&dials, Duration::from_secs(1)) <= Some(5));
        prop_assert!(most(&sends, Duration::from_secs(1)) <= Some(5));
        prop_assert!(most(&sends, Duration::from_secs(60)) <= Some(100));
        prop_assert_eq!(rig.session.is_finished() && open, false);
    }
}
