//! Storage of fetched data: the recorder's own journal and sealer, in a separate directory.
//!
//! ```text
//! piece ──journal──▶ rest/KRW-BTC_candle.1m.jsonl ──sync──▶ checkpoint ──▶ ended segments are sealed
//! ```
//!
//! By this order a kill at any point leaves either a checkpoint, or lines after the last checkpoint, which the next
//! start counts. Segments are sealed after the checkpoint of their lines, so uncounted lines are always in plain files.

use super::checkpoint::{Checkpoint, Piece};
use crate::clock::{Clock, Stamp, Stamper};
use crate::config::Config;
use crate::files::lines::Lines;
use crate::files::{EntryKind, Files, IoError};
use crate::history::claim::Claim;
use crate::history::span::Span;
use crate::recording::journal::{Journal, JournalCommand};
use crate::recording::mend::{Mended, Mending, Scope, Survey, mend};
use crate::recording::rotation::Rotation;
use crate::recording::router::{NewStream, StreamId};
use crate::recording::seal::{Provenance, SealError, Sealer};
use crate::recording::segment::Finished;
use crate::recording::sync::{SyncError, Syncer};
use crate::rest::answer::{self, Item};
use crate::tape::checkpoint;
use crate::tape::line;
use crate::tape::paths;
use crate::tape::quarantine::{clear, quarantine};
use crate::tape::segment_name::{self, Archived};
use crate::tape::stream_key::StreamKey;
use crate::tape::words::RotationReason;
use crate::upbit::feed::{Feed, PerFeed};
use crate::upbit::series::Series;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// There are no epochs here: stamps go on behind those on disk, whatever the clock shows.
const EPOCH: u64 = 0;

/// The journal, the sealer and the checkpoints of the fetched streams.
#[derive(Debug)]
pub(super) struct Store {
    files: Arc<dyn Files>,
    clock: Clock,
    journal: Journal,
    syncer: Syncer,
    sealer: Sealer,
    stamper: Stamper,
    streams: BTreeMap<StreamKey, (StreamId, Checkpoint)>,
    /// Closed segments whose lines have no checkpoint yet.
    ended: Vec<Finished>,
}

impl Store {
    /// Opens the directory and counts the lines left by a process that died.
    ///
    /// # Errors
    /// A file operation failed.
    pub(super) fn open(
        files: Arc<dyn Files>,
        config: &Config,
        clock: Clock,
        streams: Vec<StreamKey>,
    ) -> Result<Self, SealError> {
        let storage = &config.storage;
        let rotation = Rotation { interval: storage.rotate_interval, bytes: storage.rotate_bytes };
        // Mending only moves files: lines are counted before anything is sealed.
        let survey = Survey::take(&*files, &Scope::All)?;
        let found = survey.tails.last(EPOCH);
        let requests = PerFeed::from_fn(|_| &[][..]);
        let mending = Mending { epoch: EPOCH, now: clock.stamp(), continued: None, requests };
        let Mended { backlog, .. } = mend(survey, &*files, &mending)?;
        let mut checkpoints = BTreeMap::new();
        for (index, stream) in streams.into_iter().enumerate() {
            make_way(&*files, &stream)?;
            let mut checkpoint = Checkpoint::read(&*files, &stream)?;
            count_what_was_left(&*files, &stream, &mut checkpoint)?;
            checkpoints.insert(stream, (StreamId::at(index), checkpoint));
        }
        let accounted = checkpoints.values().map(|(_, checkpoint)| checkpoint.last).max();
        let mut stamper = Stamper::after(found.max(accounted).unwrap_or_default());
        let run = stamper.raise(clock.stamp());
        let provenance = Provenance { run, venue: config.rest_venue() };
        let sealer = Sealer::new(files.clone(), storage.zstd_level, provenance, Arc::default());
        let mut journal = Journal::new(files.clone(), rotation, Vec::new(), EPOCH);
        let mut by_id: Vec<_> = checkpoints.iter().map(|(key, (id, _))| (*id, key.clone())).collect();
        by_id.sort();
        for (id, key) in by_id {
            journal.accept(JournalCommand::Open(NewStream { id, feed: Feed::Public, key }));
            journal.work()?;
        }
        let syncer = Syncer::new(files.clone());
        let mut store = Self { files, clock, journal, syncer, sealer, stamper, streams: checkpoints, ended: backlog };
        store.seal()?;
        Ok(store)
    }

    /// The time of the clock that stamps the lines.
    pub(super) fn now(&self) -> Stamp {
        self.clock.stamp()
    }

    /// The parts of `wanted` that are not on disk.
    pub(super) fn missing(&self, stream: &StreamKey, wanted: Span) -> Vec<Span> {
        self.streams.get(stream).map(|(_, checkpoint)| checkpoint.coverage.missing(wanted)).unwrap_or_default()
    }

    /// The first day of a stream's history, where known: milliseconds since the Unix epoch.
    pub(super) fn listed(&self, stream: &StreamKey) -> Option<i64> {
        self.streams.get(stream).and_then(|(_, checkpoint)| checkpoint.listed)
    }

    /// Records the first day of a stream's history.
    ///
    /// # Errors
    /// A file operation failed.
    pub(super) fn note_listed(&mut self, stream: &StreamKey, listed: i64) -> Result<(), SealError> {
        match self.streams.get_mut(stream) {
            Some((_, checkpoint)) if checkpoint.listed != Some(listed) => {
                Ok(checkpoint.note_listed(&*self.files, listed)?)
            }
            _ => Ok(()),
        }
    }

    /// See [`Checkpoint::exists_before`].
    pub(super) fn exists_before(&self, stream: &StreamKey, since: i64) -> Option<i64> {
        self.streams.get(stream).and_then(|(_, checkpoint)| checkpoint.exists_before(since))
    }

