//! The watchdog over feeds that live, are quiet, or are dead, in virtual time.

mod signs;

use super::*;
use crate::clock::{Clock, Stamp};
use crate::connection::Suspect;
use crate::upbit::feed;
use crate::upbit::subscription::{Format, Subscription};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const MONTH: Duration = Duration::from_secs(30 * 86_400);

fn request(kinds: &[&str], codes: &[&str]) -> Request {
    let codes: Vec<String> = codes.iter().map(|&code| code.to_owned()).collect();
    let of = |kind: &&str| Subscription { kind: (*kind).into(), codes: codes.clone(), ..Subscription::default() };
    Request { subscriptions: kinds.iter().map(of).collect(), format: Format::Default }
}

/// The exchange's behaviour after it is asked again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exchange {
    /// It sends a snapshot of each stream.
    Answers,
    /// Nothing.
    Mute,
}

/// A watchdog, the exchange, and the time they live in.
struct Feed {
    watchdog: StreamWatchdog,
    request: Request,
    exchange: Exchange,
    now: Instant,
    stale: Vec<(Instant, Vec<Suspect>)>,
    fresh: Vec<String>,
    unreadable: Vec<u64>,
    remedies: Vec<(Instant, EscalationStep)>,
}

impl Feed {
    fn new(request: Request, exchange: Exchange) -> Self {
        let mut watchdog = StreamWatchdog::new(Duration::from_secs(10), feed::Feed::Public);
        let now = Clock::anchored(Stamp::MAX).now();
        watchdog.handle_requested(now, &request, SubscribeReason::Connected);
        let (stale, fresh, remedies, unreadable) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { watchdog, request, exchange, now, stale, fresh, unreadable, remedies }
    }

    fn trades(exchange: Exchange) -> Self {
        Self::new(request(&["trade"], &["A-B"]), exchange)
    }

    fn frame(&mut self, frame: &[u8]) -> Option<DataSpan> {
        let mut batch = Batch::default();
        batch.push(frame, self.now);
        let data = self.watchdog.handle_batch(&batch);
        self.poll();
        data
    }

