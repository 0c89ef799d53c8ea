//! Trade streams that went mute on a live socket, found by the ticker of the same code.
//!
//! ```text
//! trade frame ──────────▶ ticker moves ── 30 s without a trade frame ──▶ stale, until a trade frame comes
//!              5 s or more
//! ```
//!
//! A ticker's accumulated volume only grows by a trade, so a growth that no trade frame explains is a fault and not a
//! quiet market. The volume also falls, at midnight UTC; that is no trade.

use crate::clock::Instant;
use crate::connection::{Notice, Suspect};
use crate::upbit::listing::stream_name;
use crate::upbit::subscription::Request;
use crate::upbit::ticker;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// A movement of the ticker this soon after a trade frame is explained by it: the two frames of one trade may come in
/// either order, and tickers are bundled.
const EXPLAINED: Duration = Duration::from_secs(5);

/// How long the trade that moved a ticker may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The codes with both trades and tickers subscribed; bounded by the request.
#[derive(Debug, Default)]
pub(super) struct Staleness {
    codes: HashMap<String, Code>,
    /// Codes whose movement is unexplained, and since when, oldest first. A code comes in again at the earliest
    /// [`EXPLAINED`] after it was explained and leaves after [`PATIENCE`], so it is in here at most seven times.
    suspects: VecDeque<Unexplained>,
    stale: BTreeSet<String>,
    recovered: BTreeSet<String>,
}

/// A movement of a code's ticker without a trade.
#[derive(Debug)]
struct Unexplained {
    moved_at: Instant,
    code: String,
}

#[derive(Debug)]
struct Code {
    last_trade: Instant,
    volume: Option<f64>,
    moved_at: Option<Instant>,
}

impl Staleness {
    /// The request is handed to the socket; codes that stay keep their state.
    pub(super) fn handle_requested(&mut self, now: Instant, request: &Request) {
        let codes_of = |kind: &str| -> BTreeSet<&String> {
            let subscriptions = request.subscriptions.iter().filter(|entry| entry.kind == kind && !entry.only_snapshot);
            subscriptions.flat_map(|entry| &entry.codes).collect()
        };
        let both: BTreeSet<&String> = codes_of("trade").intersection(&codes_of("ticker")).copied().collect();
        self.codes.retain(|code, _| both.contains(code));
        for code in both {
            let fresh = Code { last_trade: now, volume: None, moved_at: None };
            self.codes.entry(code.clone()).or_insert(fresh);
        }
        let gone: Vec<String> = self.stale.iter().filter(|code| !self.codes.contains_key(*code)).cloned().collect();
        gone.iter().for_each(|code| self.recover(code));
    }

    /// An object of a stream came.
    pub(super) fn handle_data(&mut self, received: Instant, kind: &str, code: &str, object: &[u8]) {
        match kind {
            "trade" => {
                let Some(known) = self.codes.get_mut(code) else { return };
                known.last_trade = received;
                known.moved_at = None;
                if !self.stale.is_empty() {
                    self.recover(code);
                }
            }
            "ticker" => {
                let Some(known) = self.codes.get_mut(code) else { return };
                let Some(volume) = ticker::acc_trade_volume(object) else { return };
                let grown = known.volume.replace(volume).is_some_and(|before| volume > before);
                let unexplained = received >= known.last_trade + EXPLAINED;
                if grown && unexplained && known.moved_at.is_none() && !self.stale.contains(code) {
                    known.moved_at = Some(received);
                    self.suspects.push_back(Unexplained { moved_at: received, code: code.to_owned() });
                }
            }
            _ => {}
        }
    }

    /// Nothing was read for a while: a trade that explains a movement may be missing, so every suspicion is void.
    pub(super) fn handle_interrupted(&mut self, now: Instant) {
        self.suspects.clear();
        for code in self.codes.values_mut() {
            code.moved_at = None;
            code.volume = None;
            code.last_trade = code.last_trade.max(now);
        }
    }

