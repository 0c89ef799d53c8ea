//! The real disk, in a directory for each test.

use super::*;
use std::os::unix::fs::PermissionsExt;

fn disk() -> (tempfile::TempDir, Disk) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::open(&directory.path().join("data")).unwrap();
    (directory, disk)
}

#[test]
fn a_taken_name_is_never_replaced() {
    let (_guard, disk) = disk();
    for name in ["a", "b"] {
        super::super::append_all(&*disk.create(Path::new(name)).unwrap(), name.as_bytes()).unwrap();
    }
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(disk.rename(Path::new("a"), Path::new("b"))), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(disk.create(Path::new("a")).map(drop)), io::ErrorKind::AlreadyExists);
    let names: Vec<_> = disk.list(Path::new("")).unwrap().into_iter().map(|listed| listed.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn private_files_are_for_their_owner_alone() {
    let (_guard, disk) = disk();
    disk.make_directory(Path::new("private/archive")).unwrap();
    disk.create(Path::new("private/x")).unwrap();
    let mode = |path: &str| std::fs::metadata(disk.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("private"), mode("private/archive"), mode("private/x")), (0o700, 0o700, 0o600));
}

#[test]
fn a_small_file_is_replaced_in_place_and_room_is_reserved() {
    use std::os::unix::fs::MetadataExt;
    let (_guard, disk) = disk();
    for content in ["one", "two"] {
        disk.overwrite(Path::new("mark"), content.as_bytes()).unwrap();
        assert_eq!(std::fs::read_to_string(disk.path().join("mark")).unwrap(), content);
    }
    disk.reserve(Path::new("reserve"), 1 << 20).unwrap();
    assert!(std::fs::metadata(disk.path().join("reserve")).unwrap().blocks() * 512 >= 1 << 20);
    assert_eq!(disk.reserve(Path::new("reserve"), 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert!(disk.free().unwrap().bytes > 0);
}

#[test]
fn nothing_is_written_through_another_name() {
    let (_guard, disk) = disk();
    let path = |name: &str| disk.path().join(name);
    std::fs::write(path("theirs"), "theirs").unwrap();
    for ours in ["appended", "overwritten"] {
        std::fs::hard_link(path("theirs"), path(ours)).unwrap();
    }
    append_all(&*disk.append(Path::new("appended")).unwrap(), b" and ours").unwrap();
    disk.overwrite(Path::new("overwritten"), b"ours").unwrap();
    let read = |name| std::fs::read_to_string(path(name)).unwrap();
    assert_eq!([read("theirs"), read("appended"), read("overwritten")], ["theirs", "theirs and ours", "ours"]);
    assert_eq!(disk.list(Path::new("")).unwrap().len(), 3, "nothing is left behind");
}

#[test]
fn no_call_goes_through_a_link_to_a_directory() {
    let (_guard, disk) = disk();
    let away = disk.path().join("away");
    std::fs::create_dir(&away).unwrap();
    std::fs::write(away.join("file"), "theirs").unwrap();
    std::os::unix::fs::symlink("away", disk.path().join("archive")).unwrap();
    disk.create(Path::new("own")).unwrap();
    let [file, other] = ["archive/file", "archive/other"].map(Path::new);
    assert!(disk.rename(Path::new("own"), other).is_err() && disk.rename(file, Path::new("x")).is_err());
    assert!(disk.create(other).is_err() && disk.append(file).is_err() && disk.read(file).is_err());
    assert!(disk.overwrite(file, b"ours").is_err() && disk.remove(file).is_err() && disk.reserve(other, 1).is_err());
    assert!(disk.make_directory(Path::new("archive/date")).is_err() && disk.list(Path::new("archive")).is_err());
    assert!(disk.replace(Path::new("own"), file).is_err() && disk.put(other, file, b"ours").is_err());
    assert!(disk.look(file).unwrap().is_none() && disk.identify(file).unwrap().is_none());
    assert!(disk.restrict(file).is_err());
    assert_eq!(std::fs::read_to_string(away.join("file")).unwrap(), "theirs");
    assert_eq!(std::fs::read_dir(away).unwrap().count(), 1);
}

#[test]
fn what_is_restricted_is_its_owners_alone() {
    let (_guard, disk) = disk();
    disk.make_directory(Path::new("directory")).unwrap();
    disk.create(Path::new("file")).unwrap();
    for (name, mode) in [("directory", 0o700), ("file", 0o600)] {
        std::fs::set_permissions(disk.path().join(name), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(disk.look(Path::new(name)).unwrap().unwrap().is_exposed());
        disk.restrict(Path::new(name)).unwrap();
        assert_eq!(disk.look(Path::new(name)).unwrap().unwrap().mode, mode);
    }
}

#[test]
fn a_file_is_read_to_a_bound() {
    let (_guard, disk) = disk();
    disk.put(Path::new("x.tmp"), Path::new("x"), b"12345").unwrap();
    assert_eq!(disk.read_all(Path::new("x"), 5).unwrap(), b"12345");
    assert_eq!(disk.read_all(Path::new("x"), 4).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_missing_directory_is_an_empty_one() {
    let (_guard, disk) = disk();
    assert_eq!(disk.list(Path::new("archive")).unwrap(), []);
}
