//! The pieces on their way: begun, walked, and committed in their order.
//!
//! ```text
//! missing ─begin─▶ walks ─handle─▶ ended ─commit, in order─▶ store
//!                    └─ refused, strange: the pair is dropped, and the others go on
//! ```

use super::holdings::Holdings;
use super::piece;
use super::store::Store;
use super::summary::Summary;
use super::wanted::Missing;
use crate::history::claim::{Claim, Judgement};
use crate::history::page_walk::{DISORDER, PageWalk, Slack, Step};
use crate::history::span::Span;
use crate::recording::seal::SealError;
use crate::rest::answer::Item;
use crate::rest::client::Client;
use crate::rest::client::verdict::Page;
use crate::tape::stream_key::StreamKey;
use crate::upbit::series::Series;
use std::collections::{BTreeMap, VecDeque};

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

/// Pieces of a pair that may be in doubt before the rest is left to another run: each takes a quarter of a minute and four
/// requests.
const MOST_DOUBTS: usize = 3;

/// How far a page reaches that holds nothing, in milliseconds: beyond every piece.
const ENDLESS: i64 = i64::MAX / 16;

/// A page has to reach so far behind its piece that no trade of it is left; more than the piece is not asked for.
const SLACK: Slack = Slack { older: DISORDER, newer: 0 };

/// How a piece ended.
enum Outcome {
    /// All of it is here, oldest first.
    Whole(Vec<Item>),
    /// All of a part of it is here, and of the rest the exchange claims what is contradicted.
    Doubted { claim: Claim, whole: Span, items: Vec<Item> },
    /// The exchange has it no longer.
    Gone,
    /// Nothing of its pair can be had.
    Dropped,
}

/// A piece that needs no more requests.
struct Ended {
    walk: PageWalk,
    outcome: Outcome,
}

/// Pieces on their way.
pub(super) struct Work {
    series: Series,
    /// What came of it so far.
    pub(super) summary: Summary,
    /// What is missing and not begun, in order.
    missing: VecDeque<Missing>,
    walks: BTreeMap<u64, PageWalk>,
    /// Pieces that wait for an earlier one.
    ended: BTreeMap<u64, Ended>,
    /// Pieces of each pair in doubt.
    doubts: BTreeMap<String, usize>,
    begun: u64,
    committed: u64,
    /// The market that is being fetched, and how long its pieces are.
    length: Option<(String, i64)>,
}

impl Work {
    /// What is missing of pairs, in this order.
    pub(super) fn new(series: Series, missing: Vec<Missing>, summary: Summary) -> Self {
        let (walks, ended, doubts) = Default::default();
        Self { series, summary, missing: missing.into(), walks, ended, doubts, begun: 0, committed: 0, length: None }
    }

    /// Begins as many pieces as may be under way.
    pub(super) fn begin(&mut self, client: &mut Client, now: i64) {
        let waiting = |ended: &Ended| match &ended.outcome {
            Outcome::Whole(items) | Outcome::Doubted { items, .. } => items.len(),
            Outcome::Gone | Outcome::Dropped => 0,
        };
        let held =
            self.ended.values().map(waiting).sum::<usize>() + self.walks.values().map(PageWalk::held).sum::<usize>();
        // The first piece is never held up by those that wait for it.
        while self.walks.is_empty() || held < MOST_HELD && self.ended.len() < MOST_WAITING {
            let pages: i64 = self.walks.values().map(|walk| piece::most_pages(self.series, walk.span())).sum();
            if self.walks.len() == WALKS || pages >= MOST_PAGES {
                return;
            }
            let Some(mut walk) = self.next_piece(now) else { return };
            let number = self.begun;
            self.begun += 1;
            if walk.is_gone(now) {
                self.end(number, Outcome::Gone, walk);
            } else {
                client.submit(number, walk.request(now));
                self.walks.insert(number, walk);
            }
        }
    }

