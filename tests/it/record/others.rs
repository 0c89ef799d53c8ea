//! Who else has a hand in the data directory: clean-up jobs, restores, people.

use super::Scene;
use crate::support::json::lines_so_far;
use crate::support::{Program, eventually};
use rustix::fs::{CWD, Mode, mkfifoat};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

#[test]
fn without_its_lock_file_a_directory_still_has_one_recorder() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "100"]);
    let recorder = scene.record(&exchange.url, &[]);
    scene.await_event(&recorder, "live", 1);
    let lock = scene.tape.path.join(".lock");
    std::fs::remove_file(&lock).unwrap();
    assert_eq!(scene.record(&exchange.url, &[]).wait().code(), Some(75));
    let is_own = |holder: &serde_json::Value| holder["pid"] == recorder.pid();
    eventually("the file is made anew", || lines_so_far(&lock).iter().any(is_own));
    assert!(recorder.terminate().success());
}

#[test]
fn pipes_and_links_at_its_names_are_not_written() {
    let scene = Scene::new();
    let victim = scene.directory.path().join("victim");
    std::fs::write(&victim, "not yours").unwrap();
    let names = [
        ".lock",
        ".durable",
        ".reserve",
        "recorder.jsonl",
        "misc.jsonl",
        "archive",
        "quarantine",
        "rest/.requests",
        "rest/markets.json",
        "private/misc.jsonl",
        "private/archive",
    ];
    for directory in ["rest", "private"] {
        std::fs::create_dir_all(scene.tape.path.join(directory)).unwrap();
    }
    let exchange = scene.exchange(&["--codes", "3", "--rate", "100"]);
    for kind in ["pipe", "link"] {
        for name in names {
            let path = scene.tape.path.join(name);
            let _ = std::fs::remove_file(&path);
            let _ = std::fs::remove_dir_all(&path);
            match kind {
                "pipe" => mkfifoat(CWD, &path, Mode::RWXU).unwrap(),
                _ => symlink(&victim, &path).unwrap(),
            }
        }
        let rest = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
        let codes = "public.subscribe=[{type=\"trade\",codes=[\"KRW-BTC\",\"KRW-*\"]}]";
        let recorder = scene.record(&exchange.url, &[&rest, codes]);
        let events = scene.tape.path.join("recorder.jsonl");
        eventually("the way is free", || std::fs::symlink_metadata(&events).is_ok_and(|found| found.is_file()));
        scene.await_event(&recorder, "live", 1);
        assert!(recorder.terminate().success(), "{kind}");
        assert_eq!(scene.tape.events("quarantined").len(), 7, "all but what is made anew before it records: {kind}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "not yours");
        assert!(std::fs::symlink_metadata(scene.tape.path.join("quarantine.1")).is_ok());
        std::fs::rename(scene.tape.path.join("quarantine.1"), scene.path(kind)).unwrap();
    }
}

#[test]
fn nobody_else_writes_its_files_or_reads_the_accounts() {
    let scene = Scene::new();
    std::fs::create_dir_all(scene.tape.path.join("private")).unwrap();
    std::fs::write(scene.tape.path.join("private/notes"), "of an earlier time").unwrap();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "100"]);
    let recorder = scene.command("record", &exchange.url, &[]);
    // Whatever the user's umask lets others do.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "umask 000; exec \"$0\" \"$@\""])
        .arg(recorder.get_program())
        .args(recorder.get_args())
        .env_clear();
    let recorder = Program::spawn(&mut shell);
    scene.await_event(&recorder, "live", 1);
    assert!(recorder.terminate().success());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut seen = 0;
    for entry in std::fs::read_dir(&scene.tape.path).unwrap() {
        let path = entry.unwrap().path();
        let taken = if path.ends_with("private") { 0o077 } else { 0o022 };
        assert_eq!(mode(&path) & taken, 0, "{}: {:o}", path.display(), mode(&path));
        seen += 1;
    }
    assert!(seen > 5 && mode(&scene.tape.path.join("private/notes")) == 0o600);
}

#[test]
fn a_pipe_in_place_of_its_configuration_is_refused() {
    let scene = Scene::new();
    let pipe = scene.path("recorder.toml");
    mkfifoat(CWD, pipe.as_str(), Mode::RWXU).unwrap();
    for verb in ["record", "check", "markets"] {
        let mut program = Program::start(&[verb, "--config", &pipe]);
        assert_eq!(program.wait().code(), Some(78), "{verb}");
    }
}
