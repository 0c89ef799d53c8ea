//! What the reading verbs share: which streams and which times are meant, and the directory that they are in.

use super::descriptors;
use super::process::{GRACE, Host};
use crate::clock::Stamp;
use crate::exit::Exit;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::reading::streams::{Choice, Named};
use crate::reading::times::Time;
use crate::tape::reader::{Lines, Selection, Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};

/// A span of receive times.
#[derive(Args, Clone, Debug)]
pub(super) struct SpanArgs {
    /// The first time: RFC 3339 (UTC without an offset), a date, `today`, `yesterday`, -2h (so long ago), or a stamp. Without
    /// it: from the beginning.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) from: Option<Time>,
    /// The time at which to end, not included. Without it: to the end.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(super) to: Option<Time>,
}

/// Why a directory is not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// There is no such directory.
    #[error("there is no directory {}: name another one with --set data_dir=…", .0.display())]
    NoDirectory(PathBuf),
    /// Nothing is meant that is there.
    #[error("the directory {} has no stream that is meant by {}; `ls` shows those that it has", directory.display(), patterns.join(" "))]
    NoStream {
        /// The data directory.
        directory: PathBuf,
        /// What was asked for.
        patterns: Vec<String>,
    },
    /// A span that ends before it begins.
    #[error("--to is not later than --from: nothing is in between")]
    NoSpan,
    /// Tapes that are not of one market.
    #[error("{} has records of {other}, and {} of {one}: the same codes are other pairs there", directory.display(), first.display())]
    TwoVenues {
        /// The first directory, and its venue.
        first: PathBuf,
        /// See `first`.
        one: String,
        /// One of another venue.
        directory: PathBuf,
        /// See `directory`.
        other: String,
    },
    /// A stream that has no table.
    #[error("{0} has neither trades nor tickers: --csv has a table for nothing else")]
    NoTable(StreamKey),
    /// Streams of two tables.
    #[error("trades and tickers have different columns: ask for them one after the other")]
    TwoTables,
    /// The tape cannot be read.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// Standard output.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl ReadError {
    /// How a verb ends with it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::NoSpan | Self::NoTable(_) | Self::TwoTables | Self::TwoVenues { .. } => Exit::Usage,
            Self::NoStream { .. } => Exit::Wrong,
            Self::NoDirectory(_) | Self::Tape(_) | Self::Output(_) => Exit::Io,
        }
    }
}

impl From<IoError> for ReadError {
    fn from(error: IoError) -> Self {
        Self::Tape(error.into())
    }
}

impl SpanArgs {
    /// What is meant at `now`.
    ///
    /// # Errors
    /// It ends before it begins.
    pub(super) fn stamps(&self, now: Stamp) -> Result<std::ops::RangeInclusive<Stamp>, ReadError> {
        let from = self.from.map_or(Stamp::default(), |time| time.stamp(now));
        let to = self.to.map_or(Stamp::MAX, |time| time.stamp(now).previous());
        if from <= to { Ok(from..=to) } else { Err(ReadError::NoSpan) }
    }
}

/// The tape in a data directory.
///
/// # Errors
/// There is none, or it cannot be opened.
pub(super) fn open(host: &Host, directory: &Path) -> Result<Tape, ReadError> {
    let what = format!("the data directory {}", directory.display());
    let files = host.waiting.during(what, GRACE, || Disk::readable(directory))?;
    let files = files.ok_or_else(|| ReadError::NoDirectory(directory.to_owned()))?;
    // A stream has a file open.
    descriptors::raise_limit(host.config.storage.max_streams);
    Ok(Tape::new(Some(files), directory))
}

/// The selected lines of all streams that are meant.
///
/// # Errors
/// None is there, or a tree cannot be listed.
pub(super) fn select(
    tape: &Tape,
    directory: &Path,
    patterns: &[String],
    selected: &Selection,
) -> Result<Vec<(Named, Lines)>, ReadError> {
    let choice = Choice::of(patterns);
    let mut streams = Vec::new();
    for place in choice.places() {
        let lines = place.of(tape).lines_of(&|stream| choice.holds(place, stream), selected.clone())?;
        streams.extend(lines.into_iter().map(|(stream, lines)| (Named { place, stream }, lines)));
    }
    if streams.is_empty() {
        return Err(ReadError::NoStream { directory: directory.to_owned(), patterns: patterns.to_vec() });
    }
    Ok(streams)
}
