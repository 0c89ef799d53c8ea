//! The ids of trades that were seen last, alone or each with its stream: a trade that comes again is known by them. Pure.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// See the module.
#[derive(Debug)]
pub struct Remembered<T = u64> {
    /// So many are remembered.
    most: usize,
    ids: HashSet<T>,
    order: VecDeque<T>,
}

impl<T: Copy + Eq + Hash> Remembered<T> {
    /// Remembers `most` ids.
    pub fn new(most: usize) -> Self {
        Self { most, ids: HashSet::new(), order: VecDeque::new() }
    }

    /// Whether an id is remembered.
    pub fn holds(&self, id: T) -> bool {
        self.ids.contains(&id)
    }

    /// Remembers an id; whether it is new.
    pub fn add(&mut self, id: T) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
