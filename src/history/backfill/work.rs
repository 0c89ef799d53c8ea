//! The pieces on their way: begun, walked, and committed in their order.
//!
//! ```text
//! missing ─begin─▶ walks ─handle─▶ ended ─commit, in order─▶ store
//!                    └─ refused, strange: the pair is dropped, and the others go on
//! ```

use super::coverage::Span;
use super::doubt::{Claim, Judgement};
use super::facts::Facts;
use super::piece;
use super::store::Store;
use super::stream_of;
use super::summary::Summary;
use super::walk::{Step, Walk};
use crate::recording::seal::SealError;
use crate::rest::answer::Item;
use crate::rest::client::Client;
use crate::rest::client::verdict::Page;
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

/// Pieces of a pair of which the exchange may say what cannot be, before the rest is left to another run: each takes a
/// quarter of a minute and four requests.
const MOST_DOUBTS: usize = 3;

/// How far a page reaches that holds nothing, in milliseconds: beyond every piece.
const ENDLESS: i64 = i64::MAX / 16;

/// A page, and when it came.
pub(super) struct Answer {
    /// The piece it is of.
    pub(super) number: u64,
    /// The page.
    pub(super) page: Page,
    /// Milliseconds since the epoch.
    pub(super) now: i64,
}

/// How a piece ended.
enum Outcome {
    /// All of it is here, oldest first.
    Whole(Vec<Item>),
    /// All of a part of it is here, and of the rest the exchange says what cannot be.
    Doubted(Claim, Span, Vec<Item>),
    /// The exchange has it no longer.
    Gone,
    /// Nothing of its pair can be had.
    Dropped,
}

/// Pieces on their way.
pub(super) struct Work {
    series: Series,
    /// What is missing and not begun, in order.
    gaps: VecDeque<(String, Span)>,
    walks: BTreeMap<u64, Walk>,
    /// Pieces that wait for an earlier one.
    ended: BTreeMap<u64, (Walk, Outcome)>,
    /// Pieces of each pair of which the exchange said what cannot be.
    doubts: BTreeMap<String, usize>,
    begun: u64,
    committed: u64,
    /// The market that is being fetched, and how long its pieces are.
    length: Option<(String, i64)>,
}

impl Work {
    /// These pieces of pairs, in this order.
    pub(super) fn new(series: Series, gaps: Vec<(String, Span)>) -> Self {
        let (walks, ended, doubts) = Default::default();
        Self { series, gaps: gaps.into(), walks, ended, doubts, begun: 0, committed: 0, length: None }
    }

