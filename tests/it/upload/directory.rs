//! A store that is a directory, such as one that is mounted: it is there, or nothing is brought there.

use super::*;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_mount_that_is_missing_is_told_and_not_filled() {
    let scene = Scene::new();
    let before = scene.verify(&[], &[]);
    assert_eq!((before.code, scene.remote().exists()), (Some(74), false), "{}", before.told);
    scene.upload(&[]);
    // What was mounted is elsewhere, and its place is empty.
    std::fs::rename(scene.remote(), scene.directory.path().join("mounted")).unwrap();
    std::fs::create_dir(scene.remote()).unwrap();
    scene.seal(Feed::Public, "KRW-XRP_trade", scene.now);
    for (code, told) in
        [(scene.upload(&[]).code, scene.upload(&[]).told), (scene.verify(&[], &[]).code, scene.verify(&[], &[]).told)]
    {
        assert_eq!(code, Some(74), "{told}");
        assert!(told.contains("the store has no such place") && told.contains(".upbit-recorder"), "{told}");
    }
    assert_eq!(std::fs::read_dir(scene.remote()).unwrap().count(), 0);
    std::fs::remove_dir(scene.remote()).unwrap();
    assert_eq!((scene.upload(&[]).code, scene.remote().exists()), (Some(74), false));
    std::fs::rename(scene.directory.path().join("mounted"), scene.remote()).unwrap();
    let done = scene.upload(&[]);
    assert_eq!((done.code, done.files), (Some(0), 1), "{}", done.told);
}

#[test]
fn what_the_account_received_is_for_its_owner() {
    let scene = Scene::new();
    assert_eq!(scene.upload(&["upload.private=true"]).code, Some(0));
    let mode = std::fs::metadata(scene.remote().join("private")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn another_name_is_refused_before_it_hides_what_is_there() {
    let scene = Scene::new();
    scene.upload(&[]);
    let done = scene.upload(&["upload.host=tape2"]);
    assert!(done.code == Some(78) && done.told.contains("tape1"), "{}", done.told);
    let verified = scene.verify(&["upload.host=tape2"], &[]);
    assert_eq!((verified.code, number(&verified.sum, "files")), (Some(0), 6), "{}", verified.told);
}

#[test]
fn what_is_only_there_is_missed_there() {
    let scene = Scene::new();
    scene.upload(&[]);
    assert_eq!(retention::prune(&scene), ["KRW-BTC_trade", "KRW-ETH_trade"]);
    assert_eq!(scene.verify(&[], &[]).code, Some(0));
    let there = scene.there();
    let oldest = there.keys().next().unwrap().rsplit_once('/').unwrap().0;
    std::fs::remove_dir_all(scene.remote().join(oldest)).unwrap();
    let verified = scene.verify(&[], &[]);
    assert_eq!((verified.code, verified.lines.len()), (Some(1), 3), "{:?}", verified.lines);
    assert!(verified.lines.iter().all(|line| line.contains("no manifest there lists it")), "{:?}", verified.lines);
}
