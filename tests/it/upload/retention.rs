//! With `storage.keep_until_uploaded` only what is there, and proved there, is deleted here.

use super::*;
use upbit_recorder::recording::retention::plan::KeepLimits;
use upbit_recorder::recording::retention::run::Run;

/// Deletes what is older than 12 hours; returns the names that went.
pub(super) fn prune(scene: &Scene) -> Vec<String> {
    let limits = KeepLimits { keep_for: Some(DAY / 2), keep_bytes: None };
    let to = format!("file://{}", scene.remote().display());
    let mut run = Run::begin(scene.files.clone(), limits, scene.now).unwrap().once_uploaded_to(Some(to));
    let mut gone = Vec::new();
    loop {
        let batch = run.next_batch().unwrap();
        if batch.is_empty() {
            return gone;
        }
        run.execute(&batch).unwrap();
        gone.extend(batch.iter().map(|removal| removal.name.stream.to_string()));
    }
}

#[test]
fn nothing_goes_before_it_is_there() {
    let scene = Scene::new();
    assert_eq!(prune(&scene), [""; 0]);
    scene.upload(&[]);
    assert_eq!(prune(&scene), ["KRW-BTC_trade", "KRW-ETH_trade"], "the account and the events are awaited");
    scene.upload(&["upload.private=true"]);
    scene.upload(&[]);
    assert_eq!(prune(&scene), ["KRW-BTC_myOrder"], "the events of yesterday stay");
}

#[test]
fn another_store_or_another_content_is_not_there() {
    let scene = Scene::new();
    scene.upload(&[]);
    let dates: Vec<PathBuf> =
        std::fs::read_dir(scene.data("archive")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let change = |from: &str, to: &str| {
        for date in &dates {
            let path = date.join("uploaded.jsonl");
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            std::fs::write(path, text.replace(from, to)).unwrap();
        }
    };
    change("\"to\":\"file:", "\"to\":\"elsewhere:");
    assert_eq!(prune(&scene), [""; 0]);
    change("\"to\":\"elsewhere:", "\"to\":\"file:");
    change("\"sha256\":\"", "\"sha256\":\"0");
    assert_eq!(prune(&scene), [""; 0]);
    change("\"sha256\":\"0", "\"sha256\":\"");
    assert_eq!(prune(&scene).len(), 2);
}

#[test]
fn the_verb_asks_the_configuration() {
    let scene = Scene::new();
    let dry = |settings: &[&str]| {
        let settings = [&["storage.keep_for=1h"], settings].concat();
        let output = scene.command("prune", &settings).args(["--dry-run", "--json"]).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        number(&parse(stdout.lines().last().unwrap()), "files")
    };
    assert_eq!((dry(&[]), dry(&["storage.keep_until_uploaded=true"])), (3, 0));
    scene.upload(&[]);
    assert_eq!(dry(&["storage.keep_until_uploaded=true"]), 2);
}
