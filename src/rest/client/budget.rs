//! The request budget shared by all our processes on one data directory: a small file, locked briefly.
//!
//! ```text
//! rest/.requests    {"sent":[1795324324113204,…],"healing":1795324320000000,"day":20779,"healed":17}
//! ```
//!
//! `sent` holds the stamps of the last second's requests. Before each request a process locks the file, and either adds
//! its stamp or gets the time to wait. `healing` is when a healing request last found no room: other requests yield for
//! a second after it. `healed` counts the healing requests of `day`, a day number since the Unix epoch: they have a
//! daily budget of their own, so that a long disturbance does not use up the shared one. An unreadable file counts as
//! empty, and the lock of a process that dies is released. Nothing is synced, because the last second is over after a
//! power cut.

use crate::clock::Stamp;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::files::open::{Access, Obstacle};
use crate::tape::quarantine::quarantine;
use crate::upbit::feed::Feed;
use crate::window::Window;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

/// The file, relative to the REST directory.
pub const FILE: &str = ".requests";

/// A second plus a margin: requests sent a second apart may arrive slightly closer together.
const SECOND: Duration = Duration::from_millis(1_025);

/// The pause before the lock is tried again. It is held for microseconds; a process suspended while it holds it must
/// not block the others.
const LOCKED: Duration = Duration::from_millis(5);

/// How long other requests yield to healing.
const STAND_BACK: Duration = Duration::from_secs(1);

/// The period of the healing budget.
const DAY: Duration = Duration::from_secs(86_400);

/// The size bound of the file: far more than ten stamps need.
const MAX_BYTES: u64 = 4096;

/// The priority of a process's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Healing of a gap: first in order, with a budget for each day (UTC).
    Healing {
        /// The most requests a day, over all processes.
        per_day: u32,
    },
    /// Everything else.
    History,
}

/// One process's handle of the budget.
#[derive(Clone, Debug)]
pub struct Budget {
    disk: Disk,
    window: Window,
    priority: Priority,
}

/// A request could not be counted.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    /// The budget file is unusable.
    #[error(transparent)]
    File(#[from] IoError),
    /// The day's budget is used up.
    #[error("the requests of this day are used up")]
    Spent {
        /// The start of the next day.
        until: Stamp,
    },
}

impl Budget {
    /// `disk` is the REST directory.
    pub fn new(disk: Disk, per_second: u32, priority: Priority) -> Self {
        Self { disk, window: Window { limit: per_second, length: SECOND }, priority }
    }

    /// Takes one request at `now`, by the wall clock, which all processes share; `Some`: the time to wait instead.
    ///
    /// # Errors
    /// The file cannot be read or written, or the day's budget is used up.
    pub fn take(&self, now: Stamp) -> Result<Option<Duration>, BudgetError> {
        match self.take_from_file(now) {
            Ok(Answer::Taken) => Ok(None),
            Ok(Answer::Wait(wait)) => Ok(Some(wait)),
            Ok(Answer::Spent) => Err(BudgetError::Spent { until: now.period_start(DAY).after(DAY) }),
            Err(source) => Err(IoError::at("count requests in", &self.disk.path().join(FILE))(source).into()),
        }
    }

    /// An entry of another kind under the file's name is quarantined, never written to.
    fn open(&self) -> io::Result<File> {
        let path = Path::new(FILE);
        match self.disk.file(path, Access::Update) {
            Err(error) if Obstacle::of(&error).is_some() => {
                quarantine(&self.disk, Feed::Public, path, "it is no file of ours").map_err(|error| error.source)?;
                self.disk.file(path, Access::Update)
            }
            file => file,
        }
    }

    fn take_from_file(&self, now: Stamp) -> io::Result<Answer> {
        let mut file = self.open()?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(Answer::Wait(LOCKED)),
            locked => locked?,
        }
        let mut text = Vec::new();
        (&mut file).take(MAX_BYTES).read_to_end(&mut text)?;
        let mut counted: Counted = serde_json::from_slice(&text).unwrap_or_default();
        let before = counted.clone();
        let answer = counted.take(now.as_micros(), self.window, self.priority);
        if counted != before {
            let text = serde_json::to_vec(&counted).expect("numbers always serialise");
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&text)?;
            file.set_len(text.len() as u64)?;
        }
        Ok(answer)
    }
}

/// The result of an attempt to take a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Taken,
    Wait(Duration),
    Spent,
}

/// The file's content: times in microseconds since the Unix epoch, the day in days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    sent: Vec<u64>,
    healing: u64,
    #[serde(default)]
    day: u64,
    #[serde(default)]
    healed: u32,
}

