//! The missing spans of each pair, limited to the exchange's history: the first day of that is queried once.

use super::error::BackfillError;
use super::holdings::Holdings;
use super::listing::{Listing, Step};
use super::outage::Outage;
use super::summary::Summary;
use super::wanted::{Missing, Wanted};
use crate::history::span::Span;
use crate::rest::client::{Client, Done};
use crate::tape::stream_key::StreamKey;
use crate::upbit::series::Series;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The most pairs in doubt at a time: their queries are repeated during each other's pauses. All other pairs are
/// queried one after another, so that a kill loses the answers of one.
const MOST_DOUBTED: usize = 64;

/// The spans to fetch, pair by pair. Refused and doubted pairs are noted in the summary.
pub(super) async fn plan(
    client: &mut Client,
    holdings: &mut Holdings,
    wanted: &Wanted,
    summary: &mut Summary,
    outage: &mut Outage,
) -> Result<Vec<Missing>, BackfillError> {
    let now = holdings.now();
    let mut planner = Planner::new(holdings, wanted, summary, now);
    let mut number = 0;
    loop {
        if planner.has_room()
            && let Some(listing) = planner.waiting.pop_front()
        {
            client.submit(number, listing.request(now));
            planner.asked.insert(number, listing);
            number += 1;
        }
        let Some(Done { id, outcome }) = client.next().await? else { break };
        let Some(mut listing) = planner.asked.remove(&id) else { continue };
        planner.doubted.remove(&id);
        let now = planner.holdings.now();
        let step = match outcome {
            Ok(page) => {
                outage.ends();
                listing
                    .handle(page, now)
                    .map_err(|mismatch| format!("the answer is not one to the question: {mismatch}"))
            }
            Err(error) => {
                let reason = outage.note(Some(listing.market()), error)?;
                listing.handle_refusal().ok_or(reason)
            }
        };
        match step {
            Ok(Step::More) => client.submit(id, listing.request(now)),
            Ok(Step::Again(pause)) => {
                client.submit_after(pause, id, listing.request(now));
                planner.doubted.insert(id);
            }
            Ok(Step::Known(listed)) => {
                planner.settle(listing.market(), listed)?;
                continue;
            }
            Ok(Step::Doubted(month)) => {
                planner.settle_in_doubt(listing.market(), month);
                continue;
            }
            Err(reason) => {
                planner.summary.refuse(listing.market(), reason);
                continue;
            }
        }
        planner.asked.insert(id, listing);
    }
    Ok(planner.into_missing())
}

struct Planner<'a> {
    holdings: &'a mut Holdings,
    wanted: &'a Wanted,
    summary: &'a mut Summary,
    span: Span,
    now: i64,
    /// Pairs to query, and those with a query under way.
    waiting: VecDeque<Listing>,
    asked: BTreeMap<u64, Listing>,
    /// The queried pairs that wait for a pause.
    doubted: BTreeSet<u64>,
    planned: BTreeMap<String, Vec<Span>>,
}

impl<'a> Planner<'a> {
    fn new(holdings: &'a mut Holdings, wanted: &'a Wanted, summary: &'a mut Summary, now: i64) -> Self {
        let series = wanted.series;
        let reach = series.reach(now).unwrap_or(i64::MIN);
        let span = Span { from: wanted.span.from.max(reach), to: wanted.span.to.min(series.settled(now)) };
        let (waiting, asked, doubted, planned) = Default::default();
        let mut planner = Self { holdings, wanted, summary, span, now, waiting, asked, doubted, planned };
        for market in &wanted.markets {
            match StreamKey::of(market, series) {
                Some(stream) => planner.begin(market, &stream),
                None => planner.summary.refuse(market, "no stream can have this name".to_owned()),
            }
        }
        planner
    }

    /// Whether another pair can be queried.
    fn has_room(&self) -> bool {
        self.asked.len() == self.doubted.len() && self.doubted.len() < MOST_DOUBTED
    }

    fn begin(&mut self, market: &str, stream: &StreamKey) {
        if self.missing(stream, self.span.from).is_empty() {
            return;
        }
        match (self.wanted.series, self.holdings.store.listed(stream)) {
            (Series::Candles(_), None) => {
                let exists_before = self.holdings.store.exists_before(stream, i64::MIN);
                self.waiting.push_back(Listing::new(market.to_owned(), exists_before));
            }
            (_, listed) => self.add(market, stream, listed),
        }
    }

    /// Records the first day of a pair's history.
    fn settle(&mut self, market: &str, listed: Option<i64>) -> Result<(), BackfillError> {
        let Some(stream) = StreamKey::of(market, self.wanted.series) else { return Ok(()) };
        if let Some(listed) = listed.filter(|listed| *listed < self.now) {
            self.holdings.store.note_listed(&stream, listed)?;
        }
        self.add(market, &stream, listed);
        Ok(())
    }

    /// The first day is in doubt: the time before `month` is left out and reported; a span after it is fetched.
    fn settle_in_doubt(&mut self, market: &str, month: Option<i64>) {
        let Some(stream) = StreamKey::of(market, self.wanted.series) else { return };
        let reason = match month {
            None => "the exchange shows not one month of candles".to_owned(),
            Some(_) => "the exchange's answers to since when it is listed contradict each other".to_owned(),
        };
        if let Some(open) = open_before(self.span, month) {
            self.summary.doubt(market, open, reason);
        }
        if month.is_some() {
            self.add(market, &stream, month);
        }
    }

    fn add(&mut self, market: &str, stream: &StreamKey, listed: Option<i64>) {
        self.summary.begins(market, listed);
        let first = match self.wanted.series {
            // The week or year of the first day began before that day.
            Series::Candles(unit) => listed.map(|day| unit.start_of(day)),
            Series::Trades => None,
        };
        let missing = self.missing(stream, self.span.from.max(first.unwrap_or(self.span.from)));
        self.planned.insert(market.to_owned(), missing);
    }

    fn missing(&self, stream: &StreamKey, from: i64) -> Vec<Span> {
        self.holdings.store.missing(stream, Span { from: self.wanted.series.align(from), to: self.span.to })
    }

    /// The missing spans in the order of the requested pairs.
    fn into_missing(mut self) -> Vec<Missing> {
        let planned =
            self.wanted.markets.iter().map(|market| (market, self.planned.remove(market).unwrap_or_default()));
        planned
            .flat_map(|(market, spans)| spans.into_iter().map(|span| Missing { market: market.clone(), span }))
            .collect()
    }
}

/// The part of a span before `month`, the oldest month shown: whether the exchange has data there is unknown.
fn open_before(span: Span, month: Option<i64>) -> Option<Span> {
    let to = month.map_or(span.to, |month| month.min(span.to));
    (span.from < to).then_some(Span { from: span.from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_before_the_oldest_month_is_left_open() {
        let span = Span { from: 10, to: 20 };
        let open = |month| open_before(span, month).map(|open| (open.from, open.to));
        assert_eq!([Some(5), Some(10)].map(open), [None, None]);
        assert_eq!([Some(15), Some(30), None].map(open), [Some((10, 15)), Some((10, 20)), Some((10, 20))]);
    }
}
