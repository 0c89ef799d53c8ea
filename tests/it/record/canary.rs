//! What is secret stays where it belongs: the account's keys nowhere, its orders and balances under `private/` alone.

use super::Scene;
use crate::support::json::parse;
use crate::support::{Program, eventually};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

const ACCESS: &str = "CANARY-access-key";
const SECRET: &str = "CANARY-secret-key";
const TORN: &str = r#"{"ts_recv":1795324324113205,"type":"myOrder","code":"KRW-BTC","uuid":"CANARY-torn-or"#;

/// Frames that cost a connection, or are not understood: what is said about them must not hold them.
const FAULTS: [&str; 5] = ["garbage", "huge=6000000", "half", "close=1012", "drop"];

const CONNECTIONS: [&str; 2] = ["public", "private"];

#[test]
fn nothing_secret_leaves_its_place_whatever_goes_wrong() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.tape.path.join("private")).unwrap();
    std::fs::write(scene.tape.path.join("private/KRW-BTC_myOrder.jsonl"), TORN).unwrap();
    let exchange = scene.exchange(&["--codes", "2", "--rate", "100", "--access-key", ACCESS, "--secret-key", SECRET]);
    let private = format!("private.url={}/private", exchange.url);
    let settings = [
        private.as_str(),
        "private.enabled=true",
        r#"private.subscribe=[{type="myOrder"},{type="myAsset"}]"#,
        "private.backoff_max=100ms",
        "private.backoff_min=50ms",
        "public.backoff_min=50ms",
        "log.level=trace",
    ];
    let with_keys = |verb: &str, log: &str, settings: &[&str]| {
        let mut command = scene.command(verb, &exchange.url, settings);
        command.env("UPBIT_ACCESS_KEY", ACCESS).env("UPBIT_SECRET_KEY", SECRET);
        let out = File::create(scene.path(log)).unwrap();
        command.stdout(out.try_clone().unwrap()).stderr(out);
        command
    };
    let recorder = Program::spawn(&mut with_keys("record", "log", &settings));
    eventually("the account is recorded", || scene.private().path.join("myAsset.jsonl").exists());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", recorder.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().rev().skip(1).take(2).all(|limit| limit == "0"), "{core}");
    for (lost, fault) in FAULTS.iter().enumerate().skip(1) {
        exchange.fault("garbage");
        exchange.fault(fault);
        let both = format!("{fault} has cost both connections");
        let both_have = |event, count| CONNECTIONS.iter().all(|connection| scene.count(event, connection) >= count);
        eventually(&both, || both_have("lost", lost));
        eventually("both are back", || both_have("live", lost + 1));
    }
    assert!(recorder.terminate().success());
    for (log, arguments) in [("check", &settings[..]), ("refused", &[&settings[..], &["public.format=X"]].concat())] {
        with_keys("check", log, arguments).status().unwrap();
        with_keys("check", &format!("{log}-json"), arguments).arg("--json").status().unwrap();
    }
    exchange.terminate();

    let secrets = secrets(&scene);
    assert!(secrets.len() > 8, "the account had orders and balances: {secrets:?}");
    let mut searched = 0;
    for file in files_below(scene.directory.path()) {
        let is_private = file.starts_with(scene.tape.path.join("private")) || file.ends_with("sent");
        let bytes = std::fs::read(&file).unwrap();
        let bytes = if file.extension().is_some_and(|end| end == "zst") {
            zstd::stream::decode_all(&*bytes).unwrap()
        } else {
            bytes
        };
        let text = String::from_utf8_lossy(&bytes);
        for secret in secrets.iter().filter(|secret| !is_private || secret.contains("key")) {
            assert!(!text.contains(secret), "{} holds {secret}", file.display());
        }
        searched += 1;
    }
    assert!(searched > 10);
    let log = std::fs::read_to_string(scene.path("log")).unwrap();
    assert!(log.lines().any(|line| parse(line)["level"] == "DEBUG"), "the log was as loud as it can be");
    assert!(!log.contains("tungstenite"), "which prints frames, and has no way into the log");
}

/// What an object of the account's streams holds of the account.
#[derive(Deserialize)]
struct Account<'a> {
    uuid: Option<String>,
    asset_uuid: Option<String>,
    #[serde(borrow, default)]
    assets: Vec<Asset<'a>>,
}

#[derive(Deserialize)]
struct Asset<'a> {
    /// As it is spelt.
    #[serde(borrow)]
    balance: &'a RawValue,
}

/// Everything that must not be found elsewhere: keys, tokens, and what the account's files hold of orders and balances.
fn secrets(scene: &Scene) -> BTreeSet<String> {
    let mut secrets: BTreeSet<String> = [ACCESS, SECRET, "CANARY-torn", "Bearer ", "eyJ"].map(str::to_owned).into();
    for line in scene.private().lines().values().flatten() {
        let object: Account<'_> = serde_json::from_str(line).unwrap();
        secrets.extend([object.uuid, object.asset_uuid].into_iter().flatten());
        let balances = object.assets.iter().map(|asset| asset.balance.get().to_owned());
        // A balance of few digits is found anywhere.
        secrets.extend(balances.filter(|balance| balance.len() > 8));
    }
    secrets
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}
