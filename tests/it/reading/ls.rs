//! `ls`: what is recorded, as manifests, files and events have it.

use super::{Scene, printed};
use crate::support::eventually;
use crate::support::json::stamp_of;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Rows of the JSON output, by stream.
fn rows(text: &str) -> BTreeMap<String, Value> {
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (row["stream"].as_str().unwrap().to_owned(), row)).collect()
}

#[test]
fn streams_are_listed_with_times_sizes_and_gaps() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "3000"]);
    let recorder = scene.record(&exchange, &[]);
    scene.await_sealed(4);
    recorder.kill();
    let recorder = scene.record(&exchange, &[]);
    scene.await_told("killed");
    exchange.terminate();
    eventually("the end is seen", || scene.tape.active_events().iter().any(|event| event["event"] == "lost"));
    eventually("everything that ended is sealed", || scene.tape.unsealed().is_empty());
    // The recorder goes on, and on a busy machine tells of another gap while the verb reads.
    let gaps_before = scene.tape.events("gap");
    let listed = rows(&printed(&mut scene.verb(&["ls", "--json", "*_*", "--coverage"])));
    let (lines, gaps) = (scene.tape.lines(), scene.tape.events("gap"));
    let mut streams: Vec<&String> = lines.keys().filter(|stream| stream.contains('_')).collect();
    assert_eq!(listed.keys().collect::<Vec<_>>(), streams);
    streams.retain(|stream| stream.contains("_t"));
    for stream in streams {
        let (row, own) = (&listed[stream], &lines[stream]);
        let wanted = [stamp_of(&own[0]), stamp_of(own.last().unwrap()), own.len() as u64];
        assert_eq!(["first", "last", "lines"].map(|key| row[key].as_u64().unwrap()), wanted, "{stream}");
        assert_eq!(row["bytes"].as_u64().unwrap(), own.iter().map(|line| line.len() as u64 + 1).sum::<u64>());
        let names_it = |gap: &&Value| gap["streams"].as_array().unwrap().contains(&Value::from(stream.as_str()));
        let [least, most] = [&gaps_before, &gaps].map(|gaps| gaps.iter().filter(names_it).count() as u64);
        assert!(least > 0 && (least..=most).contains(&row["gaps"].as_u64().unwrap()), "{stream}: {least} to {most}");
        assert!(row["gap_micros"].as_u64().unwrap() > 0);
        let days: Vec<&str> = row["days"].as_object().unwrap().values().map(|hours| hours.as_str().unwrap()).collect();
        assert!(days.iter().any(|hours| hours.contains('g') && hours.len() == 24), "{days:?}");
    }
    let sealed: u64 = listed.values().map(|row| row["files"].as_u64().unwrap()).sum();
    let is_listed = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().contains('_');
    let files = scene.tape.archived(".zst").into_iter().filter(is_listed);
    assert_eq!(sealed, files.count() as u64);
    assert!(recorder.terminate().success());
    let text = printed(&mut scene.verb(&["ls", "KRW-BTC_*", "--coverage", "--tz", "Asia/Seoul"]));
    assert!(text.starts_with("STREAM") && text.contains("KRW-BTC_trade") && !text.contains("KRW-ETH"), "{text}");
    assert!(text.contains('▒') && text.contains("nothing expected"), "{text}");
}

#[test]
fn sealed_files_are_named_for_programs_that_copy_them() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "3000"]);
    let recorder = scene.record(&exchange, &[]);
    scene.await_sealed(2);
    assert!(recorder.terminate().success());
    let wanted: Vec<String> = scene
        .tape
        .archived(".zst")
        .iter()
        .map(|path| path.strip_prefix(&scene.tape.path).unwrap().to_str().unwrap().to_owned())
        .collect();
    let found = printed(&mut scene.verb(&["ls", "--sealed", "--print0", "--since", "-1h"]));
    assert_eq!(found.split_terminator('\0').collect::<Vec<_>>(), wanted);
    assert_eq!(printed(&mut scene.verb(&["ls", "--sealed"])).lines().collect::<Vec<_>>(), wanted);
    assert_eq!(printed(&mut scene.verb(&["ls", "--sealed", "--since", "now"])), "");
    let of_one: Vec<&String> = wanted.iter().filter(|name| name.contains("/KRW-BTC_ticker.")).collect();
    let json = printed(&mut scene.verb(&["ls", "KRW-BTC_ticker", "--sealed", "--json"]));
    let files: Vec<Value> =
        json.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["file"].clone()).collect();
    let of_one: Vec<Value> = of_one.into_iter().map(|name| Value::from(name.as_str())).collect();
    assert_eq!(files, of_one);
}
