//! The start on a data directory, in its order: each step is durable before the next one relies on it.
//!
//! ```text
//! .state, .durable ──▶ version, venue ──▶ survey ──▶ resume ──▶ .state: running ──▶ mend, sync
//!                                                      └─ another epoch: .state: stepping ──▶ mend, sync ──▶ .state: epoch
//! ```

use super::checkpoint::{self, Checkpoint, StateFile};
use super::mend::{Mended, Mending, Scope, Survey, mend};
use super::resume::{Evidence, Resumed, is_usable};
use super::rotation::Rotation;
use crate::clock::{Position, Stamp};
use crate::exit::Exit;
use crate::files::{Files, IoError};
use crate::tape::durable::DurableMark;
use crate::tape::segment_name::date;
use crate::tape::state::{State, VERSION};
use crate::tape::words::EpochReason;
use crate::upbit::feed::PerFeed;
use crate::upbit::venue::{OtherVenue, Venue};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a start is made for.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The exchange that is recorded.
    pub venue: &'a Venue,
    /// The directory, for people.
    pub directory: &'a Path,
    /// The feeds that are recorded.
    pub wanted: PerFeed<bool>,
    /// When segments end.
    pub rotation: Rotation,
    /// The time.
    pub now: Stamp,
}

/// A directory that is ready for the first line.
#[derive(Debug)]
pub struct Started {
    /// The state that is durable now.
    pub state: State,
    /// Why another epoch began, if one did.
    pub reason: Option<EpochReason>,
    /// Stamps follow this one.
    pub last: Stamp,
    /// The epoch has a line; its first one has the stamp that follows.
    pub has_begun: bool,
    /// The files.
    pub mended: Mended,
    /// Replaces the state from now on.
    pub checkpoint: Checkpoint,
}

/// Why a directory is not recorded into.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It was written by a later version.
    #[error(
        "this directory has format version {found}, and this program writes {VERSION}: use the program that wrote it, or another data_dir"
    )]
    Version {
        /// Its version.
        found: u32,
    },
    /// It is of another exchange.
    #[error(transparent)]
    Venue(#[from] OtherVenue),
    /// A file operation failed.
    #[error("cannot put the data directory in order: {0}")]
    Io(#[from] IoError),
}

impl StartError {
    /// The code to exit with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Version { .. } | Self::Venue(_) => Exit::Config,
            Self::Io(_) => Exit::Io,
        }
    }
}

/// What a start would go on with.
#[derive(Debug)]
pub struct Preview {
    /// The decision.
    pub resumed: Resumed,
    /// The number of active files.
    pub active: usize,
    /// Nothing was recorded here yet.
    pub is_first: bool,
}

/// Decides as [`start`] does, and touches nothing.
///
/// # Errors
/// The start would be refused, or a file operation failed.
pub fn preview(files: Arc<dyn Files>, terms: &Terms<'_>) -> Result<Preview, StartError> {
    let found = Found::look(files, terms, Survey::preview)?;
    Ok(Preview { resumed: found.resume(terms), active: found.survey.tails.active(), is_first: found.is_first() })
}

/// Starts.
///
/// # Errors
/// Nothing was recorded, and the next start repeats everything.
pub fn start(files: Arc<dyn Files>, terms: &Terms<'_>) -> Result<Started, StartError> {
    let found = Found::look(files.clone(), terms, Survey::take)?;
    let Resumed { mut state, step, epoch, last, has_begun, is_clean } = found.resume(terms);
    let is_first = found.is_first();
    let Found { mut file, mark, survey, is_known } = found;
    if !is_known && step.is_some() {
        tracing::warn!(
            epoch = state.epoch,
            ".state is missing or older than the files: stamps go on in another epoch, and each stream is in doubt from its last line on"
        );
    }
    state.dates.clone_from(&survey.dates);
    file.skip_to(mark.map_or(0, |mark| mark.generation));
    let (ending, reason) = step.unzip();
    file.replace(&ending.map_or(state.clone(), |ending| State { dates: state.dates.clone(), ..ending }))?;
    if is_first {
        let heard = PerFeed::default();
        let first = DurableMark { durable: last, epoch: state.epoch, heard, generation: file.generation() };
        checkpoint::write_mark(&*files, first)?;
    }
    let requests = PerFeed::from_fn(|feed| &*state.feeds[feed].requests);
    let continued = is_clean.then_some(terms.rotation);
    let mended = mend(survey, &*files, &Mending { epoch, now: terms.now, continued, requests })?;
    file.replace(&state)?;
    let durable = mark.map_or(Position { epoch: state.epoch, stamp: state.began }, DurableMark::position);
    let checkpoint = Checkpoint::new(file, state.clone(), durable);
    Ok(Started { state, reason, last, has_begun, mended, checkpoint })
}

/// Looks at a directory.
type Look = fn(&dyn Files, &Scope) -> Result<Survey, IoError>;

/// A directory as a start finds it.
struct Found {
    file: StateFile,
    mark: Option<DurableMark>,
    survey: Survey,
    /// The state knows of everything.
    is_known: bool,
}

impl Found {
    fn look(files: Arc<dyn Files>, terms: &Terms<'_>, look: Look) -> Result<Self, StartError> {
        let (file, mark) = (StateFile::read(files.clone()), checkpoint::read_mark(&*files));
        refuse(&file, terms)?;
        let (survey, is_known) = survey(&*files, &file, mark, terms.now, look)?;
        Ok(Self { file, mark, survey, is_known })
    }

    fn is_first(&self) -> bool {
        self.mark.is_none() && self.file.state().is_none() && self.survey.tails.is_empty()
    }

    fn resume(&self, terms: &Terms<'_>) -> Resumed {
        let evidence = Evidence {
            state: self.file.state().filter(|_| self.is_known),
            mark: self.mark,
            tails: &self.survey.tails,
            venue: terms.venue.as_str(),
            wanted: terms.wanted,
            now: terms.now,
        };
        evidence.resume()
    }
}

fn refuse(file: &StateFile, terms: &Terms<'_>) -> Result<(), StartError> {
    match file.state() {
        Some(state) if state.version > VERSION => Err(StartError::Version { found: state.version }),
        Some(state) => Ok(Venue::check(&state.venue, terms.venue, terms.directory)?),
        None => Ok(()),
    }
}

/// Looks at the dates that the state names, or at all where it does not know of everything; returns whether it does.
fn survey(
    files: &dyn Files,
    file: &StateFile,
    mark: Option<DurableMark>,
    now: Stamp,
    look: Look,
) -> Result<(Survey, bool), IoError> {
    if let Some(state) = file.state() {
        let tomorrow = now.after(Duration::from_secs(86_400));
        let since = mark.map_or(tomorrow, |mark| mark.durable.min(tomorrow));
        let scope = Scope::Some { named: state.dates.clone(), since: date(since) };
        let survey = look(files, &scope)?;
        if is_usable(state, file.generation(), mark, &survey.tails) {
            return Ok((survey, true));
        }
    }
    Ok((look(files, &Scope::All)?, false))
}
