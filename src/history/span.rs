//! Intervals of time, and the coverage of a stream by fetched intervals. Pure.
//!
//! ```text
//! covered   ├────┤      ├──┤
//! wanted  ├─────────────────────┤
//! missing ├┤     ├──────┤  ├────┤
//! ```

/// A half-open interval in milliseconds since the Unix epoch: the start is included, the end is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Its start, inclusive.
    pub from: i64,
    /// Its end, exclusive.
    pub to: i64,
}

impl Span {
    /// Its length in milliseconds; 0 where it ends before it begins.
    pub fn length(self) -> i64 {
        (self.to - self.from).max(0)
    }

    /// Whether a moment lies in it.
    pub fn contains(self, moment: i64) -> bool {
        (self.from..self.to).contains(&moment)
    }

    /// The shortest interval that holds both.
    pub fn joined(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

/// The fetched intervals.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage {
    /// Sorted; they neither touch nor overlap.
    spans: Vec<Span>,
}

impl Coverage {
    /// Adds a fetched interval.
    pub(super) fn add(&mut self, mut new: Span) {
        if new.length() == 0 {
            return;
        }
        let touching = |span: &Span| span.from <= new.to && new.from <= span.to;
        let joined: Vec<Span> = self.spans.iter().copied().filter(touching).collect();
        self.spans.retain(|span| !touching(span));
        for span in joined {
            new = new.joined(span);
        }
        let at = self.spans.partition_point(|span| span.from < new.from);
        self.spans.insert(at, new);
    }

    /// The parts of `wanted` that were not fetched, in order.
    pub(super) fn missing(&self, wanted: Span) -> Vec<Span> {
        let mut missing = Vec::new();
        let mut from = wanted.from;
        for span in self.spans.iter().filter(|span| span.to > wanted.from && span.from < wanted.to) {
            missing.push(Span { from, to: span.from });
            from = span.to;
        }
        missing.push(Span { from, to: wanted.to });
        missing.retain(|span| span.length() > 0);
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_moment_is_either_covered_or_missing(
            added in prop::collection::vec((0..60i64, 0..20i64), 0..12),
            (from, length) in (0..60i64, 0..30i64),
        ) {
            let mut coverage = Coverage::default();
            added.iter().for_each(|(from, length)| coverage.add(Span { from: *from, to: from + length }));
            let missing = coverage.missing(Span { from, to: from + length });
            for moment in from..from + length {
                let is_covered = added.iter().any(|(from, length)| (*from..from + length).contains(&moment));
                let is_missing = missing.iter().filter(|span| (span.from..span.to).contains(&moment)).count();
                prop_assert_eq!(is_missing, usize::from(!is_covered));
            }
            prop_assert!(missing.windows(2).all(|pair| pair[0].to < pair[1].from));
        }
    }
}
