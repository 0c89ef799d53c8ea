//! The private connection: who it says it is, and what happens when the exchange does not believe it.

use super::rig::*;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::tungstenite::{self, protocol::CloseFrame, protocol::frame::coding::CloseCode};
use tokio_util::sync::CancellationToken;
use upbit_recorder::clock::{Instant, sleep_until};
use upbit_recorder::connection::session::Settings;
use upbit_recorder::connection::{Notice, Payload};
use upbit_recorder::tape::words::Stage;
use upbit_recorder::upbit::auth::{Credentials, JwtAlgorithm, Secret};
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::refusal::Objection;
use upbit_recorder::upbit::subscription::{Format, Request, Subscription};

const ORDER: &str = r#"{"type":"myOrder","code":"KRW-BTC","uuid":"canary-order"}"#;

fn rig() -> Rig {
    let credentials = Credentials {
        access_key: Secret::new("canary-access"),
        secret_key: Secret::new("canary-secret"),
        algorithm: JwtAlgorithm::Hs512,
    };
    let my_order = Subscription { kind: "myOrder".into(), ..Subscription::default() };
    let request = Request { subscriptions: vec![my_order], format: Format::Default };
    let settings = Settings { feed: Feed::Private, config: config(), credentials: Some(credentials) };
    Rig::asking(&request, settings, 8)
}

/// The head of the next upgrade request, and the stream to answer on.
async fn upgrade(rig: &mut Rig) -> (String, DuplexStream) {
    let mut stream = rig.servers.recv().await.unwrap();
    let mut head = vec![0; 4096];
    let read = stream.read(&mut head).await.unwrap();
    (String::from_utf8(head[..read].to_vec()).unwrap(), stream)
}

fn claims(head: &str) -> BTreeMap<String, String> {
    let token = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
    let mut validation = Validation::new(Algorithm::HS512);
    validation.required_spec_claims.clear();
    jsonwebtoken::decode(token, &DecodingKey::from_secret(b"canary-secret"), &validation).unwrap().claims
}

