//! What is missing of each pair, within what the exchange has: since when that is, is asked once.

use super::coverage::Span;
use super::facts::Facts;
use super::listing::{Listing, Step};
use super::outage::Outage;
use super::summary::Summary;
use super::{BackfillError, Wanted, stream_of};
use crate::rest::client::Client;
use crate::rest::client::verdict::Page;
use crate::tape::stream_key::StreamKey;
use crate::upbit::series::Series;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Pairs of which contradicting answers are asked for again, in the pauses of each other. The others are asked about one
/// after another, so that a kill costs the answers of one.
const MOST_DOUBTED: usize = 64;

/// The pieces to fetch, pair by pair. What is refused or cannot be settled is in the summary.
pub(super) async fn plan(
    client: &mut Client,
    facts: &mut Facts,
    wanted: &Wanted,
    summary: &mut Summary,
    outage: &mut Outage,
) -> Result<Vec<(String, Span)>, BackfillError> {
    let now = facts.now();
    let mut planner = Planner::new(facts, wanted, summary, now);
    let mut number = 0;
    loop {
        if planner.has_room()
            && let Some(listing) = planner.waiting.pop_front()
        {
            client.submit(number, listing.0.request(now));
            planner.asked.insert(number, listing);
            number += 1;
        }
        let Some((number, answer)) = client.next().await? else { break };
        let Some((mut listing, market)) = planner.asked.remove(&number) else { continue };
        planner.doubted.remove(&number);
        let now = planner.facts.now();
        let step = match answer {
            Ok(page) => {
                outage.ends();
                take(&mut listing, page, now)
            }
            Err(error) => {
                let reason = outage.note(Some(&market), error)?;
                listing.handle_refusal().ok_or(reason)
            }
        };
        match step {
            Ok(Step::More) => client.submit(number, listing.request(now)),
            Ok(Step::Again(pause)) => {
                client.submit_after(pause, number, listing.request(now));
                planner.doubted.insert(number);
            }
            Ok(Step::Known(listed)) => {
                planner.settle(market, listed)?;
                continue;
            }
            Ok(Step::Doubted(month)) => {
                planner.settle_in_doubt(market, month);
                continue;
            }
            Err(reason) => {
                planner.summary.refuse(&market, reason);
                continue;
            }
        }
        planner.asked.insert(number, (listing, market));
    }
    Ok(planner.into_pieces())
}

fn take(listing: &mut Listing, page: Page, now: i64) -> Result<Step, String> {
    listing.handle(page, now).map_err(|mismatch| format!("the answer is not one to the question: {mismatch}"))
}

struct Planner<'a> {
    facts: &'a mut Facts,
    wanted: &'a Wanted,
    summary: &'a mut Summary,
    span: Span,
    now: i64,
    /// Pairs that have to be asked about, and those that are.
    waiting: VecDeque<(Listing, String)>,
    asked: BTreeMap<u64, (Listing, String)>,
    /// Of these, those that wait for a pause to be over.
    doubted: BTreeSet<u64>,
    planned: BTreeMap<String, Vec<Span>>,
}

impl<'a> Planner<'a> {
    fn new(facts: &'a mut Facts, wanted: &'a Wanted, summary: &'a mut Summary, now: i64) -> Self {
        let series = wanted.series;
        let reach = series.reach(now).unwrap_or(i64::MIN);
        let span = Span { from: wanted.span.from.max(reach), to: wanted.span.to.min(series.settled(now)) };
        let (waiting, asked, doubted, planned) = Default::default();
        let mut planner = Self { facts, wanted, summary, span, now, waiting, asked, doubted, planned };
        for market in &wanted.markets {
            match stream_of(market, series) {
                Some(stream) => planner.begin(market, &stream),
                None => planner.summary.refuse(market, "no stream can have this name".to_owned()),
            }
        }
        planner
    }

    /// Whether another pair can be asked about.
    fn has_room(&self) -> bool {
        self.asked.len() == self.doubted.len() && self.doubted.len() < MOST_DOUBTED
    }

    fn begin(&mut self, market: &str, stream: &StreamKey) {
        if self.missing(stream, self.span.from).is_empty() {
            return;
        }
        match (self.wanted.series, self.facts.store.listed(stream)) {
            (Series::Candles(_), None) => {
                let listing = Listing::new(market.to_owned(), self.facts.store.exists_before(stream, i64::MIN));
                self.waiting.push_back((listing, market.to_owned()));
            }
            (_, listed) => self.add(market.to_owned(), stream, listed),
        }
    }

    /// Since when a pair is listed is known, and kept.
    fn settle(&mut self, market: String, listed: Option<i64>) -> Result<(), BackfillError> {
        let Some(stream) = stream_of(&market, self.wanted.series) else { return Ok(()) };
        if let Some(listed) = listed.filter(|listed| *listed < self.now) {
            self.facts.store.note_listed(&stream, listed)?;
        }
        self.add(market, &stream, listed);
        Ok(())
    }

    /// It is not, and what is before is left open; a span that begins later than that is not.
    fn settle_in_doubt(&mut self, market: String, month: Option<i64>) {
        let Some(stream) = stream_of(&market, self.wanted.series) else { return };
        let reason = match month {
            None => "the exchange shows not one month of candles".to_owned(),
            Some(_) => "the exchange's answers to since when it is listed contradict each other".to_owned(),
        };
        if let Some(open) = open_before(self.span, month) {
            self.summary.doubt(&market, open, reason);
        }
        if month.is_some() {
            self.add(market, &stream, month);
        }
    }

    fn add(&mut self, market: String, stream: &StreamKey, listed: Option<i64>) {
        self.summary.begins(&market, listed);
        let first = match self.wanted.series {
            // The week or year of the listing began before its day.
            Series::Candles(unit) => listed.map(|day| unit.start_of(day)),
            Series::Trades => None,
        };
        let missing = self.missing(stream, self.span.from.max(first.unwrap_or(self.span.from)));
        self.planned.insert(market, missing);
    }

    fn missing(&self, stream: &StreamKey, from: i64) -> Vec<Span> {
        self.facts.store.missing(stream, Span { from: self.wanted.series.align(from), to: self.span.to })
    }

    /// In the order in which the pairs were named.
    fn into_pieces(mut self) -> Vec<(String, Span)> {
        let mut pieces = Vec::new();
        for market in &self.wanted.markets {
            let missing = self.planned.remove(market).unwrap_or_default();
            pieces.extend(missing.into_iter().map(|span| (market.clone(), span)));
        }
        pieces
    }
}

/// The part of a span of which it is not known whether the exchange has anything, if `month` is the oldest that it showed.
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
