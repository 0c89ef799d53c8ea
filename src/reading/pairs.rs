//! The trades of many pairs in the order of their time.

use super::healed::{HealedLine, HealedTrades};
use super::trade::TradeKey;
use crate::tape::reader::TapeError;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A trade, and the place of its pair in the list that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairLine {
    /// The pair's place.
    pub place: usize,
    /// The trade.
    pub trade: HealedLine,
}

/// A merge of pairs by the time of their trades.
#[derive(Debug)]
pub struct Pairs {
    pairs: Vec<HealedTrades>,
    next: Vec<Option<HealedLine>>,
    heap: BinaryHeap<Reverse<(TradeKey, usize)>>,
    faults: VecDeque<TapeError>,
}

impl Pairs {
    /// The trades of pairs.
    pub fn new(pairs: Vec<HealedTrades>) -> Self {
        let next = pairs.iter().map(|_| None).collect();
        let mut merged = Self { pairs, next, heap: BinaryHeap::new(), faults: VecDeque::new() };
        (0..merged.pairs.len()).for_each(|place| merged.advance(place));
        merged
    }

    fn advance(&mut self, place: usize) {
        for trade in self.pairs[place].by_ref() {
            match trade {
                Ok(trade) => {
                    self.heap.push(Reverse((trade.key, place)));
                    self.next[place] = Some(trade);
                    return;
                }
                Err(fault) => self.faults.push_back(fault),
            }
        }
    }
}

impl Iterator for Pairs {
    type Item = Result<PairLine, TapeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(fault) = self.faults.pop_front() {
            return Some(Err(fault));
        }
        let Reverse((_, place)) = self.heap.pop()?;
        let trade = self.next[place].take()?;
        self.advance(place);
        Some(Ok(PairLine { place, trade }))
    }
}
