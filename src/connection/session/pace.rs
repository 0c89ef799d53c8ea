//! How often a feed brings data, learnt from it: which silence is absurd, and which is a quiet market.
//!
//! ```text
//! data  ▮▮ ▮  ▮▮▮   ▮ ▮▮        ▮        frames within a second of the last beat belong to it
//! gaps    └─┘   └──┘     └──────┘        the last 1,024, and the longest of the last two days
//!
//! fast feed   3 × the longest of the last 256 gaps, 16 × their mean, 45 s: the greatest of them
//! slow feed   the same of all 1,024, and 2 × the longest of two days; ten times that until a day was seen
//!             twice as much after each alarm, until data comes that answers no request of ours
//! ```
//!
//! Arrivals at random have a gap of 16 times the mean once in nine million. The longest gap accounts for clusters. The two
//! days account for nights, and count for slow feeds alone: a feed that comes every second by day is missed within a minute
//! whatever its nights are like. The window is counted in gaps and not in hours, so a fast feed's new pace is learnt within
//! minutes, and a slow one's window spans weeks. A false alarm is remembered for two days, whatever the pace.

use crate::clock::Instant;
use std::time::Duration;

/// Frames this soon after the beginning of a beat belong to it: they come in clusters, and a second is exact enough.
const BEAT: Duration = Duration::from_secs(1);

/// Gaps in a block, blocks in the window, and the latest of them, by which the feed is fast or slow now.
const BLOCK: u32 = 64;
const BLOCKS: usize = 16;
const RECENT: usize = 4;

/// Gaps without which nothing is judged.
const LEAST: u32 = 30;

/// No silence shorter than this is absurd. With ten seconds for the probe it is reported within a minute.
const SHORTEST: Duration = Duration::from_secs(45);

/// A feed with at most this between its beats is fast: one object a second at random has two seconds.
const FAST: Duration = Duration::from_secs(3);

/// The time after which a market's day and night were seen.
const DAY: Duration = Duration::from_secs(86_400);

/// A part of the two days, and how many there are.
const PART: Duration = Duration::from_secs(6 * 3600);
const PARTS: usize = 8;

/// After an alarm: data this soon after the first may be the snapshots of the repeated request.
const SNAPSHOTS: Duration = Duration::from_secs(5);

/// After an alarm: a silence this long behind the snapshots shows that the market was silent, not the feed.
const LULL: Duration = Duration::from_secs(10);

/// The doublings after which an alarm that is repeated comes no more seldom.
const MOST_DOUBLINGS: u32 = 6;

/// The pace of one feed.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The beginning of the last beat; `None`: the next one has no gap before it.
    beat: Option<Instant>,
    /// When data last came.
    last: Option<Instant>,
    /// The window, the block that is being filled included.
    blocks: [Block; BLOCKS],
    current: usize,
    days: Longest,
    lulls: Longest,
    /// All gaps together: how long this feed was observed.
    observed: Duration,
    doubt: Option<Doubt>,
    /// Alarms in a row that are still in doubt.
    alarms: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    count: u32,
    sum: Duration,
    longest: Duration,
}

/// An alarm in doubt: the data behind it decides whether it was false.
#[derive(Debug)]
struct Doubt {
    /// The last data before it.
    since: Option<Instant>,
    /// The first data after it.
    first: Option<Instant>,
}

impl Pace {
    /// Data came.
    pub(super) fn handle_data(&mut self, at: Instant) {
        let before = self.last.replace(at);
        if self.doubt.is_some() {
            self.resolve(before, at);
            return;
        }
        match self.beat {
            None => self.beat = Some(at),
            Some(beat) => {
                let gap = at.saturating_duration_since(beat);
                if gap >= BEAT {
                    self.beat = Some(at);
                    self.learn(gap);
                }
            }
        }
    }

    /// The next data ends no gap: nothing was read before it, or it answers a request.
    pub(super) fn handle_interrupted(&mut self) {
        self.beat = None;
        // Snapshots had come, and whether data would have followed them is unknown now.
        self.doubt.take_if(|doubt| doubt.first.is_some());
    }

