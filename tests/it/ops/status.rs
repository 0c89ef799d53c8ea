//! `/readyz`, `/status` and `/livez` tell what is so.

use super::{Scene, exchange};
use crate::support::http::get;
use crate::support::json::{number, parse};
use serde_json::Value;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/FORMAT.md");

/// The paths of all keys in a value; those of a list's elements together.
fn keys(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = format!("{path}.{key}");
                found.insert(path.clone());
                keys(value, &path, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| keys(value, path, found)),
        _ => {}
    }
}

fn keys_of(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    keys(value, "", &mut found);
    found
}

#[test]
fn ready_means_that_data_is_recorded() {
    let (scene, exchange) = (Scene::new(), exchange());
    let recorder = scene.record(&exchange.url);
    let ready = parse(&scene.await_ready().body);
    assert_eq!((&ready["ready"], &ready["owner"]["pid"]), (&true.into(), &recorder.pid().into()));
    assert_eq!(number(&ready, "run"), number(&scene.tape().active_events()[0], "ts_recv"));
    exchange.kill();
    let answer = scene.await_answer("/readyz", |answer| answer.status == 503);
    let red = parse(&answer.body);
    assert_eq!((&red["ready"], &red["reasons"][0]["part"]), (&false.into(), &"public".into()), "{red}");
    assert!(red["reasons"][0]["text"].as_str().unwrap().contains("NOT RECORDING: "), "{red}");
    assert_eq!(get(scene.port, "/livez").unwrap().status, 200, "it lives without an exchange");
    assert!(recorder.terminate().success());
}

#[test]
fn the_status_has_the_keys_that_are_documented() {
    let (_, block) = PAGE.split_once("```json status\n").unwrap();
    let example = parse(block.split_once("```").unwrap().0);
    let (scene, exchange) = (Scene::new(), exchange());
    let recorder = scene.record(&exchange.url);
    scene.await_ready();
    exchange.fault("drop");
    let shown = scene.await_answer("/status", |answer| {
        let shown = parse(&answer.body);
        shown["connections"]["public"]["state"] == "live" && shown["gaps"][0]["healed"].is_object()
    });
    let shown = parse(&shown.body);
    let documented = keys_of(&example);
    let extra: BTreeSet<String> = ["cause", "retry_in", "gap", "gap.from", "gap.kind", "gap.cause"]
        .map(|key| format!(".connections.public.{key}"))
        .into_iter()
        .chain([".reasons.part".to_owned(), ".reasons.text".to_owned()])
        .collect();
    let found: BTreeSet<String> = keys_of(&shown).difference(&extra).cloned().collect();
    assert_eq!(found, documented);
    let explained = |key: &String| PAGE.contains(&format!("`{}`", key.rsplit('.').next().unwrap()));
    assert_eq!(documented.union(&extra).find(|key| !explained(key) && !is_name(key)), None);
    let streams = shown["streams"].as_array().unwrap();
    let trades = streams.iter().find(|stream| stream["stream"] == "KRW-BTC_trade").unwrap();
    assert!(number(trades, "lines") > 0 && number(trades, "bytes") > number(trades, "lines"), "{trades}");
    assert!(number(&shown, "at") >= number(trades, "last"));
    assert!(recorder.terminate().success());
}

/// Names of things are no keys.
fn is_name(key: &str) -> bool {
    [".connections.public", ".loops.", ".queues."].iter().any(|part| key.contains(part))
        || [".version", ".venue", ".owner.host", ".owner.pid", ".owner.started"].contains(&key)
}

#[test]
fn what_is_not_there_is_told() {
    let (scene, exchange) = (Scene::new(), exchange());
    let recorder = scene.record(&exchange.url);
    scene.await_ready();
    assert_eq!(get(scene.port, "/nothing").unwrap().status, 404);
    let post = format!("POST /livez HTTP/1.1\r\nHost: x:{}\r\nContent-Length: 0\r\n\r\n", scene.port);
    assert_eq!(crate::support::http::send(scene.port, &post).unwrap().status, 405);
    let head = crate::support::http::send(scene.port, "HEAD /status HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for header in ["cache-control: no-store", "x-content-type-options: nosniff", "content-security-policy: default-src"]
    {
        assert!(head.head.contains(header), "{}", head.head);
    }
    assert!(recorder.terminate().success());
}
