//! `docs/FORMAT.md` is held against the code: every event, key, verb, exit code and reason, both ways.

mod directories;

use bigdecimal::BigDecimal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use upbit_recorder::cli::Cli;
use upbit_recorder::clock::Stamp;
use upbit_recorder::exit::Exit;
use upbit_recorder::history::audit::{Certificate, Day};
use upbit_recorder::tape::certificate::{Blind, Difference, Finding, Head, Residue, Row, StreamAudit, Tail, Verdict};
use upbit_recorder::tape::day_summary::DaySummary;
use upbit_recorder::tape::event::{ClockHealth, Event, Start};
use upbit_recorder::tape::gap::{Gap, GapKind};
use upbit_recorder::tape::healed::HealReport;
use upbit_recorder::tape::manifest::{ManifestEntry, PrunedLine};
use upbit_recorder::tape::paths;
use upbit_recorder::tape::record::Record;
use upbit_recorder::tape::segment_name::SegmentName;
use upbit_recorder::tape::stream_key::StreamKey;
use upbit_recorder::tape::uploaded::UploadedLine;
use upbit_recorder::tape::words::{
    Displacement, EpochReason, PauseCause, PruneReason, Refused, RotationReason, Stage, StopReason, SubscribeReason,
};
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::venue::Venue;

const PAGE: &str = include_str!("../../docs/FORMAT.md");

/// The lines of the code block that begins with three backticks and `kind`.
fn block(kind: &str) -> impl Iterator<Item = &'static str> {
    let start = format!("```{kind}\n");
    let (_, rest) = PAGE.split_once(&start).unwrap_or_else(|| panic!("no block `{kind}`"));
    rest.split_once("```").unwrap().0.lines()
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// One event of every kind. The match makes a forgotten one a mistake of the compiler's finding.
fn all_events() -> Vec<Event> {
    let text = || "x".to_owned();
    let connection = Feed::Public;
    let at = Stamp::default();
    let gap = Gap { connection, epoch: 0, from: at, to: at, kind: GapKind::Killed, cause: text(), only: None };
    let events = vec![
        Event::started(start(0, None)),
        Event::started(start(1, Some(EpochReason::Clock))),
        Event::Stopped { reason: StopReason::Signal.into(), requests: BTreeMap::new() },
        Event::Connected { connection, attempt: 1, address: text() },
        Event::Subscribed { connection, reason: SubscribeReason::Connected.into(), request: text() },
        Event::Live { connection, attempt: 1 },
        Event::Lost { connection, stage: Stage::Live.into(), cause: text(), attempt: 1, last: None },
        Event::Refused { connection, refused: Refused::Request.into(), reason: text(), request: None },
        Event::Silent { connection, streams: vec![] },
        Event::Mismatch { connection, missing: vec![], unexpected: vec![] },
        Event::Stale { connection, streams: vec![], since: at, last_data: vec![] },
        Event::Unreadable { connection, since: at, frames: 1 },
        Event::Paused { connection, from: at, to: at, cause: Some(PauseCause::Disk.into()) },
        Event::GivenUp { connection, attempts: 1 },
        Event::gap(gap, at, vec![]),
        Event::Healed { gap: 1, gap_epoch: None, report: HealReport::default() },
        Event::Healed { gap: 1, gap_epoch: Some(0), report: HealReport::default() },
        Event::Listed { codes: vec![], since: None },
        Event::Delisted { codes: vec![] },
        Event::FirstMessage { stream: text(), listed: at, after: 1 },
        Event::Reloaded { changed: vec![], restart: vec![] },
        Event::ReloadFailed { cause: text() },
        Event::Rotated { reason: RotationReason::Size.into(), segments: vec![] },
        Event::from(entry()),
        Event::Pruned { files: 1, bytes: 1, until: at },
        Event::Quarantined { file: text(), kept: text(), reason: "x".into() },
        Event::Displaced {
            file: text(),
            what: Displacement::Removed.into(),
            saved: None,
            kept: None,
            from: None,
            to: None,
        },
        Event::ClockStep { before: at, after: at, epoch: 1 },
        Event::Clock { offset: -1, ahead: 0, clock: ClockHealth::default() },
        Event::Recovered { file: text(), offset: 1, length: 1, sha256: text() },
        Event::DiskFull { cause: text() },
        Event::DiskOk,
        Event::SyncFailed { durable: None, cause: text() },
    ];
    for event in &events {
        match event {
            Event::Started { .. }
            | Event::Stopped { .. }
            | Event::Connected { .. }
            | Event::Subscribed { .. }
            | Event::Live { .. }
            | Event::Lost { .. }
            | Event::Refused { .. }
            | Event::Silent { .. }
            | Event::Mismatch { .. }
            | Event::Stale { .. }
            | Event::Unreadable { .. }
            | Event::Paused { .. }
            | Event::GivenUp { .. }
            | Event::Gap { .. }
            | Event::Healed { .. }
            | Event::Listed { .. }
            | Event::Delisted { .. }
            | Event::FirstMessage { .. }
            | Event::Reloaded { .. }
            | Event::ReloadFailed { .. }
            | Event::Rotated { .. }
            | Event::Sealed { .. }
            | Event::Pruned { .. }
            | Event::Recovered { .. }
            | Event::Quarantined { .. }
            | Event::Displaced { .. }
            | Event::ClockStep { .. }
            | Event::Clock { .. }
            | Event::DiskFull { .. }
            | Event::DiskOk
            | Event::SyncFailed { .. } => {}
        }
    }
    events
}

