//! A run over the archive: plans a date at a time, and deletes in batches, so that something else can be done in between.
//!
//! ```text
//! next_batch ──▶ files of one directory ──execute──▶ `pruned` lines, synced ──▶ files removed ──▶ directory synced
//!                                                    └ a kill: the files are there, and the next run removes them
//! ```

use super::holdings;
use super::plan::{KeepLimits, Planner, Removal};
use crate::clock::Stamp;
use crate::files::{Files, IoError};
use crate::recording::seal::listing;
use crate::tape::manifest::PrunedLine;
use jiff::civil::Date;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// Files of a batch: a sync of the manifest for so many, and what a kill leaves announced and not removed. Removing them
/// takes some tens of milliseconds, which a stop can wait for.
const BATCH: usize = 1_000;

/// See the module.
#[derive(Debug)]
pub struct Run {
    files: Arc<dyn Files>,
    planner: Planner,
    dates: VecDeque<Date>,
    planned: VecDeque<Removal>,
    now: Stamp,
    uploaded_to: Option<String>,
    pruned: Pruned,
}

/// What a run has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The newest of their last lines.
    pub until: Stamp,
}

impl Run {
    /// Looks at the archive at `now`.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn begin(files: Arc<dyn Files>, limits: KeepLimits, now: Stamp) -> Result<Self, IoError> {
        let dates = holdings::dates(&*files)?;
        let mut total = 0;
        // Only this limit needs the sizes of all files.
        for date in dates.iter().filter(|_| limits.keep_bytes.is_some()) {
            total += holdings::bytes(&*files, *date)?;
        }
        let planner = Planner::new(limits, now, total);
        Ok(Self {
            files,
            planner,
            dates: dates.into_iter().collect(),
            planned: VecDeque::new(),
            now,
            uploaded_to: None,
            pruned: Pruned::default(),
        })
    }

    /// Deletes only what is in this store, and proved there; `None`: whatever is beyond the limits.
    #[must_use]
    pub fn once_uploaded_to(mut self, store: Option<String>) -> Self {
        self.uploaded_to = store;
        self
    }

    /// The next files to be deleted, all of one directory; none: the run is over.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn next_batch(&mut self) -> Result<Vec<Removal>, IoError> {
        while self.planned.is_empty() {
            let Some(date) = self.dates.pop_front().filter(|date| self.planner.reaches(*date)) else {
                self.dates.clear();
                return Ok(Vec::new());
            };
            self.planned.extend(self.planner.plan(holdings::day(&*self.files, date, self.uploaded_to.as_deref())?));
        }
        let mut batch: Vec<Removal> = Vec::new();
        while let Some(removal) = self.planned.front() {
            let is_elsewhere = batch.first().is_some_and(|first| first.name.directory() != removal.name.directory());
            if is_elsewhere || batch.len() == BATCH {
                break;
            }
            batch.extend(self.planned.pop_front());
        }
        Ok(batch)
    }

    /// Deletes a batch. Where the disk has no room for its lines, one file goes first, and makes some.
    ///
    /// # Errors
    /// A file operation failed; what is announced by then is deleted by the next run.
    pub fn execute(&mut self, batch: &[Removal]) -> Result<(), IoError> {
        match self.delete(batch) {
            Err(error) if error.is_full() && batch.len() > 1 => {
                let (first, rest) = batch.split_at(1);
                self.delete(first)?;
                self.delete(rest)
            }
            deleted => deleted,
        }
    }

    /// What it has deleted so far.
    pub fn pruned(&self) -> Pruned {
        self.pruned
    }

    fn delete(&mut self, batch: &[Removal]) -> Result<(), IoError> {
        let Some(first) = batch.first() else { return Ok(()) };
        let directory = first.name.directory();
        // Also of what an earlier run has announced: a sync without room may have lost its line, while it can be read still.
        let lines: String = batch.iter().filter_map(|removal| self.line(removal)).collect();
        listing::append_lines(&*self.files, &first.name.manifest(), &lines)?;
        let sync = || self.files.sync_directory(&directory).map_err(IoError::at("sync the directory", &directory));
        // Also that the source of a sealed file is gone, or it could come back alone.
        sync()?;
        for removal in batch {
            let path = removal.name.sealed();
            match self.files.remove(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                removed => removed.map_err(IoError::at("remove", &path))?,
            }
            self.pruned.files += 1;
            self.pruned.bytes += removal.bytes;
            self.pruned.until = self.pruned.until.max(removal.last);
        }
        sync()
    }

    fn line(&self, removal: &Removal) -> Option<String> {
        let name = removal.name.sealed().file_name()?.to_str()?.to_owned();
        Some(PrunedLine { name, pruned: self.now, reason: removal.reason.clone() }.to_line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;
    use crate::tape::segment_name::SegmentName;
    use crate::tape::stream_key::StreamKey;
    use crate::tape::words::PruneReason;
    use crate::upbit::feed::Feed;
    use std::path::PathBuf;
    use std::time::Duration;

    /// A sealed file of content "sealed", and its manifest with one line.
    struct Scene {
        directory: tempfile::TempDir,
        sealed: PathBuf,
        manifest: PathBuf,
    }

    /// The first stamp of the file, long ago.
    fn first() -> Stamp {
        Stamp::from_micros(1_795_324_324_000_000).unwrap()
    }

    fn now() -> Stamp {
        first().after(Duration::from_secs(864_000))
    }

    impl Scene {
        fn new(line: impl FnOnce(String) -> String) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let stream = StreamKey::from_stem("KRW-BTC_trade").unwrap();
            let name = SegmentName { feed: Feed::Public, stream, epoch: 0, first: first() };
            let [sealed, manifest] = [name.sealed(), name.manifest()].map(|path| directory.path().join(path));
            std::fs::create_dir_all(sealed.parent().unwrap()).unwrap();
            std::fs::write(&sealed, "sealed").unwrap();
            let file = sealed.file_name().unwrap().to_str().unwrap().to_owned();
            std::fs::write(&manifest, line(file)).unwrap();
            Self { directory, sealed, manifest }
        }

        /// One run; returns whether the file is left, and the manifest.
        fn run(self) -> (bool, String) {
            self.run_once_uploaded_to(None)
        }

        fn run_once_uploaded_to(self, store: Option<&str>) -> (bool, String) {
            let limits = KeepLimits { keep_for: Some(Duration::from_secs(1)), keep_bytes: None };
            let disk = Arc::new(Disk::open(self.directory.path()).unwrap());
            let mut run = Run::begin(disk, limits, now()).unwrap().once_uploaded_to(store.map(str::to_owned));
            let batch = run.next_batch().unwrap();
            run.execute(&batch).unwrap();
            (self.sealed.exists(), std::fs::read_to_string(&self.manifest).unwrap())
        }
    }

    #[test]
    fn what_is_announced_is_announced_again_before_it_goes() {
        let line = |name: String, pruned| PrunedLine { name, pruned, reason: PruneReason::Bytes.into() }.to_line();
        let scene = Scene::new(|name| line(name, first()));
        let name = scene.sealed.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(scene.run(), (false, line(name.clone(), first()) + &line(name, now())));
    }

    #[test]
    fn what_is_announced_goes_though_it_is_in_no_store() {
        let line = |name| PrunedLine { name, pruned: first(), reason: PruneReason::Bytes.into() }.to_line();
        assert!(!Scene::new(line).run_once_uploaded_to(Some("s3://tape")).0);
        let listed = |name| format!("{{\"name\":\"{name}\",\"last\":{},\"zst_bytes\":6}}\n", first().as_micros());
        assert!(Scene::new(listed).run_once_uploaded_to(Some("s3://tape")).0, "what is sealed is awaited");
    }

    #[test]
    fn a_file_that_is_not_as_listed_stays() {
        for (zst_bytes, is_left) in [(6, false), (7, true)] {
            let listed = |name| {
                let last = first().as_micros();
                format!("{{\"name\":\"{name}\",\"last\":{last},\"zst_bytes\":{zst_bytes}}}\n")
            };
            assert_eq!(Scene::new(listed).run().0, is_left, "{zst_bytes}");
        }
    }
}
