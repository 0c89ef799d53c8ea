//! `/metrics` has what `docs/FORMAT.md` says, and the dashboard and the alerts ask for nothing else.

use super::{Scene, exchange};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../../docs/FORMAT.md");
const PREFIX: &str = "upbit_recorder_";

/// Metrics by the name of their samples, each with its labels; of a histogram the name alone.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// Those that a scrape holds.
fn scraped(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    let mut kinds = BTreeMap::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap();
            kinds.insert(name, kind);
            let ending = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            metrics.insert(format!("{name}{ending}"), BTreeSet::new());
        } else if !line.starts_with('#') {
            let (name, labels) = line.split_once('{').unwrap_or((line.split(' ').next().unwrap(), ""));
            let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
            if let Some(found) = metrics.get_mut(name) {
                found.extend(labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned())));
            }
        }
    }
    assert!(kinds.keys().all(|name| name.starts_with(PREFIX)), "{kinds:?}");
    metrics
}

/// Those that the page explains.
fn documented() -> Metrics {
    let (_, table) = PAGE.split_once("| metric | meaning |\n|---|---|\n").unwrap();
    let rows = table.lines().map_while(|row| row.strip_prefix("| ")?.split(" | ").next());
    let names = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let split = |name: &str| {
        let (name, labels) = name.split_once('{').unwrap_or((name, "}"));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).map(str::to_owned);
        (format!("{PREFIX}{name}"), labels.collect())
    };
    names.map(split).collect()
}

#[test]
fn every_metric_is_explained_and_every_explained_one_is_there() {
    let (scene, exchange) = (Scene::new(), exchange());
    let recorder = scene.record(&exchange.url);
    scene.await_ready();
    exchange.fault("drop");
    // Healing asks over REST, which has labels of its own.
    let seen = |text: &str| {
        let has = |name: &str| text.lines().any(|line| line.starts_with(&format!("{PREFIX}{name}")));
        has("rest_requests_total{") && has("disconnects_total{") && has("disk_free_bytes ")
    };
    let answer = scene.await_answer("/metrics", |answer| seen(&answer.body));
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", answer.head);
    assert!(answer.body.ends_with("\n# EOF\n"));
    assert_eq!(scraped(&answer.body), documented());
    assert!(recorder.terminate().success());
}

/// The metrics that a text of queries asks for.
fn queried(text: &str) -> BTreeSet<String> {
    let parts = text.split(PREFIX).skip(1);
    let names = parts.map(|part| part.split(|char: char| !char.is_ascii_alphanumeric() && char != '_').next().unwrap());
    names.map(|name| format!("{PREFIX}{}", name.trim_end_matches("_bucket"))).collect()
}

/// The queries of a dashboard, wherever they stand.
fn queries(value: &serde_json::Value, found: &mut String) {
    match value {
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                match value.as_str().filter(|_| ["expr", "query", "definition"].contains(&key.as_str())) {
                    Some(query) => *found += &format!("{query}\n"),
                    None => queries(value, found),
                }
            }
        }
        serde_json::Value::Array(list) => list.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_exist() {
    let dashboard = crate::support::json::parse(include_str!("../../../config/grafana/upbit-recorder.json"));
    let mut asked = String::new();
    queries(&dashboard, &mut asked);
    let known = documented();
    let is_known = |name: &&String| known.contains_key(*name);
    for text in [asked.as_str(), include_str!("../../../config/prometheus/alerts.yml")] {
        let names = queried(text);
        assert!(names.len() > 10, "{names:?}");
        assert_eq!(names.iter().find(|name| !is_known(name)), None);
    }
    let shown = queried(&asked);
    assert_eq!(known.keys().find(|name| !shown.contains(*name)), None, "the dashboard shows all of them");
}

#[test]
fn each_alert_has_a_line_in_the_runbook() {
    let rules = include_str!("../../../config/prometheus/alerts.yml");
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let readme = include_str!("../../../README.md");
    let (_, runbook) = readme.split_once("\n### Alerts\n").unwrap();
    let (runbook, _) = runbook.split_once("\n## ").unwrap();
    let lines: Vec<&str> = runbook.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(names.collect::<Vec<_>>(), lines);
}
