//! Faults: on the command line and by `POST /_faults`.

use super::{Replay, now, pause, request, text, within_a_minute};
use futures_util::SinkExt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

const TRADES: &str = r#"{"type":"trade","codes":["KRW-BTC"]},{"type":"ticker","codes":["KRW-BTC"]}"#;

fn replay(arguments: &[&str]) -> Replay {
    Replay::start(&[&["--codes", "1", "--rate", "300", "--no-limits"], arguments].concat())
}

async fn post(replay: &Replay, faults: &str) -> (u16, String) {
    let head = format!("POST /_faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}", faults.len());
    let (status, _, body) = replay.http(&format!("{head}\r\n\r\n{faults}")).await;
    (status, body)
}

#[test]
fn connections_are_refused_for_a_time() {
    let replay = replay(&["--fault", "refuse+1s"]);
    within_a_minute(async {
        let mut tcp = TcpStream::connect(replay.address()).await.unwrap();
        assert!(matches!(tcp.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        pause(Duration::from_secs(1)).await;
        replay.connect().await;
    });
}

async fn clear(replay: &Replay) -> u16 {
    replay.http("DELETE /_faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.0
}

#[test]
fn a_fault_that_shuts_everybody_out_can_be_taken_back() {
    within_a_minute(async {
        for fault in ["refuse", "hang=connect", "hang=upgrade", "429", "418=60"] {
            let replay = replay(&["--fault", fault]);
            let mut tcp = TcpStream::connect(replay.address()).await.unwrap();
            tcp.write_all(b"GET /v1/market/all HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
            if fault == "refuse" {
                assert!(matches!(tcp.read(&mut [0; 1]).await, Ok(0) | Err(_)));
            }
            assert_eq!(clear(&replay).await, 200, "{fault}");
            assert_eq!(replay.get("/v1/market/all").await.0, 200, "{fault}");
        }
    });
}

#[test]
fn a_page_in_a_browser_cannot_change_the_faults() {
    let replay = replay(&[]);
    within_a_minute(async {
        for (method, origin) in
            [("POST", "http://evil.example"), ("POST", "null"), ("DELETE", "http://x"), ("GET", "x")]
        {
            let head = format!("{method} /_faults HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nConnection: close");
            let (status, ..) = replay.http(&format!("{head}\r\nContent-Length: 6\r\n\r\nrefuse")).await;
            assert_eq!(status, 403, "{method}");
        }
        replay.connect().await;
    });
}

#[test]
fn every_stage_can_hang_and_goes_on_when_the_fault_is_over() {
    within_a_minute(async {
        for stage in ["connect", "upgrade", "subscribe"] {
            let replay = replay(&["--fault", &format!("hang={stage}+1s")]);
            let begin = now();
            let mut client = replay.connect().await;
            client.ask(&request(TRADES)).await;
            if stage == "subscribe" {
                client.stays_silent().await;
                pause(Duration::from_millis(600)).await;
                client.ask(&request(TRADES)).await;
            }
            client.json().await;
            assert!(begin.elapsed() > Duration::from_millis(700), "{stage}: {:?}", begin.elapsed());
        }
    });
}

#[test]
fn a_stuck_exchange_answers_no_ping() {
    let replay = replay(&[]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(TRADES)).await;
        client.json().await;
        assert_eq!(post(&replay, "hang=live+2s").await.0, 200);
        let begin = now();
        client.send(Message::Ping("p".into())).await;
        while client.next().await != Some(Message::Pong("p".into())) {}
        assert!(begin.elapsed() > Duration::from_millis(1_500), "{:?}", begin.elapsed());
    });
}

#[test]
fn connections_end_cut_closed_or_in_the_middle_of_a_frame() {
    let replay = replay(&[]);
    within_a_minute(async {
        for (fault, code) in [("drop", None), ("close=1012", Some(1_012)), ("half", None)] {
            let mut client = replay.connect().await;
            client.ask(&request(TRADES)).await;
            client.json().await;
            assert_eq!(post(&replay, fault).await.0, 200);
            let end = loop {
                match client.next().await {
                    Some(Message::Binary(_)) => {}
                    Some(Message::Close(frame)) => break frame.map(|frame| u16::from(frame.code)),
                    _ => break None,
                }
            };
            assert_eq!(end, code, "{fault}");
        }
        replay.connect().await.ask(&request(TRADES)).await;
    });
}

#[test]
fn a_client_that_does_not_read_is_cut_too() {
    let replay = Replay::start(&["--codes", "1", "--rate", "100000", "--no-limits", "--fault", "drop@3s"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(TRADES)).await;
        // The server's buffers are full by now and it waits for the client. It hangs up nevertheless, after the second
        // that it gives to what is under way, and what is sent to it then is answered with a reset.
        pause(Duration::from_millis(4_500)).await;
        let mut sent = Vec::new();
        for _ in 0..2 {
            sent.push(client.0.send(Message::Ping("p".into())).await.is_ok());
            pause(Duration::from_millis(200)).await;
        }
        assert_eq!(sent, [true, false]);
    });
}

#[test]
fn trades_are_held_back_from_the_stream_and_shown_by_rest() {
    let replay = replay(&["--fault", "hold=KRW-BTC"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(TRADES)).await;
        let tickers = client.frames(50).await;
        assert!(tickers.iter().all(|frame| text(frame, "type") == "ticker"));
        let (_, _, body) = replay.get("/v1/trades/ticks?market=KRW-BTC&count=500").await;
        let id = tickers.last().unwrap()["trade_timestamp"].to_string();
        assert!(body.contains(&id), "{id}");
    });
}

