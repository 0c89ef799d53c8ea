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
use super::quotation::CANDLES_PER_PAGE;
use crate::clock::Clock;
use crate::recording::naming::stream_key::{StreamKey, WireName};
use crate::recording::seal::SealError;
use std::collections::{BTreeMap, VecDeque};
use store::Store;
use walk::{Item, Step, Walk};

/// Pieces fetched side by side: what may be asked in a second leaves in one burst.
const WALKS: usize = 10;

/// Pages that the pieces under way may take, were their markets to trade all the time: no more is lost by a kill when a
/// market wakes up. At ten pages a piece, which a quiet one does not have, three pieces go side by side.
const MOST_PAGES: i64 = 32;

/// Pieces written together where they adjoin: a page is fetched eight times a second, and a sync can take a tenth of one.
const WRITTEN_TOGETHER: usize = 4;

/// Objects that may wait in memory for an earlier piece, some 20 MB.
const MOST_HELD: usize = 50_000;

/// Whole pieces that may wait likewise. A page that has to be asked for again holds up the writing of later pieces, and
/// for the second or two that it takes not their fetching; a kill costs these as well.
const MOST_WAITING: usize = 16;

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
    let mut work = Work::new(wanted.kind, pieces);
    loop {
        work.begin(client, millis(clock));
        show(&summary.progress(client.tally().sent));
        let Some((number, page)) = client.next().await? else { break };
        work.handle(client, (number, page?), millis(clock))?;
        work.commit(store, &mut summary)?;
    }
    // The last pieces may be such as nobody was asked for.
    work.commit(store, &mut summary)?;
    summary.client = client.tally();
    Ok(summary)
}

/// What is missing of each market, within what the exchange has.
async fn plan(
    client: &mut Client,
    store: &mut Store,
    wanted: &Wanted,
    summary: &mut Summary,
    now: i64,
) -> Result<Vec<(String, Vec<Span>)>, BackfillError> {
    let kind = wanted.kind;
    let reach = kind.reach(now).unwrap_or(i64::MIN);
    let span = Span { from: wanted.span.from.max(reach), to: wanted.span.to.min(kind.settled(now)) };
    let mut planned = Vec::new();
    for market in &wanted.markets {
        let Some(stream) = stream_of(market, kind) else { continue };
        let missing = |store: &Store, from: i64| store.missing(&stream, Span { from: kind.align(from), to: span.to });
        if missing(store, span.from).is_empty() {
            continue;
        }
        let listed = match kind {
            Kind::Candles(_) => match store.listed(&stream) {
                None => listed_since(client, market, now).await?,
                known => known,
            },
            Kind::Trades => None,
        };
        if let Some(listed) = listed.filter(|listed| *listed < now) {
            store.note_listed(&stream, listed)?;
        }
        summary.begins(market, listed);
        let first = match kind {
            // The week or year of the listing began before its month.
            Kind::Candles(unit) => listed.map(|month| unit.start_of(month)),
            Kind::Trades => None,
        };
        let missing = missing(store, span.from.max(first.unwrap_or(span.from)));
        planned.push((market.clone(), missing));
    }
    Ok(planned)
}

