//! Keeping a connection: idle limit, pings, the status, how errors end.

use super::{Replay, now, request, within_a_minute};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

#[test]
fn an_idle_connection_is_cut_without_a_close_frame() {
    let replay = Replay::start(&["--idle", "1s"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        let begin = now();
        assert_eq!(client.next().await, None, "the server sends nothing, no ping and no close frame, it just hangs up");
        assert!((900..2_500).contains(&begin.elapsed().as_millis()), "{:?}", begin.elapsed());
    });
}

#[test]
fn a_ping_frame_resets_the_idle_limit_unless_told_otherwise() {
    within_a_minute(async {
        for (arguments, lives) in [(&["--idle", "1s"][..], true), (&["--idle", "1s", "--pings-do-not-count"], false)] {
            let replay = Replay::start(arguments);
            let mut client = replay.connect().await;
            super::pause(Duration::from_millis(600)).await;
            client.send(Message::Ping("a".into())).await;
            assert_eq!(client.next().await, Some(Message::Pong("a".into())));
            super::pause(Duration::from_millis(700)).await;
            client.send(Message::Ping("b".into())).await;
            assert_eq!(client.next().await.is_some(), lives, "{arguments:?}");
        }
    });
}

#[test]
fn data_keeps_a_connection_that_sends_nothing() {
    let replay = Replay::start(&["--idle", "1s", "--codes", "1", "--rate", "50"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(r#"{"type":"ticker","codes":["KRW-BTC"]}"#)).await;
        let begin = now();
        while begin.elapsed() < Duration::from_secs(3) {
            client.json().await;
        }
    });
}

#[test]
fn a_text_ping_brings_a_status_within_ten_seconds() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        let begin = now();
        client.ask("PING").await;
        assert_eq!(client.binary().await, br#"{"status":"UP"}"#);
        assert!(begin.elapsed() <= Duration::from_secs(11), "{:?}", begin.elapsed());
    });
}

#[test]
fn an_error_is_told_and_followed_by_close_1000_after_150_ms() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(r#"[{"type":"trade","codes":["KRW-BTC"]}]"#).await;
        let error = client.json().await;
        let told = now();
        assert_eq!(error["error"]["name"], "NO_TICKET");
        match client.next().await {
            Some(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 1_000),
            other => panic!("{other:?}"),
        }
        assert!((100..1_000).contains(&told.elapsed().as_millis()), "{:?}", told.elapsed());
    });
}
