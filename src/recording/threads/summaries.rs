//! Writes `day.json`, on the thread of the sealer: of each day that is over and sealed, and again where that changes.
//!
//! ```text
//! archive: no day.json, or of another manifest ─┐
//! recorder.jsonl: a gap told since it was written┴─▶ due ──a day a step──▶ manifest and gaps ──▶ day.json
//! ```
//!
//! On that thread because nobody else writes to manifests, and a seal comes first. What is written can be made again at
//! any time, so it is not synced, and a fault is told and tried again with the next look.

use crate::clock::{self, Clock, Instant, Stamp};
use crate::files::{EntryKind, Files, IoError, append_all};
use crate::recording::progress::Progress;
use crate::tape::day_summary::span;
use crate::tape::paths;
use crate::tape::quarantine::clear;
use crate::tape::reader::{SummaryText, Tape, TapeError, ToldGaps, summary};
use crate::tape::segment_name::date;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The interval of looks: two calls a day of the archive, and what the recorder told meanwhile. Until a look a reader sees
/// by the manifest that a summary is out of date.
const LOOK: Duration = Duration::from_secs(600);

/// How far back events are read at the beginning: a gap that an earlier process told, and did not live to sum up.
const TOLD_BEFORE: Duration = Duration::from_secs(2 * 86_400);

/// See the module.
#[derive(Debug)]
pub(super) struct Summaries {
    files: Arc<dyn Files>,
    progress: Progress,
    clock: Clock,
    next_look: Instant,
    due: BTreeSet<(Date, Feed)>,
    gaps: ToldGaps,
}

impl Summaries {
    pub(super) fn new(files: Arc<dyn Files>, progress: Progress, clock: Clock) -> Self {
        let next_look = clock.now() + LOOK;
        Self { files, progress, clock, next_look, due: BTreeSet::new(), gaps: ToldGaps::default() }
    }

    /// Waits until there is something to do.
    pub(super) async fn wait(&self) {
        let due = if self.due.is_empty() { self.next_look } else { self.clock.now() };
        clock::sleep_until(Some(due)).await;
    }

    /// Does what is due: sums one day up at the most.
    pub(super) fn step(&mut self) {
        let now = self.progress.written().stamp;
        if now == Stamp::default() {
            return;
        }
        if self.clock.now() >= self.next_look {
            self.next_look = self.clock.now() + LOOK;
            if let Err(error) = self.look(now) {
                tracing::warn!(%error, "days are not summed up; the next look tries again");
            }
        }
        if let Some((date, feed)) = self.due.pop_first()
            && let Err(error) = self.write(date, feed, now)
        {
            tracing::warn!(%date, %feed, %error, "a day is not summed up; the next look tries again");
        }
    }

