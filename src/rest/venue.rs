//! One venue: that of the addresses in use, and that of the directory of fetched data.
//!
//! ```text
//! public.url · private.url · rest.url · venue ──▶ do they agree?
//! rest/.venue    {"venue":"upbit-kr"}         ──▶ is it theirs?
//! ```
//!
//! The name has a file of its own, written durably before the first request: a checkpoint tells of its stream alone, so
//! the first fetch of another stream would find nothing there that contradicts it. A directory without the file is
//! adopted.

use crate::config::Config;
use crate::exit::Exit;
use crate::files::disk::Disk;
use crate::files::open::Obstacle;
use crate::files::{Files, IoError};
use crate::tape::quarantine::quarantine;
use crate::upbit::feed::Feed;
use crate::upbit::venue::{OtherVenue, Venue};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// The file, relative to the REST directory.
pub const FILE: &str = ".venue";

/// The size bound of the file: four times the longest name.
const MAX_BYTES: u64 = 1024;

/// The file's content.
#[derive(Serialize, Deserialize)]
struct Recorded {
    venue: Venue,
}

/// Why a venue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VenueError {
    /// The addresses in use are of two.
    #[error(transparent)]
    Conflict(#[from] VenueConflict),
    /// The fetched data is of another one.
    #[error(transparent)]
    Other(#[from] OtherVenue),
    /// The venue of the fetched data cannot be read or written.
    #[error(transparent)]
    Storage(#[from] IoError),
}

impl VenueError {
    /// The exit code of a command that cannot go on.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Conflict(_) | Self::Other(_) => Exit::Config,
            Self::Storage(_) => Exit::Io,
        }
    }
}

/// Two settings mean different venues.
#[derive(Debug, thiserror::Error)]
#[error(
    "{one} is of {first} and {other} of {second}: everything in use must be of one venue, so correct one of them (rest.url is used for patterns, for healing where rest.heal_max is not 0, and by audit, backfill and markets)"
)]
pub struct VenueConflict {
    one: String,
    first: Venue,
    other: String,
    second: Venue,
}

/// Checks that the addresses in use are of one venue, `rest.url` among them where `with_rest` says so. A host that is not
/// known agrees with any.
///
/// # Errors
/// They are of two.
pub(super) fn check_addresses(config: &Config, with_rest: bool) -> Result<(), VenueConflict> {
    let connections = config.enabled().map(|(feed, connection)| (format!("{feed}.url"), &connection.url));
    let rest = with_rest.then(|| ("rest.url".to_owned(), &config.rest.url));
    let known = connections.chain(rest).filter_map(|(key, url)| Some((key, Venue::of_host(url.host())?)));
    let mut named = config.venue.clone().map(|venue| ("venue".to_owned(), venue)).into_iter().chain(known);
    let Some((one, first)) = named.next() else { return Ok(()) };
    match named.find(|(_, venue)| *venue != first) {
        Some((other, second)) => Err(VenueConflict { one, first, other, second }),
        None => Ok(()),
    }
}

/// Checks the venue of the fetched data, `disk`, and puts it on record where it is not.
///
/// # Errors
/// It is another one, or it cannot be read or written.
pub(super) fn claim(disk: &Disk, config: &Config) -> Result<(), VenueError> {
    if check_directory(disk, config)? {
        return Ok(());
    }
    let path = Path::new(FILE);
    if disk.look(path).map_err(IoError::at("look at", path))?.is_some() {
        quarantine(disk, Feed::Public, path, "it names no venue")?;
    }
    let recorded = Recorded { venue: config.rest_venue() };
    let text = serde_json::to_string(&recorded).expect("text always serialises") + "\n";
    // The temporary name is unique per process: two processes on one directory may write at the same time.
    let unfinished = PathBuf::from(format!("{FILE}.{}.tmp", std::process::id()));
    Ok(disk.put(&unfinished, path, text.as_bytes()).map_err(IoError::at("write", &disk.path().join(FILE)))?)
}

/// Whether the directory names its venue, which must be that of `rest.url`. What is no file of ours names none.
///
/// # Errors
/// It is another one, or it cannot be read.
pub(super) fn check_directory(disk: &Disk, config: &Config) -> Result<bool, VenueError> {
    let text = match disk.read_all(Path::new(FILE), MAX_BYTES) {
        Err(error) if is_none(&error) => return Ok(false),
        text => text.map_err(IoError::at("read", &disk.path().join(FILE)))?,
    };
    let Ok(Recorded { venue }) = serde_json::from_slice(&text) else { return Ok(false) };
    Venue::check(venue.as_str(), &config.rest_venue(), disk.path())?;
    Ok(true)
}

/// Whether there is no file, one that is too long, or something else in its place.
fn is_none(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) || Obstacle::of(error).is_some()
}
