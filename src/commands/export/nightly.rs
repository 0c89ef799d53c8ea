//! The export of `record`: each day once it is over, on a thread of its own at the lowest priority.
//!
//! ```text
//! day.json: written at … ──▶ .exported of the lake says another time, or none ──▶ the day's files ──▶ .exported
//! ```
//!
//! `day.json` is there once all of a day is sealed, and written again where a gap was told later: so is the lake.

use super::error::ExportError;
use super::pool::{Done, Lake};
use super::sum::Sum;
use crate::clock::{Clock, Stamp, sleep_until};
use crate::commands::recording::ReadError;
use crate::config::Config;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::lake::day::{Day, Selected};
use crate::quantity::rounded_size;
use crate::tape::reader::{SummaryText, Tape, ToldGaps};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The interval of looks: as often as days are summed up, which a look waits for.
const LOOK: Duration = Duration::from_secs(600);

/// The first look after a start, which has more urgent things to do.
const FIRST: Duration = Duration::from_secs(60);

/// As that of the sealer.
const NICENESS: i32 = 19;

/// The file of the lake that says which days it has: by date, the time at which their `day.json` was written.
const EXPORTED: &str = ".exported";

/// The most bytes of it: those of a century.
const LONGEST: u64 = 2 << 20;

/// See the module.
#[derive(Debug)]
struct Nightly {
    data_dir: PathBuf,
    directory: PathBuf,
    selected: Selected,
    min_free_bytes: u64,
    clock: Clock,
    shutdown: CancellationToken,
}

/// Exports on a background thread until the process stops.
///
/// # Errors
/// The thread cannot be spawned.
pub(in crate::commands) fn spawn(config: &Config, clock: Clock, shutdown: CancellationToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let levels = Some(config.export.levels).filter(|levels| *levels > 0);
    let nightly = Nightly {
        data_dir: config.data_dir.clone(),
        directory: config.data_dir.join(&config.export.directory),
        selected: Selected { tables: Vec::new(), levels, venue: config.venue().to_string() },
        min_free_bytes: config.storage.min_free_bytes,
        clock,
        shutdown,
    };
    let run = move || {
        // Without the permission for it, exporting competes a little more.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        runtime.block_on(nightly.run());
    };
    std::thread::Builder::new().name("export".to_owned()).spawn(run).map(drop)
}

