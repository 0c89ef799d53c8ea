//! Holds what is on disk against what the exchange handed over.
//!
//! After every life:
//! * each line was sent, is there once, and stands in the order in which it was sent;
//! * an orderly end misses nothing that was read, however slow the disk; on a sound disk a kill misses at most the last
//!   50 ms of it, a power cut at most one `sync_interval`;
//! * the process that ends itself does so within 10 s;
//! * what stood at our names is in quarantine, no file of others was written, and the account's tree is closed to others;
//! * no sealed file fails a full decode; no line is torn that is not kept in quarantine.
//!
//! In the end:
//! * whatever is missing lies inside a gap on record;
//! * sockets and gaps together cover all time since the directory was made;
//! * time in which the process did not run is in a gap, and no line is stamped before it was read;
//! * streams that bring nothing for more than a minute, on a socket that lives, are in a gap from their last data on;
//! * no gap of market data begins at a status or at something else that is no data;
//! * a gap without a connection holds no line, one of a kill only those of the last moments: none is wider than it has
//!   to be;
//! * each trade is on the tape once, recorded or healed, verbatim, or it is in a gap that was healed in part;
//! * every sealed file is in its manifest, and nothing unfinished is left.

mod excesses;
mod healing;
mod history;
mod losses;
mod matching;

use super::disk::SimDisk;
use super::exchange::books::Books;
use super::exchange::market::Trade;
use super::lived::{Ended, Lived};
use super::machine;
use super::tape::Tape;
use super::timeline::{Gap, Moment};
use history::{GapEvent, History};
use matching::Matched;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;
use upbit_recorder::upbit::feed::{Feed, PerFeed};

/// What a kill may cost, and how late a sync may be.
const FLUSH: Duration = Duration::from_millis(50);

/// How long an end may take, whatever the disk does.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Violations of one kind that are reported; the rest is counted.
const REPORTED: usize = 5;

/// See the module.
#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) violations: Vec<String>,
    history: History,
    /// Objects that were on disk after the life before, by connection.
    seen: PerFeed<BTreeSet<usize>>,
}

/// What there is of one connection in the end.
struct Evidence<'a> {
    history: &'a History,
    tape: &'a Tape,
    feed: Feed,
    matched: &'a Matched,
    /// Everything that was traded, oldest first.
    trades: &'a [Trade],
    /// Its gaps; those that touch or overlap are one.
    gaps: Vec<Gap>,
}

/// Finds the violations of one promise.
type Check = fn(&Evidence) -> Vec<String>;

/// What is held against the evidence, and what a violation of it is called.
const CHECKS: [(&str, Check); 12] = [
    ("mute, and in no gap", losses::mute),
    ("missing, and not in a gap", losses::missing),
    ("time that is in no gap", losses::unheard),
    ("the process did not run, and no gap tells", losses::frozen),
    ("a line is stamped before it was read", excesses::early_stamps),
    ("a gap in which there are lines", excesses::filled_gaps),
    ("a gap begins at a line that is no data", excesses::wrong_beginnings),
    ("what was durable is in the gap of a kill", excesses::durable_doubts),
    ("a line is of another epoch", excesses::wrong_epochs),
    ("a trade is missing, and no gap says so", healing::missing),
    ("a gap is not healed", healing::untold),
    ("a line of what was healed is wrong", healing::doubled),
];

/// How many objects were sent, and how many of them are on disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) sent: usize,
    pub(crate) recorded: usize,
}

impl Oracle {
    pub(crate) fn new(sync_interval: Duration) -> Self {
        Self { violations: Vec::new(), history: History::new(sync_interval), seen: PerFeed::default() }
    }

    /// Checks the disk after a life.
    pub(crate) fn check_life(&mut self, disk: &SimDisk, books: &Books, lived: Lived) {
        let tape = Tape::read(disk);
        self.check_files(disk, &tape, &lived);
        self.check_duration(&lived);
        let number = self.history.lives.len();
        let ended = format!("{:?}", lived.ended);
        self.history.push(lived);
        for feed in Feed::ALL {
            let matched = Matched::new(&tape, feed, books.side(feed));
            self.report(&format!("{feed}, after life {number}: a line is wrong"), &matched.faults);
            let lost = losses::beyond_bound(&self.history, &matched, &self.seen[feed]);
            self.report(&format!("{feed}, after life {number} ({ended}): more is lost than promised"), &lost);
            self.seen[feed] = matched.moments.into_keys().collect();
        }
    }

