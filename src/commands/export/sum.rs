//! What an export came to: each file, and their sum.

use super::pool::Done;
use crate::lake::job::{LakeError, Outcome};
use crate::quantity::rounded_size;
use jiff::civil::Date;
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file, in the shape of the JSON output.
#[derive(Serialize)]
pub(super) struct ShownFile {
    /// Below the lake.
    pub(super) file: PathBuf,
    /// `written`, `current`, `kept` or `failed`.
    pub(super) state: &'static str,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) repeats: u64,
    pub(super) unreadable: u64,
}

/// The sum, in the shape of the JSON output.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Sum {
    pub(super) written: u64,
    pub(super) current: u64,
    pub(super) kept: u64,
    pub(super) failed: u64,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// Lines that have no row, since another one has the trade, or since they are no JSON.
    pub(super) repeats: u64,
    pub(super) unreadable: u64,
    /// Streams with a segment that is not sealed yet.
    pub(super) waiting: u64,
}

impl Sum {
    /// Counts what became of a file; `None`: nothing, since the export ends before.
    pub(super) fn add(&mut self, done: &Done) -> Option<ShownFile> {
        let mut shown =
            ShownFile { file: done.path.clone(), state: "failed", rows: 0, bytes: 0, repeats: 0, unreadable: 0 };
        match &done.outcome {
            Ok(Outcome::Written(written)) => {
                (shown.state, shown.rows, shown.bytes) = ("written", written.rows, written.bytes);
                (shown.repeats, shown.unreadable) = (written.left_out.repeats, written.left_out.unreadable);
                self.written += 1;
            }
            Ok(Outcome::Current) => {
                shown.state = "current";
                self.current += 1;
            }
            Ok(Outcome::Kept) => {
                shown.state = "kept";
                self.kept += 1;
            }
            Err(LakeError::Stopped) => return None,
            Err(error) => {
                tracing::error!(file = %done.path.display(), %error, "not exported; what was there before stays");
                self.failed += 1;
            }
        }
        self.rows += shown.rows;
        self.bytes += shown.bytes;
        self.repeats += shown.repeats;
        self.unreadable += shown.unreadable;
        Some(shown)
    }

    pub(super) fn join(&mut self, other: Self) {
        let Self { written, current, kept, failed, rows, bytes, repeats, unreadable, waiting } = other;
        self.written += written;
        self.current += current;
        self.kept += kept;
        self.failed += failed;
        self.rows += rows;
        self.bytes += bytes;
        self.repeats += repeats;
        self.unreadable += unreadable;
        self.waiting += waiting;
    }

    pub(super) fn show(&self, out: &mut dyn Write, date: Date) -> io::Result<()> {
        let Self { written, current, kept, failed, rows, bytes, waiting, .. } = *self;
        let size = rounded_size(bytes);
        write!(out, "{date}  {written} files written with {rows} rows, {size}; {current} as they are to be")?;
        if kept > 0 {
            write!(out, "; {kept} kept, whose sources are gone")?;
        }
        if failed > 0 {
            write!(out, "; {failed} failed")?;
        }
        if waiting > 0 {
            write!(out, "; {waiting} streams wait to be sealed")?;
        }
        writeln!(out)
    }

    /// What a person should know.
    pub(super) fn explain(&self, directory: &Path) {
        let Self { written, current, kept, unreadable, waiting, .. } = *self;
        if written + current + kept == 0 {
            let hint = "what is active still is sealed when its segment ends: by its size, at midnight, or on SIGUSR1";
            tracing::warn!(lake = %directory.display(), "nothing is sealed of what is asked for; {hint}");
        }
        if waiting > 0 {
            tracing::warn!(streams = waiting, "segments wait to be sealed; export again once they are");
        }
        if unreadable > 0 {
            tracing::warn!(lines = unreadable, "lines that are no JSON, as a crash leaves them, were left out");
        }
    }
}
