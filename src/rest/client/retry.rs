//! The queue of requests to retry, ordered by due time. Pure.
//!
//! ```text
//! push(due, item) ──▶ waiting ──pop(now)──▶ item, and whether it begins a round
//! ```
//!
//! A round is the queue's content at the first retry after the round before: it gets one log line.

use crate::clock::Instant;
use std::collections::BTreeMap;

/// The queue. Its length is bounded by the owner, which bounds the submitted requests.
#[derive(Debug)]
pub struct RetryQueue<T> {
    /// By due time; the number orders items of one instant, first in, first out.
    waiting: BTreeMap<(Instant, u64), T>,
    pushed: u64,
    /// Items left of the current round.
    round_left: usize,
}

impl<T> Default for RetryQueue<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), pushed: 0, round_left: 0 }
    }
}

impl<T> RetryQueue<T> {
    /// Adds an item due at `due`.
    pub fn push(&mut self, due: Instant, item: T) {
        self.waiting.insert((due, self.pushed), item);
        self.pushed += 1;
    }

    /// Takes the first item due at `now` that satisfies `may_go`; `true`: it begins a round.
    pub fn pop(&mut self, now: Instant, may_go: impl Fn(&T) -> bool) -> Option<(T, bool)> {
        let mut due = self.waiting.range(..=(now, u64::MAX));
        let key = *due.find(|(_, item)| may_go(item))?.0;
        let begins = self.round_left == 0;
        if begins {
            self.round_left = self.waiting.len();
        }
        self.round_left -= 1;
        self.waiting.remove(&key).map(|item| (item, begins))
    }

    /// All items with their due time, earliest first.
    pub fn iter(&self) -> impl Iterator<Item = (Instant, &T)> {
        self.waiting.iter().map(|((due, _), item)| (*due, item))
    }

    /// Whether the queue is empty.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use std::time::Duration;

    #[test]
    fn what_is_due_first_comes_first_and_a_round_is_told_once() {
        let now = Clock::anchored(Stamp::default()).now();
        let later = now + Duration::from_secs(1);
        let mut queue = RetryQueue::default();
        for (due, item) in [(later, 'c'), (now, 'a'), (now, 'b')] {
            queue.push(due, item);
        }
        assert_eq!(queue.pop(now, |_| true), Some(('a', true)));
        assert_eq!(queue.pop(now, |_| true), Some(('b', false)));
        assert_eq!(queue.pop(now, |_| true), None);
        assert_eq!(queue.pop(later, |_| true), Some(('c', false)));
        queue.push(now, 'd');
        assert_eq!(queue.pop(later, |_| false), None);
        assert_eq!(queue.pop(later, |_| true), Some(('d', true)));
        assert!(queue.is_empty());
    }
}
