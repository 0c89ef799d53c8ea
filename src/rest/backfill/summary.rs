//! How far it is, and what came of it. Pure.

use super::Wanted;
use super::coverage::Span;
use super::unit::Kind;
use crate::rest::client::Tally;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// How far it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Milliseconds of history that were missing, over all streams.
    pub wanted: i64,
    /// Of these, fetched.
    pub done: i64,
    /// Requests sent.
    pub requests: u64,
}

impl Progress {
    /// From 0 to 1.
    pub fn share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        if self.wanted > 0 { self.done as f64 / self.wanted as f64 } else { 1.0 }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How far it came.
    pub(super) progress: Progress,
    /// Per market, in the order of their names.
    pub streams: BTreeMap<String, StreamSummary>,
    /// What was asked for and lies before what the exchange still has.
    pub gone: Option<Span>,
    /// Requests, and how many of them were refused or failed.
    pub client: Tally,
    kind: Kind,
}

/// What came of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamSummary {
    /// Objects written.
    pub written: usize,
    /// Periods without a trade have no candle; 0 for trades and for units of the calendar.
    pub without_candle: i64,
    /// The month in which the exchange's history of the market begins, where that is known.
    pub begins: Option<i64>,
}

impl Summary {
    pub(super) fn new(wanted: &Wanted, now: i64) -> Self {
        let streams = wanted.markets.iter().map(|market| (market.clone(), StreamSummary::default())).collect();
        let reach = wanted.kind.reach(now).filter(|reach| wanted.span.from < *reach);
        let gone = reach.map(|reach| Span { from: wanted.span.from, to: reach.min(wanted.span.to) });
        Self { progress: Progress::default(), streams, gone, client: Tally::default(), kind: wanted.kind }
    }

    pub(super) fn begins(&mut self, market: &str, begins: Option<i64>) {
        self.streams.entry(market.to_owned()).or_default().begins = begins;
    }

    pub(super) fn progress(&mut self, requests: u64) -> Progress {
        self.progress.requests = requests;
        self.progress
    }

    /// A piece with `found` objects, `written` of which were new.
    pub(super) fn add(&mut self, market: &str, span: Span, (found, written): (usize, usize)) {
        self.progress.done += span.length();
        let stream = self.streams.entry(market.to_owned()).or_default();
        stream.written += written;
        let length = match self.kind {
            Kind::Candles(unit) => unit.length(),
            Kind::Trades => None,
        };
        if let Some(length) = length {
            let first = self.kind.align(span.from);
            let periods = (span.to - first + length - 1).div_euclid(length).max(0);
            stream.without_candle += (periods - i64::try_from(found).unwrap_or(i64::MAX)).max(0);
        }
    }

    /// A piece that the exchange had no longer when its turn came.
    pub(super) fn add_gone(&mut self, span: Span) {
        self.progress.done += span.length();
        let gone = self.gone.get_or_insert(span);
        *gone = Span { from: gone.from.min(span.from), to: gone.to.max(span.to) };
    }

    /// For programs.
    pub fn to_json(&self) -> String {
        let streams = self.streams.iter().map(|(market, stream)| {
            let begins = stream.begins.map(moment);
            serde_json::json!({"market": market, "stream": format!("{market}_{}", self.kind.stream_type()),
                "written": stream.written, "without_candle": stream.without_candle, "begins": begins})
        });
        let gone = self.gone.map(|span| serde_json::json!({"from": moment(span.from), "to": moment(span.to)}));
        let Tally { sent, too_many, failed } = self.client;
        let streams: Vec<serde_json::Value> = streams.collect();
        serde_json::json!({"streams": streams, "gone": gone, "requests": sent, "too_many": too_many, "failed": failed})
            .to_string()
    }
}

/// For people.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (market, stream) in &self.streams {
            write!(f, "{market}_{}: {} written", self.kind.stream_type(), stream.written)?;
            if stream.without_candle > 0 {
                write!(f, ", {} periods without a candle", stream.without_candle)?;
            }
            match stream.begins {
                Some(begins) => writeln!(f, ", listed since {}", &moment(begins)[..7])?,
                None => writeln!(f)?,
            }
        }
        if let Some(span) = self.gone {
            writeln!(f, "the exchange no longer has what was before {}", moment(span.to))?;
        }
        let Tally { sent, too_many, failed } = self.client;
        write!(f, "{sent} requests, {too_many} of them too many, {failed} failed")
    }
}

fn moment(millis: i64) -> String {
    Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
}