/// The instants of the proofs of life that are delivered in this time; nothing else may be.
async fn proofs(rig: &mut Rig, length: Duration) -> Vec<Instant> {
    let until = rig.clock.now() + length;
    let mut proofs = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = sleep_until(Some(until)) => return proofs,
            delivery = rig.delivery() => {
                assert!(matches!(delivery.payload, Payload::Notice(Notice::Alive)), "{delivery:?}");
                assert_eq!(delivery.unsettled, None);
                proofs.push(delivery.at);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_a_token_with_a_nonce_of_its_own() {
    let mut rig = rig();
    let mut nonces = Vec::new();
    for _ in 0..3 {
        let (head, stream) = upgrade(&mut rig).await;
        let mut claims = claims(&head);
        assert_eq!(claims.remove("access_key").as_deref(), Some("canary-access"));
        nonces.push(claims.remove("nonce").unwrap());
        assert!(claims.is_empty(), "no query_hash: {claims:?}");
        drop(stream);
    }
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn refused_keys_are_shown_once_and_retried_slowly() {
    let mut rig = rig();
    let body = r#"{"error":{"name":"no_authorization_ip","message":"This is not a verified IP."}}"#;
    for round in 0..3 {
        let (_, mut stream) = upgrade(&mut rig).await;
        let head = format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // The body comes later than the head, as it does from a real server now and then.
        rig.sleep(Duration::from_millis(100)).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        assert!(matches!(rig.notice().await, Notice::Dialing { .. }));
        if round == 0 {
            let reason = "no_authorization_ip: the keys may not be used from this address".to_owned();
            let refused = Notice::Refused { objection: Objection::Credentials, reason, request: None };
            assert_eq!(rig.notice().await, refused);
        }
        let (stage, _, _, pause) = rig.lost().await;
        assert_eq!(stage, Stage::Upgrade);
        assert!(pause.unwrap() >= Duration::from_secs(300));
    }
}

#[tokio::test(start_paused = true)]
async fn keys_refused_on_the_stream_are_refused_keys_as_well() {
    let mut rig = rig();
    let mut server = rig.subscribed().await;
    let error = r#"{"error":{"name":"INVALID_AUTH","message":"check your keys"}}"#;
    send(&mut server, error).await;
    assert_eq!(rig.objects().await, [error]);
    let Notice::Refused { objection, reason, .. } = rig.notice().await else { panic!("not refused") };
    assert_eq!((objection, &*reason), (Objection::Credentials, "invalid_auth: the keys are not accepted"));
    // The close that should follow never comes: without data such a socket is useless.
    assert!(rig.lost().await.3.unwrap() >= Duration::from_secs(300));
}

#[tokio::test(start_paused = true)]
async fn a_block_lasts_as_long_as_its_body_says() {
    let mut rig = rig();
    let (_, mut stream) = upgrade(&mut rig).await;
    stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\n\r\n").await.unwrap();
    rig.sleep(Duration::from_millis(10)).await;
    stream.write_all(b"{\"error\":{\"message\":\"blocked for 90 seconds").await.unwrap();
    assert!(matches!(rig.notice().await, Notice::Dialing { .. }));
    assert_eq!(rig.lost().await.3, Some(Duration::from_secs(91)));
}

#[tokio::test(start_paused = true)]
async fn nothing_private_can_be_seen_in_what_is_delivered() {
    let mut rig = rig();
    let mut server = rig.subscribed().await;
    send(&mut server, ORDER).await;
    assert!(matches!(rig.notice().await, Notice::Live { .. }));
    let delivery = rig.delivery().await;
    let shown = format!("{delivery:?} {delivery:#?}");
    assert!(!shown.contains("canary") && !shown.contains("myOrder") && !shown.contains("123"), "{shown}");
    let Payload::Batch(batch) = delivery.payload else { panic!("expected the order") };
    assert_eq!(batch.entries().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn notices_hold_nothing_of_what_the_account_receives() {
    let mut rig = rig();
    let mut server = rig.subscribed().await;
    for frame in [
        ORDER,
        r#"{"method":"LIST_SUBSCRIPTIONS","result":[{"type":"myAsset","codes":["canary"]},{"type":"canary"}]}"#,
        r#"{"error":{"name":"INVALID_AUTH","message":"canary"}}"#,
    ] {
        send(&mut server, frame).await;
        rig.sleep(Duration::from_millis(100)).await;
    }
    let reason = tungstenite::Utf8Bytes::from_static("canary");
    server.close(Some(CloseFrame { code: CloseCode::Policy, reason })).await.unwrap();
    let mut notices = Vec::new();
    while !notices.iter().any(|notice| matches!(notice, Notice::Lost { .. })) {
        if let Payload::Notice(notice) = rig.delivery().await.payload {
            notices.push(notice);
        }
    }
    assert!(!format!("{notices:?}").contains("canary"), "{notices:?}");
    let kinds = ["myAsset", "other"].map(str::to_owned).to_vec();
    assert!(notices.contains(&Notice::Mismatch { missing: vec!["myOrder".into()], unexpected: kinds }), "{notices:?}");
    assert!(notices.iter().any(|notice| matches!(notice, Notice::Refused { .. })), "{notices:?}");
    let Some(Notice::Lost { cause, .. }) = notices.last() else { panic!("{notices:?}") };
    assert!(cause.contains("invalid_auth") && cause.contains("1008"), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn an_account_without_orders_is_live_for_days() {
    let mut rig = rig();
    for _ in 0..3 {
        let server = rig.subscribed().await;
        let begin = rig.clock.now();
        let goodbye = CancellationToken::new();
        rig.tasks.spawn(idle_until(server, goodbye.clone()));
        let live = rig.delivery().await;
        assert!(matches!(live.payload, Payload::Notice(Notice::Live { attempt: 1 })), "{live:?}");
        assert!(live.at - begin < Duration::from_secs(1), "since the answer to the ping behind the request");
        assert_eq!((rig.clock.now() - begin).as_secs(), 10, "once no error has come in time");
        let proofs = proofs(&mut rig, Duration::from_secs(3 * 24 * 3600)).await;
        assert_eq!(proofs.len(), 3 * 24 * 3600 / 15, "nothing but an answer to each ping for days");
        assert!(proofs.is_sorted() && proofs[0] > live.at);
        goodbye.cancel();
        let (stage, _, attempt, pause) = rig.lost().await;
        assert_eq!((stage, attempt), (Stage::Live, 1));
        assert!(pause.unwrap() <= Duration::from_millis(500), "not a failure in a row");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_stream_that_answers_nothing_is_not_live() {
    let mut rig = rig();
    let _mute = rig.subscribed().await;
    let (stage, cause, ..) = rig.lost().await;
    assert_eq!((stage, &*cause), (Stage::Subscribing, "no answer to a ping"));
}

#[tokio::test(start_paused = true)]
async fn orders_are_recorded_before_the_request_is_sure_to_stand() {
    let mut rig = rig();
    let mut server = rig.subscribed().await;
    send(&mut server, ORDER).await;
    assert!(matches!(rig.notice().await, Notice::Live { attempt: 1 }));
    assert_eq!(rig.objects().await, [ORDER]);
    rig.tasks.spawn(idle(server));
    assert!(!proofs(&mut rig, Duration::from_secs(3600)).await.is_empty(), "live once");
}

#[tokio::test(start_paused = true)]
async fn proofs_of_life_fill_no_queue_that_nothing_takes_from() {
    let mut rig = rig();
    let mut server = rig.subscribed().await;
    send(&mut server, ORDER).await;
    assert!(matches!(rig.notice().await, Notice::Live { .. }));
    rig.delivery().await;
    rig.tasks.spawn(idle(server));
    for _ in 0..3 {
        rig.sleep(Duration::from_secs(3600)).await;
        assert_eq!(rig.notice().await, Notice::Alive);
        assert!(rig.inbox.try_recv().is_err(), "one waits at the most, and no pause is told");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_waited_leaves_its_pause_to_be_told() {
    let mut rig = rig();
    let mut server = rig.subscribed().await;
    send(&mut server, ORDER).await;
    assert!(matches!(rig.notice().await, Notice::Live { .. }));
    rig.delivery().await;
    send(&mut server, ORDER).await;
    let begin = rig.clock.now();
    tokio::time::advance(Duration::from_secs(20)).await;
    rig.tasks.spawn(idle(server));
    let order = rig.delivery().await;
    assert!(matches!(order.payload, Payload::Batch(_)), "{order:?}");
    let told = rig.delivery().await;
    let Payload::Notice(Notice::Paused { from, .. }) = told.payload else { panic!("not told: {told:?}") };
    assert!(from.at <= begin);
    assert_eq!((order.unsettled, told.unsettled), (Some(from), None));
    assert!(!proofs(&mut rig, Duration::from_secs(60)).await.is_empty());
}
