//! When the account's key expires is shown, and the key is not.

use super::Scene;
use crate::support::http::get;
use crate::support::json::{number, parse};
use crate::support::{Exchange, Program};
use std::os::unix::fs::PermissionsExt;

const KEYS: [(&str, &str); 2] = [("access", "an-access-key-of-ours"), ("secret", "a-secret-key-of-ours")];

#[test]
fn the_expiry_of_the_key_is_shown_and_the_key_is_not() {
    let scene = Scene::new();
    let files = KEYS.map(|(name, key)| {
        let path = scene.directory.path().join(name);
        std::fs::write(&path, key).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    });
    let exchange = Exchange::start(
        0,
        &["--codes", "3", "--access-key-file", files[0].as_str(), "--secret-key-file", files[1].as_str()],
    );
    let mut command = scene.command("record", &exchange.url);
    command.args(["--set", "private.enabled=true", "--set", &format!("private.url={}/private", exchange.url)]);
    for ((name, _), file) in KEYS.iter().zip(&files) {
        command.args(["--set", &format!("private.{name}_key_file={file}")]);
    }
    let recorder = Program::spawn(&mut command);
    scene.await_ready();
    let shown = scene.await_answer("/status", |answer| !parse(&answer.body)["key_expires"].is_null());
    let status = parse(&shown.body);
    let days = (number(&status, "key_expires") - number(&status, "at")) / 86_400_000_000;
    assert!((299..=300).contains(&days), "{days}");
    let metrics = get(scene.port, "/metrics").unwrap().body;
    assert!(metrics.contains("\nupbit_recorder_key_expiry_timestamp_seconds "), "{metrics}");
    assert!(metrics.contains("upbit_recorder_rest_requests_total{group=\"api_keys\",status=\"200\"} 1\n"), "{metrics}");
    for path in ["/", "/livez", "/readyz", "/status", "/metrics"] {
        let body = get(scene.port, path).unwrap().body;
        assert!(KEYS.iter().all(|(_, key)| !body.contains(key)), "{path}");
    }
    assert!(recorder.terminate().success());
}