    /// Records a claim that contradicts a stream's known data.
    ///
    /// # Errors
    /// A file operation failed.
    pub(super) fn note_doubt(&mut self, stream: &StreamKey, claim: Claim) -> Result<(), SealError> {
        let now = self.clock.stamp();
        match self.streams.get_mut(stream) {
            Some((_, checkpoint)) => Ok(checkpoint.note_doubt(&*self.files, claim, now)?),
            None => Ok(()),
        }
    }

    /// Whether the exchange has repeated this claim often enough and over a long enough time.
    pub(super) fn is_believed(&self, stream: &StreamKey, claim: Claim) -> bool {
        let now = self.clock.stamp();
        self.streams.get(stream).is_some_and(|(_, checkpoint)| checkpoint.is_believed(claim, now))
    }

    /// Writes a complete piece durably; returns the number of new objects.
    ///
    /// # Errors
    /// A file operation failed.
    pub(super) fn commit(&mut self, stream: &StreamKey, span: Span, items: Vec<Item>) -> Result<usize, SealError> {
        let (id, checkpoint) = self.streams.get_mut(stream).expect("pieces are of streams that were opened");
        let mut written = 0;
        for item in items.into_iter().filter(|item| !checkpoint.ids.contains(&item.id)) {
            let stamp = self.stamper.raise(self.clock.stamp());
            self.journal.accept(JournalCommand::Event(*id, stamp, String::from(Box::<str>::from(item.object)).into()));
            self.journal.work()?;
            written += 1;
        }
        self.journal.write_out()?;
        sync(&mut self.journal, &self.syncer, &mut self.ended)?;
        checkpoint.add(&*self.files, Piece { span, objects: written, last: self.stamper.last() }, BTreeSet::new())?;
        self.seal()?;
        Ok(written)
    }

    /// Closes all segments and seals them.
    ///
    /// # Errors
    /// A file operation failed.
    pub(super) fn finish(mut self) -> Result<(), SealError> {
        self.journal.accept(JournalCommand::Rotate(RotationReason::Requested));
        self.journal.work()?;
        while self.journal.rotate_one()? {}
        sync(&mut self.journal, &self.syncer, &mut self.ended)?;
        self.seal()
    }

    fn seal(&mut self) -> Result<(), SealError> {
        for finished in std::mem::take(&mut self.ended) {
            self.sealer.step(&finished)?;
        }
        Ok(())
    }
}

fn sync(journal: &mut Journal, syncer: &Syncer, ended: &mut Vec<Finished>) -> Result<(), IoError> {
    let job = journal.take_sync_job();
    syncer.step(&job).map_err(SyncError::into_storage)?;
    ended.extend(job.finished);
    Ok(())
}

/// Quarantines foreign entries under a stream's two names: its lines cannot go to another stream.
fn make_way(files: &dyn Files, stream: &StreamKey) -> Result<(), IoError> {
    clear(files, Feed::Public, &checkpoint::path(stream), EntryKind::File)?;
    let active = paths::active(Feed::Public, stream);
    // Every segment of ours was moved to the archive.
    if files.look(&active).map_err(IoError::at("look at", &active))?.is_some() {
        quarantine(files, Feed::Public, &active, "it is none that this program has written")?;
    }
    Ok(())
}

/// Records lines after the last checkpoint as an entry of their own.
fn count_what_was_left(files: &dyn Files, stream: &StreamKey, checkpoint: &mut Checkpoint) -> Result<(), IoError> {
    let Some(series) = Series::of_type(stream.kind()) else { return Ok(()) };
    let mut left = Vec::new();
    for path in plain_files(files, stream)? {
        let file = match files.read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            file => file.map_err(IoError::at("read", &path))?,
        };
        let mut lines = Lines::new(file, line::longest(stream));
        while let Some(text) = lines.next_line().map_err(IoError::at("read", &path))? {
            // A line that is not UTF-8 was torn.
            let Ok(text) = std::str::from_utf8(text) else { continue };
            let stamp = line::stamp(text.as_bytes()).filter(|stamp| *stamp > checkpoint.last);
            left.extend(stamp.zip(answer::key(series, text)));
        }
        lines.tell(&path);
    }
    let times = || left.iter().map(|(_, key)| key.time);
    let Some((from, to)) = times().min().zip(times().max()) else { return Ok(()) };
    let ids = left.iter().filter(|(_, key)| key.time == to).map(|(_, key)| key.id).collect();
    let last = left.iter().map(|(stamp, _)| *stamp).max().unwrap_or_default();
    // The lines are synced first: a checkpoint must not outlive the data it covers.
    files.sync_all().map_err(IoError::at("sync the file system of", Path::new(".")))?;
    checkpoint.add(files, Piece { span: Span { from, to }, objects: left.len(), last }, ids)
}

/// The unsealed files of a stream: the active one, and those in the archive.
fn plain_files(files: &dyn Files, stream: &StreamKey) -> Result<Vec<PathBuf>, IoError> {
    let list = |path: &Path| files.list(path).map_err(IoError::at("list", path));
    let mut found = vec![paths::active(Feed::Public, stream)];
    let archive = paths::archive(Feed::Public);
    for date in list(&archive)? {
        let Some(name) = date.name.to_str().filter(|name| paths::is_date_directory(name)) else { continue };
        let directory = archive.join(name);
        for file in list(&directory)? {
            let archived = file.name.to_str().and_then(|file| segment_name::parse_archived(Feed::Public, name, file));
            if matches!(archived, Some(Archived::Plain(segment)) if segment.stream == *stream) {
                found.push(directory.join(&file.name));
            }
        }
    }
    Ok(found)
}