/// The month in which a market's history begins, as far as one page of months tells: asking for every piece of the years
/// before would be thousands of requests for nothing. A market without any month has nothing before `now`.
async fn listed_since(client: &mut Client, market: &str, now: i64) -> Result<Option<i64>, RestError> {
    let months: Unit = "1M".parse().expect("it is one of the units");
    let page = client
        .get(Request::new(months.path()).with("market", market).with("count", CANDLES_PER_PAGE.to_string()))
        .await?;
    if page.len() >= CANDLES_PER_PAGE {
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
    /// Pieces that wait for an earlier one; without objects where the exchange has them no longer.
    ended: BTreeMap<u64, (Walk, Option<Vec<Item>>)>,
    begun: u64,
    committed: u64,
    /// The market that is being fetched, and how long its pieces are.
    length: Option<(String, i64)>,
}

impl Work {
    fn new(kind: Kind, gaps: Vec<(String, Span)>) -> Self {
        let (walks, ended) = Default::default();
        Self { kind, gaps: gaps.into(), walks, ended, begun: 0, committed: 0, length: None }
    }

    /// Begins as many pieces as may be under way.
    fn begin(&mut self, client: &mut Client, now: i64) {
        let waiting: usize = self.ended.values().flat_map(|(_, items)| items).map(Vec::len).sum();
        let held = waiting + self.walks.values().map(Walk::held).sum::<usize>();
        // The first piece is never held up by those that wait for it.
        while self.walks.is_empty() || held < MOST_HELD && self.ended.len() < MOST_WAITING {
            let pages: i64 = self.walks.values().map(|walk| self.kind.most_pages(walk.span())).sum();
            if self.walks.len() == WALKS || pages >= MOST_PAGES {
                return;
            }
            let Some(mut walk) = self.next_piece(now) else { return };
            let number = self.begun;
            self.begun += 1;
            match walk.is_gone(now) {
                true => drop(self.ended.insert(number, (walk, None))),
                false => {
                    client.submit(number, walk.request(now));
                    self.walks.insert(number, walk);
                }
            }
        }
    }

    fn next_piece(&mut self, now: i64) -> Option<Walk> {
        let (market, gap) = self.gaps.front_mut()?;
        let length = match &self.length {
            Some((of, length)) if of == market => *length,
            _ => self.kind.piece_length(None, None),
        };
        self.length = Some((market.clone(), length));
        let end = match self.kind.reach(now) {
            // What the exchange forgot at midnight is a piece of its own.
            Some(reach) if self.kind == Kind::Trades && gap.from < reach => reach,
            _ => self.kind.piece_end(gap.from, length),
        };
        let piece = Span { from: gap.from, to: gap.to.min(end) };
        let walk = Walk::new(market.clone(), self.kind, piece);
        gap.from = piece.to;
        if gap.length() == 0 {
            self.gaps.pop_front();
        }
        Some(walk)
    }

    fn handle(&mut self, client: &mut Client, (number, page): (u64, Page), now: i64) -> Result<(), RestError> {
        let Some(mut walk) = self.walks.remove(&number) else { return Ok(()) };
        match walk.handle(page, now) {
            Step::More => {
                client.submit(number, walk.request(now));
                self.walks.insert(number, walk);
            }
            Step::Done(items) => {
                self.learn(&walk);
                self.ended.insert(number, (walk, Some(items)));
            }
            Step::Gone => drop(self.ended.insert(number, (walk, None))),
            Step::Strange => {
                let what = walk.request(now).describe();
                let reason = "the answer is not one to this question".to_owned();
                return Err(RestError::Refused(Denial { what, reason }));
            }
        }
        Ok(())
    }

    /// Writes the pieces that no earlier one keeps waiting, and notes those that are not to be had any more.
    fn commit(&mut self, store: &mut Store, summary: &mut Summary) -> Result<(), SealError> {
        let ready = (self.committed..).take_while(|number| self.ended.contains_key(number)).count();
        if ready < WRITTEN_TOGETHER && !self.walks.is_empty() {
            return Ok(());
        }
        while let Some((walk, items)) = self.ended.remove(&self.committed) {
            self.committed += 1;
            let Some(mut items) = items else {
                summary.add_gone(walk.span());
                continue;
            };
            let mut span = walk.span();
            while let Some(more) = self.adjoining(walk.market(), &mut span) {
                items.extend(more);
            }
            let stream = stream_of(walk.market(), self.kind).expect("it was made of the same market before");
            let found = items.len();
            let written = store.commit(&stream, span, items)?;
            summary.add(walk.market(), span, (found, written));
        }
        Ok(())
    }

    /// Takes the objects of the next piece where it is whole and goes on where `span` ends.
    fn adjoining(&mut self, market: &str, span: &mut Span) -> Option<Vec<Item>> {
        let next = self.ended.first_entry().filter(|next| *next.key() == self.committed)?;
        let (walk, items) = next.get();
        if walk.market() != market || walk.span().from != span.to || items.is_none() {
            return None;
        }
        let (walk, items) = next.remove();
        self.committed += 1;
        span.to = walk.span().to;
        items
    }

    /// How long the next pieces of a market should be, by how far the pages of this one reached.
    fn learn(&mut self, walk: &Walk) {
        if let Some((market, length)) = &mut self.length
            && market == walk.market()
        {
            *length = self.kind.piece_length(Some(*length), walk.per_page());
        }
    }
}

fn millis(clock: Clock) -> i64 {
    i64::try_from(clock.stamp().as_micros() / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Url;
    use crate::rest::client::budget::{Budget, Priority};
    use crate::rest::client::http::Http;

    use crate::rest::quotation::DAY;

    #[test]
    fn what_is_forgotten_before_its_turn_is_one_piece_that_nobody_asks_for() {
        let directory = tempfile::tempdir().unwrap();
        let http = Http::new(&Url::http("http://127.0.0.1:1/v1").unwrap(), None).unwrap();
        let budget = Budget::new(directory.path(), 8, Priority::History);
        let mut client = Client::new(http, Clock::start(), budget, 1);
        // Planned on the hundredth day, seven days back; now it is the next day.
        let gap = Span { from: 93 * DAY, to: 94 * DAY + 1_800_000 };
        let mut work = Work::new(Kind::Trades, vec![("KRW-BTC".into(), gap)]);
        work.begin(&mut client, 101 * DAY + 20_000);
        let gone: Vec<(u64, Span)> = work.ended.iter().map(|(number, (walk, _))| (*number, walk.span())).collect();
        assert_eq!(gone, [(0, Span { from: 93 * DAY, to: 94 * DAY })]);
        assert!(work.ended[&0].1.is_none());
        let begun: Vec<i64> = work.walks.values().map(|walk| walk.span().from - 94 * DAY).collect();
        assert_eq!(begun, [0, 600_000, 1_200_000]);
        assert!(work.gaps.is_empty());
    }
}
