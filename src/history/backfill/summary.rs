//! The progress and the result of a fetch. Pure.

use super::wanted::Wanted;
use crate::exit::Exit;
use crate::history::claim::Claim;
use crate::history::span::Span;
use crate::rest::client::Tally;
use crate::upbit::series::Series;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::fmt;

/// The progress of a fetch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Milliseconds of missing history at the start, summed over all streams.
    pub wanted: i64,
    /// The fetched part of it.
    pub done: i64,
    /// Requests sent.
    pub requests: u64,
}

impl Progress {
    /// The share done, from 0 to 1.
    pub fn share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        if self.wanted > 0 { self.done as f64 / self.wanted as f64 } else { 1.0 }
    }
}

/// The result of a fetch.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The final progress.
    pub(super) progress: Progress,
    /// Results by market, sorted by name.
    pub streams: BTreeMap<String, StreamSummary>,
    /// The part of the requested span that the exchange no longer keeps.
    pub gone: Option<Span>,
    /// Refused pairs, with the reason.
    pub refused: BTreeMap<String, String>,
    /// Pairs whose answers contradict known data.
    pub incomplete: BTreeMap<String, Incomplete>,
    /// Requests sent, refused and failed.
    pub client: Tally,
    series: Series,
}

/// The result of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamSummary {
    /// Objects written.
    pub written: usize,
    /// Periods without a candle, because nothing was traded; 0 for trades and for calendar units.
    pub without_candle: i64,
    /// The month in which the market's history begins, where known.
    pub begins: Option<i64>,
}

/// The part of a stream that is not recorded as complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// From its first to its last moment.
    pub span: Span,
    /// The reason.
    pub reason: String,
}

/// Advice on the next run.
const GO_ON: &str = "what is refused or not complete is asked for again by the next run; an answer that is the same three \
    times over ten minutes is believed";

impl Summary {
    pub(super) fn new(wanted: &Wanted, now: i64) -> Self {
        let streams = wanted.markets.iter().map(|market| (market.clone(), StreamSummary::default())).collect();
        let reach = wanted.series.reach(now).filter(|reach| wanted.span.from < *reach);
        let gone = reach.map(|reach| Span { from: wanted.span.from, to: reach.min(wanted.span.to) });
        let (progress, refused, incomplete, client) = Default::default();
        Self { progress, streams, gone, refused, incomplete, client, series: wanted.series }
    }

    pub(super) fn begins(&mut self, market: &str, begins: Option<i64>) {
        self.streams.entry(market.to_owned()).or_default().begins = begins;
    }

    pub(super) fn progress(&mut self, requests: u64) -> Progress {
        self.progress.requests = requests;
        self.progress
    }

    /// Adds a piece with `found` objects, of them `written` new ones.
    pub(super) fn add(&mut self, market: &str, span: Span, found: usize, written: usize) {
        self.progress.done += span.length();
        let stream = self.streams.entry(market.to_owned()).or_default();
        stream.written += written;
        let length = match self.series {
            Series::Candles(unit) => unit.length(),
            Series::Trades => None,
        };
        if let Some(length) = length {
            let first = self.series.align(span.from);
            let periods = (span.to - first + length - 1).div_euclid(length).max(0);
            stream.without_candle += (periods - i64::try_from(found).unwrap_or(i64::MAX)).max(0);
        }
    }

    /// Adds a piece that expired at the exchange before its turn.
    pub(super) fn add_gone(&mut self, span: Span) {
        self.progress.done += span.length();
        self.gone = Some(self.gone.map_or(span, |gone| gone.joined(span)));
    }

    /// Adds a refused pair.
    pub(super) fn refuse(&mut self, market: &str, reason: String) {
        tracing::warn!(market, reason, "no more can be had of this pair, and the others are fetched");
        self.refused.entry(market.to_owned()).or_insert(reason);
    }

    /// Adds a part of a stream whose answers contradict known data.
    pub(super) fn doubt(&mut self, market: &str, span: Span, reason: String) {
        tracing::warn!(market, from = moment(span.from), to = moment(span.to), reason, "not complete");
        let incomplete = self.incomplete.entry(market.to_owned()).or_insert(Incomplete { span, reason });
        incomplete.span = incomplete.span.joined(span);
    }