fn start(epoch: u64, reason: Option<EpochReason>) -> Start {
    Start { pid: 1, venue: venue(), connections: vec![], epoch, reason, clock: ClockHealth::default() }
}

fn venue() -> Venue {
    Venue::named_after("local")
}

fn entry() -> ManifestEntry {
    ManifestEntry {
        name: String::new(),
        stream: String::new(),
        run: Stamp::default(),
        venue: Some(venue()),
        version: String::new(),
        format: None,
        subscription: None,
        epoch: 0,
        first: Stamp::default(),
        last: Stamp::default(),
        lines: 0,
        bytes: 0,
        torn: vec![],
        zst_bytes: 0,
        sha256: String::new(),
    }
}

#[test]
fn every_event_is_shown_with_the_keys_it_has() {
    let shown: Vec<Value> = block("json events").map(|line| serde_json::from_str(line).unwrap()).collect();
    let shown: BTreeMap<&str, &Value> = shown.iter().map(|event| (event["event"].as_str().unwrap(), event)).collect();
    let written: Vec<Value> =
        all_events().iter().map(|event| serde_json::from_str(&event.to_json()).unwrap()).collect();
    let written: BTreeMap<&str, &Value> =
        written.iter().map(|event| (event["event"].as_str().unwrap(), event)).collect();
    assert_eq!(shown.keys().collect::<Vec<_>>(), written.keys().collect::<Vec<_>>());
    for (name, example) in shown {
        let line = block("json events").find(|line| line.contains(&format!("\"event\":\"{name}\""))).unwrap();
        let read = Record::parse(line.as_bytes()).unwrap().event.unwrap_or_else(|| panic!("{name} is not read"));
        let (_, behind) = line.split_once(',').unwrap();
        assert_eq!(read.to_json(), format!("{{{behind}"), "it is written as it was read");
        let mut expected = keys(written[name]);
        expected.insert("ts_recv");
        assert_eq!(keys(example), expected, "{name}");
        assert!(PAGE.contains(&format!("`{name}`")), "{name} is not explained");
    }
}

#[test]
fn every_key_of_the_manifest_is_shown_and_explained() {
    let line = block("json manifest").next().unwrap();
    let example: ManifestEntry = serde_json::from_str(line).unwrap();
    assert_eq!(example.to_line().trim_end(), line, "the example is what the code would write");
    let line = block("json manifest").nth(1).unwrap();
    let pruned: PrunedLine = serde_json::from_str(line).unwrap();
    assert_eq!(pruned.to_line().trim_end(), line, "the example is what the code would write");
    assert!(PAGE.contains("`pruned`"));
    let object = serde_json::from_str(line).unwrap();
    assert!(keys(&object).iter().all(|key| PAGE.contains(&format!("`{key}`"))));
}

#[test]
fn what_is_uploaded_is_shown_and_explained() {
    let line = block("json uploaded").next().unwrap();
    let uploaded: UploadedLine = serde_json::from_str(line).unwrap();
    assert_eq!(uploaded.to_line().trim_end(), line, "the example is what the code would write");
    let object = serde_json::from_str(line).unwrap();
    assert!(keys(&object).iter().all(|key| PAGE.contains(&format!("`{key}`"))));
}

#[test]
fn the_names_shown_are_the_names_made() {
    let stream = StreamKey::from_stem("KRW-BTC_trade").unwrap();
    let first = Stamp::from_micros(1_795_324_324_113_204).unwrap();
    let name = SegmentName { feed: Feed::Public, stream, epoch: 0, first };
    let later = SegmentName { epoch: 1, ..name.clone() };
    for path in [name.sealed(), later.sealed(), name.manifest(), paths::active(Feed::Public, &name.stream)] {
        for part in path.components().map(|part| part.as_os_str().to_str().unwrap()) {
            assert!(PAGE.contains(part), "{part}");
        }
    }
    assert_eq!(paths::root(Feed::Private), Path::new("private"));
}