    /// The streams that are stale from this instant on, or that are stale no longer.
    pub(super) fn poll_notice(&mut self, now: Instant) -> Option<Notice> {
        let mut suspects = Vec::new();
        while self.deadline().is_some_and(|deadline| now >= deadline)
            && let Some(Unexplained { code, .. }) = self.suspects.pop_front()
        {
            let Some(known) = self.codes.get(&code) else { continue };
            if known.moved_at.is_some_and(|moved_at| now >= moved_at + PATIENCE) && self.stale.insert(code.clone()) {
                suspects.push(Suspect { stream: stream_name("trade", Some(&code)), since: known.last_trade });
            }
        }
        if !suspects.is_empty() {
            suspects.sort_unstable_by(|one, other| one.stream.cmp(&other.stream));
            return Some(Notice::Stale { streams: suspects });
        }
        let recovered = std::mem::take(&mut self.recovered);
        (!recovered.is_empty()).then(|| Notice::Fresh { streams: names(recovered) })
    }

    /// Whether a stream is stale.
    pub(super) fn holds(&self, stream: &str) -> bool {
        stream.strip_suffix("_trade").is_some_and(|code| self.stale.contains(code))
    }

    /// Whether no stream is stale.
    pub(super) fn is_over(&self) -> bool {
        self.stale.is_empty()
    }

    /// When to poll again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.suspects.front().map(|unexplained| unexplained.moved_at + PATIENCE)
    }

    fn recover(&mut self, code: &str) {
        if let Some(code) = self.stale.take(code) {
            self.recovered.insert(code);
        }
    }
}

fn names(codes: BTreeSet<String>) -> Vec<String> {
    codes.iter().map(|code| stream_name("trade", Some(code))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::upbit::subscription::{Format, Subscription};

    fn staleness() -> (Staleness, Instant) {
        let codes: Vec<String> = vec!["A-B".into(), "C-D".into()];
        let of = |kind: &str| Subscription { kind: kind.into(), codes: codes.clone(), ..Subscription::default() };
        let request = Request { subscriptions: vec![of("trade"), of("ticker")], format: Format::Default };
        let start = Clock::anchored(Stamp::MAX).now();
        let mut staleness = Staleness::default();
        staleness.handle_requested(start, &request);
        (staleness, start)
    }

    fn ticker(staleness: &mut Staleness, at: Instant, volume: f64) {
        let object = format!(r#"{{"type":"ticker","code":"A-B","acc_trade_volume":{volume}}}"#);
        staleness.handle_data(at, "ticker", "A-B", object.as_bytes());
    }

    #[test]
    fn a_ticker_that_moves_without_trades_is_stale() {
        let (mut staleness, start) = staleness();
        let at = |second| start + Duration::from_secs(second);
        staleness.handle_data(at(1), "trade", "A-B", b"{}");
        for second in 0..40 {
            ticker(&mut staleness, at(second), second as f64);
        }
        assert_eq!(staleness.deadline(), Some(at(36)));
        assert_eq!(staleness.poll_notice(at(35)), None);
        let suspect = Suspect { stream: "A-B_trade".into(), since: at(1) };
        assert_eq!(staleness.poll_notice(at(36)), Some(Notice::Stale { streams: vec![suspect] }));
        assert!(staleness.holds("A-B_trade") && !staleness.holds("A-B_ticker") && !staleness.holds("C-D_trade"));
    }

    #[test]
    fn quiet_markets_raise_no_alarm() {
        let (mut staleness, start) = staleness();
        let at = |second| start + Duration::from_secs(second);
        // The ticker repeats itself, falls at midnight, and moves once with the trade that explains it, in both orders.
        ticker(&mut staleness, at(0), 5.0);
        ticker(&mut staleness, at(100), 5.0);
        ticker(&mut staleness, at(200), 0.0);
        ticker(&mut staleness, at(300), 1.0);
        staleness.handle_data(at(301), "trade", "A-B", b"{}");
        staleness.handle_data(at(400), "trade", "A-B", b"{}");
        ticker(&mut staleness, at(402), 2.0);
        assert_eq!(staleness.poll_notice(at(10_000)), None);
        // Nothing was read for a while.
        ticker(&mut staleness, at(10_000), 3.0);
        staleness.handle_interrupted(at(10_001));
        ticker(&mut staleness, at(10_002), 9.0);
        assert_eq!(staleness.poll_notice(at(20_000)), None);
    }
}
