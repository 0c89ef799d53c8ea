//! Removes obstacles at our names, and modes that expose the account's tree, before anything is opened.
//!
//! ```text
//! archive → /somewhere, .durable → ~/notes, recorder.jsonl a pipe, …  ──▶ quarantine/: moved, not followed
//! private/ of another user, or a link                                 ──▶ refused: its owner decides who reads it
//! private/ and its content, open to others                            ──▶ 0700 and 0600
//! ```

use crate::files::open::Obstacle;
use crate::files::{EntryKind, Files, IoError, Listed};
use crate::tape::paths;
use crate::tape::quarantine::{Quarantined, quarantine};
use crate::upbit::feed::Feed;
use std::path::PathBuf;

/// The reasons for moving away an entry whose kind its name contradicts.
pub(super) const NO_FILE: &str = "it is no file";
pub(super) const NO_DIRECTORY: &str = "it is no directory";

/// Moves obstacles at the recorder's names to the quarantine, and returns them.
pub(super) fn clear_the_way(files: &dyn Files) -> Result<Vec<Quarantined>, IoError> {
    keep_others_out(files)?;
    let mut moved = Vec::new();
    for feed in Feed::ALL {
        let root = paths::root(feed);
        let mut entries = files.list(root).map_err(IoError::at("list", root))?;
        // An obstacle at the quarantine's own name is moved first.
        entries.sort_by_key(|entry| paths::quarantine(feed).file_name() != Some(&entry.name));
        for entry in entries {
            if let Some(reason) = in_the_way(feed, &entry) {
                moved.push(quarantine(files, feed, &root.join(&entry.name), reason)?);
            }
        }
    }
    Ok(moved)
}

/// The reason an entry of a tree's root is moved away, if its name is one that recording needs.
fn in_the_way(feed: Feed, entry: &Listed) -> Option<&'static str> {
    let is_one_of = |names: &[&str]| names.iter().any(|name| entry.name == *name);
    let is_needed = |name: &str| paths::parse_active(name).is_some_and(|stream| paths::is_needed(feed, &stream));
    if is_one_of(paths::own_directories(feed)) {
        (entry.kind != EntryKind::Directory).then_some(NO_DIRECTORY)
    } else if is_one_of(paths::own_files(feed)) || entry.name.to_str().is_some_and(is_needed) {
        (!entry.is_file()).then_some(NO_FILE)
    } else {
        None
    }
}

/// The account's tree is for this user alone: permissions opened by a copy or a restore are removed, from the outside
/// inwards, and logged once.
fn keep_others_out(files: &dyn Files) -> Result<(), IoError> {
    let root = paths::root(Feed::Private);
    let refused = |source| IoError::at("keep the account's files in", root)(source);
    let Some(entry) = files.look(root).map_err(refused)? else { return Ok(()) };
    match entry.kind {
        EntryKind::Directory => {}
        EntryKind::Link => return Err(refused(Obstacle::Link.into())),
        EntryKind::File | EntryKind::Special => return Ok(()),
    }
    let (mut closed, mut open) = (0, None);
    let mut restrict = |path: PathBuf, entry: &Listed| {
        match files.restrict(&path) {
            Err(error) => open = Some(IoError::at("take from others the permissions for", &path)(error)),
            Ok(()) => closed += usize::from(entry.is_exposed()),
        };
    };
    match files.restrict(root) {
        Err(error) if matches!(Obstacle::of(&error), Some(Obstacle::Owner { .. })) => return Err(refused(error)),
        _ => restrict(root.to_owned(), &entry),
    }
    for directory in directories(files, entry.is_exposed()) {
        let entries = files.list(&directory).unwrap_or_default();
        let is_ours = |entry: &&Listed| matches!(entry.kind, EntryKind::File | EntryKind::Directory);
        for entry in entries.iter().filter(is_ours).filter(|entry| entry.is_exposed()) {
            restrict(directory.join(&entry.name), entry);
        }
    }
    if closed > 0 {
        tracing::warn!(
            directory = %root.display(), files = closed,
            "others could read the account's files: their modes were put right"
        );
    }
    if let Some(error) = open {
        tracing::warn!(%error, "others may be able to read what the account's files hold");
    }
    Ok(())
}

/// The directories of the account's tree, parents first; those of dates only where the tree `is_exposed`, since nothing
/// below a closed one can be reached. A later step reports one that cannot be listed.
fn directories(files: &dyn Files, is_exposed: bool) -> Vec<PathBuf> {
    let feed = Feed::Private;
    let archive = paths::archive(feed);
    let listed = if is_exposed { files.list(&archive).unwrap_or_default() } else { Vec::new() };
    let dates = listed.into_iter().filter(|entry| entry.kind == EntryKind::Directory);
    let dates = dates.map(|date| archive.join(date.name));
    [paths::root(feed).to_owned(), archive.clone(), paths::quarantine(feed)].into_iter().chain(dates).collect()
}
