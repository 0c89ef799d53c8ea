//! A reconnect storm: an exchange that refuses both connections for five minutes, in any way and at any pace.

use super::*;

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Refused,
    NoUpgrade,
    /// Connected, and closed again before any data.
    Closed,
    /// Connected, and answered with an error of the exchange.
    Error,
}

/// A connection and the answers under way to it.
struct Client {
    session: Session,
    /// An attempt under way and the instant at which its fate is known.
    pending: Option<(Instant, Fate)>,
    attempts: Vec<Instant>,
}

impl Client {
    fn new(feed: Feed, connects: &Arc<ConnectBudget>, seed: u64, now: Instant) -> Self {
        let settings = Settings { feed, config: config(), credentials: None };
        let mut session = Session::new(settings, Arc::clone(connects), seed, awake(now));
        session.handle_request(now, request("KRW-BTC"));
        Self { session, pending: None, attempts: Vec::new() }
    }

    fn next(&self) -> Instant {
        let deadline = self.session.poll_deadline();
        self.pending.map(|(at, _)| at).into_iter().chain(deadline).min().expect("there always is a way on")
    }

    fn step(&mut self, now: Instant, fate: impl FnOnce() -> (Duration, Fate)) {
        match self.pending.take_if(|(at, _)| now >= *at) {
            None => self.session.handle_timeout(now),
            Some((_, Fate::Refused)) => {
                self.session.handle_dial_failed(now, &DialError::new(Stage::Tcp, "connection refused"));
            }
            Some((_, Fate::NoUpgrade)) => {
                let answer = Some(Box::new(Answer { status: 503, ..Answer::default() }));
                let error = DialError { answer, ..DialError::new(Stage::Upgrade, "HTTP 503") };
                self.session.handle_dial_failed(now, &error);
            }
            Some((_, fate)) => {
                self.session.handle_opened(now, "a".into());
                let mut inbound = Inbound { heard: true, whole: true, drained: true, ..Inbound::default() };
                if matches!(fate, Fate::Error) {
                    inbound.batch.push(br#"{"error":{"name":"NO_CODES"}}"#, now);
                }
                inbound.closed = Some("closed".into());
                self.session.handle_inbound(now, &mut inbound);
            }
        }
        let dials =
            std::iter::from_fn(|| self.session.poll_command()).filter(|it| matches!(it, SessionCommand::Dial { .. }));
        if dials.count() > 0 {
            let (takes, fate) = fate();
            self.attempts.push(now);
            self.pending = Some((now + takes, fate));
        }
        while self.session.poll_event().is_some() {}
    }
}

fn fate() -> impl Strategy<Value = (u64, Fate)> {
    let fate = prop_oneof![
        4 => Just(Fate::Refused),
        2 => Just(Fate::NoUpgrade),
        2 => Just(Fate::Closed),
        1 => Just(Fate::Error),
    ];
    (prop_oneof![Just(0), 1..200_u64, 200..10_000_u64], fate)
}

proptest! {
    #[test]
    fn a_server_that_refuses_for_minutes_sees_few_attempts(
        seeds: [u64; 2],
        fates in proptest::collection::vec(fate(), 1..20),
    ) {
        let begin = Clock::anchored(Stamp::MAX).now();
        let connects = Arc::new(ConnectBudget::new(5, begin));
        let ids = [Feed::Public, Feed::Private];
        let mut clients = [0, 1].map(|n| Client::new(ids[n], &connects, seeds[n], begin));
        let mut fates = fates.into_iter().map(|(ms, fate)| (Duration::from_millis(ms), fate)).cycle();
        loop {
            let client = clients.iter_mut().min_by_key(|client| client.next()).expect("there are two");
            let now = client.next();
            if now >= begin + Duration::from_secs(300) {
                break;
            }
            client.step(now, || fates.next().expect("it goes round"));
        }
        for client in &clients {
            prop_assert!((1..25).contains(&client.attempts.len()), "{} attempts", client.attempts.len());
        }
        let all: Vec<Instant> = clients.iter().flat_map(|client| client.attempts.iter().copied()).collect();
        let within = |first: &Instant| {
            all.iter().filter(|&at| at >= first && *at < *first + Duration::from_secs(1)).count()
        };
        prop_assert!(all.iter().all(|first| within(first) <= 5));
    }
}
