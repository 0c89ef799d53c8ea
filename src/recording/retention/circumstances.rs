//! When nothing may be deleted: a clock that is wrong makes what is new look old.

use crate::clock::Stamp;
use crate::clock::discipline::ClockState;
use crate::files::Files;
use crate::tape::durable::DurableMark;
use crate::tape::event::Event;
use crate::tape::paths;
use crate::tape::reader::Tape;
use crate::tape::record::Record;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::{EpochReason, Word};
use crate::upbit::feed::Feed;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// After a step of the clock it may be set once more, as after a boot: a person has this long to notice.
pub const STEPPED: Duration = Duration::from_secs(3_600);

/// Nothing that is recorded stands still for so long. Where it seems so, the clock may have jumped ahead.
pub const SILENT: Duration = Duration::from_secs(86_400);

/// What decides whether files may be deleted.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// The time by which the age of files counts.
    pub now: Stamp,
    /// The state of the wall clock.
    pub clock: ClockState,
    /// The last data of any feed; `None`: not known.
    pub newest: Option<Stamp>,
    /// Whether the clock was set within [`STEPPED`]; `None`: the events cannot be read.
    pub has_stepped: Option<bool>,
}

/// Why nothing may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hindrance {
    /// The clock is not synchronised.
    #[error("the clock is not synchronised")]
    Unsynchronised,
    /// The clock was set.
    #[error("the clock was set within the last hour")]
    Stepped,
    /// The events of the last hour are not readable.
    #[error("the events of the last hour cannot be read, which would tell whether the clock was set")]
    Unreadable,
    /// There is no data near the present.
    #[error("the clock is more than a day past the last line of data")]
    Silent,
    /// There is no data.
    #[error("it is not known when the last line of data came: .durable does not tell")]
    Unknown,
}

impl Circumstances {
    /// Reads those of a data directory at `now`.
    pub fn read(files: &Arc<dyn Files>, now: Stamp, clock: ClockState) -> Self {
        Self { now, clock, newest: last_data(&**files), has_stepped: has_stepped(files, now) }
    }

    /// Why nothing may be deleted; `None`: there is no reason. Where the kernel does not tell whether the clock is
    /// synchronised, the others decide: they bound its error, and a disk that fills up ends the recording.
    pub fn hindrance(&self) -> Option<Hindrance> {
        if self.clock.is_synchronised() == Some(false) {
            return Some(Hindrance::Unsynchronised);
        }
        match self.has_stepped {
            None => return Some(Hindrance::Unreadable),
            Some(true) => return Some(Hindrance::Stepped),
            Some(false) => {}
        }
        match self.newest {
            None => Some(Hindrance::Unknown),
            Some(newest) => (self.now.since(newest) > SILENT).then_some(Hindrance::Silent),
        }
    }
}

/// The last data of any feed, as the durable mark has it.
fn last_data(files: &dyn Files) -> Option<Stamp> {
    let mut content = Vec::new();
    files.read(Path::new(paths::MARK)).and_then(|mut file| file.read_to_end(&mut content)).ok()?;
    let mark = DurableMark::parse(&content)?;
    Feed::ALL.into_iter().filter_map(|feed| mark.heard[feed]).max()
}

/// Whether the events of the last hour tell of a step. They are written before the first stamp behind it.
fn has_stepped(files: &Arc<dyn Files>, now: Stamp) -> Option<bool> {
    let tape = Tape::new(Some(files.clone()), Path::new(""));
    let lines = tape.lines(&StreamKey::recorder(), now.before(STEPPED)..=Stamp::MAX).ok()?;
    for line in lines {
        let event = Record::parse(line.ok()?.text()).and_then(|record| record.event);
        let is_step = match event {
            Some(Event::ClockStep { .. }) => true,
            Some(Event::Started { reason, .. }) => {
                let reason = reason.and_then(Word::known);
                matches!(reason, Some(EpochReason::Clock | EpochReason::Step))
            }
            _ => false,
        };
        if is_step {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::discipline::ClockError;
    use crate::files::disk::Disk;
    use std::fs;

    const NOW: u64 = 1_795_348_800_000_000;

    fn at(micros: u64) -> Stamp {
        Stamp::from_micros(micros).unwrap()
    }

    fn synchronised() -> ClockState {
        ClockState::Synchronised(ClockError { estimated: Duration::ZERO, maximum: Duration::from_millis(30) })
    }

    fn fair() -> Circumstances {
        let (now, newest) = (at(NOW), Some(at(NOW - 1_000_000)));
        Circumstances { now, clock: synchronised(), newest, has_stepped: Some(false) }
    }

    #[test]
    fn each_circumstance_alone_keeps_every_file() {
        assert_eq!(fair().hindrance(), None);
        let clock = ClockState::Unsynchronised(ClockError { estimated: Duration::ZERO, maximum: SILENT });
        assert_eq!(Circumstances { clock, ..fair() }.hindrance(), Some(Hindrance::Unsynchronised));
        let clock = ClockState::Unknown { cause: "Operation not permitted".to_owned() };
        assert_eq!(Circumstances { clock, ..fair() }.hindrance(), None);
        assert_eq!(Circumstances { has_stepped: Some(true), ..fair() }.hindrance(), Some(Hindrance::Stepped));
        assert_eq!(Circumstances { has_stepped: None, ..fair() }.hindrance(), Some(Hindrance::Unreadable));
        assert_eq!(Circumstances { newest: None, ..fair() }.hindrance(), Some(Hindrance::Unknown));
        let day = 86_400_000_000;
        for (newest, expected) in [(NOW - day, None), (NOW - day - 1, Some(Hindrance::Silent)), (NOW + day, None)] {
            assert_eq!(Circumstances { newest: Some(at(newest)), ..fair() }.hindrance(), expected);
        }
    }

    #[test]
    fn they_are_read_from_the_mark_and_from_the_events() {
        let directory = tempfile::tempdir().unwrap();
        let files: Arc<dyn Files> = Arc::new(Disk::existing(directory.path()).unwrap());
        let read = || Circumstances::read(&files, at(NOW), synchronised());
        assert_eq!(read().hindrance(), Some(Hindrance::Unknown));
        let mark = format!("{{\"durable\":{NOW},\"epoch\":0,\"public\":null,\"private\":{NOW},\"state\":1}}");
        fs::write(directory.path().join(".durable"), mark).unwrap();
        assert_eq!(read().hindrance(), None);
        let events = directory.path().join("recorder.jsonl");
        let line = |stamp: u64, event: &str| format!("{{\"ts_recv\":{stamp},\"type\":\"recorder\",{event}}}\n");
        let step = format!("\"event\":\"clock_step\",\"before\":1,\"after\":{NOW},\"epoch\":0");
        let started =
            "\"event\":\"started\",\"version\":\"1\",\"pid\":1,\"connections\":[],\"epoch\":1,\"reason\":\"clock\"";
        for (stamp, event, has_stepped) in [
            (NOW - 3_600_000_001, &*step, false),
            (NOW - 3_600_000_000, &step, true),
            (NOW + 9, &step, true),
            (NOW - 60_000_000, started, true),
            (NOW - 60_000_000, &started.replace("clock", "state"), false),
            (NOW - 60_000_000, &started.replace(",\"reason\":\"clock\"", ""), false),
        ] {
            fs::write(&events, line(NOW - 9_000_000_000, "\"event\":\"disk_ok\"") + &line(stamp, event)).unwrap();
            assert_eq!(read().has_stepped, Some(has_stepped), "{stamp} {event}");
        }
    }
}
