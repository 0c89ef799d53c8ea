//! Which files of directories are written to, as the kernel tells it (inotify), where it does: not for what another machine
//! writes to a network file system. So it makes a reader faster, and nothing may depend on it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// Bytes of notices that are read at a time: some thousand, so that one reading takes what came at once.
const ROOM: usize = 128 << 10;

/// See the module.
#[derive(Debug)]
pub struct Watch {
    notices: OwnedFd,
    /// The kernel's number of each directory, in the order in which they were named; `None`: it is not watched.
    directories: Vec<Option<i32>>,
}

/// What happened in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// The names of files that were written to.
    pub written: BTreeSet<String>,
    /// Whether names came or went, or more happened than can be told.
    pub is_other: bool,
}

impl Watch {
    /// Watches directories; one that is not there is not.
    ///
    /// # Errors
    /// The kernel has no inotify, or no room for another one.
    pub fn new(directories: &[&Path]) -> io::Result<Self> {
        let notices = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let of_names = WatchFlags::CREATE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO | WatchFlags::DELETE;
        let add = |directory: &&Path| inotify::add_watch(&notices, *directory, WatchFlags::MODIFY | of_names).ok();
        let directories = directories.iter().map(add).collect();
        Ok(Self { notices, directories })
    }

    /// Waits until something happens, for `most` at the most; what happened in each directory.
    pub fn wait(&self, most: Duration) -> Vec<Noticed> {
        let mut noticed = vec![Noticed::default(); self.directories.len()];
        let most = Timespec::try_from(most).ok();
        // A signal that comes in between is an early end of the waiting.
        let _ = poll(&mut [PollFd::new(&self.notices, PollFlags::IN)], most.as_ref());
        let mut room = [MaybeUninit::uninit(); ROOM];
        let mut reader = inotify::Reader::new(&self.notices, &mut room);
        loop {
            match reader.next() {
                Ok(event) => {
                    let place = self.directories.iter().position(|watched| *watched == Some(event.wd()));
                    let name = event.file_name().and_then(|name| name.to_str().ok());
                    match (place, name) {
                        (Some(place), Some(name)) if event.events() == ReadFlags::MODIFY => {
                            noticed[place].written.insert(name.to_owned());
                        }
                        (Some(place), _) => noticed[place].is_other = true,
                        // The kernel's queue has run over.
                        (None, _) => noticed.iter_mut().for_each(|each| each.is_other = true),
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return noticed,
            }
            if reader.is_buffer_empty() {
                return noticed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn writes_are_told_by_name_and_other_changes_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let [first, second, third] = ["first", "second", "missing"].map(|name| directory.path().join(name));
        fs::create_dir(&first).unwrap();
        fs::create_dir(&second).unwrap();
        fs::write(first.join("a"), "1").unwrap();
        let watch = Watch::new(&[&first, &second, &third]).unwrap();
        assert_eq!(watch.wait(Duration::ZERO), vec![Noticed::default(); 3]);
        for _ in 0..3 {
            fs::write(first.join("a"), "12").unwrap();
        }
        fs::write(second.join("b"), "1").unwrap();
        let noticed = watch.wait(Duration::from_secs(5));
        assert_eq!(noticed[0], Noticed { written: BTreeSet::from(["a".to_owned()]), is_other: false });
        assert_eq!(noticed[1], Noticed { written: BTreeSet::from(["b".to_owned()]), is_other: true });
        assert_eq!(watch.wait(Duration::from_millis(1)), vec![Noticed::default(); 3]);
        fs::rename(first.join("a"), second.join("c")).unwrap();
        let noticed = watch.wait(Duration::from_secs(5));
        assert!(noticed[0].is_other && noticed[1].is_other && !noticed[2].is_other);
    }
}
