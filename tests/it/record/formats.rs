//! Both connections, in every format and kind of frame: what was sent is what is on disk, and where.

use super::Scene;
use crate::support::{Tape, eventually, pause, sent};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// The account's keys, as the exchange knows them.
const KEYS: [&str; 4] = ["--access-key", "access", "--secret-key", "secret"];

const ACCOUNT: &str = r#"private.subscribe=[{type="myOrder"},{type="myAsset"},{type="announcement"}]"#;

/// How one of the runs differs from the others.
struct Run {
    format: &'static str,
    algorithm: &'static str,
    keys_in_files: bool,
    exchange: &'static [&'static str],
}

#[test]
fn in_every_format_what_is_sent_is_what_is_on_disk() {
    let run = |format, algorithm, keys_in_files, exchange| Run { format, algorithm, keys_in_files, exchange };
    let runs = [
        run("DEFAULT", "HS512", true, &[][..]),
        run("DEFAULT", "HS256", false, &["--text"]),
        run("SIMPLE", "HS512", false, &[]),
        run("SIMPLE", "HS256", true, &["--text"]),
        run("JSON_LIST", "HS512", true, &["--list-batch", "7"]),
        run("JSON_LIST", "HS512", false, &["--text", "--bare-snapshots"]),
        run("SIMPLE_LIST", "HS512", false, &["--list-batch", "50", "--bare-snapshots"]),
        run("SIMPLE_LIST", "HS512", true, &["--text"]),
    ];
    std::thread::scope(|scope| runs.iter().for_each(|run| drop(scope.spawn(|| record_and_compare(run)))));
}

fn record_and_compare(run: &Run) {
    let scene = Scene::new();
    let market = [&KEYS[..], &["--codes", "3", "--rate", "200"]].concat();
    let exchange = scene.exchange(&[&market, run.exchange].concat());
    let settings = [
        format!("public.format={}", run.format),
        format!("private.format={}", run.format),
        format!("private.jwt_algorithm={}", run.algorithm),
        format!("private.url={}/private", exchange.url),
        "private.enabled=true".to_owned(),
        ACCOUNT.to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut command = scene.command("record", &exchange.url, &settings);
    if run.keys_in_files {
        let access = scene.key_file("access", "access");
        let secret = scene.key_file("secret", "secret");
        command.args(["--set", &format!("private.access_key_file={access}")]);
        command.args(["--set", &format!("private.secret_key_file={secret}")]);
    } else {
        command.env("UPBIT_ACCESS_KEY", "access").env("UPBIT_SECRET_KEY", "secret");
    }
    let recorder = crate::support::Program::spawn(&mut command);
    // Orders come every two seconds.
    eventually("the account is recorded", || scene.private().path.join("myAsset.jsonl").exists());
    exchange.fault("silence");
    eventually("all is recorded", || {
        let before = scene.recorded();
        pause(Duration::from_millis(500));
        scene.recorded() == before
    });
    assert!(recorder.terminate().success());
    exchange.terminate();

    let data = |mut frames: BTreeMap<String, Vec<String>>| {
        // Replies and statuses go on until the end.
        frames.remove("misc");
        frames
    };
    let mut recorded = data(scene.tape.frames());
    let account = data(scene.private().frames());
    recorded.extend(account.into_iter().map(|(stream, frames)| (format!("private/{stream}"), frames)));
    assert_eq!(recorded, data(sent(Path::new(&scene.path("sent")))), "{}", run.format);
    assert!(recorded.len() >= 11, "nine streams of three pairs, orders and assets: {:?}", recorded.keys());
    assert_modes(&scene.private());
}

fn assert_modes(private: &Tape) {
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&private.path), 0o700);
    let mut files = 0;
    let mut directories = vec![private.path.clone()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                assert_eq!(mode(&path), 0o700, "{}", path.display());
                directories.push(path);
            } else {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files >= 2);
}
