//! The certificate of an audit, beside the manifest: `archive/date=2026-11-22/audit.json`.
//!
//! ```text
//! audit.json.<pid>.tmp ──a stream at a time──▶ totals and verdict ──fsync──▶ rename ──▶ audit.json
//! ```
//!
//! It is streamed, one audited stream at a time, so memory stays constant; the rename makes it atomic.

use super::day::Day;
use crate::clock::Stamp;
use crate::files::disk::Disk;
use crate::files::open::Access;
use crate::files::{EntryKind, Files, IoError};
use crate::tape::certificate::{Head, Residue, StreamAudit, Tail, Unaudited, Verdict};
use crate::tape::paths;
use crate::tape::quarantine::{clear, clear_directories};
use crate::upbit::feed::Feed;
use bigdecimal::BigDecimal;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// See the module. Dropped before it is finished it removes its temporary file.
#[derive(Debug)]
pub struct Certificate {
    disk: Disk,
    path: PathBuf,
    unfinished: PathBuf,
    out: BufWriter<File>,
    /// Findings so far.
    pub totals: Totals,
    unaudited: Vec<Unaudited>,
}

/// Totals over all streams.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Streams.
    pub streams: usize,
    /// Equal minutes.
    pub exact: usize,
    /// Different minutes.
    pub differs: usize,
    /// Minutes without data on the tape.
    pub no_data: usize,
    /// The largest residue.
    pub residue: Residue,
    /// The largest undetectable amount of any minute, each in its own asset.
    pub blind_below: BigDecimal,
    /// Streams with minutes that could hide a trade.
    pub blind_streams: usize,
    /// Streams that could not be audited.
    pub unaudited: usize,
}

impl Totals {
    /// Whether every minute of every stream is equal. An audit of no minutes proves nothing.
    pub fn is_exact(&self) -> bool {
        self.exact > 0 && self.differs == 0 && self.no_data == 0 && self.unaudited == 0
    }

    /// The verdict in one word. Unaudited minutes are neither right nor wrong.
    pub fn verdict(&self) -> Verdict {
        match self {
            _ if self.is_exact() => Verdict::Exact,
            Self { differs: 0, no_data: 0, unaudited: 1.., .. } => Verdict::Unaudited,
            _ => Verdict::Differs,
        }
    }
}

impl Certificate {
    /// Begins the certificate of a day; `now` is the stamp of the audit. A file in its place goes to the quarantine.
    ///
    /// # Errors
    /// The directory or the file cannot be made.
    pub fn begin(data_dir: &Path, day: &Day, now: Stamp) -> Result<Self, IoError> {
        let disk = Disk::open(data_dir).map_err(IoError::at("write", data_dir))?;
        let directory = paths::date_directory(Feed::Public, day.date);
        let path = directory.join(paths::CERTIFICATE);
        // Two audits of one day may run at the same time.
        let unfinished = directory.join(format!("{}.{}.tmp", paths::CERTIFICATE, std::process::id()));
        let begin = || {
            clear_directories(&disk, &directory).map_err(|error| error.source)?;
            disk.make_directory(&directory)?;
            for file in [&path, &unfinished] {
                clear(&disk, Feed::Public, file, EntryKind::File).map_err(|error| error.source)?;
            }
            match disk.remove(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                // A dead process with the same pid left it.
                _ => disk.file(&unfinished, Access::Create),
            }
        };
        let out = BufWriter::new(begin().map_err(IoError::at("write", &data_dir.join(&unfinished)))?);
        let mut certificate = Self { disk, path, unfinished, out, totals: Totals::default(), unaudited: Vec::new() };
        let head = json(&Head {
            date: day.date,
            from: Day::shown(day.from),
            until: Day::shown(day.until),
            whole: day.is_whole(),
            audited: now,
            version: env!("CARGO_PKG_VERSION").into(),
        });
        certificate.write(format_args!("{},\"streams\":[", &head[..head.len() - 1]))?;
        Ok(certificate)
    }

    /// Adds a stream.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, audit: &StreamAudit) -> Result<(), IoError> {
        let separator = if self.totals.streams == 0 { "\n" } else { ",\n" };
        self.write(format_args!("{separator}{}", json(audit)))?;
        self.totals.streams += 1;
        self.totals.exact += audit.exact;
        self.totals.differs += audit.differs;
        self.totals.no_data += audit.no_data;
        self.totals.residue.widen(&audit.residue);
        self.totals.blind_streams += usize::from(!audit.blind_minutes.is_empty());
        if audit.blind_below > self.totals.blind_below {
            self.totals.blind_below.clone_from(&audit.blind_below);
        }
        Ok(())
    }

    /// Names a stream that could not be audited.
    pub fn leave_out(&mut self, stream: Unaudited) {
        self.totals.unaudited += 1;
        self.unaudited.push(stream);
    }

    /// Writes the verdict, syncs, and renames the file into place, replacing an earlier one. Returns the path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(mut self) -> Result<PathBuf, IoError> {
        let Totals { exact, differs, no_data, residue, blind_below, .. } = self.totals.clone();
        let (verdict, unaudited) = (self.totals.verdict(), std::mem::take(&mut self.unaudited));
        let end = json(&Tail { blind_below, differs, exact, no_data, residue, unaudited, verdict });
        self.write(format_args!("\n],{}\n", &end[1..]))?;
        let shown = |path: &Path| self.disk.path().join(path);
        let written = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        written.map_err(IoError::at("write", &shown(&self.unfinished)))?;
        self.disk.replace(&self.unfinished, &self.path).map_err(IoError::at("write", &shown(&self.path)))?;
        Ok(shown(&self.path))
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) -> Result<(), IoError> {
        self.out.write_fmt(text).map_err(IoError::at("write", &self.disk.path().join(&self.unfinished)))
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // Fails after `finish`, which leaves nothing to remove.
        let _ = self.disk.remove(&self.unfinished);
    }
}

fn json(part: &impl Serialize) -> String {
    serde_json::to_string(part).expect("strings and numbers always serialise")
}
