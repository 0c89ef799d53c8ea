//! From where on everything missing was written by earlier processes, by the times of what they wrote. Pure.
//!
//! Each began where everything newer was written, and wrote page after page, newer pages first. Of its last page the rest
//! may be missing, and that is not more than a page's length of lines; what stands before those in its part is complete.

use crate::history::page_walk::DISORDER;
use std::collections::VecDeque;

/// See the module.
#[derive(Debug)]
pub(super) struct ResumePoint {
    page: usize,
    last: VecDeque<i64>,
    oldest: Option<i64>,
}

impl ResumePoint {
    /// Of pages of at most this length.
    pub(super) fn of_pages(page: usize) -> Self {
        Self { page, last: VecDeque::new(), oldest: None }
    }

    /// What follows was written by another process.
    pub(super) fn next_process(&mut self) {
        self.last.clear();
    }

    /// The time of the next object in the file.
    pub(super) fn add(&mut self, time: i64) {
        self.last.push_back(time);
        if self.last.len() > self.page
            && let Some(time) = self.last.pop_front()
        {
            self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        }
    }

    /// Nothing newer has to be looked for; `None`: everything has.
    pub(super) fn until(&self) -> Option<i64> {
        self.oldest.map(|oldest| oldest + DISORDER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::quotation::TRADES_PER_PAGE;

    #[test]
    fn a_torn_last_page_is_asked_for_again() {
        let mut point = ResumePoint::of_pages(TRADES_PER_PAGE);
        for time in 0..=TRADES_PER_PAGE as i64 {
            assert_eq!(point.until(), None);
            point.add(10_000 - time);
        }
        assert_eq!(point.until(), Some(10_000 + DISORDER));
        // What the next process writes says nothing about the page that the last one had begun.
        point.next_process();
        (0..TRADES_PER_PAGE as i64).for_each(|time| point.add(time));
        assert_eq!(point.until(), Some(10_000 + DISORDER));
    }
}
