//! The silence that is absurd for a feed, at explicit instants.

use super::*;
use crate::clock::{Clock, Stamp};

const HOUR: Duration = Duration::from_secs(3600);

/// A pace and the time it lives in.
struct Feed {
    pace: Pace,
    now: Instant,
}

impl Feed {
    fn start() -> Self {
        Self { pace: Pace::default(), now: Clock::anchored(Stamp::MAX).now() }
    }

    /// Data `count` times, each `gap` after the one before.
    fn bring(&mut self, count: u32, gap: Duration) {
        for _ in 0..count {
            self.now += gap;
            self.pace.handle_data(self.now);
        }
    }

    fn absurd(&self) -> Option<Duration> {
        self.pace.absurd()
    }
}

#[test]
fn little_data_is_no_pace() {
    let mut feed = Feed::start();
    feed.bring(LEAST, Duration::from_secs(1));
    assert_eq!(feed.absurd(), None, "the first of them has no gap before it");
    feed.bring(1, Duration::from_secs(1));
    assert_eq!(feed.absurd(), Some(SHORTEST));
}

#[test]
fn a_flood_is_one_beat_a_second() {
    let mut feed = Feed::start();
    feed.bring(20, Duration::from_millis(50));
    assert_eq!(feed.absurd(), None);
}

#[test]
fn a_slow_feed_is_believed_to_be_slower_until_a_day_was_seen() {
    let mut feed = Feed::start();
    feed.bring(144, Duration::from_secs(600));
    let young = feed.absurd().unwrap();
    feed.bring(1, Duration::from_secs(600));
    let known = feed.absurd().unwrap();
    assert_eq!((young, known), (known * 10, Duration::from_secs(600) * 16));
}

#[test]
fn a_night_is_remembered_by_a_slow_feed_for_two_days() {
    let mut feed = Feed::start();
    feed.bring(40, HOUR);
    feed.bring(1, 20 * HOUR);
    // More gaps than the window has, in two days.
    feed.bring(24 * 60, Duration::from_secs(60));
    assert_eq!(feed.absurd(), Some(40 * HOUR));
    feed.bring(25 * 60, Duration::from_secs(60));
    assert!(feed.absurd().unwrap() < HOUR);
}

#[test]
fn a_fast_feed_is_fast_whatever_its_nights_are() {
    let mut feed = Feed::start();
    feed.bring(40, HOUR);
    feed.bring(1_100, Duration::from_secs(1));
    assert_eq!(feed.absurd(), Some(SHORTEST));
}

#[test]
fn nobody_listened_is_no_gap() {
    let mut feed = Feed::start();
    feed.bring(100, Duration::from_secs(1));
    feed.pace.handle_interrupted();
    feed.bring(1, 10 * HOUR);
    feed.bring(100, Duration::from_secs(1));
    assert_eq!(feed.absurd(), Some(SHORTEST));
}

#[test]
fn what_had_been_mute_and_goes_on_teaches_nothing() {
    let mut feed = Feed::start();
    feed.bring(100, Duration::from_secs(1));
    feed.pace.handle_alarm();
    assert_eq!(feed.absurd(), Some(SHORTEST * 2), "until something shows whether it was right");
    feed.bring(1, Duration::from_secs(300));
    feed.bring(10, Duration::from_secs(1));
    assert_eq!(feed.absurd(), Some(SHORTEST));
}

#[test]
fn a_market_silent_behind_its_snapshots_teaches_its_silence() {
    let mut feed = Feed::start();
    feed.bring(100, Duration::from_secs(1));
    feed.now += SHORTEST;
    feed.pace.handle_alarm();
    feed.bring(3, Duration::from_millis(100));
    feed.bring(1, Duration::from_secs(30));
    assert!(feed.absurd().unwrap() >= 2 * Duration::from_secs(75), "{:?}", feed.absurd());
    feed.bring(2_000, Duration::from_secs(1));
    assert!(feed.absurd().unwrap() >= 2 * Duration::from_secs(75), "for longer than the window has it");
    feed.bring(2 * 86_400, Duration::from_secs(1));
    assert_eq!(feed.absurd(), Some(SHORTEST));
}

#[test]
fn alarms_that_change_nothing_come_more_and_more_seldom() {
    let mut feed = Feed::start();
    feed.bring(100, Duration::from_secs(1));
    let mut last = feed.absurd().unwrap();
    for _ in 0..MOST_DOUBLINGS {
        feed.pace.handle_alarm();
        feed.pace.handle_interrupted();
        feed.bring(1, Duration::from_secs(60));
        assert_eq!(feed.absurd(), Some(last * 2));
        last *= 2;
    }
}
