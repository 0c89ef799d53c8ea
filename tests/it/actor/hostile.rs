//! What no exchange would send.

use super::rig::*;
use futures_util::SinkExt;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use upbit_recorder::connection::{Notice, Payload};
use upbit_recorder::tape::words::Stage;

#[tokio::test(start_paused = true)]
async fn a_flood_of_tiny_frames_arrives_whole_and_in_bounded_batches() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    const FRAMES: usize = 100_000;
    rig.tasks.spawn(async move {
        for _ in 0..FRAMES {
            server.feed(Message::binary("5")).await.unwrap();
        }
        server.flush().await.unwrap();
        idle(server).await;
    });
    let mut received = 0;
    while received < FRAMES {
        match rig.delivery().await.payload {
            Payload::Batch(batch) => {
                assert!(batch.cost() < 512 * 1024, "{}", batch.cost());
                received += batch.entries().count();
            }
            Payload::Notice(notice) => panic!("{notice:?}"),
        }
    }
    assert_eq!(received, FRAMES);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_tiny_objects_arrives_whole_and_in_bounded_batches() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    let frame = format!("[{}{TRADE}]", "{},".repeat(300_000));
    server.send(Message::binary(frame)).await.unwrap();
    server.send(Message::binary(TRADE)).await.unwrap();
    rig.tasks.spawn(idle(server));
    let mut received = 0;
    let mut last = String::new();
    while received < 300_002 {
        let Payload::Batch(batch) = rig.delivery().await.payload else { continue };
        assert!(batch.cost() < 512 * 1024, "{}", batch.cost());
        received += batch.entries().len();
        last = batch.entries().last().map(|(_, entry)| text(entry)).unwrap_or(last);
    }
    assert_eq!((received, &*last), (300_002, TRADE));
}

#[tokio::test(start_paused = true)]
async fn frames_that_are_no_json_are_kept_and_cost_nothing() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    let deep = format!(r#"{{"type":"a","x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let frames: [Vec<u8>; 4] = [b"\xff\xfe".to_vec(), b"nonsense".to_vec(), deep.into_bytes(), Vec::new()];
    for frame in &frames {
        server.send(Message::binary(frame.clone())).await.unwrap();
        assert_eq!(rig.objects().await, [String::from_utf8_lossy(frame)]);
    }
}

#[tokio::test(start_paused = true)]
async fn text_that_is_not_utf8_costs_the_connection() {
    let mut rig = Rig::start();
    let mut stream = rig.live().await.into_inner();
    stream.write_all(&[0x81, 1, 0xff]).await.unwrap();
    assert_eq!(rig.lost().await.1, "a text frame that is not UTF-8");
}

#[tokio::test(start_paused = true)]
async fn a_masked_frame_is_a_violation_that_shows_no_payload() {
    let mut rig = Rig::start();
    let mut stream = rig.live().await.into_inner();
    stream.write_all(&[0x82, 0x81, 1, 2, 3, 4, b'x']).await.unwrap();
    let (_, cause, ..) = rig.lost().await;
    assert_eq!(cause, "a violation of the WebSocket protocol: Received a masked frame from server");
}

#[tokio::test(start_paused = true)]
async fn endless_headers_end_the_attempt_before_they_cost_memory() {
    let mut rig = Rig::start();
    let mut stream = rig.servers.recv().await.unwrap();
    let read = stream.read(&mut [0; 4096]).await.unwrap();
    assert!(read > 0);
    let mut sent = 0;
    let header = format!("X-Filler: {}\r\n", "x".repeat(10_000));
    let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n").await;
    while sent < 20 * 1024 * 1024 && stream.write_all(header.as_bytes()).await.is_ok() {
        sent += header.len();
    }
    assert!(sent < 1024 * 1024, "{sent} bytes were taken");
    assert!(matches!(rig.notice().await, Notice::Dialing { .. }));
    let (stage, cause, ..) = rig.lost().await;
    let expected = "no WebSocket with exchange.test: an answer whose headers are too long or trickle in";
    assert_eq!((stage, &*cause), (Stage::Upgrade, expected));
}

#[tokio::test(start_paused = true)]
async fn interim_answers_before_the_upgrade_are_skipped() {
    let mut rig = Rig::start();
    let mut stream = rig.servers.recv().await.unwrap();
    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n").await.unwrap();
    let mut server = tokio_tungstenite::accept_async(stream).await.unwrap();
    assert!(text_frame(&mut server).await.starts_with(r#"[{"ticket":"#));
    send(&mut server, TRADE).await;
    rig.tasks.spawn(idle(server));
    for _ in 0..3 {
        assert!(!matches!(rig.notice().await, Notice::Lost { .. }));
    }
    assert!(matches!(rig.notice().await, Notice::Live { .. }));
    assert_eq!(rig.objects().await, [TRADE]);
}

#[tokio::test(start_paused = true)]
async fn interim_answers_without_an_end_fail_the_upgrade() {
    let mut rig = Rig::start();
    let mut stream = rig.servers.recv().await.unwrap();
    while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {}
    assert!(matches!(rig.notice().await, Notice::Dialing { .. }));
    let (stage, cause, ..) = rig.lost().await;
    assert_eq!((stage, &*cause), (Stage::Upgrade, "no WebSocket with exchange.test: interim answers without an end"));
}

#[tokio::test(start_paused = true)]
async fn a_message_in_endless_fragments_ends_at_the_bound() {
    let mut rig = Rig::start();
    let server = rig.live().await;
    let mut stream = server.into_inner();
    // The first fragment, then continuations of 125 bytes that never say they are the last.
    let _ = stream.write_all(&[0x02, 1, b'x']).await;
    let mut fragment = vec![0x00, 125];
    fragment.extend([b'x'; 125]);
    while stream.write_all(&fragment).await.is_ok() {}
    let (_, cause, ..) = rig.lost().await;
    assert!(cause.contains("more than max_message_bytes (1048576)"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_reads_what_is_sent_is_left() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    // Codes for more than the pipe holds, so that the request cannot leave.
    let codes: Vec<String> = (0..20_000).map(|n| format!("KRW-C{n}")).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    rig.requests.send(request(&codes)).unwrap();
    let begin = rig.clock.now();
    assert!(matches!(rig.notice().await, Notice::Subscribed { .. }));
    let clock = rig.clock;
    rig.tasks.spawn(async move {
        while try_send(&mut server, TRADE).await.is_ok() {
            upbit_recorder::clock::sleep_until(Some(clock.now() + Duration::from_secs(1))).await;
        }
    });
    loop {
        if let Payload::Notice(Notice::Lost { cause, .. }) = rig.delivery().await.payload {
            assert_eq!(cause, "what was sent did not leave in time");
            break;
        }
    }
    assert!((rig.clock.now() - begin).as_secs() <= 11);
}
