//! The pieces under way: begun, walked, and committed in order.
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

/// Concurrent pieces: the requests of one second leave in one burst.
const WALKS: usize = 10;

/// The most pages of all pieces under way, counted as if their markets traded in every period: this bounds the loss of
/// a kill when a quiet market becomes busy. At ten pages a piece, three pieces are under way.
const MOST_PAGES: i64 = 32;

/// Adjoining pieces written together: eight pages are fetched a second, and a sync can take a tenth of a second.
const WRITTEN_TOGETHER: usize = 4;

/// Objects held in memory until an earlier piece is committed, some 20 MB.
const MOST_HELD: usize = 50_000;

/// Complete pieces held likewise. A repeated page delays the commit of later pieces, but for its second or two not
/// their fetching; a kill loses these pieces as well.
const MOST_WAITING: usize = 16;

/// Pieces in doubt before the rest of a pair is left to another run: each takes a quarter of a minute and four
/// requests.
const MOST_DOUBTS: usize = 3;

/// The assumed reach of an empty page, in milliseconds: beyond every piece.
const ENDLESS: i64 = i64::MAX / 16;

/// A page must reach this far before its piece, so that no trade of the piece is missed; nothing after the piece is
/// requested.
const SLACK: Slack = Slack { older: DISORDER, newer: 0 };

/// The result of a piece.
enum Outcome {
    /// The piece is complete, oldest object first.
    Whole(Vec<Item>),
    /// A part is complete; for the rest the exchange's claim is contradicted.
    Doubted { claim: Claim, whole: Span, items: Vec<Item> },
    /// The exchange no longer keeps it.
    Gone,
    /// Its pair was refused.
    Dropped,
}

/// A piece that needs no more requests.
struct Ended {
    walk: PageWalk,
    outcome: Outcome,
}

/// The pieces under way.
pub(super) struct Work {
    series: Series,
    /// The result so far.
    pub(super) summary: Summary,
    /// Missing spans not begun, in order.
    missing: VecDeque<Missing>,
    walks: BTreeMap<u64, PageWalk>,
    /// Pieces that wait for an earlier one.
    ended: BTreeMap<u64, Ended>,
    /// Pieces in doubt, by pair.
    doubts: BTreeMap<String, usize>,
    begun: u64,
    committed: u64,
    /// The current market and the length of its pieces.
    length: Option<(String, i64)>,
}

impl Work {
    /// Starts with the missing spans, in this order.
    pub(super) fn new(series: Series, missing: Vec<Missing>, summary: Summary) -> Self {
        let (walks, ended, doubts) = Default::default();
        Self { series, summary, missing: missing.into(), walks, ended, doubts, begun: 0, committed: 0, length: None }
    }

    /// Begins pieces up to the limits.
    pub(super) fn begin(&mut self, client: &mut Client, now: i64) {
        let waiting = |ended: &Ended| match &ended.outcome {
            Outcome::Whole(items) | Outcome::Doubted { items, .. } => items.len(),
            Outcome::Gone | Outcome::Dropped => 0,
        };
        let held =
            self.ended.values().map(waiting).sum::<usize>() + self.walks.values().map(PageWalk::held).sum::<usize>();
        // Without a walk under way the limits do not apply: the first piece must never wait for its own successors.
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
            // Trades that expired at midnight are a piece of their own.
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

    /// The pair of a piece; `None` if the piece was dropped.
    pub(super) fn market_of(&self, number: u64) -> Option<&str> {
        self.walks.get(&number).map(PageWalk::market)
    }

    /// Handles the page requested by a piece's walk.
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

    /// Drops the pair of a piece; the other pairs continue.
    pub(super) fn fail(&mut self, number: u64, reason: String) {
        let Some(market) = self.market_of(number).map(str::to_owned) else { return };
        self.summary.refuse(&market, reason);
        self.drop_rest_of(&market);
    }

    /// Leaves out the rest of a pair; returns its spans.
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

    /// Commits the ended pieces in order, and notes those that were gone or dropped.
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

    /// Records a part of a piece as not complete; after `MOST_DOUBTS` of them the rest of the pair is left out.
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

    /// Takes the objects of the next piece if it is complete and starts at the end of `span`.
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

    /// Sets the length of a market's next pieces by the reach of this one's pages.
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
    use crate::config::TlsRoots;
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
        let network =
            Network::new(clock, tls::client_config(TlsRoots::Bundled, None).unwrap(), &ProxyConfig::default());
        let http = Http::new(&Url::http("http://127.0.0.1:1/v1").unwrap(), network, clock);
        let budget = Budget::new(Disk::open(directory.path()).unwrap(), 8, Priority::History);
        let mut client = Client::new(http, clock, budget, 1);
        // Planned on the hundredth day, seven days back; handled on the next day.
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
