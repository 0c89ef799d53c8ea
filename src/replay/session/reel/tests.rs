//! Sessions on a tape that goes on: each object once, whatever stands on disk when.

use crate::clock::{Position, Stamp};
use crate::replay::fake::{Fake, at, trade};
use crate::replay::live::Live;
use crate::replay::reel::Reel;
use crate::replay::session::{Habits, Output, Session, Source};
use crate::replay::wire::request::Endpoint;
use std::sync::Arc;

const BUSY: &str = "KRW-BTC_trade";
const QUIET: &str = "KRW-ETH_trade";
const NEW: &str = "KRW-XRP_trade";

struct Scene {
    tape: Fake,
    live: Arc<Live>,
    session: Session,
    now: Stamp,
}

impl Scene {
    /// A client of a tape that has come to `newest`; it begins at `start`, or with what comes.
    fn new(start: Option<Position>, newest: u64) -> Self {
        let (tape, live) = (Fake::of(&[BUSY, QUIET]), Arc::new(Live::new(at(newest))));
        let reel = Reel::new(Box::new(tape.clone()), start, None, false).going_on(live.clone(), start.is_none());
        let now = at(newest).stamp;
        let source = Source::Reel(Arc::new(reel));
        let session = Session::new(source, Endpoint::Public, Arc::new(Habits::default()), now);
        Self { tape, live, session, now }
    }

    fn ask(&mut self) {
        let request =
            r#"[{"ticket":"t"},{"type":"trade","codes":["KRW-BTC","KRW-ETH","KRW-XRP"],"is_only_realtime":true}]"#;
        self.session.handle_message(self.now, request.as_bytes());
    }

    /// A line is written, and comes.
    fn write(&self, stream: &str, millis: u64) {
        self.tape.write(trade(stream, millis));
        self.live.push(self.now, Endpoint::Public, trade(stream, millis));
    }

    /// The times of at most so many objects that come.
    fn take(&mut self, most: usize) -> Vec<u64> {
        let mut taken = Vec::new();
        let mut idle = 0;
        while taken.len() < most && idle < 100 {
            match self.session.poll_output(self.now) {
                Some(Output::Frame(frame)) => {
                    let object: serde_json::Value = serde_json::from_slice(&frame).unwrap();
                    taken.push(object["timestamp"].as_u64().unwrap());
                }
                Some(other) => panic!("{other:?}"),
                // As long as it has something to do.
                None if self.session.poll_deadline(self.now).is_some_and(|at| at <= self.now) => idle += 1,
                None => break,
            }
        }
        taken
    }
}

#[test]
fn quiet_and_new_streams_are_whole_behind_a_long_reading() {
    let mut scene = Scene::new(Some(at(0)), 1_000);
    scene.tape.write(trade(BUSY, 1_000));
    scene.tape.write(trade(BUSY, 1_100));
    scene.ask();
    assert_eq!(scene.take(1), [1_000]);
    // Files that were not there when it was read; the busy one is read on.
    scene.write(QUIET, 1_500);
    scene.write(NEW, 2_000);
    for millis in (2_500..60_000).step_by(500) {
        scene.write(BUSY, millis);
    }
    scene.write(QUIET, 60_000);
    let mut taken = scene.take(1_000);
    taken.sort_unstable();
    let expected: Vec<u64> = [1_100, 1_500, 2_000].into_iter().chain((2_500..=60_000).step_by(500)).collect();
    assert_eq!(taken, expected);
    scene.write(NEW, 60_500);
    assert_eq!(scene.take(9), [60_500]);
}

#[test]
fn another_request_goes_on_where_the_one_before_was() {
    for start in [None, Some(at(0))] {
        let mut scene = Scene::new(start, 1_000);
        scene.ask();
        assert!(scene.take(9).is_empty());
        for millis in (2_000..3_000).step_by(10) {
            scene.write(BUSY, millis);
        }
        let mut taken = scene.take(30);
        scene.ask();
        taken.extend(scene.take(30));
        scene.ask();
        scene.write(QUIET, 3_000);
        taken.extend(scene.take(1_000));
        scene.ask();
        taken.extend(scene.take(1_000));
        assert_eq!(taken, (2_000..=3_000).step_by(10).collect::<Vec<u64>>(), "{start:?}");
    }
}

#[test]
fn nothing_before_the_start_is_played() {
    let mut scene = Scene::new(Some(at(1_900)), 2_000);
    for millis in [500, 1_000, 1_800] {
        scene.tape.write(trade(BUSY, millis));
    }
    scene.ask();
    assert!(scene.take(9).is_empty());
    scene.ask();
    assert!(scene.take(9).is_empty());
    scene.write(BUSY, 2_100);
    assert_eq!(scene.take(9), [2_100]);
}
