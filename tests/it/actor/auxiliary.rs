//! A venue that does not know what is said beside the request: that must never cost the recording.

use super::rig::*;
use crate::support::json::asks_for_list;
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use upbit_recorder::connection::Notice;
use upbit_recorder::tape::words::Stage;
use upbit_recorder::upbit::refusal::Objection;

const ERROR: &str = r#"{"error":{"name":"WRONG_FORMAT","message":"Format is incorrect."}}"#;
const STATUS: &str = r#"{"status":"UP"}"#;

/// Answers the last message with an error and hangs up, as the exchange does; what is `refused` of it is reported once,
/// and the next attempt comes soon.
async fn refuse(rig: &mut Rig, mut server: Server, refused: Objection) {
    send(&mut server, ERROR).await;
    assert_eq!(rig.objects().await, [ERROR], "the error itself is kept");
    let Notice::Refused { objection, reason, .. } = rig.notice().await else { panic!("not refused") };
    assert_eq!((objection, &*reason), (refused, "WRONG_FORMAT: Format is incorrect."));
    rig.sleep(Duration::from_millis(150)).await;
    server.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await.unwrap();
    let (stage, cause, attempt, pause) = rig.lost().await;
    assert_eq!((stage, attempt), (Stage::Live, 1));
    assert!(cause.starts_with("refused by the exchange (WRONG_FORMAT"), "{cause}");
    assert!(pause.unwrap() <= Duration::from_millis(500), "{pause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_venue_that_knows_neither_costs_two_short_losses() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    assert_eq!(text_frame(&mut server).await, "PING");
    refuse(&mut rig, server, Objection::Keepalive).await;

    let mut server = rig.live().await;
    assert!(asks_for_list(&text_frame(&mut server).await), "the other one is still said");
    refuse(&mut rig, server, Objection::Listing).await;

    let mut server = rig.live().await;
    let begin = rig.clock.now();
    while rig.clock.now() - begin < Duration::from_secs(6 * 3600) {
        assert_eq!(read(&mut server).await, Some(None), "nothing but pings");
    }
    assert!(rig.inbox.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_question_waits_for_the_answer_to_the_ping() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    assert_eq!(text_frame(&mut server).await, "PING");
    let begin = rig.clock.now();
    send(&mut server, STATUS).await;
    assert!(asks_for_list(&text_frame(&mut server).await));
    assert!(rig.clock.now() - begin < Duration::from_secs(1));
    assert_eq!(rig.objects().await, [STATUS]);
    refuse(&mut rig, server, Objection::Listing).await;
    let mut server = rig.live().await;
    assert_eq!(text_frame(&mut server).await, "PING", "which was answered");
}

#[tokio::test(start_paused = true)]
async fn a_refused_ping_is_no_objection_to_the_request() {
    let mut rig = Rig::start();
    let mut server = rig.subscribed().await;
    let begin = rig.clock.now();
    assert_eq!(text_frame(&mut server).await, "PING");
    assert_eq!(rig.clock.now() - begin, config().ping_interval);
    assert!(matches!(rig.notice().await, Notice::Silent { .. }));
    send(&mut server, ERROR).await;
    assert_eq!(rig.objects().await, [ERROR]);
    assert!(matches!(rig.notice().await, Notice::Refused { objection: Objection::Keepalive, .. }));
    drop(server);
    let (stage, _, _, pause) = rig.lost().await;
    assert_eq!(stage, Stage::Subscribing);
    assert!(pause.unwrap() <= Duration::from_millis(500));
    // The request itself was not refused: the next socket asks for it at once.
    rig.live().await;
}