impl Nightly {
    async fn run(self) {
        let mut next = self.clock.now() + FIRST;
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                () = sleep_until(Some(next)) => {}
            }
            match self.look() {
                Ok(()) | Err(ExportError::Stopped) => {}
                Err(error) => tracing::warn!(%error, "days are not exported; the next look tries again"),
            }
            next = self.clock.now() + LOOK;
        }
    }

    /// Exports what is due, the newest day first.
    ///
    /// # Errors
    /// The first one of a day, once all others were tried; or what ends them all.
    fn look(&self) -> Result<(), ExportError> {
        let Some(files) = Disk::readable(&self.data_dir)? else { return Ok(()) };
        let tape = Tape::new(Some(files), &self.data_dir);
        let summed_up = self.summed_up(&tape)?;
        let lake = Lake::open(&self.directory, self.min_free_bytes, self.clock.stamp())?;
        let (mut exported, mut first) = (read(&lake.disk), Ok(()));
        for (date, written) in summed_up.into_iter().rev() {
            if exported.get(&date) == Some(&written) {
                continue;
            }
            match self.export(&lake, &tape, date) {
                Ok(true) => {
                    exported.insert(date, written);
                    write(&lake.disk, &exported)?;
                }
                Ok(false) => {}
                Err(error @ ExportError::Read(_)) => {
                    tracing::warn!(%date, %error, "a day is not exported");
                    first = first.and(Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        first
    }

    /// The days that are complete, and when each was summed up.
    fn summed_up(&self, tape: &Tape) -> Result<BTreeMap<Date, Stamp>, ExportError> {
        let dates = tape.dates().map_err(ReadError::from)?;
        let written = |date: Date| {
            let text: SummaryText = tape.written_summary(date)?;
            Some((date, text.parse()?.written))
        };
        Ok(dates.into_iter().filter_map(written).collect())
    }

    /// Exports a day; `false`: a part of it failed, or is not sealed, and is tried again.
    fn export(&self, lake: &Lake, tape: &Tape, date: Date) -> Result<bool, ExportError> {
        let stop = || self.shutdown.is_cancelled();
        let day = Day::plan(tape, &mut ToldGaps::default(), date, &self.selected).map_err(ReadError::from)?;
        let mut sum = Sum::default();
        lake.run(day.jobs, 1, &stop, &mut |done: Done| drop(sum.add(&done)))?;
        let Sum { written, failed, rows, bytes, unreadable, .. } = sum;
        if written + failed > 0 {
            tracing::info!(%date, files = written, rows, size = %rounded_size(bytes), unreadable, failed, "exported a day");
        }
        Ok(failed == 0 && day.waiting.is_empty())
    }
}

/// What the lake has; nothing where the file says nothing: files that are as they are to be are not written again.
fn read(lake: &Disk) -> BTreeMap<Date, Stamp> {
    let text = lake.read_all(Path::new(EXPORTED), LONGEST).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn write(lake: &Disk, exported: &BTreeMap<Date, Stamp>) -> Result<(), ExportError> {
    let text = serde_json::to_vec(exported).map_err(io::Error::from)?;
    let path = Path::new(EXPORTED);
    lake.put(Path::new(".exported.tmp"), path, &text).map_err(IoError::at("write", path))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::pool::Bounds;
    use super::*;
    use crate::files::{Files, append_all};
    use crate::recording::seal::{Provenance, Sealer};
    use crate::recording::segment::Finished;
    use crate::tape::paths;
    use crate::tape::reader::summary::of_complete_day;
    use crate::tape::segment_name::SegmentName;
    use crate::tape::stream_key::StreamKey;
    use crate::upbit::feed::Feed;
    use crate::upbit::venue::Venue;
    use std::fs;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// 2026-11-22T00:00:00Z.
    const MIDNIGHT: u64 = 1_795_305_600_000_000;
    const TRADES: &str = "lake/venue=local/type=trade/date=2026-11-22/KRW-BTC.parquet";

    struct Scene {
        directory: tempfile::TempDir,
        files: Arc<dyn Files>,
        nightly: Nightly,
    }

    fn stamp(second: u64) -> Stamp {
        Stamp::from_micros(MIDNIGHT + second * 1_000_000).unwrap()
    }

    impl Scene {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let files: Arc<dyn Files> = Arc::new(Disk::open(directory.path()).unwrap());
            let nightly = Nightly {
                data_dir: directory.path().to_owned(),
                directory: directory.path().join("lake"),
                selected: Selected { tables: Vec::new(), levels: None, venue: "local".to_owned() },
                min_free_bytes: 0,
                clock: Clock::anchored(stamp(86_400)),
                shutdown: CancellationToken::new(),
            };
            Self { directory, files, nightly }
        }

        fn seal(&self, second: u64) {
            self.seal_stream("KRW-BTC_trade", second);
        }

        fn seal_stream(&self, stream: &str, second: u64) {
            let stream = StreamKey::from_stem(stream).unwrap();
            let name = SegmentName { feed: Feed::Public, stream, epoch: 0, first: stamp(second) };
            fs::create_dir_all(self.directory.path().join(name.directory())).unwrap();
            let line = format!("{{\"ts_recv\":{},\"sequential_id\":{second}}}\n", name.first);
            fs::write(self.directory.path().join(name.plain()), line).unwrap();
            let provenance = Provenance { run: Stamp::default(), venue: Venue::named_after("local") };
            let (last, origin) = (name.first, None);
            let sealer = Sealer::new(self.files.clone(), 1, provenance, Arc::default());
            sealer.step(&Finished { name, origin, last, bytes: None, torn: Vec::new() }).unwrap();
        }

        /// The recorder's sum of the day, at a second.
        fn sum_up(&self, second: u64) {
            let date = "2026-11-22".parse().unwrap();
            let mut told = ToldGaps::default();
            told.read(&Tape::new(Some(self.files.clone()), Path::new("")), stamp(0)).unwrap();
            let gaps = told.of_day(Feed::Public, date);
            let line = of_complete_day(&*self.files, Feed::Public, date, &gaps, stamp(second)).unwrap().unwrap();
            let path = paths::date_directory(Feed::Public, date).join(paths::SUMMARY);
            let _ = self.files.remove(&path);
            append_all(&*self.files.create(&path).unwrap(), line.as_bytes()).unwrap();
        }

        /// What a look leaves of the day's file.
        fn look(&self) -> Option<Vec<u8>> {
            self.nightly.look().unwrap();
            fs::read(self.directory.path().join(TRADES)).ok()
        }
    }

    #[test]
    fn a_day_is_exported_once_it_is_summed_up() {
        let scene = Scene::new();
        scene.seal(3);
        assert_eq!(scene.look(), None, "it is not complete");
        scene.sum_up(90_000);
        let first = scene.look().unwrap();
        let exported = fs::read_to_string(scene.directory.path().join("lake/.exported")).unwrap();
        assert_eq!(exported, format!("{{\"2026-11-22\":{}}}", stamp(90_000)));
        // What is on record as exported is not looked at again.
        fs::remove_file(scene.directory.path().join(TRADES)).unwrap();
        assert_eq!(scene.look(), None);
        scene.sum_up(91_000);
        assert_eq!(scene.look().unwrap(), first);
        let gap = format!(
            "{{\"ts_recv\":{0},\"type\":\"recorder\",\"event\":\"gap\",\"id\":{0},\"connection\":\"public\",\"epoch\":0,\
             \"from\":{1},\"to\":{2},\"kind\":\"stopped\",\"cause\":\"x\",\"streams\":[\"KRW-BTC_trade\"]}}\n",
            stamp(91_500),
            stamp(1),
            stamp(2),
        );
        fs::write(scene.directory.path().join("recorder.jsonl"), gap).unwrap();
        scene.sum_up(92_000);
        assert_ne!(scene.look().unwrap(), first, "a gap was told that touches it");
    }

    #[test]
    fn a_stop_leaves_the_day_for_the_next_look() {
        let scene = Scene::new();
        scene.seal(3);
        scene.sum_up(90_000);
        scene.nightly.shutdown.cancel();
        assert!(matches!(scene.nightly.look(), Err(ExportError::Stopped)));
        assert!(!scene.directory.path().join("lake/.exported").exists());
    }

    #[test]
    fn a_day_with_lines_that_are_not_sealed_is_tried_again() {
        let scene = Scene::new();
        scene.seal(3);
        scene.sum_up(90_000);
        let active = scene.directory.path().join("KRW-BTC_trade.jsonl");
        fs::write(&active, format!("{{\"ts_recv\":{},\"sequential_id\":9}}\n", stamp(64_800))).unwrap();
        assert!(scene.look().is_some(), "what is sealed is there");
        let exported = scene.directory.path().join("lake/.exported");
        assert!(!exported.exists());
        fs::remove_file(active).unwrap();
        scene.look();
        assert!(exported.exists());
    }

    #[test]
    fn what_is_left_of_the_disk_is_the_recorders() {
        let mut scene = Scene::new();
        scene.seal(3);
        scene.sum_up(90_000);
        scene.nightly.min_free_bytes = u64::MAX;
        assert!(matches!(scene.nightly.look(), Err(ExportError::Full)));
        assert!(!scene.directory.path().join(TRADES).exists());
        scene.nightly.min_free_bytes = 0;
        assert!(scene.look().is_some());
    }

    #[test]
    fn room_that_comes_back_leaves_files_behind() {
        let scene = Scene::new();
        for (second, code) in ["KRW-A", "KRW-B", "KRW-C"].iter().enumerate() {
            scene.seal_stream(&format!("{code}_trade"), second as u64);
        }
        let tape = Tape::new(Some(scene.files.clone()), Path::new(""));
        let date = "2026-11-22".parse().unwrap();
        let day = Day::plan(&tape, &mut ToldGaps::default(), date, &scene.nightly.selected).unwrap();
        let lake = Lake::open(&scene.nightly.directory, 0, stamp(0)).unwrap();
        // There is none when the second file begins, as if what it had taken were given up, and then again.
        let looks = AtomicUsize::new(0);
        let has_room = || looks.fetch_add(1, Ordering::Relaxed) != 1;
        let mut sum = Sum::default();
        let bounds = Bounds::new(&|| false, &has_room);
        let ended = lake.run_within(day.jobs, 2, bounds, &mut |done| drop(sum.add(&done)));
        assert!(matches!(ended, Err(ExportError::Full)) && sum.written < 3, "{ended:?} {sum:?}");
    }
}
