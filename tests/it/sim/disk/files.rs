//! The two sides of the disk seam that a recorder holds: the directory of one life, and an open file of it.
//!
//! Each call is counted and traced before it happens, and meets the fault that waits for it; one that comes after the end
//! of its life fails.

use super::SimDisk;
use super::state::{Call, Change, EIO, EMFILE, ENOSPC, Fault, Inode, SECTOR, State, WRITE_BACK};
use rand::RngExt;
use sha2::Digest;
use std::ffi::OsString;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use upbit_recorder::files::{AppendFile, EntryKind, Files, Free, Identity, Listed, ReadFile, append_all};

/// The disk of one life.
#[derive(Debug)]
pub(super) struct SimFiles {
    pub(super) disk: SimDisk,
    pub(super) life: u64,
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    life: u64,
    inode: usize,
}

/// A file as it was when it was opened for reading.
#[derive(Debug)]
struct SimReader {
    content: Cursor<Vec<u8>>,
    identity: Identity,
}

impl Read for SimReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer)
    }
}

impl Seek for SimReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.content.seek(to)
    }
}

impl ReadFile for SimReader {
    fn identify(&self) -> io::Result<Identity> {
        Ok(self.identity)
    }
}

/// What is left to do of a call after its fault.
enum Verdict {
    Go,
    Short,
    /// It is the last one, and happens in part.
    Last,
}

fn enter<'a>(disk: &'a SimDisk, life: u64, call: Call, path: &Path) -> io::Result<(MutexGuard<'a, State>, Verdict)> {
    let mut state = disk.lock();
    if state.life != life || state.crash.is_some() {
        return Err(io::Error::from_raw_os_error(EIO));
    }
    if state.is_aside {
        return Ok((state, Verdict::Go));
    }
    state.calls += 1;
    state.trace.update(format!("{call:?} {}\n", path.display()));
    let verdict = match state.take_fault(call) {
        None => Verdict::Go,
        Some(Fault::Short) => Verdict::Short,
        Some(Fault::Stall(length)) => {
            state.debt += length;
            Verdict::Go
        }
        Some(Fault::Fail(errno)) => {
            state.sync_failed |= matches!(call, Call::Sync | Call::SyncDirectory | Call::Replace) && errno != EMFILE;
            return Err(io::Error::from_raw_os_error(errno));
        }
        Some(Fault::NoRoom) => {
            state.sync_failed = true;
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        Some(Fault::Crash(crash)) => {
            state.crash = Some(crash);
            disk.0.crashed.notify_one();
            Verdict::Last
        }
    };
    let takes_room = matches!(call, Call::Create | Call::MakeDirectory);
    if takes_room && state.room == Some(0) {
        return Err(io::Error::from_raw_os_error(ENOSPC));
    }
    Ok((state, verdict))
}

impl SimFiles {
    fn enter(&self, call: Call, path: &Path) -> io::Result<(MutexGuard<'_, State>, Verdict)> {
        enter(&self.disk, self.life, call, path)
    }

    fn open(&self, inode: usize) -> Arc<dyn AppendFile> {
        Arc::new(SimFile { disk: self.disk.clone(), life: self.life, inode })
    }
}

/// A call that only changes names happens as a whole or not at all, also when it is the last one.
fn happens(state: &mut State, verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Last) || state.rng.random()
}

impl Files for SimFiles {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        let (mut state, verdict) = self.enter(Call::Create, path)?;
        state.refuse_in_the_way_of(path.parent())?;
        if state.is_taken(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.check_name(path);
        if happens(&mut state, &verdict) {
            state.change(Change::Link(path.to_owned(), inode));
        }
        Ok(self.open(inode))
    }

