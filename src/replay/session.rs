//! One client's session: what it asked for, and what it gets next.
//!
//! ```text
//!  Idle ──valid request──▶ Playing ──valid request──▶ Playing (the new one replaces the old one)
//!    └──────refused request──────┴──▶ Closing: the error frame, 150 ms, close 1000
//! ```
//!
//! No I/O, no clock: the server hands in text and times, and takes frames out until there is none.

use super::market::Market;
use super::playback::Playback;
use super::recorded::Recorded;
use super::wire::request::{self, Refusal};
use crate::clock::Stamp;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// How long after an error the connection is closed, in microseconds.
const CLOSE_AFTER_ERROR: u64 = 150_000;

/// Where frames come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// From files, each frame once, `rate` a second; without one, as fast as they are taken.
    Recorded {
        /// The frames.
        frames: Recorded,
        /// Frames per second.
        rate: Option<f64>,
    },
    /// From the sample market.
    Market(Arc<Market>),
}

/// What the server has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Send this.
    Frame(Bytes),
    /// Close with code 1000.
    Close,
}

/// One client's session.
pub(crate) struct Session {
    source: Source,
    state: State,
    /// Frames that are due at once.
    ready: VecDeque<Bytes>,
}

enum State {
    Idle,
    Market(Box<Playback>),
    Recorded { started: Stamp, next: usize },
    Closing { at: Stamp },
    Closed,
}

impl Session {
    /// A client that has asked for nothing yet.
    pub(crate) fn new(source: Source) -> Self {
        Self { source, state: State::Idle, ready: VecDeque::new() }
    }

    /// A message of the client.
    pub(crate) fn handle_message(&mut self, now: Stamp, message: &[u8]) {
        if matches!(self.state, State::Closing { .. } | State::Closed) {
            return;
        }
        let text = std::str::from_utf8(message).unwrap_or_default();
        // The keepalive switch and questions about the subscription leave what is being sent as it is.
        if text == "PING" || text.contains("\"method\"") {
            return;
        }
        match request::parse(text) {
            Err(refusal) => self.refuse(now, &refusal),
            Ok(request) => match &self.source {
                Source::Market(market) => {
                    let playback = Playback::new(Arc::clone(market), &request, now.as_micros() / 1_000);
                    self.state = State::Market(Box::new(playback));
                }
                // The file's frames are sent once: another request changes nothing.
                Source::Recorded { .. } => {
                    if matches!(self.state, State::Idle) {
                        self.state = State::Recorded { started: now, next: 0 };
                    }
                }
            },
        }
    }

    /// What is to be done at `now`; `None` until [`Session::poll_deadline`] or the next message.
    pub(crate) fn poll_output(&mut self, now: Stamp) -> Option<Output> {
        if let Some(frame) = self.ready.pop_front() {
            return Some(Output::Frame(frame));
        }
        match &mut self.state {
            State::Idle | State::Closed => None,
            State::Market(playback) => playback.poll(now.as_micros() / 1_000).map(|frame| Output::Frame(frame.into())),
            State::Recorded { started, next } => {
                let Source::Recorded { frames, rate } = &self.source else {
                    return None;
                };
                if due(*started, *next, *rate) > now {
                    return None;
                }
                let frame = frames.get(*next)?;
                *next += 1;
                Some(Output::Frame(frame))
            }
            State::Closing { at } if *at <= now => {
                self.state = State::Closed;
                Some(Output::Close)
            }
            State::Closing { .. } => None,
        }
    }

    /// When to poll again without a message; `None`: never.
    pub(crate) fn poll_deadline(&self) -> Option<Stamp> {
        match (&self.state, &self.source) {
            (State::Market(playback), _) => {
                playback.next_due().map(|millis| Stamp::from_micros(millis * 1_000).unwrap_or(Stamp::MAX))
            }
            (State::Recorded { started, next }, Source::Recorded { frames, rate }) => {
                frames.get(*next).map(|_| due(*started, *next, *rate))
            }
            (State::Closing { at }, _) => Some(*at),
            _ => None,
        }
    }

    fn refuse(&mut self, now: Stamp, refusal: &Refusal) {
        self.ready.push_back(refusal.to_frame().into());
        self.state = State::Closing { at: later(now, CLOSE_AFTER_ERROR) };
    }
}

/// When the recorded frame `index` is to be sent.
fn due(started: Stamp, index: usize, rate: Option<f64>) -> Stamp {
    rate.map_or(started, |rate| later(started, (index as f64 / rate * 1e6) as u64))
}

