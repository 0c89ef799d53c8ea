//! The export of `record`: each day once it is over, on a thread of its own at the lowest priority.
//!
//! ```text
//! day.json: written at … ──▶ .exported of the lake says another time, or none ──▶ the day's files ──▶ .exported
//! ```
//!
//! `day.json` is there once all of a day is sealed, and written again where a gap was told later: so is the lake.

use super::pool::{Done, Lake};
use super::{ExportError, Sum};
use crate::clock::{Clock, Stamp, sleep_until};
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
    fn look(&self) -> Result<(), ExportError> {
        let Some(files) = Disk::readable(&self.data_dir)? else { return Ok(()) };
        let tape = Tape::new(Some(files), &self.data_dir);
        let summed_up = self.summed_up(&tape)?;
        let lake = Lake::open(&self.directory, self.clock.stamp())?;
        let mut exported = read(&lake.disk);
        for (date, written) in summed_up.into_iter().rev() {
            if exported.get(&date) == Some(&written) {
                continue;
            }
            if self.export(&lake, &tape, date)? {
                exported.insert(date, written);
                write(&lake.disk, &exported)?;
            }
        }
        Ok(())
    }

    /// The days that are complete, and when each was summed up.
    fn summed_up(&self, tape: &Tape) -> Result<BTreeMap<Date, Stamp>, ExportError> {
        let dates = tape.dates().map_err(super::ReadError::from)?;
        let written = |date: Date| {
            let text: SummaryText = tape.written_summary(date)?;
            Some((date, text.parse()?.written))
        };
        Ok(dates.into_iter().filter_map(written).collect())
    }

    /// Exports a day; `false`: a part of it failed, and is tried again.
    fn export(&self, lake: &Lake, tape: &Tape, date: Date) -> Result<bool, ExportError> {
        let stop = || self.shutdown.is_cancelled();
        let day = Day::plan(tape, &mut ToldGaps::default(), date, &self.selected).map_err(super::ReadError::from)?;
        let mut sum = Sum::default();
        lake.run(day.jobs, 1, &stop, &mut |done: Done| drop(sum.add(&done)))?;
        if stop() {
            return Err(ExportError::Stopped);
        }
        let Sum { written, failed, rows, bytes, unreadable, .. } = sum;
        if written + failed > 0 {
            tracing::info!(%date, files = written, rows, size = %rounded_size(bytes), unreadable, failed, "exported a day");
        }
        Ok(failed == 0)
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
