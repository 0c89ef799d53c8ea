//! Hands what the exchange says of its pairs to the supervisor, which records it.
//!
//! ```text
//! /market/all?is_details=true ──▶ Catalogue ──▶ market.rest     ┐
//! /orderbook/instruments      ──▶ Catalogue ──▶ instrument.rest ┴ outbox ──▶ supervisor, as it has room
//! ```
//!
//! Neither can be had for the past: what is not recorded is lost.

use super::catalogue::Catalogue;
use crate::clock::{Instant, Wall};
use crate::rest::markets::Pair;
use crate::tape::rest_objects::RestObjects;
use crate::tape::stream_key::StreamKey;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often instruments are asked for: they change a few times a year, and a whole exchange takes nine requests.
const EVERY: Duration = Duration::from_secs(600);

/// The pause before they are asked for again where there was no answer.
const AGAIN: Duration = Duration::from_secs(60);

/// The pause between a listing and the question for its instrument, which is answered from other servers.
const BEHIND_A_LISTING: Duration = Duration::from_secs(5);

/// Objects handed over at a time: frames that arrive meanwhile wait for as many lines at the most.
const AT_A_TIME: usize = 200;

/// See the module.
#[derive(Debug)]
pub(super) struct Objects {
    /// Tells the days: the clock of the stamps is the supervisor's.
    wall: Wall,
    markets: Catalogue,
    instruments: Catalogue,
    /// Of one answer at the most.
    outbox: VecDeque<RestObjects>,
    recorder: mpsc::Sender<RestObjects>,
    instruments_at: Instant,
}

impl Objects {
    /// Nothing is recorded yet.
    pub(super) fn new(wall: Wall, recorder: mpsc::Sender<RestObjects>, now: Instant) -> Self {
        let (markets, instruments, outbox) = Default::default();
        Self { wall, markets, instruments, outbox, recorder, instruments_at: now }
    }

    /// The exchange has answered which pairs there are.
    pub(super) fn handle_markets(&mut self, pairs: &[Pair]) {
        if self.outbox.is_empty() {
            let fresh = self.markets.take(self.wall.read(), pairs);
            self.push(&StreamKey::market_objects(), fresh);
        }
    }

    /// The exchange has answered how pairs are traded.
    pub(super) fn handle_instruments(&mut self, pairs: &[Pair]) {
        if self.outbox.is_empty() {
            let fresh = self.instruments.take(self.wall.read(), pairs);
            self.push(&StreamKey::instrument_objects(), fresh);
        }
    }

    /// When instruments are asked for next; `None`: not before what waits is handed over.
    pub(super) fn instruments_at(&self) -> Option<Instant> {
        self.outbox.is_empty().then_some(self.instruments_at)
    }

    /// Takes the question that is due; `true`: the caller asks now.
    pub(super) fn take_question(&mut self, now: Instant) -> bool {
        let is_due = self.instruments_at().is_some_and(|at| now >= at);
        if is_due {
            self.instruments_at = now + EVERY;
        }
        is_due
    }

    /// There was no answer how pairs are traded.
    pub(super) fn handle_failure(&mut self, now: Instant) {
        self.instruments_at = self.instruments_at.min(now + AGAIN);
    }

    /// New pairs are listed.
    pub(super) fn handle_listing(&mut self, now: Instant) {
        self.instruments_at = self.instruments_at.min(now + BEHIND_A_LISTING);
    }

    /// Hands over what waits; for ever pending where nothing does. Cancel safe: dropping the future loses nothing.
    pub(super) async fn hand_over(&mut self) {
        if self.outbox.is_empty() {
            std::future::pending().await
        }
        while !self.outbox.is_empty() {
            match self.recorder.reserve().await {
                Ok(slot) => {
                    if let Some(objects) = self.outbox.pop_front() {
                        slot.send(objects);
                    }
                }
                // The recorder has ended.
                Err(_) => self.outbox.clear(),
            }
        }
    }

    fn push(&mut self, stream: &StreamKey, fresh: Vec<String>) {
        for objects in fresh.chunks(AT_A_TIME) {
            self.outbox.push_back(RestObjects { stream: stream.clone(), objects: objects.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::rest::markets::Markets;

    #[tokio::test(start_paused = true)]
    async fn the_next_answer_waits_until_one_is_handed_over_whole() {
        let now = Clock::anchored(Stamp::default()).now();
        let (recorder, mut taken) = mpsc::channel(1);
        let mut objects = Objects::new(Wall::new(Stamp::default), recorder, now);
        let entries: Vec<String> = (0..450).map(|number| format!(r#"{{"market":"KRW-{number}"}}"#)).collect();
        let pairs = Markets::of(serde_json::from_str(&format!("[{}]", entries.join(","))).unwrap()).pairs;
        objects.handle_markets(&pairs);
        assert!(!objects.take_question(now), "the next answer would wait with it");
        let mut lengths = Vec::new();
        let listen = async {
            while let Some(RestObjects { stream, objects }) = taken.recv().await {
                lengths.push((stream.to_string(), objects.len()));
                if lengths.len() == 3 {
                    return;
                }
            }
        };
        tokio::join!(objects.hand_over(), listen);
        assert_eq!(lengths.iter().map(|(_, length)| *length).collect::<Vec<_>>(), [200, 200, 50]);
        assert!(objects.take_question(now));
        objects.handle_instruments(&pairs[..1]);
        objects.hand_over().await;
        assert_eq!(taken.recv().await.unwrap().stream.as_str(), "instrument.rest");
    }

    #[test]
    fn instruments_are_asked_for_at_intervals_and_behind_a_listing() {
        let now = Clock::anchored(Stamp::default()).now();
        let mut objects = Objects::new(Wall::new(Stamp::default), mpsc::channel(1).0, now);
        assert!(objects.take_question(now) && !objects.take_question(now + EVERY / 2));
        objects.handle_listing(now + EVERY / 2);
        let behind = now + EVERY / 2 + BEHIND_A_LISTING;
        assert_eq!(objects.instruments_at(), Some(behind));
        assert!(objects.take_question(behind));
        objects.handle_failure(behind);
        assert_eq!(objects.instruments_at(), Some(behind + AGAIN));
    }
}
