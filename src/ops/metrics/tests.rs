//! The families of a recorder that has seen everything, and the bounds of their labels.

use super::*;
use crate::clock::{Clock, Position, Stamp};
use crate::counters::requests::SharedRequests;
use crate::ops::status::feeds::{ConnectionCount, ConnectionStatus, Link, StreamStatus};
use crate::ops::status::{About, LastReload, Limit, Limits};
use crate::tape::gap::{Gap, GapKind};
use crate::tape::state::OpenGap;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::Stage;
use crate::upbit::feed::Feed;
use crate::upbit::venue::Venue;
use std::collections::BTreeMap;
use std::time::Duration;

fn stamp(seconds: u64) -> Stamp {
    Stamp::from_micros(seconds * 1_000_000 + 500_000).unwrap()
}

fn seen() -> (Status, Instant) {
    let now = Clock::anchored(stamp(0)).now();
    let limit = Limit { configured: 8, exchange: 10 };
    let limits = Limits { rest: limit, connects: limit, messages: limit };
    let venue = Venue::named_after("local");
    let about = About { pid: 7, run: stamp(100), venue, min_free_bytes: 1 << 30, limits };
    let losses = BTreeMap::from([(Stage::Live, 2), (Stage::Tcp, 5)]);
    let connection = ConnectionStatus {
        link: Link::Live,
        asked: vec!["KRW-BTC_trade".to_owned(), "KRW-*_ticker".to_owned()].into(),
        mute: vec!["KRW-BTC_trade".to_owned()],
        gap: Some(OpenGap { from: stamp(150), kind: GapKind::Disconnected, cause: String::new() }),
        count: ConnectionCount { attempts: 8, connects: 3, losses, requests: 4 },
    };
    let requests = SharedRequests::default();
    requests.note("candles", Some(200));
    requests.note("candles", None);
    let mut status = Status {
        about: Some(about),
        turned: Some(now),
        at: stamp(200),
        connections: BTreeMap::from([(Feed::Public, connection)]),
        requests: requests.read(),
        reload: LastReload { succeeded: false, at: stamp(120), ..LastReload::started(stamp(100)) },
        clock_offset: -1_250,
        ..Status::default()
    };
    status.hosts.syncs.note(Duration::from_millis(3));
    status.hosts.syncs.note(Duration::from_secs(70));
    let gap = Gap {
        connection: Feed::Public,
        epoch: 0,
        from: stamp(10),
        to: stamp(12),
        kind: GapKind::Suspected,
        cause: String::new(),
        only: None,
    };
    status.gaps.note(Position { epoch: 0, stamp: stamp(12) }, gap, stamp(12));
    (status, now)
}

fn came(status: &mut Status, stem: &str, bytes: usize, at: Stamp) {
    let mut stream = StreamStatus::new(Feed::Public, StreamKey::from_stem(stem).unwrap());
    stream.note(bytes, at);
    status.streams.push(stream);
}

#[test]
fn what_was_seen_is_there_to_the_letter() {
    let (mut status, now) = seen();
    came(&mut status, "KRW-BTC_trade", 100, stamp(160));
    came(&mut status, "KRW-ETH_trade", 50, stamp(170));
    let text = render(&status, now + Duration::from_secs(2));
    for line in [
        "upbit_recorder_build_info{version=\"0.1.0\",venue=\"local\"} 1",
        "upbit_recorder_frames_total{type=\"trade\"} 2",
        "upbit_recorder_frames_total{type=\"ticker\"} 0",
        "upbit_recorder_bytes_total{type=\"trade\"} 150",
        "upbit_recorder_last_frame_timestamp_seconds{type=\"trade\"} 170.5",
        "upbit_recorder_connects_total{connection=\"public\"} 3",
        "upbit_recorder_connect_attempts_total{connection=\"public\"} 8",
        "upbit_recorder_disconnects_total{connection=\"public\",stage=\"tcp\"} 5",
        "upbit_recorder_gaps_total{kind=\"suspected\"} 1",
        "upbit_recorder_gaps_total{kind=\"killed\"} 0",
        "upbit_recorder_gap_seconds_total{kind=\"suspected\"} 2.0",
        "upbit_recorder_open_gap_seconds{connection=\"public\"} 50.0",
        "upbit_recorder_rest_requests_total{group=\"candles\",status=\"200\"} 1",
        "upbit_recorder_rest_requests_total{group=\"candles\",status=\"none\"} 1",
        "upbit_recorder_limit_per_second{what=\"rest\",by=\"exchange\"} 10.0",
        "upbit_recorder_sync_duration_seconds_bucket{le=\"0.005\"} 1",
        "upbit_recorder_sync_duration_seconds_bucket{le=\"+Inf\"} 2",
        "upbit_recorder_sync_duration_seconds_sum 70.003",
        "upbit_recorder_config_last_reload_successful 0.0",
        "upbit_recorder_config_last_reload_success_timestamp_seconds 100.5",
        "upbit_recorder_clock_offset_seconds -0.00125",
        "upbit_recorder_loop_busy_seconds{loop=\"supervisor\"} 2.0",
        "upbit_recorder_ready 1.0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert!(!text.contains("code=") && !text.contains("KRW-"), "{text}");
}

#[test]
fn a_type_that_nobody_knows_is_no_label() {
    let (mut status, now) = seen();
    came(&mut status, "misc", 10, stamp(160));
    came(&mut status, "recorder", 10, stamp(160));
    came(&mut status, "KRW-BTC_trade.healed", 10, stamp(160));
    for number in 0..1_000 {
        came(&mut status, &format!("KRW-BTC_made.up{number}"), 1, stamp(160));
    }
    let text = render(&status, now);
    let frames: Vec<&str> = text.lines().filter(|line| line.starts_with("upbit_recorder_frames_total")).collect();
    let counted = ["misc", "other", "ticker", "trade"].map(|kind| format!("{{type=\"{kind}\"}}"));
    assert_eq!(frames.len(), counted.len(), "{frames:?}");
    assert!(frames.iter().zip(&counted).all(|(line, labels)| line.contains(labels)), "{frames:?}");
    assert!(text.contains("frames_total{type=\"other\"} 1000\n"), "{text}");
}

#[test]
fn before_the_first_snapshot_there_are_families_without_samples() {
    let text = render(&Status::default(), Clock::anchored(stamp(0)).now());
    assert!(
        text.contains("\nupbit_recorder_ready 0.0\n") && !text.contains("\nupbit_recorder_start_time_seconds "),
        "{text}"
    );
}
