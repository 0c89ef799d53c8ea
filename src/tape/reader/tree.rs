//! The tree of files that a tape is: `data_dir`, its `private/`, or its `rest/`.

use super::error::TapeError;
use super::manifest::{Listing, Manifest};
use super::uploaded::Uploaded;
use crate::files::open::Obstacle;
use crate::files::{Files, Identity, IoError, ReadFile};
use crate::tape::durable::DurableMark;
use crate::tape::paths;
use crate::tape::state::{SLOT, State};
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module. Paths are relative to it.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    files: Arc<dyn Files>,
    /// Where it is below the directory of `files`.
    below: PathBuf,
    /// That directory, as errors show it.
    root: PathBuf,
}

impl Tree {
    pub(super) fn new(files: Arc<dyn Files>, root: PathBuf) -> Self {
        Self { files, below: PathBuf::new(), root }
    }

    /// The tree in a directory of this one.
    pub(super) fn beneath(&self, directory: &Path) -> Self {
        Self { below: self.below.join(directory), ..self.clone() }
    }

    /// A path as it is shown.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        self.root.join(self.below.join(path))
    }

    /// Opens a file; `None` where it is not there.
    pub(super) fn open(&self, path: &Path) -> Result<Option<Box<dyn ReadFile>>, TapeError> {
        match self.files.read(&self.below.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            file => file.map(Some).map_err(self.failed("open", path)),
        }
    }

    /// The epoch that the recorder's own files name; 0 where there are none, as in `rest/`.
    pub(super) fn epoch(&self) -> u64 {
        let mark = DurableMark::parse(&self.own(paths::MARK)).map(|mark| mark.epoch);
        self.state().map(|state| state.epoch).max(mark).unwrap_or_default()
    }

    /// The newest state that is whole.
    pub(super) fn state(&self) -> Option<State> {
        let states = self.own(paths::STATE);
        let newest = states.chunks(SLOT).filter_map(State::of_slot).max_by_key(|(generation, _)| *generation);
        newest.map(|(_, state)| state)
    }

    /// A file of the recorder's own; empty where it cannot be read.
    fn own(&self, name: &str) -> Vec<u8> {
        let private = paths::root(Feed::Private);
        let home = if self.below == private { Path::new("") } else { &self.below };
        let mut content = Vec::new();
        let read = self.files.read(&home.join(name)).and_then(|mut file| file.read_to_end(&mut content));
        read.map_or_else(|_| Vec::new(), |_| content)
    }

    /// The same where another thing may have its name.
    pub(super) fn open_unless_in_the_way(&self, path: &Path) -> Result<Option<Box<dyn ReadFile>>, TapeError> {
        match self.files.read(&self.below.join(path)) {
            Err(error) if is_nothing(&error) => Ok(None),
            file => file.map(Some).map_err(self.failed("open", path)),
        }
    }

    /// Whether a file that is held open has this name still.
    pub(super) fn is_still(&self, path: &Path, held: &dyn ReadFile) -> Result<bool, TapeError> {
        let is_it = |held: Identity| {
            let now = self.files.identify(&self.below.join(path))?;
            Ok(now.is_some_and(|now| now.file == held.file))
        };
        held.identify().and_then(is_it).map_err(self.failed("look at", path))
    }

    /// The names in a directory that are text; none where there is no such directory.
    pub(super) fn names(&self, path: &Path) -> Result<Vec<String>, TapeError> {
        let names = match self.files.names(&self.below.join(path)) {
            // An obstacle with the name of the tree holds nothing.
            Err(error) if path.as_os_str().is_empty() && is_nothing(&error) => Vec::new(),
            names => names.map_err(self.failed("list", path))?,
        };
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// What a manifest says of a stream; nothing if an obstacle has its name, because sealed files are readable without.
    pub(super) fn listing(&self, manifest: &Path, stream: &StreamKey) -> Result<Listing, TapeError> {
        self.listing_by(manifest, |opened| opened.listing_of(stream))
    }

    /// The same of all streams.
    pub(super) fn listing_of_all(&self, manifest: &Path) -> Result<Listing, TapeError> {
        self.listing_by(manifest, Manifest::read)
    }

    /// The same of some files.
    pub(super) fn listing_of_files(&self, manifest: &Path, names: &BTreeSet<String>) -> Result<Listing, TapeError> {
        self.listing_by(manifest, |opened| opened.listing_of_files(names))
    }

    /// What is uploaded of a date.
    pub(super) fn uploaded(&self, directory: &Path, to: &str) -> Result<Uploaded, TapeError> {
        let read = Uploaded::read(&*self.files, &self.below.join(directory), to);
        read.map_err(|error| IoError { path: self.shown(&directory.join(paths::UPLOADED)), ..error }.into())
    }

    fn listing_by(
        &self,
        manifest: &Path,
        read: impl FnOnce(Manifest) -> Result<Listing, IoError>,
    ) -> Result<Listing, TapeError> {
        let listing = match Manifest::open(&*self.files, &self.below.join(manifest)) {
            Err(error) if is_nothing(&error.source) => return Ok(Listing::default()),
            opened => opened.and_then(|opened| opened.map_or_else(|| Ok(Listing::default()), read)),
        };
        listing.map_err(|error| IoError { path: self.shown(manifest), ..error }.into())
    }

    pub(super) fn failed(&self, action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> TapeError {
        let at = IoError::at(action, &self.shown(path));
        move |source| at(source).into()
    }
}

/// Whether there is none of ours.
fn is_nothing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || Obstacle::of(error).is_some()
}
