//! The ids of trades that were seen last: a trade that comes again is known by them. Pure.

use std::collections::{HashSet, VecDeque};

/// See the module.
#[derive(Debug)]
pub struct Remembered {
    /// So many are remembered.
    most: usize,
    ids: HashSet<u64>,
    order: VecDeque<u64>,
}

impl Remembered {
    /// Remembers `most` ids.
    pub fn new(most: usize) -> Self {
        Self { most, ids: HashSet::new(), order: VecDeque::new() }
    }

    /// Whether an id is remembered.
    pub fn holds(&self, id: u64) -> bool {
        self.ids.contains(&id)
    }

    /// Remembers an id; whether it is new.
    pub fn add(&mut self, id: u64) -> bool {
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
