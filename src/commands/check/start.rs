//! The next start on the data directory: what it would go on with, without touching anything.

use crate::clock::Clock;
use crate::config::Config;
use crate::files::disk::Disk;
use crate::files::{Files, IoError};
use crate::recording::rotation::Rotation;
use crate::recording::start::{self, Preview, StartError, Terms};
use crate::tape::gap::GapKind;
use crate::tape::state::OpenGap;
use crate::tape::words::EpochReason;
use crate::upbit::feed::{Feed, PerFeed};
use serde::Serialize;
use std::io::{self, Write};
use std::sync::Arc;

/// See the module.
#[derive(Serialize)]
pub(super) struct ShownStart {
    /// Nothing was recorded here yet.
    first: bool,
    epoch: u64,
    /// Why another epoch begins; `None`: none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<EpochReason>,
    /// Active files that may be continued, while their period runs.
    continued: usize,
    /// Active files that are ended.
    ended: usize,
    /// The gaps that are open until the first data.
    gaps: Vec<ShownGap>,
    /// Gaps that are put on record at once.
    decided: usize,
}

#[derive(Serialize)]
struct ShownGap {
    connection: Feed,
    /// µs.
    from: u64,
    kind: GapKind,
    cause: String,
}

impl ShownStart {
    /// Looks at the data directory.
    pub(super) fn of(config: &Config) -> Result<Self, StartError> {
        let opened = match Disk::existing(&config.data_dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened.map_err(IoError::at("open the data directory", &config.data_dir))?),
        };
        let venue = config.venue();
        let terms = Terms {
            venue: &venue,
            wanted: PerFeed::from_fn(|feed| config.enabled().any(|(enabled, _)| enabled == feed)),
            rotation: Rotation { interval: config.storage.rotate_interval, bytes: config.storage.rotate_bytes },
            directory: &config.data_dir,
            now: Clock::start().stamp(),
        };
        let files = opened.map(|disk| Arc::new(disk) as Arc<dyn Files>);
        let Some(Preview { resumed, active, is_first }) =
            files.map(|files| start::preview(files, &terms)).transpose()?
        else {
            return Ok(Self {
                first: true,
                epoch: 0,
                reason: None,
                continued: 0,
                ended: 0,
                gaps: Vec::new(),
                decided: 0,
            });
        };
        let open = |feed: Feed| resumed.state.feeds[feed].open.clone().map(|open| (feed, open));
        let gaps = Feed::ALL.into_iter().filter(|feed| terms.wanted[*feed]).filter_map(open);
        let shown = |(connection, OpenGap { from, kind, cause }): (Feed, OpenGap)| ShownGap {
            connection,
            from: from.as_micros(),
            kind,
            cause,
        };
        let (continued, ended) = if resumed.is_clean { (active, 0) } else { (0, active) };
        Ok(Self {
            first: is_first,
            epoch: resumed.state.epoch,
            reason: resumed.step.as_ref().map(|(_, reason)| *reason),
            continued,
            ended,
            gaps: if is_first { Vec::new() } else { gaps.map(shown).collect() },
            decided: resumed.state.redo.len(),
        })
    }

    /// Writes it as a comment.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self { first, epoch, reason, continued, ended, gaps, decided } = self;
        if *first {
            return writeln!(out, "# The next start is the first one in this directory.");
        }
        let files = if *ended > 0 {
            format!("ends {ended} active files")
        } else {
            format!("continues {continued} active files")
        };
        match reason {
            None => writeln!(out, "# The next start goes on in epoch {epoch} and {files}.")?,
            Some(reason) => {
                let why = match reason {
                    EpochReason::Clock => "stamps on disk are ahead of the clock",
                    EpochReason::Step => "a step of the clock was not complete",
                    EpochReason::State => ".state is missing or older than the files, so each stream is in doubt",
                    EpochReason::Unreadable => "an active file cannot be read",
                };
                writeln!(out, "# The next start begins epoch {epoch} and {files}: {why}.")?;
            }
        }
        for ShownGap { connection, from, kind, cause } in gaps {
            writeln!(out, "# Its {connection} gap begins at {from} ({kind}: {cause}).")?;
        }
        if *decided > 0 {
            writeln!(out, "# It puts {decided} more gaps on record.")?;
        }
        Ok(())
    }
}
