//! Turns an ended segment into a sealed one: compressed, checksummed, verified, listed.
//!
//! ```text
//! x.jsonl less torn lines ──compress──▶ x.jsonl.zst.tmp ──fsync, verify──▶ x.jsonl.zst ──▶ manifest, x.jsonl removed
//! ```
//!
//! Idempotent at every point of interruption: the source is removed last, an existing sealed file is compared with it
//! instead of trusted, and of lines with one name the manifest's last holds.

pub mod compare;
mod error;
pub mod listing;
pub mod tally;
pub mod torn;

use super::journal::displaced::Displaced;
use super::segment::Finished;
use crate::clock::Stamp;
use crate::files::{AppendFile, CHUNK, EntryKind, Files, IoError, ReadFile};
use crate::tape::manifest::{ManifestEntry, TornLine};
use crate::tape::quarantine::{Quarantined, clear, quarantine};
use crate::upbit::venue::Venue;
use compare::{Comparison, Figures, compare, fill};
pub use error::SealError;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tally::{Checksum, Measured, Tally};
use torn::{LessTorn, Source};
use zeekstd::{EncodeOptions, FrameSizePolicy};

/// Content per zstd frame: a reader that seeks decodes at most this much too much.
const FRAME_BYTES: u32 = 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Sealer {
    files: Arc<dyn Files>,
    level: i32,
    provenance: Provenance,
    stop: Arc<AtomicBool>,
}

/// The process that seals, for its lines of the manifest.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// The stamp of its `started` event.
    pub run: Stamp,
    /// The venue of the directory.
    pub venue: Venue,
}

/// A segment that was sealed.
#[derive(Debug)]
pub struct Sealed {
    /// Its line of the manifest.
    pub entry: ManifestEntry,
    /// The plain or the sealed file, if one of them was moved to the quarantine.
    pub quarantined: Option<Quarantined>,
    /// The segment, if it was truncated after it ended.
    pub cut: Option<Displaced>,
}

impl Sealer {
    /// A sealer for one data directory. When `stop` is set, the current segment is given up and only its source is kept.
    pub fn new(files: Arc<dyn Files>, level: i32, provenance: Provenance, stop: Arc<AtomicBool>) -> Self {
        Self { files, level, provenance, stop }
    }

    /// Seals one segment.
    pub fn step(&self, finished: &Finished) -> Result<Sealed, SealError> {
        let name = &finished.name;
        clear(&*self.files, name.feed, &name.manifest(), EntryKind::File)?;
        let torn = self.left_out(finished)?;
        let likeness = compare(&*self.files, Source { name, torn: &torn }, &self.stop)?;
        let was_interrupted = !matches!(likeness, Comparison::Missing);
        let (figures, quarantined) = self.settle(Source { name, torn: &torn }, likeness)?;
        let listed = if was_interrupted { listing::find(&*self.files, name, &figures.file)? } else { None };
        let entry = listed.unwrap_or_else(|| ManifestEntry { torn, ..self.entry(finished, &figures) });
        // A line that is found is written again: it may be that of a sync that failed, whose pages the kernel calls clean.
        listing::append(&*self.files, &name.manifest(), &entry)?;
        let source = name.plain();
        match self.files.remove(&source) {
            // It was moved away, or a crash has lost its manifest line alone.
            Err(error) if error.kind() == io::ErrorKind::NotFound && was_interrupted => {}
            removed => removed.map_err(IoError::at("remove", &source))?,
        }
        let is_cut = finished.bytes.is_some_and(|bytes| figures.content.bytes < bytes);
        let cut = is_cut.then(|| Displaced::of_cut(finished, figures.content.last));
        Ok(Sealed { entry, quarantined, cut })
    }

    /// The torn lines of a segment whose copies still exist; the others stay in.
    fn left_out(&self, finished: &Finished) -> Result<Vec<TornLine>, IoError> {
        let name = &finished.name;
        let mut left_out = Vec::new();
        for torn in &finished.torn {
            let kept = torn::kept(&*self.files, name, torn.offset).map_err(IoError::at("read", &name.plain()))?;
            if kept.as_ref() == Some(torn) {
                left_out.extend(kept);
            } else {
                let segment = name.plain_name();
                tracing::warn!(segment, torn.offset, "a torn line stays in: quarantine/ has no copy of it any more");
            }
        }
        Ok(left_out)
    }

    /// Creates a sealed file that holds its source. Returns the plain or the sealed file that was moved to the
    /// quarantine, too.
    fn settle(&self, source: Source<'_>, likeness: Comparison) -> Result<(Figures, Option<Quarantined>), SealError> {
        let name = source.name;
        let move_away = |path: &Path, reason| quarantine(&*self.files, name.feed, path, reason).map(Some);
        Ok(match likeness {
            Comparison::Missing => (self.write_sealed(source)?, None),
            Comparison::Holds(figures) => (*figures, None),
            // It was made of the source as that was then, and its frames bear checksums.
            Comparison::Fuller(figures) => {
                (*figures, move_away(&name.plain(), "its sealed file holds more of its lines")?)
            }
            // A listed file was verified while its source was whole.
            Comparison::Differs(figures) if listing::find(&*self.files, name, &figures.file)?.is_some() => {
                (*figures, move_away(&name.plain(), "its sealed file is listed and holds something else")?)
            }
            Comparison::Differs(_) | Comparison::Damaged => {
                let plain = name.plain();
                // Without a source it cannot be made again.
                drop(self.files.read(&plain).map_err(IoError::at("read", &plain))?);
                let moved = move_away(&name.sealed(), "it does not decode to the segment of its name")?;
                (self.write_sealed(source)?, moved)
            }
        })
    }