    fn data(&mut self, kind: &str, code: &str) {
        self.frame(format!(r#"{{"type":"{kind}","code":"{code}"}}"#).as_bytes());
    }

    fn reply(&mut self, listed: &str) -> Option<Notice> {
        let object = format!(r#"{{"method":"LIST_SUBSCRIPTIONS","result":{listed}}}"#);
        let notice = self.watchdog.handle_reply(self.now, object.as_bytes());
        self.poll();
        notice
    }

    /// Lets time pass, and executes the watchdog's steps.
    fn wait(&mut self, length: Duration) {
        let until = self.now + length;
        let mut polls = 0;
        while let Some(deadline) = self.watchdog.deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.poll();
            polls += 1;
            assert!(polls < 10_000, "it never has enough");
        }
        self.now = until;
    }

    fn poll(&mut self) {
        while let Some(notice) = self.watchdog.poll_notice(self.now) {
            match notice {
                Notice::Stale { streams } => self.stale.push((self.now, streams)),
                Notice::Fresh { streams } => self.fresh.extend(streams),
                Notice::Unreadable { frames, .. } => self.unreadable.push(frames),
                _ => {}
            }
        }
        let Some(remedy) = self.watchdog.poll_escalation(self.now) else { return };
        self.remedies.push((self.now, remedy));
        match remedy {
            EscalationStep::Ask => {}
            EscalationStep::Resubscribe => self.subscribe(SubscribeReason::Stale),
            EscalationStep::Reconnect => self.reconnect(),
        }
    }

    fn reconnect(&mut self) {
        if let Some(Notice::Unreadable { frames, .. }) = self.watchdog.handle_lost() {
            self.unreadable.push(frames);
        }
        self.subscribe(SubscribeReason::Connected);
    }

    fn subscribe(&mut self, reason: SubscribeReason) {
        let request = self.request.clone();
        self.watchdog.handle_requested(self.now, &request, reason);
        if self.exchange == Exchange::Answers {
            for entry in &request.subscriptions {
                entry.codes.iter().for_each(|code| self.data(&entry.kind, code));
            }
        }
    }

    /// Trades at random, `rate` of them an hour at each time, until `length` is over.
    fn trade(&mut self, length: Duration, seed: u64, rate: impl Fn(Duration) -> f64) {
        let (mut rng, most) =
            (StdRng::seed_from_u64(seed), (0..48).map(|half| rate(half * HOUR / 2)).fold(0.0, f64::max));
        let begin = self.now;
        loop {
            let gap = HOUR.mul_f64(-(1.0 - rng.random::<f64>()).ln() / most);
            if self.now + gap >= begin + length {
                return self.wait((begin + length).saturating_duration_since(self.now));
            }
            self.wait(gap);
            if rng.random::<f64>() * most < rate(self.now - begin) {
                self.data("trade", "A-B");
            }
        }
    }

    fn count(&self, remedy: EscalationStep) -> usize {
        self.remedies.iter().filter(|(_, tried)| *tried == remedy).count()
    }
}

/// One an hour all day long; by day nineteen times the rate of the night, rising and falling; and the same from one
/// moment to the next.
fn hourly(shape: usize, at: Duration) -> f64 {
    let hour = at.as_secs_f64() / 3600.0 % 24.0;
    match shape {
        0 => 1.0,
        1 => 1.0 + 0.9 * (hour / 24.0 * std::f64::consts::TAU).sin(),
        _ => [1.9, 0.1][usize::from(hour >= 12.0)],
    }
}

#[test]
fn one_trade_an_hour_is_at_most_one_false_alarm_a_month() {
    let mut alarms = Vec::new();
    for shape in 0..3 {
        for seed in 0..100 {
            let mut feed = Feed::trades(Exchange::Answers);
            feed.data("trade", "A-B");
            feed.trade(MONTH, seed, |at| hourly(shape, at));
            assert!(feed.stale.len() <= 1, "shape {shape}, seed {seed}: {:?}", feed.stale.len());
            alarms.push(feed.stale.len());
        }
    }
    assert!(alarms.iter().sum::<usize>() <= 15, "in {} months: {}", alarms.len(), alarms.iter().sum::<usize>());
}

#[test]
fn a_slow_feed_that_dies_is_noticed_all_the_same() {
    for seed in 0..20 {
        let mut feed = Feed::trades(Exchange::Answers);
        feed.data("trade", "A-B");
        feed.trade(MONTH / 2, seed, |at| hourly(1, at));
        let before = feed.stale.len();
        feed.wait(8 * DAY);
        assert!(feed.stale.len() > before, "seed {seed}");
    }
}

/// One to twenty trades a second, at random or evenly, in the first minutes or after a quiet night.
#[test]
fn a_fast_feed_that_goes_mute_is_told_within_a_minute() {
    for seed in 0..60 {
        let mut feed = Feed::trades(Exchange::Mute);
        feed.data("trade", "A-B");
        let rate = [1.0, 3.0, 20.0][seed as usize % 3];
        let (is_even, was_quiet) = (seed % 2 == 0, seed % 4 < 2);
        let length = Duration::from_secs(if was_quiet { 900 } else { 90 });
        if was_quiet {
            feed.trade(8 * HOUR, seed, |_| 60.0);
        }
        if is_even {
            for _ in 0..(length.as_secs_f64() * rate) as u64 {
                feed.wait(Duration::from_secs_f64(1.0 / rate));
                feed.data("trade", "A-B");
            }
        } else {
            feed.trade(length, seed, |_| rate * 3600.0);
            feed.data("trade", "A-B");
        }
        let (last, before) = (feed.now, feed.stale.len());
        feed.wait(Duration::from_secs(60));
        let told = &feed.stale[before..];
        let suspect = Suspect { stream: "A-B_trade".into(), since: last };
        assert!(told.len() == 1 && told[0].1 == [suspect], "seed {seed}: {told:?}");
    }
}

#[test]
fn a_fast_feed_raises_no_false_alarm_in_days() {
    for seed in 0..3 {
        let mut feed = Feed::trades(Exchange::Answers);
        // From one a second by day to one a minute by night.
        let rate = |at: Duration| {
            3600.0 * (-4.1 * (1.0 - (at.as_secs_f64() / 86_400.0 * std::f64::consts::TAU).cos()) / 2.0).exp()
        };
        feed.trade(3 * DAY, seed, rate);
        assert!(feed.stale.is_empty(), "seed {seed}: {}", feed.stale.len());
    }
}

#[test]
fn the_pace_is_not_lost_by_a_reconnect() {
    let mut feed = Feed::trades(Exchange::Mute);
    for _ in 0..100 {
        feed.wait(Duration::from_secs(1));
        feed.data("trade", "A-B");
    }
    feed.reconnect();
    feed.data("trade", "A-B");
    feed.wait(Duration::from_secs(60));
    assert_eq!(feed.stale.len(), 1);
}

/// A feed of two trades and two tickers, one of each a second, with one of them quiet for long.
fn steady(exchange: Exchange) -> (Feed, Instant) {
    let mut feed = Feed::new(request(&["trade", "ticker"], &["A-B", "C-D"]), exchange);
    feed.data("ticker", "C-D");
    let quiet = feed.now;
    for _ in 0..100 {
        feed.wait(Duration::from_secs(1));
        ["A-B", "C-D"].iter().for_each(|code| feed.data("trade", code));
        feed.data("ticker", "A-B");
    }
    (feed, quiet)
}

#[test]
fn what_keeps_the_socket_warm_proves_nothing() {
    let (mut feed, _) = steady(Exchange::Mute);
    for _ in 0..60 {
        feed.wait(Duration::from_secs(1));
        for frame in [
            r#"{"status":"UP"}"#,
            r#"{"type":"trade","code":"KRW-OTHER"}"#,
            r#"{"type":"error","error":{"name":"X"}}"#,
            r#"{"code":"A-B"}"#,
            "PONG",
        ] {
            assert_eq!(feed.frame(frame.as_bytes()), None, "{frame}");
        }
    }
    assert_eq!(feed.stale.len(), 1);
}

#[test]
fn data_is_found_among_what_is_none() {
    let mut feed = Feed::trades(Exchange::Mute);
    let list = br#"[{"status":"UP"},{"type":"trade","code":"A-B"},{"type":"ticker","code":"A-B"},{"type":"trade","code":"A-B"},{"a":1}]"#;
    assert_eq!(feed.frame(list), Some(DataSpan { first: 1, last: 3 }));
}

#[test]
fn a_pause_is_not_learnt_as_a_silence_of_the_feed() {
    let (mut feed, _) = steady(Exchange::Answers);
    feed.watchdog.handle_paused();
    feed.now += HOUR;
    feed.data("trade", "A-B");
    feed.watchdog.handle_resumed(feed.now, true);
    feed.data("trade", "A-B");
    feed.wait(Duration::from_secs(61));
    assert!(!feed.remedies.is_empty(), "missed within a minute, as before");
}

#[test]
fn a_dead_feed_is_tried_more_and_more_seldom() {
    let (mut feed, _) = steady(Exchange::Mute);
    feed.wait(DAY);
    let times: Vec<Duration> = feed.remedies.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!((28..=40).contains(&feed.count(EscalationStep::Reconnect)), "{}", feed.count(EscalationStep::Reconnect));
    assert!(times[3..].is_sorted() && *times.last().unwrap() == HOUR, "{times:?}");
}

#[test]
fn snapshots_alone_do_not_make_a_tight_loop() {
    let (mut feed, _) = steady(Exchange::Answers);
    feed.wait(DAY);
    assert!(
        feed.count(EscalationStep::Resubscribe) + feed.count(EscalationStep::Reconnect) <= 50,
        "{:?}",
        feed.remedies.len()
    );
    assert!(feed.count(EscalationStep::Reconnect) > 0, "what a repeated request did not mend");
    let (_, last) = feed.stale.last().unwrap();
    assert_eq!(last.len(), 4);
}

#[test]
fn a_connection_without_first_data_is_left() {
    let mut feed = Feed::trades(Exchange::Mute);
    let begin = feed.now;
    feed.wait(Duration::from_secs(29));
    feed.frame(br#"{"status":"UP"}"#);
    assert!(feed.remedies.is_empty());
    feed.wait(HOUR);
    let tried: Vec<(u64, EscalationStep)> =
        feed.remedies.iter().map(|(at, remedy)| ((*at - begin).as_secs(), *remedy)).collect();
    let at = [30, 60, 120, 240, 480, 960, 1_920];
    assert_eq!(tried, at.map(|second| (second, EscalationStep::Reconnect)));
    assert!(feed.stale.is_empty(), "the gap is open anyway");
}
