//! Limits: connects, messages, requests, and what an `Origin` costs.

use super::{Client, Replay, now, pause, request, within_a_minute};
use std::io::ErrorKind::WouldBlock;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

#[test]
fn beyond_five_connects_a_second_come_429_and_then_418() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        let begin = now();
        let mut statuses = Vec::new();
        for _ in 0..26 {
            statuses.push(replay.try_connect("", &[]).await.err());
        }
        // Slow machines may take longer than the second in which the sixth is one too many.
        if begin.elapsed() < Duration::from_secs(1) {
            assert_eq!(statuses[..5], [None; 5]);
            assert_eq!(statuses[5..25], [Some(429); 20]);
            assert_eq!(statuses[25], Some(418));
            pause(Duration::from_secs(2)).await;
            assert_eq!(replay.try_connect("", &[]).await.err(), Some(418), "blocked for five seconds");
        }
    });
}

#[test]
fn one_address_has_a_bound_that_others_do_not_feel() {
    let replay = Replay::start(&["--no-limits"]);
    within_a_minute(async {
        let mut idle = Vec::new();
        for _ in 0..100 {
            idle.push(TcpStream::connect(replay.address()).await.unwrap());
        }
        pause(Duration::from_millis(500)).await;
        let is_open = |tcp: &TcpStream| matches!(tcp.try_read(&mut [0; 1]), Err(error) if error.kind() == WouldBlock);
        assert_eq!(idle.iter().filter(|tcp| is_open(tcp)).count(), 64);
        // All of 127/8 is this machine.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let other = socket.connect(replay.address().parse().unwrap()).await.unwrap();
        assert!(Client::upgrade(&replay.url, other, &[]).await.is_ok());
        drop(idle);
        pause(Duration::from_millis(500)).await;
        replay.connect().await;
    });
}

#[test]
fn five_messages_a_second_are_allowed() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        let mut client = replay.connect().await;
        for _ in 0..6 {
            client.ask(&request(r#"{"type":"trade","codes":["KRW-NOPE"]}"#)).await;
        }
        assert_eq!(client.refusal().await, ("TOO_MANY_REQUEST".to_owned(), Some(1_000)));
    });
}

#[test]
fn an_origin_header_is_cut_to_one_request_in_ten_seconds() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        let origin = [("origin", "https://example.com")];
        assert!(replay.try_connect("", &origin).await.is_ok());
        assert_eq!(replay.try_connect("", &origin).await.err(), Some(429));
        assert!(replay.try_connect("", &[]).await.is_ok(), "without it the same address may come in");
    });
}

#[test]
fn beyond_ten_requests_a_second_comes_a_429_in_plain_text() {
    let replay = Replay::start(&["--codes", "1", "--rate", "1"]);
    within_a_minute(async {
        let (status, head, _) = replay.get("/v1/orderbook?markets=KRW-BTC").await;
        assert_eq!(status, 200);
        assert!(head.contains("remaining-req: group=orderbook; min=600; sec=9"), "{head}");
        // Within 21 requests at least one second of the exchange's sees more than ten, however they fall.
        for _ in 0..60 {
            let (status, head, body) = replay.get("/v1/market/all").await;
            if status == 429 {
                assert!(head.contains("content-type: text/plain") && head.contains("sec=0"), "{head}");
                assert!(serde_json::from_str::<serde_json::Value>(&body).is_err(), "no JSON: {body}");
                let (other, ..) = replay.get("/v1/ticker?markets=KRW-BTC").await;
                assert_eq!(other, 200, "groups are counted apart");
                return;
            }
        }
        panic!("sixty requests were all answered");
    });
}

#[test]
fn without_limits_everything_is_answered() {
    let replay = Replay::start(&["--no-limits", "--codes", "1"]);
    within_a_minute(async {
        for _ in 0..20 {
            assert_eq!(replay.get("/v1/market/all").await.0, 200);
            assert!(replay.try_connect("", &[]).await.is_ok());
        }
    });
}

#[test]
fn a_message_that_is_too_long_is_not_collected() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        let mut tcp = TcpStream::connect(replay.address()).await.unwrap();
        let head = "GET /websocket/v1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(tcp.read_u8().await.unwrap());
        }
        // A binary frame of 2 MiB, without its content.
        tcp.write_all(&[&[0x82, 0xff][..], &(2_u64 << 20).to_be_bytes(), &[0; 4]].concat()).await.unwrap();
        let ended = tcp.read(&mut [0; 64]).await;
        assert!(ended.as_ref().is_ok_and(|length| *length == 0) || ended.is_err(), "{ended:?}");
    });
}