    /// Checks the disk after the last life.
    pub(crate) fn conclude(&mut self, disk: &SimDisk, books: &Books) -> Count {
        let tape = Tape::read(disk);
        self.report("in the end: a file is not in its manifest", &tape.unlisted);
        self.report("in the end: something unfinished is left", &tape.leftovers);
        let last = self.history.lives.len().saturating_sub(1);
        let mut count = Count::default();
        let trades = &books.market.trades();
        for feed in Feed::ALL {
            let matched = &Matched::new(&tape, feed, books.side(feed));
            self.report(&format!("{feed}, after life {last}: a line is wrong"), &matched.faults);
            let gaps = self.history.gaps(&tape, feed, None);
            let evidence = Evidence { history: &self.history, tape: &tape, feed, matched, trades, gaps };
            let found = CHECKS.map(|(what, check)| (format!("{feed}: {what}"), check(&evidence)));
            found.iter().for_each(|(what, faults)| self.report(what, faults));
            count.sent += matched.side.sent.len();
            count.recorded += matched.moments.len();
        }
        count
    }

    /// Nothing of others was touched, what stood at our names is set aside, and what is there can be read.
    fn check_files(&mut self, disk: &SimDisk, tape: &Tape, lived: &Lived) {
        let number = self.history.lives.len();
        let names = |paths: Vec<PathBuf>| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        if lived.recovered {
            self.report(&format!("after life {number}: others may read"), &names(disk.exposed()));
        }
        if !disk.has_unharmed_strangers() {
            self.violations.push(format!("after life {number}: a file of somebody else's was written"));
        }
        if lived.recovered {
            let is_quarantine = |part: &OsStr| part.to_string_lossy().starts_with("quarantine");
            let mut obstacles = disk.obstacles();
            obstacles.retain(|path| !path.iter().any(is_quarantine));
            self.report(&format!("after life {number}: still in the way"), &names(obstacles));
        }
        self.report(&format!("after life {number}: a sealed file is damaged"), &tape.corrupt);
        if lived.recovered && !matches!(lived.ended, Ended::Crashed(_)) {
            // What a start could not read is mended by the next one.
            let kept: Vec<&str> = tape.events.iter().filter_map(|event| event["kept"].as_str()).collect();
            let is_set_aside = |file: &str| kept.iter().any(|kept| kept.ends_with(file));
            let broken = tape.broken.iter().filter(|broken| !is_set_aside(&broken.file));
            let broken: Vec<String> = broken.map(|broken| format!("{} {}", broken.file, broken.fault)).collect();
            self.report(&format!("after life {number}: a line is none, and not kept"), &broken);
        }
    }

    /// The process that ends itself does so in time.
    fn check_duration(&mut self, lived: &Lived) {
        let ran = machine::ran(&lived.frozen, lived.from, lived.to);
        if !matches!(lived.ended, Ended::Crashed(_)) && ran > lived.life.length + SHUTDOWN {
            let took = ran - lived.life.length;
            let number = self.history.lives.len();
            self.report(&format!("life {number}: the end took too long"), &[format!("{took:?}")]);
        }
    }

    fn report(&mut self, what: &str, faults: &[String]) {
        self.violations.extend(faults.iter().take(REPORTED).map(|fault| format!("{what}: {fault}")));
        if faults.len() > REPORTED {
            self.violations.push(format!("{what}: and {} more", faults.len() - REPORTED));
        }
    }
}

impl<'a> Evidence<'a> {
    fn gap_events(&self) -> impl Iterator<Item = GapEvent<'a>> {
        self.history.gap_events(self.tape, self.feed)
    }

    /// The first sign of a life that records the feed.
    fn beginning(&self) -> Moment {
        self.history.beginning(self.tape, self.feed)
    }
}