    /// The silence counts as absurd now; the next data decides whether it was.
    pub(super) fn handle_alarm(&mut self) {
        (self.beat, self.doubt) = (None, Some(Doubt { since: self.last, first: None }));
        self.alarms = self.alarms.saturating_add(1).min(MOST_DOUBLINGS);
    }

    /// How long a silence is absurd; `None`: too little is known.
    pub(super) fn absurd(&self) -> Option<Duration> {
        let all = self.window(BLOCKS);
        let recent = self.window(RECENT);
        if all.count < LEAST {
            return None;
        }
        let lull = self.lulls.longest(self.observed).saturating_mul(2);
        let absurd = if recent.mean() <= FAST {
            recent.absurd().max(lull)
        } else {
            let slow = all.absurd().max(lull).max(self.days.longest(self.observed).saturating_mul(2));
            if self.observed < DAY { slow.saturating_mul(10) } else { slow }
        };
        Some(absurd.saturating_mul(1 << self.alarms))
    }

    fn learn(&mut self, gap: Duration) {
        self.observed = self.observed.saturating_add(gap);
        self.days.note(self.observed, gap);
        if self.blocks[self.current].count == BLOCK {
            self.current = (self.current + 1) % BLOCKS;
            self.blocks[self.current] = Block::default();
        }
        let block = &mut self.blocks[self.current];
        block.count += 1;
        block.sum = block.sum.saturating_add(gap);
        block.longest = block.longest.max(gap);
    }

    /// Data came after an alarm. A feed that goes on at its pace had been mute. One that is silent again behind the snapshots
    /// has a silent market: the alarm was false, and the longer gap is learnt.
    fn resolve(&mut self, before: Option<Instant>, at: Instant) {
        let lull = LULL.max(self.window(RECENT).mean());
        let Some(doubt) = &mut self.doubt else { return };
        let first = *doubt.first.get_or_insert(at);
        if at < first + SNAPSHOTS {
            return;
        }
        let quiet = before.map_or(Duration::ZERO, |before| at.saturating_duration_since(before));
        if let Some(since) = doubt.since.filter(|_| quiet >= lull) {
            let gap = at.saturating_duration_since(since);
            self.learn(gap);
            self.lulls.note(self.observed, gap);
        }
        (self.doubt, self.beat, self.alarms) = (None, Some(at), 0);
    }

    /// The last blocks together, the one that is being filled included.
    fn window(&self, blocks: usize) -> Block {
        let back = |age: usize| &self.blocks[(self.current + BLOCKS - age) % BLOCKS];
        (0..blocks).map(back).fold(Block::default(), |all, block| Block {
            count: all.count + block.count,
            sum: all.sum.saturating_add(block.sum),
            longest: all.longest.max(block.longest),
        })
    }
}

impl Block {
    fn mean(&self) -> Duration {
        self.sum.checked_div(self.count).unwrap_or_default()
    }

    /// A silence that such arrivals do not bring.
    fn absurd(&self) -> Duration {
        SHORTEST.max(self.longest.saturating_mul(3)).max(self.mean().saturating_mul(16))
    }
}

/// The longest gap of the last two days of observation.
#[derive(Debug, Default)]
struct Longest {
    parts: [Part; PARTS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Part {
    number: u64,
    longest: Duration,
}

impl Longest {
    fn note(&mut self, observed: Duration, gap: Duration) {
        let (number, index) = Self::index(observed);
        let part = &mut self.parts[index];
        if part.number != number {
            *part = Part { number, longest: Duration::ZERO };
        }
        part.longest = part.longest.max(gap);
    }

    fn longest(&self, observed: Duration) -> Duration {
        let (now, _) = Self::index(observed);
        let recent = self.parts.iter().filter(|part| part.number + PARTS as u64 > now);
        recent.map(|part| part.longest).max().unwrap_or_default()
    }

    /// The number of the part of time, and its index.
    fn index(observed: Duration) -> (u64, usize) {
        let number = observed.as_secs() / PART.as_secs();
        (number, usize::try_from(number % PARTS as u64).expect("it is below PARTS"))
    }
}

#[cfg(test)]
mod tests;
