//! Files that the configuration is read from, or names: regular ones, of a size that they can have.
//!
//! Links are followed, since systemd, Docker and Kubernetes hand out secrets as links; the checks are of their target.
//! A pipe would block the start for ever, and a device could be read without end.

use crate::ownership;
use rustix::fs::{self, CWD, FileType, Mode, OFlags};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The most of a file of the configuration: the shipped one has a hundredth of it.
pub(super) const MOST_CONFIG: u64 = 1 << 20;

/// The most of a file of keys alone.
pub(super) const MOST_SECRET: u64 = 16 << 10;

/// The most of a file of certificates: the authorities of a whole system have a tenth of it.
const MOST_CERTIFICATES: u64 = 4 << 20;

/// The ownership and mode that a file must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Any: it holds no secret.
    None,
    /// Owned by this process's user or by root, whatever the mode: systemd protects its credentials by other means.
    Owner,
    /// Owned by this process's user or by root, and no access for group and others.
    OwnerAlone,
}

/// All of a file, as text.
///
/// # Errors
/// Why it cannot be used, as a sentence. A file that does not exist is `Ok(None)`.
pub(super) fn read(path: &Path, most: u64, guard: Guard) -> Result<Option<String>, String> {
    let Some(file) = open(path, guard)? else { return Ok(None) };
    let mut text = String::new();
    file.take(most + 1).read_to_string(&mut text).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => "it is no plain text: save it as UTF-8 without a byte order mark".to_owned(),
        _ => format!("cannot be read: {error}"),
    })?;
    if text.len() as u64 > most {
        return Err(format!("it is longer than {most} bytes"));
    }
    Ok(Some(text))
}

/// Checks that a file of certificates can be read, without parsing it.
///
/// # Errors
/// Why it cannot be used, as a sentence.
pub(super) fn check_certificates(path: &Path) -> Result<(), String> {
    let file = open(path, Guard::None)?.ok_or_else(missing)?;
    let length = file.metadata().map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > MOST_CERTIFICATES { Err(format!("it is longer than {MOST_CERTIFICATES} bytes")) } else { Ok(()) }
}

/// The problem of a required file that does not exist.
pub(super) fn missing() -> String {
    format!("cannot be read: {}", std::io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error()))
}

/// Opens, then checks the open file rather than its path: a check by path could be of another file than is read.
fn open(path: &Path, guard: Guard) -> Result<Option<File>, String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let unreadable = |error: rustix::io::Errno| format!("cannot be read: {}", ownership::explain(path, error.into()));
    let file = match fs::openat(CWD, path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::NXIO) => return Err("it is no regular file".to_owned()),
        file => file.map_err(unreadable)?,
    };
    let stat = fs::fstat(&file).map_err(unreadable)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err("it is no regular file".to_owned());
    }
    let mode = stat.st_mode & 0o777;
    if guard == Guard::OwnerAlone && mode & 0o077 != 0 {
        let hint = format!("chmod 600 {}", path.display());
        return Err(format!("others than its owner may read it (mode {mode:03o}): {hint}"));
    }
    let us = rustix::process::geteuid().as_raw();
    if guard != Guard::None && ![us, 0].contains(&stat.st_uid) {
        let owner = stat.st_uid;
        return Err(format!("it belongs to user {owner}, who is neither user {us}, as this process is, nor root"));
    }
    Ok(Some(File::from(file)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn a_regular_file_is_read_to_a_bound_also_behind_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| directory.path().join(name));
        std::fs::write(&file, "12345").unwrap();
        symlink("file", &link).unwrap();
        assert_eq!(read(&link, 5, Guard::None), Ok(Some("12345".to_owned())));
        assert!(read(&link, 4, Guard::None).unwrap_err().contains("longer than 4 bytes"));
        assert_eq!(read(&directory.path().join("missing"), 5, Guard::None), Ok(None));
    }

    #[test]
    fn nothing_else_is_read_and_nothing_waits() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        fs::mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        for path in [&pipe, directory.path(), Path::new("/dev/zero")] {
            assert_eq!(read(path, 5, Guard::OwnerAlone), Err("it is no regular file".to_owned()), "{}", path.display());
            assert_eq!(check_certificates(path), Err("it is no regular file".to_owned()));
        }
    }

    #[test]
    fn what_is_secret_is_its_owners_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "key").unwrap();
        let with_mode = |mode, guard| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            read(&file, 5, guard)
        };
        assert!(with_mode(0o640, Guard::OwnerAlone).unwrap_err().contains("chmod 600"));
        assert!(with_mode(0o640, Guard::Owner).is_ok() && with_mode(0o600, Guard::OwnerAlone).is_ok());
    }

    #[test]
    fn a_key_of_another_user_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "key").unwrap();
        // Only root can give a file away; others find one that is neither theirs nor root's nowhere for certain.
        if std::os::unix::fs::chown(&file, Some(12_345), None).is_ok() {
            for guard in [Guard::Owner, Guard::OwnerAlone] {
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
                assert!(read(&file, 5, guard).unwrap_err().contains("belongs to user 12345"));
            }
            assert!(read(&file, 5, Guard::None).is_ok());
        }
    }
}