    fn next_piece(&mut self, now: i64) -> Option<PageWalk> {
        let Missing { market, span: gap } = self.missing.front_mut()?;
        let length = match &self.length {
            Some((of, length)) if of == market => *length,
            _ => piece::length(self.series, None, None),
        };
        self.length = Some((market.clone(), length));
        let end = match self.series.reach(now) {
            // What the exchange forgot at midnight is a piece of its own.
            Some(reach) if self.series == Series::Trades && gap.from < reach => reach,
            _ => piece::end(self.series, gap.from, length),
        };
        let piece = Span { from: gap.from, to: gap.to.min(end) };
        let walk = PageWalk::new(market.clone(), self.series, piece, SLACK, now);
        gap.from = piece.to;
        if gap.length() == 0 {
            self.missing.pop_front();
        }
        Some(walk)
    }

    /// The pair that a piece is of; `None` where it is dropped.
    pub(super) fn market_of(&self, number: u64) -> Option<&str> {
        self.walks.get(&number).map(PageWalk::market)
    }

    /// Takes the page that the walk of a piece asked for.
    pub(super) fn handle(&mut self, number: u64, page: Page, client: &mut Client, holdings: &Holdings) {
        let now = holdings.now();
        let Some(mut walk) = self.walks.remove(&number) else { return };
        let mut step = walk.handle(page, now);
        if let Step::Ends(claim) = step {
            let judgement = holdings.judge(&walk, claim, now);
            if judgement == Judgement::Believed {
                self.summary.believe(walk.market(), claim);
            }
            step = walk.judge(claim, judgement);
        }
        let pause = match step {
            Step::More | Step::OtherDay | Step::Ends(_) => None,
            Step::Again(pause) => Some(pause),
            Step::Strange(mismatch) => {
                self.walks.insert(number, walk);
                return self.fail(number, format!("the answer is not one to the question: {mismatch}"));
            }
            Step::Done => {
                self.learn(&walk);
                return self.end(number, Outcome::Whole(walk.take_items()), walk);
            }
            Step::Doubted { claim, whole } => {
                return self.end(number, Outcome::Doubted { claim, whole, items: walk.take_items() }, walk);
            }
            Step::Gone => return self.end(number, Outcome::Gone, walk),
        };
        let request = walk.request(now);
        match pause {
            Some(pause) => client.submit_after(pause, number, request),
            None => client.submit(number, request),
        }
        self.walks.insert(number, walk);
    }

    fn end(&mut self, number: u64, outcome: Outcome, walk: PageWalk) {
        self.ended.insert(number, Ended { walk, outcome });
    }

    /// Nothing more of a piece's pair can be had: the others go on.
    pub(super) fn fail(&mut self, number: u64, reason: String) {
        let Some(market) = self.market_of(number).map(str::to_owned) else { return };
        self.summary.refuse(&market, reason);
        self.drop_rest_of(&market);
    }

    /// What was left of a pair is not fetched by this run; which spans that is.
    fn drop_rest_of(&mut self, market: &str) -> Vec<Span> {
        let mut spans: Vec<Span> =
            self.missing.iter().filter(|missing| missing.market == market).map(|missing| missing.span).collect();
        self.missing.retain(|missing| missing.market != market);
        spans.iter().for_each(|span| self.summary.leave_out(*span));
        let (dropped, walks) =
            std::mem::take(&mut self.walks).into_iter().partition(|(_, walk)| walk.market() == market);
        self.walks = walks;
        let dropped: BTreeMap<u64, PageWalk> = dropped;
        for (number, walk) in dropped {
            spans.push(walk.span());
            self.end(number, Outcome::Dropped, walk);
        }
        spans
    }

    /// Writes the pieces that no earlier one keeps waiting, and notes those that are not to be had any more.
    pub(super) fn commit(&mut self, store: &mut Store) -> Result<(), SealError> {
        let ready = (self.committed..).take_while(|number| self.ended.contains_key(number)).count();
        if ready < WRITTEN_TOGETHER && !self.walks.is_empty() {
            return Ok(());
        }
        while let Some(Ended { walk, outcome }) = self.ended.remove(&self.committed) {
            self.committed += 1;
            let (mut span, mut items) = match outcome {
                Outcome::Whole(items) => (walk.span(), items),
                Outcome::Doubted { claim, whole, items } => {
                    self.doubt(store, &walk, claim)?;
                    (whole, items)
                }
                Outcome::Gone => {
                    self.summary.add_gone(walk.span());
                    continue;
                }
                Outcome::Dropped => {
                    self.summary.leave_out(walk.span());
                    continue;
                }
            };
            while let Some(more) = self.adjoining(walk.market(), &mut span) {
                items.extend(more);
            }
            if span.length() == 0 {
                continue;
            }
            let found = items.len();
            let written = store.commit(&self.stream(&walk), span, items)?;
            self.summary.add(walk.market(), span, found, written);
        }
        Ok(())
    }