    /// Logs a claim that is believed against known data, because it was repeated often and long enough.
    pub(super) fn believe(&self, market: &str, claim: Claim) {
        tracing::warn!(market, %claim, "believed after three answers over ten minutes, though more was known");
    }

    /// Adds a part that this run does not fetch.
    pub(super) fn leave_out(&mut self, span: Span) {
        self.progress.done += span.length();
    }

    /// The exit code of a command that fetched this.
    pub fn exit(&self) -> Exit {
        match (self.refused.len(), self.incomplete.is_empty()) {
            (0, true) => Exit::Success,
            (refused, _) if refused > 0 && refused == self.streams.len() => Exit::Unavailable,
            _ => Exit::Wrong,
        }
    }

    /// Machine-readable.
    pub fn to_json(&self) -> String {
        let streams = self.streams.iter().map(|(market, stream)| {
            let begins = stream.begins.map(moment);
            serde_json::json!({"market": market, "stream": format!("{market}_{}", self.series.stream_type()),
                "written": stream.written, "without_candle": stream.without_candle, "begins": begins})
        });
        let gone = self.gone.map(|span| serde_json::json!({"from": moment(span.from), "to": moment(span.to)}));
        let Tally { sent, too_many, failed } = self.client;
        let streams: Vec<serde_json::Value> = streams.collect();
        let refused = self.refused.iter();
        let refused: Vec<serde_json::Value> =
            refused.map(|(market, reason)| serde_json::json!({"market": market, "reason": reason})).collect();
        let incomplete = self.incomplete.iter().map(|(market, Incomplete { span, reason })| {
            let [from, to] = [moment(span.from), moment(span.to)];
            serde_json::json!({"market": market, "from": from, "to": to, "reason": reason})
        });
        let incomplete: Vec<serde_json::Value> = incomplete.collect();
        serde_json::json!({"streams": streams, "gone": gone, "refused": refused, "incomplete": incomplete,
            "requests": sent, "too_many": too_many, "failed": failed})
        .to_string()
    }
}

/// Human-readable.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (market, stream) in &self.streams {
            write!(f, "{market}_{}: {} written", self.series.stream_type(), stream.written)?;
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
        write!(f, "{sent} requests, {too_many} of them too many, {failed} failed")?;
        if self.exit() != Exit::Success {
            write!(f, "\n{GO_ON}")?;
        }
        for (market, Incomplete { span, reason }) in &self.incomplete {
            write!(f, "\nnot complete: {market} from {} to {}: {reason}", moment(span.from), moment(span.to))?;
        }
        for (market, reason) in &self.refused {
            write!(f, "\nrefused: {market}: {reason}")?;
        }
        Ok(())
    }
}

fn moment(millis: i64) -> String {
    Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_tells_what_is_refused_or_not_complete() {
        let series = Series::Candles("1m".parse().unwrap());
        let markets = vec!["KRW-BTC".to_owned(), "KRW-GONE".to_owned()];
        let mut summary = Summary::new(&Wanted { markets, series, span: Span { from: 0, to: 9 } }, 9);
        assert_eq!(summary.exit(), Exit::Success);
        summary.doubt("KRW-BTC", Span { from: 0, to: 1_000 }, "one".into());
        summary.doubt("KRW-BTC", Span { from: 60_000, to: 61_000 }, "two".into());
        assert_eq!(summary.exit(), Exit::Wrong);
        summary.refuse("KRW-GONE", "404 Code not found".into());
        assert_eq!(summary.exit(), Exit::Wrong);
        let text = summary.to_string();
        assert!(
            text.contains("not complete: KRW-BTC from 1970-01-01T00:00:00Z to 1970-01-01T00:01:01Z: one\n"),
            "{text}"
        );
        assert!(text.contains(GO_ON) && text.ends_with("\nrefused: KRW-GONE: 404 Code not found"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&summary.to_json()).unwrap();
        assert_eq!(
            (&json["refused"][0]["market"], &json["incomplete"][0]["reason"]),
            (&"KRW-GONE".into(), &"one".into())
        );
        summary.refuse("KRW-BTC", "404 Code not found".into());
        assert_eq!(summary.exit(), Exit::Unavailable);
    }
}
