//! The owner of a file and this process's user, to explain errors of missing rights.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The same error, and where rights are missing also the owner of the file or directory that denies them. The kind is
/// kept, the `errno` is not.
pub fn explain(path: &Path, error: io::Error) -> io::Error {
    match denying(path) {
        Some((there, found)) if error.kind() == io::ErrorKind::PermissionDenied => {
            let [user, group] = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
            io::Error::new(error.kind(), format!("{error}: {}", describe(&there, &Owner::of(&found), user, group)))
        }
        _ => error,
    }
}

/// Owner and mode of a file.
struct Owner {
    user: u32,
    group: u32,
    mode: u32,
}

impl Owner {
    fn of(found: &Metadata) -> Self {
        Self { user: found.uid(), group: found.gid(), mode: found.mode() & 0o7777 }
    }
}

/// The last component of the path that can be inspected: everything below a directory without search permission is
/// hidden, and a file that is to be created is decided by its directory.
fn denying(path: &Path) -> Option<(PathBuf, Metadata)> {
    let named = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
    path.ancestors().map(named).find_map(|path| path.metadata().ok().map(|found| (path, found)))
}

fn describe(there: &Path, owner: &Owner, user: u32, group: u32) -> String {
    let Owner { user: its_user, group: its_group, mode } = owner;
    let there = there.display();
    format!(
        "{there} belongs to user {its_user} and group {its_group} (mode {mode:04o}), and this is user {user} of group {group}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_rights_say_whose_and_who() {
        let directory = tempfile::tempdir().unwrap();
        let mode = directory.path().metadata().unwrap().mode() & 0o7777;
        let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
        // For a missing file its directory decides.
        let explained = explain(&directory.path().join("a/b.jsonl"), denied());
        assert_eq!(explained.kind(), io::ErrorKind::PermissionDenied);
        let [user, group] = [rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()];
        let expected = format!(
            "permission denied: {} belongs to user {user} and group {group} (mode {mode:04o}), and this is user {user} of group {group}",
            directory.path().display()
        );
        assert_eq!(explained.to_string(), expected);
        assert!(explain(Path::new("no-such-file"), denied()).to_string().contains(": . belongs to user"));
        let owner = Owner { user: 0, group: 7, mode: 0o750 };
        let described = describe(Path::new("/srv/tape"), &owner, 1000, 100);
        let expected = "/srv/tape belongs to user 0 and group 7 (mode 0750), and this is user 1000 of group 100";
        assert_eq!(described, expected);
    }

    #[test]
    fn any_other_error_stays_as_it_is() {
        let error = explain(Path::new("/"), io::Error::from_raw_os_error(28));
        assert_eq!(error.raw_os_error(), Some(28));
    }
}
