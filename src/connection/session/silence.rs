//! Subscribed streams that have not brought a first frame.
//!
//! Trades, tickers and order books send a snapshot for each code at once, unless only realtime frames are subscribed;
//! a code that brings none is misspelt, delisted, or subscribed with an option that its pair does not support.

use crate::clock::Instant;
use crate::connection::Notice;
use crate::upbit::listing::stream_name;
use crate::upbit::subscription::Request;
use std::collections::HashMap;

/// The types that begin with a snapshot; candles may have no trade to be made of, private events wait for an event.
const TYPES: [&str; 3] = ["ticker", "trade", "orderbook"];

/// The streams of one request that still owe their first frame; bounded by the request.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// Code → for each of [`TYPES`] whether it is awaited.
    awaited: HashMap<String, [bool; TYPES.len()]>,
    due: Option<Instant>,
}

impl Silence {
    /// Awaits the streams of a request until `due`.
    pub(super) fn new(request: &Request, due: Instant) -> Self {
        let mut awaited: HashMap<String, [bool; TYPES.len()]> = HashMap::new();
        for subscription in request.subscriptions.iter().filter(|subscription| !subscription.only_realtime) {
            let Some(index) = index(&subscription.kind) else { continue };
            for code in &subscription.codes {
                awaited.entry(code.clone()).or_default()[index] = true;
            }
        }
        let due = (!awaited.is_empty()).then_some(due);
        Self { awaited, due }
    }

    /// Whether nothing is awaited any more.
    pub(super) fn is_over(&self) -> bool {
        self.due.is_none()
    }

    /// A frame of a stream came.
    pub(super) fn handle_data(&mut self, kind: &str, code: &str) {
        if self.is_over() {
            return;
        }
        let Some(index) = index(kind) else { return };
        if let Some(awaited) = self.awaited.get_mut(code) {
            awaited[index] = false;
            if !awaited.contains(&true) {
                self.awaited.remove(code);
            }
        }
        if self.awaited.is_empty() {
            self.due = None;
        }
    }

    /// Awaits until `due` instead, if anything is awaited.
    pub(super) fn postpone(&mut self, due: Instant) {
        if let Some(old) = &mut self.due {
            *old = due;
        }
    }

    /// The streams that are still silent when the time is over.
    pub(super) fn take_silent(&mut self, now: Instant) -> Option<Notice> {
        self.due.take_if(|due| now >= *due)?;
        let awaited = std::mem::take(&mut self.awaited);
        let names = awaited.iter().flat_map(|(code, awaited)| {
            let types = TYPES.iter().zip(awaited).filter(|(_, awaited)| **awaited);
            types.map(|(kind, _)| stream_name(kind, Some(code)))
        });
        let mut streams: Vec<String> = names.collect();
        streams.sort_unstable();
        Some(Notice::Silent { streams })
    }

    /// When the time is over.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }
}

fn index(kind: &str) -> Option<usize> {
    TYPES.iter().position(|&known| known == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::upbit::subscription::{Format, Subscription};

    #[test]
    fn the_silent_ones_are_named_once_and_together() {
        let subscription = |kind: &str, only_realtime| Subscription {
            kind: kind.into(),
            codes: vec!["KRW-BTC".into(), "KRW-OOPS".into()],
            only_realtime,
            ..Subscription::default()
        };
        let kinds = [("trade", false), ("ticker", false), ("orderbook", true), ("candle.1s", false)];
        let subscriptions = kinds.map(|(kind, only_realtime)| subscription(kind, only_realtime)).into();
        let now = Clock::anchored(Stamp::MAX).now();
        let due = now + std::time::Duration::from_secs(10);
        let mut silence = Silence::new(&Request { subscriptions, format: Format::Default }, due);
        silence.handle_data("trade", "KRW-BTC");
        silence.handle_data("trade", "KRW-BTC");
        silence.handle_data("orderbook", "KRW-OOPS");
        assert_eq!(silence.take_silent(now), None);
        let streams = ["KRW-BTC_ticker", "KRW-OOPS_ticker", "KRW-OOPS_trade"].map(str::to_owned).into();
        assert_eq!(silence.take_silent(due), Some(Notice::Silent { streams }));
        assert_eq!((silence.take_silent(due), silence.is_over()), (None, true));
    }
}
