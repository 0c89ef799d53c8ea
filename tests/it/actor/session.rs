//! The life of a connection: made, lost, made again, ended.

use super::rig::*;
use crate::support::json::requested_codes;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use upbit_recorder::clock::{Clock, Stamp, sleep_until};
use upbit_recorder::config::ConnectionConfig;
use upbit_recorder::connection::{Notice, Payload};
use upbit_recorder::tape::words::{PauseCause, Stage, SubscribeReason};
use upbit_recorder::upbit::refusal::Objection;

#[tokio::test(start_paused = true)]
async fn it_connects_asks_and_is_live_with_the_first_data() {
    let mut rig = Rig::start();
    let mut server = rig.next_server().await;
    let asked = text_frame(&mut server).await;
    assert!(asked.ends_with(r#"},{"type":"trade","codes":["KRW-BTC"]},{"format":"DEFAULT"}]"#), "{asked}");
    assert_eq!(rig.notice().await, Notice::Dialing { attempt: 1 });
    assert_eq!(rig.notice().await, Notice::Connected { attempt: 1, address: "pipe".into() });
    let standing = Arc::new(request(&["KRW-BTC"]));
    assert_eq!(rig.notice().await, Notice::Subscribed { request: asked, standing, reason: SubscribeReason::Connected });

    server.send(Message::text(r#"{"status":"UP"}"#)).await.unwrap();
    assert_eq!(rig.objects().await, [r#"{"status":"UP"}"#]);
    server.send(Message::binary(TRADE)).await.unwrap();
    assert_eq!(rig.notice().await, Notice::Live { attempt: 1 });
    assert_eq!(rig.objects().await, [TRADE]);
    assert_eq!(text_frame(&mut server).await, "PING", "which nothing but data makes room for");
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_with_losses_and_data_resets_them() {
    let mut rig = Rig::start();
    let server = rig.live().await;
    rig.refusals.store(8, Ordering::Relaxed);
    drop(server);
    let (stage, cause, attempt, pause) = rig.lost().await;
    assert_eq!((stage, attempt), (Stage::Live, 1));
    assert_eq!(cause, "the connection ended without a close frame");
    let mut ceiling = Duration::from_millis(500);
    let mut pause = pause.unwrap();
    for attempt in 1..=8 {
        assert!(pause >= ceiling / 2 && pause <= ceiling, "{pause:?} of {ceiling:?}");
        assert_eq!(rig.notice().await, Notice::Dialing { attempt });
        let (stage, cause, failed, next) = rig.lost().await;
        assert_eq!((stage, &*cause, failed), (Stage::Tcp, "connection refused by the test", attempt));
        (pause, ceiling) = (next.unwrap(), (ceiling * 2).min(Duration::from_secs(30)));
    }
    let server = rig.live().await;
    drop(server);
    assert!(rig.lost().await.3.unwrap() <= Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn a_mute_socket_is_left_in_time() {
    let mut rig = Rig::start();
    let _mute = rig.live().await;
    let begin = rig.clock.now();
    let (stage, cause, ..) = rig.lost().await;
    assert_eq!((stage, &*cause), (Stage::Live, "no answer to a ping"));
    assert!(rig.clock.now() - begin <= Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn a_quiet_market_that_answers_pings_is_never_cut() {
    let mut rig = Rig::start();
    let server = rig.live().await;
    rig.tasks.spawn(idle(server));
    rig.sleep(Duration::from_secs(6 * 3600)).await;
    assert!(rig.inbox.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn without_room_nothing_is_read_while_pings_go_on() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    let rest = rig.room.available_permits();
    let _taken = rig.room.clone().try_acquire_many_owned(rest.try_into().unwrap()).unwrap();
    server.send(Message::binary(TRADE)).await.unwrap();
    // For as long as this batch is not written, its room is missing for the next read.
    let unwritten = rig.delivery().await;

    server.send(Message::binary(TRADE)).await.unwrap();
    let mut pings = 0;
    let begin = rig.clock.now();
    while rig.clock.now() < begin + Duration::from_secs(600) {
        let until = Some(rig.clock.now() + Duration::from_secs(60));
        tokio::select! {
            frame = server.next() => pings += u32::from(matches!(frame, Some(Ok(Message::Ping(_))))),
            () = sleep_until(until) => panic!("no ping for a minute"),
        }
    }
    assert!(pings >= 39, "{pings}");
    assert!(rig.inbox.try_recv().is_err());

    drop(unwritten);
    assert_eq!(rig.objects().await, [TRADE]);
    let Notice::Paused { from, to, cause } = rig.notice().await else { panic!("expected the pause") };
    assert!(to.since(from) >= Duration::from_secs(600));
    assert_eq!(cause, PauseCause::Disk);
}

#[tokio::test(start_paused = true)]
async fn all_that_waited_without_room_leaves_the_pause_to_be_told() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    let rest = rig.room.available_permits();
    let taken = rig.room.clone().try_acquire_many_owned(rest.try_into().unwrap()).unwrap();
    server.send(Message::binary(TRADE)).await.unwrap();
    let unwritten = rig.delivery().await;
    assert_eq!(unwritten.unsettled, None);
    // One frame, and several batches.
    server.send(Message::binary(format!("[{}{{}}]", "{},".repeat(20_000)))).await.unwrap();
    rig.sleep(Duration::from_secs(10)).await;
    drop((unwritten, taken));
    let mut batches = Vec::new();
    let (from, unsettled) = loop {
        let delivery = rig.delivery().await;
        match delivery.payload {
            Payload::Batch(_) => batches.push(delivery.unsettled),
            Payload::Notice(Notice::Paused { from, .. }) => break (from, delivery.unsettled),
            Payload::Notice(other) => panic!("{other:?}"),
        }
    };
    assert!(batches.len() > 1 && batches.iter().all(|unsettled| *unsettled == Some(from)), "{batches:?}");
    assert_eq!(unsettled, None);
    server.send(Message::binary(TRADE)).await.unwrap();
    assert_eq!(rig.delivery().await.unsettled, None);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_end_is_read() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    let rest = rig.room.available_permits();
    let taken = rig.room.clone().try_acquire_many_owned(rest.try_into().unwrap()).unwrap();
    server.send(Message::binary(TRADE)).await.unwrap();
    let unwritten = rig.delivery().await;
    for _ in 0..100 {
        server.send(Message::binary(TRADE)).await.unwrap();
    }
    drop(server);
    // The pings of this minute meet a closed pipe.
    rig.sleep(Duration::from_secs(60)).await;
    assert!(rig.inbox.try_recv().is_err());
    drop((unwritten, taken));
    assert_eq!(rig.objects().await.len(), 100);
    assert!(matches!(rig.notice().await, Notice::Paused { .. }));
    assert_eq!(rig.lost().await.0, Stage::Live);
}

#[tokio::test(start_paused = true)]
async fn a_full_inbox_stops_the_reading_and_loses_nothing() {
    let mut rig = Rig::with(config(), 1);
    let mut server = rig.live().await;
    let sent: Vec<String> =
        (0..20_000).map(|n| format!(r#"{{"type":"trade","code":"KRW-BTC","n":{n},"x":"{:100}"}}"#, "")).collect();
    let frames = sent.clone();
    rig.tasks.spawn(async move {
        for frame in frames {
            server.send(Message::binary(frame)).await.unwrap();
        }
        idle(server).await;
    });
    rig.sleep(Duration::from_secs(120)).await;
    let mut received = Vec::new();
    while received.len() < sent.len() {
        if let Payload::Batch(batch) = rig.delivery().await.payload {
            received.extend(batch.entries().map(|(_, entry)| text(entry)));
        }
    }
    assert!(received == sent, "each frame once and in order");
}

#[tokio::test(start_paused = true)]
async fn a_burst_arrives_in_order_in_few_batches() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    let sent: Vec<String> = (0..500).map(|n| format!(r#"{{"type":"trade","code":"A-B","n":{n}}}"#)).collect();
    for frame in &sent {
        server.feed(Message::binary(frame.clone())).await.unwrap();
    }
    server.flush().await.unwrap();
    let mut received = Vec::new();
    let mut batches = 0;
    while received.len() < sent.len() {
        received.extend(rig.objects().await);
        batches += 1;
    }
    assert_eq!(received, sent);
    assert!(batches <= 4, "{batches}");
}

#[tokio::test(start_paused = true)]
async fn the_shutdown_delivers_what_came_says_goodbye_and_ends() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    server.send(Message::binary(TRADE)).await.unwrap();
    assert_eq!(rig.objects().await, [TRADE]);
    rig.shutdown.cancel();
    let mut closes = 0;
    while let Some(Ok(frame)) = server.next().await {
        closes += u32::from(matches!(frame, Message::Close(Some(close)) if close.code == CloseCode::Normal));
    }
    assert_eq!(closes, 1);
    assert_eq!(rig.lost().await, (Stage::Live, "closed by the recorder".into(), 1, None));
    assert!(rig.inbox.recv().await.is_none());
    assert!(rig.tasks.join_next().await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_no_answer_and_no_retry() {
    let mut rig = Rig::start();
    let _silent = rig.live().await;
    let begin = rig.clock.now();
    rig.shutdown.cancel();
    assert!(rig.lost().await.3.is_none());
    assert!(rig.tasks.join_next().await.unwrap().is_ok());
    assert!(rig.clock.now() - begin <= Duration::from_secs(2));

    let mut waiting = Rig::start();
    waiting.refusals.store(u32::MAX, Ordering::Relaxed);
    waiting.sleep(Duration::from_millis(1)).await;
    waiting.shutdown.cancel();
    assert!(waiting.tasks.join_next().await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_close_with_1000_is_a_loss_like_any_other() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    server.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await.unwrap();
    let (stage, cause, attempt, pause) = rig.lost().await;
    assert_eq!((stage, &*cause, attempt), (Stage::Live, "closed by the exchange with 1000", 1));
    assert!(pause.unwrap() <= Duration::from_millis(500));
    rig.live().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_is_retried_slowly_unless_it_changes() {
    let mut rig = Rig::start();
    let error = r#"{"error":{"name":"NO_CODES","message":"codes are missing"}}"#;
    for round in 0..2 {
        let mut server = rig.subscribed().await;
        server.send(Message::binary(error)).await.unwrap();
        assert_eq!(rig.objects().await, [error]);
        if round == 0 {
            let Notice::Refused { objection, reason, request } = rig.notice().await else { panic!("not refused") };
            assert_eq!((objection, &*reason), (Objection::Request, "NO_CODES: codes are missing"));
            assert_eq!(requested_codes(&request.unwrap()), Some(json!(["KRW-BTC"])));
        }
        rig.sleep(Duration::from_millis(150)).await;
        server.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await.unwrap();
        let (_, cause, _, pause) = rig.lost().await;
        assert!(cause.starts_with("refused by the exchange (NO_CODES"), "{cause}");
        assert!(pause.unwrap() >= Duration::from_secs(300));
    }
    let begin = rig.clock.now();
    rig.requests.send(request(&["KRW-ETH"])).unwrap();
    let mut server = rig.subscribed().await;
    send(&mut server, r#"{"type":"trade","code":"KRW-ETH"}"#).await;
    assert!(matches!(rig.notice().await, Notice::Live { .. }));
    assert!(rig.clock.now() - begin < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_oversized_message_costs_the_connection_and_says_why() {
    let mut rig = Rig::with(ConnectionConfig { max_message_bytes: 1000, ..config() }, 8);
    let mut server = rig.live().await;
    server.send(Message::binary(TRADE)).await.unwrap();
    server.send(Message::binary(vec![b' '; 1001])).await.unwrap();
    let mut objects = Vec::new();
    loop {
        match rig.delivery().await.payload {
            Payload::Batch(batch) => objects.extend(batch.entries().map(|(_, entry)| text(entry))),
            Payload::Notice(Notice::Lost { cause, .. }) => {
                assert_eq!(cause, "a message of 1001 bytes, more than max_message_bytes (1000)");
                break;
            }
            Payload::Notice(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(objects, [TRADE]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_request_replaces_the_standing_one() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    assert_eq!(text_frame(&mut server).await, "PING");
    rig.requests.send(request(&["KRW-BTC", "KRW-ETH"])).unwrap();
    assert_eq!(requested_codes(&text_frame(&mut server).await), Some(json!(["KRW-BTC", "KRW-ETH"])));
    assert!(matches!(rig.notice().await, Notice::Subscribed { reason: SubscribeReason::Changed, .. }));
    drop(server);
    rig.lost().await;
    rig.requests.send(request(&["KRW-XRP"])).unwrap();
    rig.requests.send(request(&["KRW-ADA"])).unwrap();
    let mut server = rig.next_server().await;
    assert_eq!(requested_codes(&text_frame(&mut server).await), Some(json!(["KRW-ADA"])));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_trickles_in_is_given_up() {
    let mut rig = Rig::start();
    let server = rig.live().await;
    let begin = rig.clock.now();
    let mut stream = server.into_inner();
    rig.tasks.spawn(async move {
        // A binary frame of 125 bytes, of which one comes every second.
        let _ = stream.write_all(&[0x82, 125]).await;
        let clock = Clock::anchored(Stamp::default());
        while stream.write_all(b"x").await.is_ok() {
            sleep_until(Some(clock.now() + Duration::from_secs(1))).await;
        }
    });
    let (stage, cause, ..) = rig.lost().await;
    assert_eq!((stage, &*cause), (Stage::Live, "a message was begun but not finished in time"));
    assert_eq!((rig.clock.now() - begin).as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_upgrade_has_no_origin_and_honours_retry_after() {
    let mut rig = Rig::start();
    let mut stream = rig.servers.recv().await.unwrap();
    let mut head = vec![0; 2048];
    let read = stream.read(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..read]).to_lowercase();
    assert!(head.starts_with("get /websocket/v1 http/1.1\r\n") && head.contains("host: exchange.test"), "{head}");
    assert!(!head.contains("origin") && !head.contains("authorization") && !head.contains("extensions"), "{head}");
    stream.write_all(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 40\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    assert_eq!(rig.notice().await, Notice::Dialing { attempt: 1 });
    let (stage, cause, _, pause) = rig.lost().await;
    assert_eq!((stage, pause), (Stage::Upgrade, Some(Duration::from_secs(41))));
    assert_eq!(cause, "exchange.test answered the upgrade with HTTP 429 Too Many Requests");
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_upgrade_ends_with_the_connect_timeout() {
    let mut rig = Rig::start();
    let _never = rig.servers.recv().await.unwrap();
    assert_eq!(rig.notice().await, Notice::Dialing { attempt: 1 });
    let begin = rig.clock.now();
    let (stage, cause, ..) = rig.lost().await;
    assert_eq!((stage, &*cause), (Stage::Upgrade, "the upgrade to WebSocket by pipe took too long"));
    assert_eq!(rig.clock.now() - begin, Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_where_it_was_told_to() {
    let mut rig = Rig::with(ConnectionConfig { max_retries: 3, ..config() }, 8);
    rig.refusals.store(u32::MAX, Ordering::Relaxed);
    for attempt in 1..=3 {
        assert_eq!(rig.notice().await, Notice::Dialing { attempt });
        assert_eq!(rig.lost().await.3.is_none(), attempt == 3);
    }
    assert_eq!(rig.notice().await, Notice::GivenUp { attempts: 3 });
    assert!(rig.inbox.recv().await.is_none());
}
