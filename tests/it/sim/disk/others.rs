//! What others do to a data directory: links and pipes at our names, files of theirs under them, modes that let everybody
//! in.

use super::SimDisk;
use super::state::{Inode, State};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use upbit_recorder::files::EntryKind;
use upbit_recorder::files::open::Obstacle;

/// What a file of somebody else's holds.
const THEIRS: &[u8] = b"not yours\n";

impl SimDisk {
    /// Puts something at a name that is free.
    pub(crate) fn obstruct(&self, path: &str, kind: EntryKind) {
        let mut state = self.lock();
        assert!(!state.is_taken(Path::new(path)), "{path} is taken");
        match kind {
            EntryKind::Directory => drop(state.directories.insert(path.into())),
            // A second name for a file of somebody else's.
            EntryKind::File => {
                let inode = state.inodes.len();
                state.inodes.push(Inode { data: THEIRS.to_owned(), synced: THEIRS.len(), ..Inode::default() });
                for name in [PathBuf::from("elsewhere").join(path), path.into()] {
                    state.names.insert(name.clone(), inode);
                    state.durable.insert(name, inode);
                }
                state.strangers.insert(inode, THEIRS.to_owned());
            }
            EntryKind::Link | EntryKind::Special => drop(state.others.insert(path.into(), kind)),
        }
    }

    /// Lets others read everything, as a copy without modes does.
    pub(crate) fn forget_modes(&self) {
        let mut state = self.lock();
        let all: BTreeSet<PathBuf> = state.names.keys().chain(&state.directories).cloned().collect();
        state.open_to_others = all;
    }

    /// What of the account's tree others may read.
    pub(crate) fn exposed(&self) -> Vec<PathBuf> {
        let state = self.lock();
        let is_there = |path: &&PathBuf| state.names.contains_key(*path) || state.directories.contains(*path);
        let private = state.open_to_others.iter().filter(|path| path.starts_with("private"));
        private.filter(is_there).cloned().collect()
    }

    /// Whether what belongs to somebody else is as it was.
    pub(crate) fn has_unharmed_strangers(&self) -> bool {
        let state = self.lock();
        state.strangers.iter().all(|(inode, content)| state.inodes[*inode].data == *content)
    }

    /// The names of the links and pipes.
    pub(crate) fn obstacles(&self) -> Vec<PathBuf> {
        self.lock().others.keys().cloned().collect()
    }
}

impl State {
    pub(super) fn is_taken(&self, path: &Path) -> bool {
        self.names.contains_key(path) || self.others.contains_key(path)
    }

    /// Nothing is opened that is a link or a pipe, or behind one.
    pub(super) fn refuse_in_the_way_of(&self, path: Option<&Path>) -> io::Result<()> {
        let found = path.into_iter().flat_map(Path::ancestors).find_map(|above| self.others.get(above));
        match found {
            None => Ok(()),
            Some(EntryKind::Link) => Err(Obstacle::Link.into()),
            Some(_) => Err(Obstacle::Special.into()),
        }
    }

    /// The file of a name, which from now on is that of no other name.
    pub(super) fn unshare(&mut self, path: &Path) -> usize {
        let inode = self.names[path];
        if self.names.values().filter(|named| **named == inode).count() == 1 {
            return inode;
        }
        let data = self.inodes[inode].data.clone();
        let own = self.inodes.len();
        self.inodes.push(Inode { synced: data.len(), data, ..Inode::default() });
        self.names.insert(path.to_owned(), own);
        self.durable.insert(path.to_owned(), own);
        own
    }

    pub(super) fn mode(&self, path: &Path) -> u32 {
        if self.open_to_others.contains(path) { 0o755 } else { 0o700 }
    }
}