    /// Puts on record that a part of a piece is not complete; after some of them the rest of the pair is left out.
    fn doubt(&mut self, store: &mut Store, walk: &PageWalk, claim: Claim) -> Result<(), SealError> {
        let (market, span) = (walk.market(), Span { from: walk.span().from, to: claim.to });
        store.note_doubt(&self.stream(walk), claim)?;
        self.summary.doubt(market, span, claim.to_string());
        self.summary.leave_out(span);
        let doubts = self.doubts.entry(market.to_owned()).or_default();
        *doubts += 1;
        if *doubts == MOST_DOUBTS {
            for span in self.drop_rest_of(market) {
                self.summary.doubt(market, span, claim.to_string());
            }
        }
        Ok(())
    }

    /// Takes the objects of the next piece where it is whole and goes on where `span` ends.
    fn adjoining(&mut self, market: &str, span: &mut Span) -> Option<Vec<Item>> {
        let next = self.ended.first_entry().filter(|next| *next.key() == self.committed)?;
        let Ended { walk, outcome } = next.get();
        if walk.market() != market || walk.span().from != span.to || !matches!(outcome, Outcome::Whole(_)) {
            return None;
        }
        let Ended { walk, outcome: Outcome::Whole(items) } = next.remove() else { return None };
        self.committed += 1;
        span.to = walk.span().to;
        Some(items)
    }

    fn stream(&self, walk: &PageWalk) -> StreamKey {
        StreamKey::of(walk.market(), self.series).expect("it was made of the same market before")
    }

    /// How long the next pieces of a market should be, by how far the pages of this one reached.
    fn learn(&mut self, walk: &PageWalk) {
        if let Some((market, length)) = &mut self.length
            && market == walk.market()
        {
            *length = piece::length(self.series, Some(*length), Some(walk.per_page().unwrap_or(ENDLESS)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::proxy::ProxyConfig;
    use crate::files::disk::Disk;
    use crate::history::backfill::wanted::Wanted;
    use crate::net::{network::Network, tls};
    use crate::rest::client::budget::{Budget, Priority};
    use crate::rest::client::http::Http;
    use crate::upbit::series::DAY;
    use crate::upbit::url::Url;

    #[test]
    fn what_is_forgotten_before_its_turn_is_one_piece() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let network = Network::new(clock, tls::client_config(None).unwrap(), &ProxyConfig::default());
        let http = Http::new(&Url::http("http://127.0.0.1:1/v1").unwrap(), network, clock);
        let budget = Budget::new(Disk::open(directory.path()).unwrap(), 8, Priority::History);
        let mut client = Client::new(http, clock, budget, 1);
        // Planned on the hundredth day, seven days back; now it is the next day.
        let gap = Span { from: 93 * DAY, to: 94 * DAY + 1_800_000 };
        let wanted = Wanted { markets: vec!["KRW-BTC".into()], series: Series::Trades, span: gap };
        let summary = Summary::new(&wanted, 100 * DAY);
        let mut work = Work::new(Series::Trades, vec![Missing { market: "KRW-BTC".into(), span: gap }], summary);
        work.begin(&mut client, 101 * DAY + 20_000);
        let gone: Vec<(u64, Span)> = work.ended.iter().map(|(number, ended)| (*number, ended.walk.span())).collect();
        assert_eq!(gone, [(0, Span { from: 93 * DAY, to: 94 * DAY })]);
        assert!(matches!(work.ended[&0].outcome, Outcome::Gone));
        let begun: Vec<i64> = work.walks.values().map(|walk| walk.span().from - 94 * DAY).collect();
        assert_eq!(begun, [0, 600_000, 1_200_000]);
        assert!(work.missing.is_empty());
    }
}
