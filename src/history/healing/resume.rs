//! The time from which on earlier processes have written everything missing, by the times of the written objects. Pure.
//!
//! Each process began where everything newer was on disk, and wrote page after page, newer pages first. Only its last
//! page may be incomplete, which is at most a page's length of lines; the lines before those are complete.

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
    /// For pages of at most this length.
    pub(super) fn of_pages(page: usize) -> Self {
        Self { page, last: VecDeque::new(), oldest: None }
    }

    /// The following objects are another process's.
    pub(super) fn next_process(&mut self) {
        self.last.clear();
    }

    /// Adds the time of the next object in the file.
    pub(super) fn add(&mut self, time: i64) {
        self.last.push_back(time);
        if self.last.len() > self.page
            && let Some(time) = self.last.pop_front()
        {
            self.oldest = Some(self.oldest.map_or(time, |oldest| oldest.min(time)));
        }
    }

    /// Everything newer is complete; `None`: nothing is.
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
        // Objects of the next process do not complete the page that the previous one had begun.
        point.next_process();
        (0..TRADES_PER_PAGE as i64).for_each(|time| point.add(time));
        assert_eq!(point.until(), Some(10_000 + DISORDER));
    }
}