#[test]
fn silence_floods_garbage_and_huge_frames() {
    let replay = replay(&["--fault", "silence"]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        client.ask(&request(TRADES)).await;
        client.stays_silent().await;
        assert_eq!(post(&replay, "garbage\n\nhuge=1000000\nflood=1000\n").await.0, 200);
        let mut lengths = Vec::new();
        while lengths.len() < 200 {
            lengths.push(client.binary().await.len());
        }
        assert!(lengths[..9].contains(&0) && lengths[9] > 1_000_000, "{:?}", &lengths[..10]);
    });
}

#[test]
fn bytes_come_slowly() {
    let replay = replay(&["--fault", "slow=20000"]);
    within_a_minute(async {
        let begin = now();
        let mut client = replay.connect().await;
        client.ask(&request(TRADES)).await;
        let mut bytes = 0;
        while bytes < 20_000 {
            bytes += client.binary().await.len();
        }
        assert!(begin.elapsed() > Duration::from_millis(700), "{:?}", begin.elapsed());
    });
}

#[test]
fn upgrades_and_requests_are_answered_429_and_418() {
    let replay = replay(&["--fault", "429"]);
    within_a_minute(async {
        assert_eq!(replay.try_connect("", &[]).await.err(), Some(429));
        assert_eq!(replay.get("/v1/market/all").await.0, 429);
        let cleared = replay.http("DELETE /_faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert_eq!((cleared.0, cleared.2.as_str()), (200, ""));
        assert_eq!(post(&replay, "418=30").await.0, 200);
        let (status, head, body) = replay.get("/v1/market/all").await;
        assert!(status == 418 && head.contains("retry-after: 30") && body.contains("30 seconds"), "{head} {body}");
        assert_eq!(replay.try_connect("", &[]).await.err(), Some(418));
    });
}

#[test]
fn a_fault_that_is_none_is_explained_and_nothing_is_planned() {
    let replay = replay(&[]);
    within_a_minute(async {
        let (status, body) = post(&replay, "refuse\nnope@5s").await;
        assert_eq!((status, body.as_str()), (400, "`nope@5s` is no fault: no fault has this name\n"));
        replay.connect().await;
    });
}