    fn write_sealed(&self, source: Source<'_>) -> Result<Figures, SealError> {
        let name = source.name;
        let (unfinished, sealed) = (name.unfinished(), name.sealed());
        let result = self.write_unfinished(source, &unfinished);
        if result.is_err() {
            // The first error is reported; the next try or the next start removes a leftover.
            let _ = self.files.remove(&unfinished);
        }
        let proved = result?;
        self.files.rename(&unfinished, &sealed).map_err(IoError::at("rename", &unfinished))?;
        let directory = name.directory();
        self.files.sync_directory(&directory).map_err(IoError::at("sync the directory", &directory))?;
        Ok(proved)
    }

    fn write_unfinished(&self, source: Source<'_>, unfinished: &Path) -> Result<Figures, SealError> {
        // Checked first, so that no file is created for a missing source.
        if self.files.identify(&source.name.plain()).is_ok_and(|plain| plain.is_none()) {
            return Err(SealError::Gone(source.name.plain()));
        }
        match self.files.remove(unfinished) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(IoError::at("remove", unfinished))?,
        }
        let file = self.files.create(unfinished).map_err(IoError::at("create", unfinished))?;
        let content = self.compress(source, &*file, unfinished)?;
        file.sync().map_err(IoError::at("sync", unfinished))?;
        let file = self.prove(source, unfinished)?;
        Ok(Figures { content, file })
    }

    fn compress(&self, source: Source<'_>, file: &dyn AppendFile, path: &Path) -> Result<Tally, SealError> {
        let mut sink = Sink { file, failed: None };
        let content = self.compress_into(&mut sink, source, path);
        // The encoder wraps the disk's error, which distinguishes a full disk from a broken one.
        match sink.failed {
            Some(error) => Err(IoError::at("write", path)(error).into()),
            None => content,
        }
    }

    fn compress_into(&self, sink: &mut Sink<'_>, source: Source<'_>, path: &Path) -> Result<Tally, SealError> {
        let failed = |error| IoError::at("compress", path)(io::Error::other(error));
        let policy = FrameSizePolicy::Uncompressed(FRAME_BYTES);
        let options = EncodeOptions::new().checksum_flag(true).compression_level(self.level).frame_size_policy(policy);
        let mut encoder = options.into_encoder(sink).map_err(failed)?;
        let mut content = Tally::default();
        self.read_source(source, &mut |chunk| {
            content.update(chunk);
            encoder.write_all(chunk)
        })?;
        encoder.finish().map_err(failed)?;
        Ok(content)
    }

    /// Decodes a sealed file and compares it with its source, which is read once more. Returns the checksum of the file.
    fn prove(&self, source: Source<'_>, path: &Path) -> Result<Checksum, SealError> {
        let plain = source.name.plain();
        let mut source = self.open_source(source)?;
        let mut file = Measured::new(self.files.read(path).map_err(IoError::at("read", path))?);
        let mut decoder = zstd::stream::read::Decoder::new(&mut file).map_err(IoError::at("decode", path))?;
        let (mut decoded, mut expected) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
        loop {
            self.check_stop()?;
            fill(&mut decoder, &mut decoded).map_err(IoError::at("decode", path))?;
            fill(&mut source, &mut expected).map_err(IoError::at("read", &plain))?;
            if decoded != expected {
                return Err(SealError::Mismatch(path.to_owned()));
            }
            if decoded.is_empty() {
                break;
            }
        }
        drop(decoder);
        Ok(file.into_checksum())
    }

    fn check_stop(&self) -> Result<(), SealError> {
        if self.stop.load(Ordering::Relaxed) { Err(SealError::Stopped) } else { Ok(()) }
    }

    fn open_source<'a>(&self, Source { name, torn }: Source<'a>) -> Result<LessTorn<'a, Box<dyn ReadFile>>, SealError> {
        let path = name.plain();
        match self.files.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SealError::Gone(path)),
            source => Ok(LessTorn::new(source.map_err(IoError::at("read", &path))?, torn)),
        }
    }

    fn read_source(&self, source: Source<'_>, each: &mut Each<'_>) -> Result<(), SealError> {
        let path = source.name.plain();
        let mut source = self.open_source(source)?;
        let mut chunk = vec![0; CHUNK];
        loop {
            self.check_stop()?;
            match source.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => each(&chunk[..length]).map_err(IoError::at("compress", &path))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(IoError::at("read", &path)(error).into()),
            }
        }
    }

    fn entry(&self, finished: &Finished, figures: &Figures) -> ManifestEntry {
        let (name, Figures { content, file }) = (&finished.name, figures);
        let origin = finished.origin.as_ref();
        ManifestEntry {
            name: name.sealed().file_name().unwrap_or_default().to_string_lossy().into_owned(),
            stream: name.stream.to_string(),
            run: self.provenance.run,
            venue: Some(self.provenance.venue.clone()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            format: origin.map(|origin| origin.format.to_string()),
            subscription: origin.map(|origin| (*origin.subscription).to_owned()),
            epoch: name.epoch,
            torn: Vec::new(),
            first: content.first.unwrap_or(name.first),
            last: content.last.unwrap_or(name.first),
            lines: content.lines,
            bytes: content.bytes,
            zst_bytes: file.bytes,
            sha256: file.sha256(),
        }
    }
}

/// A sink for the next bytes of a file.
type Each<'a> = dyn FnMut(&[u8]) -> io::Result<()> + 'a;

/// Writes to a file and keeps the error that made it fail.
struct Sink<'a> {
    file: &'a dyn AppendFile,
    failed: Option<io::Error>,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.append(bytes).map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            kind.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