impl Counted {
    fn take(&mut self, now: u64, window: Window, priority: Priority) -> Answer {
        let stand_back = micros(STAND_BACK);
        window.forget(&mut self.sent, now);
        if priority == Priority::History && self.healing <= now && now - self.healing < stand_back {
            return Answer::Wait(Duration::from_micros(self.healing + stand_back - now));
        }
        if let Priority::Healing { per_day } = priority {
            let day = now / micros(DAY);
            if self.day != day {
                (self.day, self.healed) = (day, 0);
            }
            if self.healed >= per_day {
                return Answer::Spent;
            }
        }
        if let Some(wait) = window.wait(&self.sent, now) {
            if priority != Priority::History {
                self.healing = now;
            }
            return Answer::Wait(wait);
        }
        self.sent.push(now);
        self.healed += u32::from(priority != Priority::History);
        Answer::Taken
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp(micros: u64) -> Stamp {
        Stamp::from_micros(micros).unwrap()
    }

    fn disk(directory: &tempfile::TempDir) -> Disk {
        Disk::open(directory.path()).unwrap()
    }

    proptest! {
        #[test]
        fn waiting_as_told_keeps_every_second_within_the_limit(
            pauses in prop::collection::vec(0..400_000u64, 1..60),
            limit in 1..=10u32,
        ) {
            let window = Window { limit, length: SECOND };
            let (mut counted, mut now, mut sent) = (Counted::default(), 1_795_324_324_000_000, Vec::new());
            for pause in pauses {
                now += pause;
                if let Answer::Wait(wait) = counted.take(now, window, Priority::History) {
                    now += micros(wait);
                    prop_assert_eq!(counted.take(now, window, Priority::History), Answer::Taken);
                }
                sent.push(now);
            }
            for (index, first) in sent.iter().enumerate() {
                let inside = sent[index..].iter().take_while(|other| *other - first < 1_000_000).count();
                prop_assert!(inside <= limit as usize);
            }
        }
    }

    #[test]
    fn several_programs_share_one_budget() {
        let directory = tempfile::tempdir().unwrap();
        let budgets = [(); 3].map(|()| Budget::new(disk(&directory), 8, Priority::History));
        let taken =
            (0..30).filter(|index| budgets[index % 3].take(stamp(1_000_000 + *index as u64)).unwrap().is_none());
        assert_eq!(taken.count(), 8);
        assert_eq!(budgets[0].take(stamp(1_000_000 + micros(SECOND))).unwrap(), None);
    }

    #[test]
    fn healing_goes_first() {
        const BEGIN: u64 = 1_795_324_324_000_000;
        let directory = tempfile::tempdir().unwrap();
        let history = Budget::new(disk(&directory), 1, Priority::History);
        let healing = Budget::new(disk(&directory), 1, Priority::Healing { per_day: 10 });
        assert_eq!(history.take(stamp(BEGIN)).unwrap(), None);
        assert!(healing.take(stamp(BEGIN + 900_000)).unwrap().is_some());
        let free = BEGIN + micros(SECOND);
        assert!(history.take(stamp(free)).unwrap().is_some());
        assert_eq!(healing.take(stamp(free)).unwrap(), None);
    }

    #[test]
    fn healing_has_a_budget_of_the_day_that_others_do_not_touch() {
        let begin = 20_779 * micros(DAY);
        let directory = tempfile::tempdir().unwrap();
        let healing = |per_day| Budget::new(disk(&directory), 10, Priority::Healing { per_day });
        let history = Budget::new(disk(&directory), 10, Priority::History);
        assert_eq!(healing(2).take(stamp(begin)).unwrap(), None);
        assert_eq!(history.take(stamp(begin)).unwrap(), None);
        assert_eq!(healing(2).take(stamp(begin)).unwrap(), None);
        let spent = healing(2).take(stamp(begin + 5)).unwrap_err();
        let midnight = stamp(begin + micros(DAY));
        assert!(matches!(spent, BudgetError::Spent { until } if until == midnight), "{spent}");
        assert_eq!(healing(3).take(stamp(begin + 5)).unwrap(), None);
        assert_eq!(history.take(stamp(begin + 5)).unwrap(), None);
        assert_eq!(healing(2).take(midnight).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_read_or_lies_in_the_future_holds_nobody_up() {
        let directory = tempfile::tempdir().unwrap();
        let budget = Budget::new(disk(&directory), 1, Priority::History);
        for text in ["", "{\"sent\":[", "{\"sent\":[9000000000000000],\"healing\":9000000000000000}"] {
            std::fs::write(directory.path().join(FILE), text).unwrap();
            assert_eq!(budget.take(stamp(1_795_324_324_000_000)).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn what_is_in_its_way_is_moved_and_never_written() {
        for kind in ["link", "hard link", "directory", "pipe"] {
            let directory = tempfile::tempdir().unwrap();
            let (file, victim) = (directory.path().join(FILE), directory.path().join("victim"));
            std::fs::write(&victim, "not ours").unwrap();
            match kind {
                "link" => std::os::unix::fs::symlink(&victim, &file).unwrap(),
                "hard link" => std::fs::hard_link(&victim, &file).unwrap(),
                "directory" => std::fs::create_dir(&file).unwrap(),
                _ => rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RWXU).unwrap(),
            }
            let budget = Budget::new(disk(&directory), 1, Priority::History);
            assert_eq!(budget.take(stamp(1_795_324_324_000_000)).unwrap(), None, "{kind}");
            assert!(budget.take(stamp(1_795_324_324_000_001)).unwrap().is_some(), "{kind}");
            assert_eq!(std::fs::read(&victim).unwrap(), b"not ours", "{kind}");
            assert!(std::fs::symlink_metadata(directory.path().join("quarantine/.requests")).is_ok(), "{kind}");
        }
    }
}
