//! Obstacles at our names, and modes that let others in.

use super::*;
use crate::files::open::Obstacle;
use rustix::fs::{CWD, Mode, mkfifoat};
use std::os::unix::fs::{PermissionsExt, symlink};

/// Creates an obstacle of a kind that no data directory has there.
fn obstruct(scene: &Scene, kind: &str, name: &Path) {
    let path = scene.disk.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    match kind {
        "a link" => symlink(scene.disk.path().join("theirs"), path).unwrap(),
        "a dangling link" => symlink("nowhere", path).unwrap(),
        "a pipe" => mkfifoat(CWD, path, Mode::RWXU).unwrap(),
        "a directory" => std::fs::create_dir(path).unwrap(),
        other => unreachable!("{other}"),
    }
}

#[test]
fn what_is_in_the_way_goes_to_quarantine() {
    let date = segment("A-B_trade", TODAY + 5).directory();
    let beside = |name: &str| date.join(name);
    let sealed = segment("A-B_trade", TODAY + 5).sealed();
    let files = [
        [".durable", ".reserve", "recorder.jsonl", "misc.jsonl", "private/misc.jsonl"].map(PathBuf::from).to_vec(),
        vec![beside("manifest.jsonl"), beside("audit.json"), sealed, segment("A-B_trade", TODAY + 6).plain()],
    ]
    .concat();
    let directories = ["archive", "rest", "private/archive", "private/quarantine"].map(PathBuf::from);
    let directories = directories.into_iter().chain([date.clone()]);
    for (path, is_file) in files.into_iter().map(|path| (path, true)).chain(directories.map(|path| (path, false))) {
        for kind in ["a link", "a dangling link", "a pipe", "a directory"] {
            if kind == "a directory" && !is_file {
                continue;
            }
            let scene = Scene::new();
            scene.write("theirs", "theirs");
            obstruct(&scene, kind, &path);
            let moved = scene.mend(TODAY + 50).quarantined;
            let files: Vec<_> = moved.iter().map(|moved| &moved.file).collect();
            assert_eq!(files, [&path], "{kind} at {}", path.display());
            assert!(std::fs::symlink_metadata(scene.disk.path().join(&moved[0].kept)).is_ok());
            assert_eq!(scene.read("theirs"), "theirs");
            assert!(scene.mend(TODAY + 60).quarantined.is_empty());
        }
    }
}

#[test]
fn what_is_in_the_way_of_the_quarantine_stays_beside_it() {
    let scene = Scene::new();
    obstruct(&scene, "a pipe", Path::new("quarantine"));
    obstruct(&scene, "a pipe", Path::new("archive"));
    let moved: Vec<_> = scene.mend(TODAY + 50).quarantined.into_iter().map(|moved| moved.kept).collect();
    assert_eq!(moved, ["quarantine.1", "quarantine/archive"].map(PathBuf::from));
}

#[test]
fn a_segment_with_other_names_is_ended_and_they_keep_it() {
    let scene = Scene::new();
    let torn = line(TODAY + 5) + "{\"ts_re";
    scene.write("A-B_trade.jsonl", &torn);
    std::fs::hard_link(scene.disk.path().join("A-B_trade.jsonl"), scene.disk.path().join("backup")).unwrap();
    let backlog = scene.mend(TODAY + 50).backlog;
    assert_eq!(scene.read(backlog[0].name.plain()), format!("{torn}\n"));
    assert_eq!(scene.read("backup"), torn);
}

#[test]
fn modes_of_the_accounts_tree_are_put_right() {
    let scene = Scene::new();
    let date = Path::new("private").join(segment("myAsset", TODAY + 5).directory());
    scene.write("private/myAsset.jsonl", line(TODAY + 5));
    scene.write(date.join("manifest.jsonl"), "");
    scene.write("private/quarantine/x", "");
    let modes = || -> Vec<(PathBuf, u32)> {
        let paths = ["private", "private/archive", "private/quarantine", "private/quarantine/x"].map(PathBuf::from);
        let paths = paths.into_iter().chain([date.clone(), date.join("manifest.jsonl")]);
        let mode =
            |path: &PathBuf| std::fs::metadata(scene.disk.path().join(path)).unwrap().permissions().mode() & 0o777;
        paths.map(|path| (path.clone(), mode(&path))).collect()
    };
    assert!(modes().iter().all(|(_, mode)| mode & 0o077 != 0), "{:?}", modes());
    scene.mend(TODAY + 50);
    for (path, mode) in modes() {
        let is_file = scene.disk.path().join(&path).is_file();
        assert_eq!(mode, if is_file { 0o600 } else { 0o700 }, "{}", path.display());
    }
    // The public tree keeps its modes.
    scene.write("A-B_trade.jsonl", line(TODAY + 60));
    scene.mend(TODAY + 70);
    let public = std::fs::metadata(scene.disk.path().join("archive")).unwrap().permissions().mode();
    assert_ne!(public & 0o044, 0);
}

#[test]
fn an_accounts_tree_that_is_a_link_or_anothers_is_refused() {
    let scene = Scene::new();
    std::fs::create_dir(scene.disk.path().join("away")).unwrap();
    symlink("away", scene.disk.path().join("private")).unwrap();
    let error = start(&*scene.disk, stamp(TODAY), None).unwrap_err();
    assert_eq!(Obstacle::of(&error.source), Some(Obstacle::Link), "{error}");
    assert!(std::fs::symlink_metadata(scene.disk.path().join("private")).unwrap().is_symlink());

    let scene = Scene::new();
    std::fs::create_dir(scene.disk.path().join("private")).unwrap();
    let strangers = Faulty::new(scene.disk.clone(), |call, path| match call {
        Call::Restrict if path == Path::new("private") => Err(Obstacle::Owner { owner: 12, us: 34 }.into()),
        _ => Ok(()),
    });
    let error = start(&strangers, stamp(TODAY), None).unwrap_err().to_string();
    assert!(error.contains("private") && error.contains("user 12") && error.contains("user 34"), "{error}");
}

#[test]
fn a_line_of_no_stream_is_damage_and_does_not_end_the_start() {
    let scene = Scene::new();
    let long = "x".repeat(crate::files::lines::LONGEST_OWN + 1);
    scene.write("recorder.jsonl", line(TODAY + 5) + &long);
    let mended = scene.mend(TODAY + 50);
    assert_eq!(mended.quarantined[0].file, Path::new("recorder.jsonl"));
    assert_eq!(scene.read("quarantine/recorder.jsonl").len(), line(TODAY + 5).len() + long.len());
}
