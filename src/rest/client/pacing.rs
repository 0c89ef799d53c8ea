//! Rate limits by the exchange's request groups, as reported in its answers. Pure.
//!
//! ```text
//! Remaining-Req: group=candles; sec=0 ──▶ the group is held until the exchange's next second has begun
//! 429 ──▶ the group is held, 418 ──▶ everything is, for as long as the answer demands
//! ```

use super::verdict::Remaining;
use crate::clock::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// The exchange's current second began before its answer arrived, so it is over this long after.
const SECOND: Duration = Duration::from_secs(1);

/// The holds of each group, and of everything.
#[derive(Debug, Default)]
pub struct Pacing {
    /// The exchange's group name for each family of paths, learnt from its answers. The families are those of our own
    /// requests, a handful.
    group_of: BTreeMap<String, String>,
    /// The end of the hold of each group.
    groups: BTreeMap<String, Instant>,
    /// The end of the hold of everything.
    everything: Option<Instant>,
}

impl Pacing {
    /// The end of a family's hold; `None`: it may be sent now.
    pub fn held_until(&self, family: &str, now: Instant) -> Option<Instant> {
        let group = self.groups.get(self.group(family)).copied();
        group.max(self.everything).filter(|until| *until > now)
    }

    /// Notes the header of an answer to a request of `family`, received at `now`.
    pub fn note(&mut self, family: &str, remaining: &Remaining, now: Instant) {
        if self.group(family) != remaining.group {
            self.group_of.insert(family.to_owned(), remaining.group.clone());
            let known = &self.group_of;
            self.groups.retain(|group, _| known.contains_key(group) || known.values().any(|name| name == group));
        }
        if remaining.left == 0 {
            self.hold(family, now + SECOND);
        }
    }

    /// Holds the group of a family.
    pub fn hold(&mut self, family: &str, until: Instant) {
        let held = self.groups.entry(self.group(family).to_owned()).or_insert(until);
        *held = until.max(*held);
    }

    /// Holds all requests.
    pub fn hold_everything(&mut self, until: Instant) {
        self.everything = self.everything.max(Some(until));
    }

    /// The group of a family; before its first answer a family is its own group.
    fn group<'a>(&'a self, family: &'a str) -> &'a str {
        self.group_of.get(family).map_or(family, String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};

    fn remaining(group: &str, left: u32) -> Remaining {
        Remaining { group: group.into(), left }
    }

    #[test]
    fn a_group_with_nothing_left_waits_alone() {
        let now = Clock::anchored(Stamp::default()).now();
        let mut pacing = Pacing::default();
        pacing.note("trades", &remaining("crix-trades", 1), now);
        assert_eq!(pacing.held_until("trades", now), None);
        pacing.note("trades", &remaining("crix-trades", 0), now);
        assert_eq!(pacing.held_until("trades", now), Some(now + SECOND));
        assert_eq!(pacing.held_until("candles", now), None);
        assert_eq!(pacing.held_until("trades", now + SECOND), None);
    }

    #[test]
    fn families_of_a_group_wait_together_and_a_block_holds_all() {
        let now = Clock::anchored(Stamp::default()).now();
        let mut pacing = Pacing::default();
        for family in ["a", "b"] {
            pacing.note(family, &remaining("shared", 5), now);
        }
        pacing.hold("a", now + SECOND);
        pacing.hold("a", now);
        assert_eq!(pacing.held_until("b", now), Some(now + SECOND));
        pacing.hold_everything(now + SECOND * 9);
        assert_eq!(pacing.held_until("new", now), Some(now + SECOND * 9));
    }
}