    /// Begins as many pieces as may be under way.
    pub(super) fn begin(&mut self, client: &mut Client, now: i64) {
        let waiting = |(_, outcome): &(Walk, Outcome)| match outcome {
            Outcome::Whole(items) | Outcome::Doubted(_, _, items) => items.len(),
            Outcome::Gone | Outcome::Dropped => 0,
        };
        let held = self.ended.values().map(waiting).sum::<usize>() + self.walks.values().map(Walk::held).sum::<usize>();
        // The first piece is never held up by those that wait for it.
        while self.walks.is_empty() || held < MOST_HELD && self.ended.len() < MOST_WAITING {
            let pages: i64 = self.walks.values().map(|walk| piece::most_pages(self.series, walk.span())).sum();
            if self.walks.len() == WALKS || pages >= MOST_PAGES {
                return;
            }
            let Some(mut walk) = self.next_piece(now) else { return };
            let number = self.begun;
            self.begun += 1;
            match walk.is_gone(now) {
                true => drop(self.ended.insert(number, (walk, Outcome::Gone))),
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
            _ => piece::length(self.series, None, None),
        };
        self.length = Some((market.clone(), length));
        let end = match self.series.reach(now) {
            // What the exchange forgot at midnight is a piece of its own.
            Some(reach) if self.series == Series::Trades && gap.from < reach => reach,
            _ => piece::end(self.series, gap.from, length),
        };
        let piece = Span { from: gap.from, to: gap.to.min(end) };
        let walk = Walk::new(market.clone(), self.series, piece);
        gap.from = piece.to;
        if gap.length() == 0 {
            self.gaps.pop_front();
        }
        Some(walk)
    }

    /// The pair that a piece is of; `None` where it is dropped.
    pub(super) fn market_of(&self, number: u64) -> Option<&str> {
        self.walks.get(&number).map(Walk::market)
    }

    /// Takes a page.
    pub(super) fn handle(&mut self, client: &mut Client, facts: &Facts, summary: &mut Summary, answer: Answer) {
        let Answer { number, page, now } = answer;
        let Some(mut walk) = self.walks.remove(&number) else { return };
        let mut step = walk.handle(page, now);
        if let Step::Ends(claim) = step {
            let judgement = facts.judge(&walk, claim, now);
            if judgement == Judgement::Believed {
                summary.believe(walk.market(), claim);
            }
            step = walk.judge(claim, judgement);
        }
        let outcome = match step {
            Step::More | Step::Ends(_) => {
                client.submit(number, walk.request(now));
                self.walks.insert(number, walk);
                return;
            }
            Step::Again(pause) => {
                client.submit_after(pause, number, walk.request(now));
                self.walks.insert(number, walk);
                return;
            }
            Step::Strange(mismatch) => {
                self.walks.insert(number, walk);
                return self.fail(number, format!("the answer is not one to the question: {mismatch}"), summary);
            }
            Step::Done(items) => {
                self.learn(&walk);
                Outcome::Whole(items)
            }
            Step::Doubted(claim, span, items) => Outcome::Doubted(claim, span, items),
            Step::Gone => Outcome::Gone,
        };
        self.ended.insert(number, (walk, outcome));
    }

    /// Nothing more of a piece's pair can be had: the others go on.
    pub(super) fn fail(&mut self, number: u64, reason: String, summary: &mut Summary) {
        let Some(market) = self.market_of(number).map(str::to_owned) else { return };
        summary.refuse(&market, reason);
        self.drop_rest_of(&market, summary);
    }

    /// What was left of a pair is not fetched by this run; which spans that is.
    fn drop_rest_of(&mut self, market: &str, summary: &mut Summary) -> Vec<Span> {
        let (rest, others) = std::mem::take(&mut self.gaps).into_iter().partition(|(of, _)| of == market);
        self.gaps = others;
        let rest: VecDeque<(String, Span)> = rest;
        let mut spans: Vec<Span> = rest.into_iter().map(|(_, span)| span).collect();
        spans.iter().for_each(|span| summary.leave_out(*span));
        let (dropped, walks) =
            std::mem::take(&mut self.walks).into_iter().partition(|(_, walk)| walk.market() == market);
        self.walks = walks;
        let dropped: BTreeMap<u64, Walk> = dropped;
        for (number, walk) in dropped {
            spans.push(walk.span());
            self.ended.insert(number, (walk, Outcome::Dropped));
        }
        spans
    }

    /// Writes the pieces that no earlier one keeps waiting, and notes those that are not to be had any more.
    pub(super) fn commit(&mut self, store: &mut Store, summary: &mut Summary) -> Result<(), SealError> {
        let ready = (self.committed..).take_while(|number| self.ended.contains_key(number)).count();
        if ready < WRITTEN_TOGETHER && !self.walks.is_empty() {
            return Ok(());
        }
        while let Some((walk, outcome)) = self.ended.remove(&self.committed) {
            self.committed += 1;
            let (mut span, mut items) = match outcome {
                Outcome::Whole(items) => (walk.span(), items),
                Outcome::Doubted(claim, span, items) => {
                    self.doubt(store, summary, &walk, claim)?;
                    (span, items)
                }
                Outcome::Gone => {
                    summary.add_gone(walk.span());
                    continue;
                }
                Outcome::Dropped => {
                    summary.leave_out(walk.span());
                    continue;
                }
            };
            while let Some(more) = self.adjoining(walk.market(), &mut span) {
                items.extend(more);
            }
            if span.length() == 0 {
                continue;
            }
            let stream = stream_of(walk.market(), self.series).expect("it was made of the same market before");
            let found = items.len();
            let written = store.commit(&stream, span, items)?;
            summary.add(walk.market(), span, (found, written));
        }
        Ok(())
    }

    /// Puts on record that a part of a piece is not complete; after some of them the rest of the pair is left out.
    fn doubt(&mut self, store: &mut Store, summary: &mut Summary, walk: &Walk, claim: Claim) -> Result<(), SealError> {
        let (market, span) = (walk.market(), Span { from: walk.span().from, to: claim.to });
        let stream = stream_of(market, self.series).expect("it was made of the same market before");
        store.note_doubt(&stream, claim)?;
        summary.doubt(market, span, claim.to_string());
        summary.leave_out(span);
        let doubts = self.doubts.entry(market.to_owned()).or_default();
        *doubts += 1;
        if *doubts == MOST_DOUBTS {
            for span in self.drop_rest_of(market, summary) {
                summary.doubt(market, span, claim.to_string());
            }
        }
        Ok(())
    }

    /// Takes the objects of the next piece where it is whole and goes on where `span` ends.
    fn adjoining(&mut self, market: &str, span: &mut Span) -> Option<Vec<Item>> {
        let next = self.ended.first_entry().filter(|next| *next.key() == self.committed)?;
        let (walk, outcome) = next.get();
        if walk.market() != market || walk.span().from != span.to || !matches!(outcome, Outcome::Whole(_)) {
            return None;
        }
        let (walk, Outcome::Whole(items)) = next.remove() else { return None };
        self.committed += 1;
        span.to = walk.span().to;
        Some(items)
    }

    /// How long the next pieces of a market should be, by how far the pages of this one reached.
    fn learn(&mut self, walk: &Walk) {
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
    use crate::net::{network::Network, tls};
    use crate::rest::client::budget::{Budget, Priority};
    use crate::rest::client::http::Http;
    use crate::upbit::series::DAY;
    use crate::upbit::url::Url;

    #[test]
    fn what_is_forgotten_before_its_turn_is_not_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let network = Network::new(clock, tls::client_config(None).unwrap(), &ProxyConfig::default());
        let http = Http::new(&Url::http("http://127.0.0.1:1/v1").unwrap(), network, clock);
        let budget = Budget::new(Disk::open(directory.path()).unwrap(), 8, Priority::History);
        let mut client = Client::new(http, clock, budget, 1);
        // Planned on the hundredth day, seven days back; now it is the next day.
        let gap = Span { from: 93 * DAY, to: 94 * DAY + 1_800_000 };
        let mut work = Work::new(Series::Trades, vec![("KRW-BTC".into(), gap)]);
        work.begin(&mut client, 101 * DAY + 20_000);
        let gone: Vec<(u64, Span)> = work.ended.iter().map(|(number, (walk, _))| (*number, walk.span())).collect();
        assert_eq!(gone, [(0, Span { from: 93 * DAY, to: 94 * DAY })]);
        assert!(matches!(work.ended[&0].1, Outcome::Gone));
        let begun: Vec<i64> = work.walks.values().map(|walk| walk.span().from - 94 * DAY).collect();
        assert_eq!(begun, [0, 600_000, 1_200_000]);
        assert!(work.gaps.is_empty());
    }
}