#[test]
fn every_key_of_the_certificate_is_shown_and_explained() {
    let shown: Value = serde_json::from_str(&block("json certificate").collect::<String>()).unwrap();
    let difference = Difference { tape: None, exchange: None, difference: None };
    let row = Row {
        minute: String::new(),
        finding: Finding::NoData,
        trades: 0,
        differences: BTreeMap::from([("volume".into(), difference)]),
        gaps: vec![],
    };
    let audit = StreamAudit {
        stream: String::new(),
        trades: 0,
        healed: 0,
        exact: 1,
        differs: 0,
        no_data: 1,
        residue: Residue::default(),
        blind_below: BigDecimal::default(),
        blind_minutes: vec![Blind { minute: String::new(), blind_below: BigDecimal::default() }],
        unreadable: 0,
        faults: vec![],
        rows: vec![row],
    };
    serde_json::from_value::<Head>(shown.clone()).unwrap();
    serde_json::from_value::<Tail>(shown.clone()).unwrap();
    serde_json::from_value::<StreamAudit>(shown["streams"][0].clone()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let day = Day::settled("2026-11-22".parse().unwrap(), i64::MAX / 2).unwrap();
    let mut certificate = Certificate::begin(directory.path(), &day, Stamp::default()).unwrap();
    certificate.add(&audit).unwrap();
    let written = std::fs::read(certificate.finish().unwrap()).unwrap();
    let written: Value = serde_json::from_slice(&written).unwrap();
    let (_, explained) = PAGE.split_once("## Certificate").unwrap();
    for path in [
        "",
        "/residue",
        "/streams/0",
        "/streams/0/residue",
        "/streams/0/blind_minutes/0",
        "/streams/0/rows/0",
        "/streams/0/rows/0/differences/volume",
    ] {
        let [shown, written] = [&shown, &written].map(|certificate| keys(certificate.pointer(path).unwrap()));
        assert_eq!(shown, written, "{path}");
        for key in written.iter().filter(|key| !["stream", "volume", "difference"].contains(key)) {
            assert!(explained.contains(&format!("`{key}`")), "{key} is not explained");
        }
    }
}

#[test]
fn every_key_of_the_summary_is_shown_and_explained() {
    let text: String = block("json summary").collect();
    let shown: Value = serde_json::from_str(&text).unwrap();
    let summary: DaySummary<'_> = serde_json::from_str(&text).unwrap();
    let written = serde_json::to_value(&summary).unwrap();
    let (_, explained) = PAGE.split_once("## Summary").unwrap();
    for path in ["", "/streams/0"] {
        let [shown, written] = [&shown, &written].map(|summary| keys(summary.pointer(path).unwrap()));
        assert_eq!(shown, written, "{path}");
        for key in written.iter().filter(|key| **key != "streams") {
            assert!(explained.contains(&format!("`{key}`")), "{key} is not explained");
        }
    }
}

#[test]
fn every_verb_exit_code_kind_and_reason_is_explained() {
    for verb in Cli::description().get_subcommands() {
        assert!(PAGE.contains(&format!("`{}`", verb.get_name())), "{}", verb.get_name());
    }
    let codes = [
        Exit::Success,
        Exit::Wrong,
        Exit::Usage,
        Exit::Unavailable,
        Exit::Io,
        Exit::Locked,
        Exit::Refused,
        Exit::Config,
    ];
    for exit in codes {
        assert!(PAGE.contains(&format!("\n| {} | ", exit.code())), "{exit:?}");
    }
    let words = [
        RotationReason::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>(),
        Displacement::ALL.iter().map(|word| word.as_str()).collect(),
        GapKind::ALL.iter().map(|word| word.as_str()).collect(),
        Stage::ALL.iter().map(|word| word.as_str()).collect(),
        SubscribeReason::ALL.iter().map(|word| word.as_str()).collect(),
        StopReason::ALL.iter().map(|word| word.as_str()).collect(),
        PruneReason::ALL.iter().map(|word| word.as_str()).collect(),
        PauseCause::ALL.iter().map(|word| word.as_str()).collect(),
        Finding::ALL.iter().map(|word| word.as_str()).collect(),
        Verdict::ALL.iter().map(|word| word.as_str()).collect(),
    ];
    for word in words.concat() {
        assert!(PAGE.contains(&format!("`{word}`")), "{word}");
    }
}