    fn append(&self, path: &Path) -> io::Result<Arc<dyn AppendFile>> {
        self.disk.lock().refuse_in_the_way_of(Some(path))?;
        let known = self.disk.lock().names.get(path).copied();
        match known {
            None => self.create(path),
            Some(_) => {
                let (mut state, _) = self.enter(Call::Read, path)?;
                let inode = state.unshare(path);
                drop(state);
                Ok(self.open(inode))
            }
        }
    }

    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let (state, _) = self.enter(Call::Read, path)?;
        state.refuse_in_the_way_of(Some(path))?;
        let inode = state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        let content = Cursor::new(state.inodes[*inode].data.clone());
        Ok(Box::new(SimReader { content, identity: state.identify(*inode) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (mut state, verdict) = self.enter(Call::Rename, from)?;
        if state.is_taken(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if let Some(kind) = state.others.remove(from) {
            state.others.insert(to.to_owned(), kind);
            return Ok(());
        }
        let inode = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.check_name(to);
        if !happens(&mut state, &verdict) {
            return Ok(());
        }
        if to.extension().is_some_and(|ending| ending == "jsonl") {
            let earlier = state.used.insert(to.to_owned(), inode);
            if earlier.is_some_and(|earlier| earlier != inode) {
                state.violation(format!("the name {} was used twice", to.display()));
            }
        }
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (mut state, verdict) = self.enter(Call::Remove, path)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if happens(&mut state, &verdict) {
            let reserved = state.names.get(path).map_or(0, |inode| state.inodes[*inode].reserved);
            state.room = state.room.map(|room| room + reserved);
            if path.extension().is_some_and(|ending| ending == "zst") {
                let inode = state.names[path];
                state.removed.insert(path.to_owned(), inode);
            }
            state.change(Change::Unlink(path.to_owned()));
        }
        Ok(())
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        let (mut state, verdict) = self.enter(Call::MakeDirectory, path)?;
        state.refuse_in_the_way_of(Some(path))?;
        if happens(&mut state, &verdict) {
            let above = path.ancestors().filter(|path| !path.as_os_str().is_empty());
            state.directories.extend(above.map(Path::to_owned));
        }
        Ok(())
    }

    /// What says nothing proves nothing, so it meets no fault.
    fn identify(&self, path: &Path) -> io::Result<Option<Identity>> {
        let state = self.disk.lock();
        Ok(state.names.get(path).map(|inode| state.identify(*inode)))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        let (state, _) = self.enter(Call::Read, path)?;
        state.refuse_in_the_way_of(Some(path))?;
        let name = |entry: &PathBuf| OsString::from(entry.file_name().unwrap_or_default());
        let is_inside = |entry: &&PathBuf| entry.parent() == Some(path);
        let files = state.names.iter().filter(|(entry, _)| is_inside(entry)).map(|(entry, inode)| Listed {
            name: name(entry),
            kind: EntryKind::File,
            bytes: state.inodes[*inode].data.len() as u64,
            mode: state.mode(entry),
        });
        let other = |entry: &PathBuf, kind| Listed { name: name(entry), kind, bytes: 0, mode: state.mode(entry) };
        let directories = state.directories.iter().filter(is_inside).map(|entry| other(entry, EntryKind::Directory));
        let others = state.others.iter().filter(|(entry, _)| is_inside(entry)).map(|(entry, kind)| other(entry, *kind));
        let mut listed: Vec<Listed> = files.chain(directories).chain(others).collect();
        listed.sort();
        Ok(listed)
    }

    fn restrict(&self, path: &Path) -> io::Result<()> {
        let (mut state, _) = self.enter(Call::Read, path)?;
        state.refuse_in_the_way_of(Some(path))?;
        state.open_to_others.remove(path);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let (mut state, verdict) = self.enter(Call::SyncDirectory, path)?;
        if happens(&mut state, &verdict) {
            // As with ext4, xfs and btrfs: changes of names become durable in their order.
            state.commit();
        }
        Ok(())
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.disk.lock().refuse_in_the_way_of(Some(path))?;
        if !self.disk.lock().names.contains_key(path) {
            return append_all(&*self.create(path)?, bytes);
        }
        let (mut state, verdict) = self.enter(Call::Write, path)?;
        if path == Path::new(".durable") {
            state.check_mark(bytes);
        }
        if happens(&mut state, &verdict) {
            let inode = state.unshare(path);
            let inode = &mut state.inodes[inode];
            let before = std::mem::replace(&mut inode.data, bytes.to_owned());
            inode.before.push_back(before);
            if inode.before.len() > WRITE_BACK {
                inode.before.pop_front();
            }
            inode.synced = bytes.len();
        }
        Ok(())
    }

    fn overwrite_durably(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.lock().refuse_in_the_way_of(Some(path))?;
        let (mut state, verdict) = self.enter(Call::Replace, path)?;
        let offset = usize::try_from(offset).unwrap();
        let inode = state.unshare(path);
        let end = state.inodes[inode].data.len().max(offset + bytes.len());
        state.inodes[inode].data.resize(end, 0);
        for (index, sector) in bytes.chunks(SECTOR).enumerate() {
            // The last call writes some sectors, in no order.
            if !matches!(verdict, Verdict::Last) || state.rng.random() {
                let begin = offset + index * SECTOR;
                state.inodes[inode].data[begin..begin + sector.len()].copy_from_slice(sector);
            }
        }
        state.inodes[inode].synced = end;
        state.trace.update(bytes);
        state.look_at_state();
        Ok(())
    }

    fn reserve(&self, path: &Path, bytes: usize) -> io::Result<()> {
        let (mut state, verdict) = self.enter(Call::Create, path)?;
        if state.is_taken(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let reserved = bytes as u64;
        match &mut state.room {
            Some(room) if *room < reserved => return Err(io::Error::from_raw_os_error(ENOSPC)),
            Some(room) => *room -= reserved,
            None => {}
        }
        if happens(&mut state, &verdict) {
            let inode = state.inodes.len();
            state.inodes.push(Inode { reserved, ..Inode::default() });
            state.change(Change::Link(path.to_owned(), inode));
        }
        Ok(())
    }

    fn free(&self) -> io::Result<Free> {
        let (state, _) = self.enter(Call::Read, Path::new("."))?;
        Ok(Free { bytes: state.room.unwrap_or(u64::MAX), inodes: u64::MAX })
    }

    fn sync_all(&self) -> io::Result<()> {
        let (mut state, verdict) = match self.enter(Call::Sync, Path::new(".")) {
            Err(error) => {
                let mut state = self.disk.lock();
                if state.life == self.life && state.crash.is_none() {
                    (0..state.inodes.len()).for_each(|inode| state.fail_sync(inode, &error));
                }
                return Err(error);
            }
            entered => entered?,
        };
        if happens(&mut state, &verdict) {
            (0..state.inodes.len()).for_each(|inode| state.sync_inode(inode));
            state.commit();
        }
        Ok(())
    }
}

impl AppendFile for SimFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let (mut state, verdict) = enter(&self.disk, self.life, Call::Write, Path::new("-"))?;
        let room = usize::try_from(state.room.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        if room == 0 {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        let length = match verdict {
            Verdict::Go => bytes.len(),
            Verdict::Short => state.rng.random_range(1..=bytes.len()),
            Verdict::Last => state.rng.random_range(0..=bytes.len()),
        }
        .min(room);
        state.room = state.room.map(|room| room - length as u64);
        let name = state.names.iter().find(|(_, inode)| **inode == self.inode).map(|(name, _)| name.clone());
        if let Some(name) = &name {
            if name.extension().is_some_and(|ending| ending == "zst") {
                state.violation(format!("{} was written to after it was sealed", name.display()));
            }
            state.check_lines(name, &bytes[..length]);
        }
        state.inodes[self.inode].data.extend_from_slice(&bytes[..length]);
        state.trace.update(&bytes[..length]);
        Ok(length)
    }

    fn sync(&self) -> io::Result<()> {
        let (mut state, verdict) = match enter(&self.disk, self.life, Call::Sync, Path::new("-")) {
            Err(error) => {
                let mut state = self.disk.lock();
                if state.life == self.life && state.crash.is_none() {
                    state.fail_sync(self.inode, &error);
                }
                return Err(error);
            }
            entered => entered?,
        };
        if happens(&mut state, &verdict) {
            state.sync_inode(self.inode);
        }
        Ok(())
    }

    fn identify(&self) -> io::Result<Identity> {
        Ok(self.disk.lock().identify(self.inode))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (state, _) = enter(&self.disk, self.life, Call::Read, Path::new("-"))?;
        let data = &state.inodes[self.inode].data;
        let rest = data.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}
