//! History over REST: whole pieces of candles or trades, each once, over any number of runs.
//!
//! ```text
//! coverage ─▶ what is missing ─▶ pieces ─▶ walks (a few at a time) ─▶ client ─▶ store, in the order of the pieces
//! ```
//!
//! Pieces are fetched side by side, because answers take longer than the limit's pace, and committed one after another,
//! so that the candles of a run stand oldest to newest in their stream.

mod checkpoint;
mod coverage;
mod fetch;
mod store;
mod summary;
mod unit;
mod walk;

pub use coverage::Span;
pub use fetch::{BackfillError, Fetched, fetch, fetched};
pub use summary::{Progress, StreamSummary, Summary};
pub use unit::{Kind, UNITS, Unit};

use super::client::request::Request;
use super::client::verdict::Page;
use super::client::{Client, Denial, RestError};
use crate::clock::Clock;
use crate::recording::naming::stream_key::{StreamKey, WireName};
use std::collections::{BTreeMap, VecDeque};
use store::Store;
use walk::{Item, Step, Walk};

/// Pieces fetched side by side: with one page of each under way, more than answers take at ten a second.
const WALKS: usize = 8;

/// Objects that may wait in memory for an earlier piece, some 20 MB: a page that has to be asked for again holds up the
/// writing of later pieces, and for a while not their fetching.
const MOST_HELD: usize = 50_000;

/// Whole pieces that may wait likewise.
const MOST_WAITING: usize = 64;

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The pairs.
    pub markets: Vec<String>,
    /// What of them.
    pub kind: Kind,
    /// When, in milliseconds since the epoch.
    pub span: Span,
}

/// The stream of a pair; `None` where its name cannot be one.
pub fn stream_of(market: &str, kind: Kind) -> Option<StreamKey> {
    WireName::parse(&kind.stream_type(), Some(market)).map(StreamKey::from)
}

/// Fetches what is missing. Dropping the future at any point leaves what a kill would.
async fn run(
    client: &mut Client,
    store: &mut Store,
    (wanted, clock): (&Wanted, Clock),
    show: &mut dyn FnMut(&Progress),
) -> Result<Summary, BackfillError> {
    let now = millis(clock);
    let mut summary = Summary::new(wanted, now);
    let mut pieces: Vec<(String, Span)> = Vec::new();
    for (market, missing) in plan(client, store, wanted, &mut summary, now).await? {
        summary.progress.wanted += missing.iter().map(|span| span.length()).sum::<i64>();
        pieces.extend(missing.into_iter().map(|span| (market.clone(), span)));
    }
    let mut work =
        Work { kind: wanted.kind, gaps: pieces.into(), walks: BTreeMap::new(), whole: BTreeMap::new(), begun: 0 };
    let mut committed = 0;
    loop {
        work.begin(client, millis(clock));
        show(&summary.progress(client.tally().sent));
        let Some((number, page)) = client.next().await? else { break };
        work.handle(client, (number, page?), millis(clock))?;
        while let Some((walk, items)) = work.whole.remove(&committed) {
            let stream = stream_of(walk.market(), wanted.kind).expect("it was made of the same market before");
            let found = items.len();
            let written = store.commit(&stream, walk.span(), items)?;
            summary.add(walk.market(), walk.span(), (found, written));
            committed += 1;
        }
    }
    summary.client = client.tally();
    Ok(summary)
}

/// What is missing of each market, within what the exchange has.
async fn plan(
    client: &mut Client,
    store: &Store,
    wanted: &Wanted,
    summary: &mut Summary,
    now: i64,
) -> Result<Vec<(String, Vec<Span>)>, BackfillError> {
    let kind = wanted.kind;
    let reach = kind.reach(now).unwrap_or(i64::MIN);
    let span = Span { from: wanted.span.from.max(reach), to: wanted.span.to.min(kind.settled(now)) };
    let missing = |market: &String, from: i64| {
        let stream = stream_of(market, kind);
        let missing = stream.map(|stream| store.missing(&stream, Span { from: kind.align(from), to: span.to }));
        missing.unwrap_or_default()
    };
    let mut planned = Vec::new();
    for market in &wanted.markets {
        if missing(market, span.from).is_empty() {
            continue;
        }
        let (begins, first) = match kind {
            Kind::Candles(unit) => {
                let month = listed_since(client, market, now).await?;
                // The week or year of the listing began before its month.
                (month, month.map(|month| unit.start_of(month)))
            }
            Kind::Trades => (None, None),
        };
        summary.begins(market, begins);
        let missing = missing(market, span.from.max(first.unwrap_or(span.from)));
        planned.push((market.clone(), missing));
    }
    Ok(planned)
}

/// The month in which a market's history begins, as far as one page of months tells: asking for every piece of the years
/// before would be thousands of requests for nothing. A market without any month has nothing before `now`.
async fn listed_since(client: &mut Client, market: &str, now: i64) -> Result<Option<i64>, RestError> {
    const MONTHS: usize = 200;
    let months: Unit = "1M".parse().expect("it is one of the units");
    let page = client.get(Request::new(months.path()).with("market", market).with("count", MONTHS.to_string())).await?;
    if page.len() >= MONTHS {
        return Ok(None);
    }
    let times = page.iter().filter_map(|month| Item::key(Kind::Candles(months), month.get()));
    Ok(Some(times.map(|(time, _)| months.start_of(time)).min().unwrap_or(now)))
}

/// Pieces on their way.
struct Work {
    kind: Kind,
    /// What is missing and not begun, in order.
    gaps: VecDeque<(String, Span)>,
    walks: BTreeMap<u64, Walk>,
    whole: BTreeMap<u64, (Walk, Vec<Item>)>,
    begun: u64,
}

impl Work {
    /// Begins as many pieces as may be under way.
    fn begin(&mut self, client: &mut Client, now: i64) {
        let waiting: usize = self.whole.values().map(|(_, items)| items.len()).sum();
        let held = waiting + self.walks.values().map(Walk::held).sum::<usize>();
        // The first piece is never held up by those that wait for it.
        while self.walks.is_empty() || held < MOST_HELD && self.whole.len() < MOST_WAITING {
            if self.walks.len() == WALKS {
                return;
            }
            let Some((market, gap)) = self.gaps.front_mut() else { return };
            let piece = Span { from: gap.from, to: gap.to.min(self.kind.piece_end(gap.from)) };
            let mut walk = Walk::new(market.clone(), self.kind, piece);
            gap.from = piece.to;
            if gap.length() == 0 {
                self.gaps.pop_front();
            }
            client.submit(self.begun, walk.request(now));
            self.walks.insert(self.begun, walk);
            self.begun += 1;
        }
    }

    fn handle(&mut self, client: &mut Client, (number, page): (u64, Page), now: i64) -> Result<(), RestError> {
        let Some(mut walk) = self.walks.remove(&number) else { return Ok(()) };
        match walk.handle(page, now) {
            Step::More => {
                client.submit(number, walk.request(now));
                self.walks.insert(number, walk);
            }
            Step::Done(items) => {
                self.whole.insert(number, (walk, items));
            }
            Step::Strange => {
                let what = walk.request(now).describe();
                let reason = "the answer is not one to this question".to_owned();
                return Err(RestError::Refused(Denial { what, reason }));
            }
        }
        Ok(())
    }
}

fn millis(clock: Clock) -> i64 {
    i64::try_from(clock.stamp().as_micros() / 1_000).unwrap_or(i64::MAX)
}