    /// Finds the days whose summary is missing or out of date.
    fn look(&mut self, now: Stamp) -> Result<(), TapeError> {
        let tape = Tape::new(Some(self.files.clone()), Path::new(""));
        self.gaps.read(&tape, now.before(TOLD_BEFORE))?;
        for feed in Feed::ALL {
            let tree = tape.beneath(paths::root(feed));
            for day in tree.dates()?.into_iter().filter(|day| *day < date(now)) {
                let text = tree.written_summary(day);
                let written = text.as_ref().and_then(SummaryText::parse).map(|summary| summary.written);
                if written.is_none_or(|written| self.gaps.is_told_after(written, feed, day)) {
                    self.due.insert((day, feed));
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, day: Date, feed: Feed, now: Stamp) -> Result<(), TapeError> {
        let Some((begin, _)) = span(day) else { return Ok(()) };
        self.gaps.read(&Tape::new(Some(self.files.clone()), Path::new("")), begin)?;
        let gaps = self.gaps.of_day(feed, day);
        let path = paths::date_directory(feed, day).join(paths::SUMMARY);
        let failed = |error| IoError::at("sum up", &path)(error);
        let summary = summary::of_complete_day(&*self.files, feed, day, &gaps, now).map_err(failed)?;
        if let Some(summary) = summary {
            clear(&*self.files, feed, &path, EntryKind::File)?;
            self.put(&path, &summary).map_err(failed)?;
        }
        Ok(())
    }

    /// A reader that finds half of it takes it for none.
    fn put(&self, path: &Path, summary: &str) -> io::Result<()> {
        match self.files.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        append_all(&*self.files.create(path)?, summary.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Position;
    use crate::files::disk::Disk;
    use crate::recording::seal::{Provenance, Sealer};
    use crate::recording::segment::Finished;
    use crate::tape::segment_name::SegmentName;
    use crate::upbit::venue::Venue;
    use std::fs;

    /// 2026-11-22T00:00:00Z.
    const MIDNIGHT: u64 = 1_795_305_600_000_000;
    const HOUR: u64 = 3_600_000_000;

    struct Scene {
        directory: tempfile::TempDir,
        files: Arc<dyn Files>,
        summaries: Summaries,
        progress: Progress,
    }

    fn stamp(hour: u64) -> Stamp {
        Stamp::from_micros(MIDNIGHT + hour * HOUR).unwrap()
    }

    impl Scene {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let files: Arc<dyn Files> = Arc::new(Disk::open(directory.path()).unwrap());
            let progress = Progress::default();
            let summaries = Summaries::new(files.clone(), progress.clone(), Clock::anchored(stamp(0)));
            Self { directory, files, summaries, progress }
        }

        fn plain(&self, hour: u64) -> SegmentName {
            let stream = crate::tape::stream_key::StreamKey::from_stem("KRW-BTC_trade").unwrap();
            let name = SegmentName { feed: Feed::Public, stream, epoch: 0, first: stamp(hour) };
            fs::create_dir_all(self.directory.path().join(name.directory())).unwrap();
            fs::write(self.directory.path().join(name.plain()), format!("{{\"ts_recv\":{},\"n\":1}}\n", name.first))
                .unwrap();
            name
        }

        fn seal(&self, name: SegmentName) {
            let provenance = Provenance { run: Stamp::default(), venue: Venue::named_after("local") };
            let sealer = Sealer::new(self.files.clone(), 1, provenance, Arc::default());
            let last = name.first;
            sealer.step(&Finished { name, origin: None, last, bytes: None, torn: Vec::new() }).unwrap();
        }

        /// What a look at an hour leaves of the day: lines, gaps, and when it was written.
        fn look(&mut self, hour: u64) -> Option<(u64, u64, Stamp)> {
            self.progress.advance(0, Position { epoch: 0, stamp: stamp(hour) }, 0);
            self.summaries.next_look = self.summaries.clock.now();
            self.summaries.step();
            let text = fs::read(self.directory.path().join("archive/date=2026-11-22/day.json")).ok()?;
            let summary: crate::tape::day_summary::DaySummary<'_> = serde_json::from_slice(&text).unwrap();
            let [stream] = &summary.streams[..] else { panic!("{summary:?}") };
            Some((stream.lines, stream.gaps, summary.written))
        }
    }

    #[test]
    fn a_day_is_summed_up_once_it_is_over_and_sealed() {
        let mut scene = Scene::new();
        scene.seal(scene.plain(3));
        assert_eq!(scene.look(20), None, "it is not over");
        let waiting = scene.plain(5);
        assert_eq!(scene.look(25), None, "a segment waits");
        scene.seal(waiting);
        assert_eq!(scene.look(26), Some((2, 0, stamp(26))));
        assert_eq!(scene.look(27), Some((2, 0, stamp(26))), "nothing has changed");
        scene.seal(scene.plain(7));
        assert_eq!(scene.look(28), Some((3, 0, stamp(28))));
        let gap = format!(
            "{{\"ts_recv\":{0},\"type\":\"recorder\",\"event\":\"gap\",\"id\":{0},\"connection\":\"public\",\"epoch\":0,\
             \"from\":{1},\"to\":{2},\"kind\":\"stopped\",\"cause\":\"x\",\"streams\":[\"KRW-BTC_trade\"]}}\n",
            stamp(29),
            stamp(8),
            stamp(29),
        );
        fs::write(scene.directory.path().join("recorder.jsonl"), gap).unwrap();
        assert_eq!(scene.look(30), Some((3, 1, stamp(30))), "a gap was told that touches it");
        assert_eq!(scene.look(31), Some((3, 1, stamp(30))));
    }
}
