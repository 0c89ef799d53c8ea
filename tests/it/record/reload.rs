//! SIGHUP: the configuration is read again, and what it changes joins the living connection.

use super::Scene;
use crate::support::json::{number, parse};
use crate::support::{Program, eventually, pause, sent};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// A recorder whose configuration is a file, and its log.
struct Reloaded {
    scene: Scene,
    recorder: Program,
}

impl Reloaded {
    fn start(scene: Scene, url: &str, configuration: &str) -> Self {
        let (file, log) = (scene.path("recorder.toml"), scene.path("log"));
        std::fs::write(&file, configuration).unwrap();
        let mut command = scene.command("record", url, &[]);
        command.args(["--config", &file]).stderr(File::create(log).unwrap());
        let recorder = Program::spawn(&mut command);
        scene.await_event(&recorder, "gap", 1);
        Self { scene, recorder }
    }

    /// Writes another configuration, and waits until it was read.
    fn reload(&self, configuration: &str, outcome: &str) -> Value {
        let before = self.scene.tape.active_events().iter().filter(|event| event["event"] == outcome).count();
        std::fs::write(self.scene.path("recorder.toml"), configuration).unwrap();
        self.recorder.signal(Signal::HUP);
        self.scene.await_event(&self.recorder, outcome, before + 1);
        let events = self.scene.tape.active_events();
        events.into_iter().rfind(|event| event["event"] == outcome).unwrap()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.scene.path("log")).unwrap()
    }
}

fn streams_of(event: &Value) -> BTreeSet<&str> {
    event["streams"].as_array().unwrap().iter().map(|stream| stream.as_str().unwrap()).collect()
}

const FIRST: &str = r#"
[[public.subscribe]]
type = "trade"
codes = ["KRW-BTC", "KRW-ETH"]
[[public.subscribe]]
type = "orderbook"
codes = ["KRW-BTC"]
"#;

const SECOND: &str = r#"
public.format = "SIMPLE"
storage.rotate_bytes = "32MiB"
rest.heal_max = 7
log.level = "debug"
[[public.subscribe]]
type = "trade"
codes = ["KRW-BTC"]
[[public.subscribe]]
type = "ticker"
codes = ["KRW-BTC", "KRW-XRP"]
"#;

#[test]
fn another_configuration_joins_the_living_connection() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300"]);
    let running = Reloaded::start(scene, &exchange.url, FIRST);
    let reloaded = running.reload(SECOND, "reloaded");
    assert_eq!(reloaded["changed"], json!(["public.format", "public.subscribe", "storage.rotate_bytes", "log.level"]));
    assert_eq!(reloaded["restart"], json!(["rest.heal_max"]));
    let Reloaded { scene, recorder } = &running;
    eventually("what is new is recorded", || scene.tape.path.join("KRW-XRP_ticker.jsonl").exists());
    scene.await_event(recorder, "gap", 3);
    exchange.fault("silence");
    eventually("all is recorded", || {
        let before = scene.recorded();
        pause(Duration::from_millis(500));
        scene.recorded() == before && scene.tape.unsealed().is_empty()
    });
    let log = running.log();
    assert!(log.contains("DEBUG") && log.contains("rest.heal_max") && log.contains("restart"), "{log}");
    let Reloaded { scene, recorder } = running;
    assert!(recorder.terminate().success());
    exchange.terminate();

    assert_eq!(scene.tape.events("connected").len(), 1, "it is the same connection");
    let subscribed = scene.tape.events("subscribed");
    assert_eq!(
        subscribed.iter().map(|event| event["reason"].as_str().unwrap()).collect::<Vec<_>>(),
        ["connected", "changed"]
    );
    let changed = &subscribed[1];
    let request: Vec<Value> = serde_json::from_str(changed["request"].as_str().unwrap()).unwrap();
    assert_eq!(
        request[1..],
        [
            json!({"type": "trade", "codes": ["KRW-BTC"]}),
            json!({"type": "ticker", "codes": ["KRW-BTC", "KRW-XRP"]}),
            json!({"format": "SIMPLE"}),
        ]
    );
    let gaps = scene.tape.events("gap");
    let suspected: Vec<&Value> = gaps.iter().filter(|gap| gap["kind"] == "suspected").collect();
    for (streams, since) in [(&["KRW-BTC_ticker", "KRW-XRP_ticker"][..], &reloaded), (&["KRW-BTC_trade"], changed)] {
        let own = suspected.iter().find(|gap| streams_of(gap) == streams.iter().copied().collect()).unwrap();
        let at = number(changed, "ts_recv");
        assert!(number(own, "from") <= number(since, "ts_recv") + 1_000 && at < number(own, "to"), "{own}");
    }
    let ended = scene.tape.events("rotated").into_iter().filter(|event| event["reason"] == "subscription");
    let ended: Vec<String> =
        ended.flat_map(|event| event["segments"].as_array().unwrap().clone()).map(|name| name.to_string()).collect();
    for stream in ["KRW-BTC_trade", "KRW-ETH_trade", "KRW-BTC_orderbook"] {
        assert!(ended.iter().any(|name| name.contains(stream)), "{stream}: {ended:?}");
    }
    let [recorded, sent] = [scene.tape.frames(), sent(Path::new(&scene.path("sent")))].map(|mut frames| {
        // Replies and statuses go on until the end.
        frames.remove("misc");
        frames
    });
    assert_eq!(recorded, sent);
    for (stream, lines) in scene.tape.lines().into_iter().filter(|(stream, _)| stream != "misc") {
        assert!(lines.is_sorted_by_key(|line| parse(line).get("ty").is_some()), "{stream}");
    }
    scene.tape.assert_sealed();
}

#[test]
fn a_wrong_file_keeps_what_is_in_force_and_says_why() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "300"]);
    let running = Reloaded::start(scene, &exchange.url, FIRST);
    for (wrong, named) in [
        ("public.subscribe = [{type=\"trade\"}]\nstorage.rotate_bytes = \"1KiB\"", "codes"),
        ("public.subscribe = [", "line 1"),
        ("[public]\nsubscribes = []", "did you mean `subscribe`?"),
    ] {
        let failed = running.reload(wrong, "reload_failed");
        let cause = failed["cause"].as_str().unwrap();
        assert!(cause.contains("recorder.toml") && cause.contains(named), "{cause}");
        assert!(running.log().contains("the one before stays in force"), "{}", running.log());
    }
    let recorded = running.scene.recorded();
    eventually("it goes on as before", || running.scene.recorded() > recorded + 100);
    running.reload(SECOND, "reloaded");
    let Reloaded { scene, recorder } = running;
    eventually("a right one is taken", || scene.tape.path.join("KRW-XRP_ticker.jsonl").exists());
    assert!(recorder.terminate().success());
    let names: Vec<_> = scene.tape.events("subscribed").into_iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(names, ["connected", "changed"]);
    assert_eq!(scene.tape.events("lost").iter().filter(|lost| lost["cause"] != "closed by the recorder").count(), 0);
}