fn later(stamp: Stamp, micros: u64) -> Stamp {
    Stamp::from_micros(stamp.as_micros().saturating_add(micros)).unwrap_or(Stamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_795_317_064_000_000;

    fn at(micros: u64) -> Stamp {
        Stamp::from_micros(START + micros).unwrap()
    }

    fn on_the_market(codes: usize, rate: f64) -> Session {
        Session::new(Source::Market(Arc::new(Market::new(codes, rate, 1, START / 1_000))))
    }

    fn frames(session: &mut Session, until: u64) -> Vec<serde_json::Value> {
        let mut frames = Vec::new();
        let mut now = at(0);
        loop {
            while let Some(Output::Frame(frame)) = session.poll_output(now) {
                frames.push(serde_json::from_slice(&frame).unwrap());
            }
            match session.poll_deadline() {
                Some(deadline) if deadline <= at(until) => now = deadline.max(now.next()),
                _ => return frames,
            }
        }
    }

    const ALL: &str = r#"[{"ticket":"t"},{"type":"trade","codes":["KRW-BTC","KRW-ETH"]},
        {"type":"orderbook","codes":["KRW-BTC.5","KRW-ETH"]},{"type":"ticker","codes":["KRW-BTC"]},
        {"type":"candle.1s","codes":["KRW-BTC"]},{"type":"trade","codes":["krw-btc","KRW-NOPE"]}]"#;

    #[test]
    fn nothing_is_sent_before_a_request() {
        let mut session = on_the_market(3, 100.0);
        assert_eq!(session.poll_output(at(5_000_000)), None);
        assert_eq!(session.poll_deadline(), None);
    }

    #[test]
    fn snapshots_come_first_then_realtime_and_unknown_codes_stay_silent() {
        let mut session = on_the_market(3, 300.0);
        session.handle_message(at(0), ALL.as_bytes());
        let frames = frames(&mut session, 3_000_000);
        let snapshots = frames.iter().take_while(|frame| frame["stream_type"] == "SNAPSHOT").count();
        assert_eq!(snapshots, 6);
        assert!(frames.len() > 100, "{}", frames.len());
        assert!(frames[snapshots..].iter().all(|frame| frame["stream_type"] == "REALTIME"));
        assert!(frames.iter().all(|frame| frame["code"] == "KRW-BTC" || frame["code"] == "KRW-ETH"));
        let depths = frames.iter().filter(|frame| frame["type"] == "orderbook");
        assert!(depths.clone().all(|book| {
            let depth = if book["code"] == "KRW-BTC" { 5 } else { 30 };
            book["orderbook_units"].as_array().unwrap().len() == depth
        }));
    }

    #[test]
    fn a_candle_is_the_sum_of_the_trades_sent() {
        let mut session = on_the_market(1, 500.0);
        let both = r#"[{"ticket":"t"},{"type":"trade","codes":["KRW-BTC"],"is_only_realtime":true},
            {"type":"candle.1s","codes":["KRW-BTC"],"is_only_realtime":true}]"#;
        session.handle_message(at(0), both.as_bytes());
        let frames = frames(&mut session, 4_500_000);
        let second = "2026-11-22T03:11:06";
        let volume = |frame: &serde_json::Value, key: &str| (frame[key].as_f64().unwrap() * 1e8).round() as u64;
        let trades = frames.iter().filter(|frame| {
            frame["type"] == "trade"
                && format!("{}T{}", frame["trade_date"].as_str().unwrap(), frame["trade_time"].as_str().unwrap())
                    == second
        });
        let sum: u64 = trades.map(|frame| volume(frame, "trade_volume")).sum();
        let candle = frames.iter().rfind(|frame| frame["candle_date_time_utc"] == second);
        assert!(sum > 0);
        assert_eq!(candle.map(|candle| volume(candle, "candle_acc_trade_volume")), Some(sum));
    }

    #[test]
    fn the_same_seed_gives_the_same_frames() {
        let run = || {
            let mut session = on_the_market(3, 200.0);
            session.handle_message(at(0), ALL.as_bytes());
            frames(&mut session, 2_000_000)
        };
        assert_eq!(run(), run());
    }

    #[test]
    fn a_new_request_replaces_the_old_one() {
        let mut session = on_the_market(3, 300.0);
        session.handle_message(at(0), ALL.as_bytes());
        session.handle_message(at(0), br#"[{"ticket":"t"},{"type":"ticker","codes":["KRW-XRP"]},{"format":"SIMPLE"}]"#);
        let frames = frames(&mut session, 2_000_000);
        assert!(frames.len() > 5);
        assert!(frames.iter().all(|frame| frame["ty"] == "ticker" && frame["cd"] == "KRW-XRP"));
    }

    #[test]
    fn an_error_is_told_and_the_connection_closed_150_ms_later() {
        let mut session = on_the_market(3, 300.0);
        session.handle_message(at(0), b"[]");
        assert!(matches!(session.poll_output(at(0)), Some(Output::Frame(frame)) if frame.starts_with(b"{\"error\"")));
        assert_eq!(session.poll_output(at(149_999)), None);
        assert_eq!(session.poll_deadline(), Some(at(150_000)));
        assert_eq!(session.poll_output(at(150_000)), Some(Output::Close));
        assert_eq!(session.poll_deadline(), None);
    }
}
