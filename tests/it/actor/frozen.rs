//! A process that does not run for a while: what waits is read before any timer fires, and the pause is reported.
//!
//! Time jumps without anybody being polled, as it does for a process that is stopped; for a machine that is suspended the
//! monotonic clock stands still, and the clock since boot alone goes on.

use super::rig::*;
use futures_util::SinkExt;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::advance;
use tokio_tungstenite::tungstenite::Message;
use upbit_recorder::clock::{Instant, Moment};
use upbit_recorder::connection::Notice;
use upbit_recorder::tape::words::{PauseCause, Stage};

const SECOND: Duration = Duration::from_secs(1);

/// The next notice, which has to be that of a pause.
async fn paused(rig: &mut Rig) -> (Moment, Moment, PauseCause) {
    match rig.notice().await {
        Notice::Paused { from, to, cause } => (from, to, cause),
        other => panic!("expected the pause: {other:?}"),
    }
}

/// Freezes the process with a message waiting; returns when.
async fn freeze(rig: &Rig, server: &mut Server, length: Duration) -> Instant {
    send(server, TRADE).await;
    let begin = rig.clock.now();
    advance(length).await;
    begin
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_seconds_is_told_once_what_waited_is_read() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    let begin = freeze(&rig, &mut server, 20 * SECOND).await;
    rig.tasks.spawn(idle(server));
    assert_eq!(rig.objects().await, [TRADE]);
    let (from, to, cause) = paused(&mut rig).await;
    assert_eq!(cause, PauseCause::Process);
    assert!(to.since(from) <= 21 * SECOND);
    assert!(from.at <= begin && begin + 20 * SECOND <= to.at);
    rig.sleep(3600 * SECOND).await;
    assert!(rig.inbox.try_recv().is_err(), "once, and the connection lives");
}

#[tokio::test(start_paused = true)]
async fn a_pong_that_waited_keeps_the_connection() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    let begin = rig.clock.now();
    while rig.clock.now() < begin + 15 * SECOND {
        assert!(read(&mut server).await.is_some());
    }
    // The ping is read, and its answer is on the way.
    server.flush().await.unwrap();
    advance(600 * SECOND).await;
    rig.tasks.spawn(idle(server));
    let (from, to, _) = paused(&mut rig).await;
    assert_eq!(to.since(from).as_secs(), 600);
    rig.sleep(3600 * SECOND).await;
    assert!(rig.inbox.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_notices_a_stop_of_three_seconds() {
    let mut rig = Rig::start();
    let server = rig.live().await;
    rig.tasks.spawn(idle(server));
    for round in 0..20 {
        // Wherever between two beats it begins.
        rig.sleep(2 * SECOND + Duration::from_millis(50 * round)).await;
        advance(Duration::from_millis(1_990)).await;
        rig.sleep(SECOND).await;
        assert!(rig.inbox.try_recv().is_err(), "less than two seconds are no stop");
        advance(3 * SECOND).await;
        let (from, to, cause) = paused(&mut rig).await;
        assert!(to.since(from) >= 3 * SECOND && to.since(from) < 5 * SECOND, "{:?}", to.since(from));
        assert_eq!(cause, PauseCause::Process);
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_is_noticed_though_its_clock_stood_still() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    rig.suspended.store(600_000, Ordering::Relaxed);
    send(&mut server, TRADE).await;
    assert_eq!(rig.objects().await, [TRADE]);
    let (from, to, cause) = paused(&mut rig).await;
    assert_eq!((cause, to.suspended_since(from)), (PauseCause::Machine, 600 * SECOND));
    rig.tasks.spawn(idle(server));
    rig.suspended.fetch_add(4_000, Ordering::Relaxed);
    let (from, to, cause) = paused(&mut rig).await;
    assert_eq!((cause, to.suspended_since(from)), (PauseCause::Machine, 4 * SECOND), "with the next beat");
    assert!(to.at - from.at < 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_came_before_the_loss_that_a_stop_hid_is_read() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    for _ in 0..1000 {
        server.feed(Message::binary(TRADE)).await.unwrap();
    }
    server.flush().await.unwrap();
    drop(server);
    advance(600 * SECOND).await;
    assert_eq!(rig.objects().await.len(), 1000);
    assert_eq!(paused(&mut rig).await.2, PauseCause::Process);
    assert_eq!(rig.lost().await.0, Stage::Live);
}

#[tokio::test(start_paused = true)]
async fn a_stop_without_an_open_socket_has_its_gap_already() {
    let mut rig = Rig::start();
    rig.refusals.store(1000, Ordering::Relaxed);
    for _ in 0..10 {
        advance(20 * SECOND).await;
        assert!(matches!(rig.notice().await, Notice::Dialing { .. }));
        assert_eq!(rig.lost().await.0, Stage::Tcp);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_behind_a_stop_reads_what_waited_before_it_tells() {
    let mut rig = Rig::start();
    let mut server = rig.live().await;
    rig.shutdown.cancel();
    let begin = freeze(&rig, &mut server, 20 * SECOND).await;
    rig.tasks.spawn(idle(server));
    assert_eq!(rig.objects().await, [TRADE]);
    let (from, to, _) = paused(&mut rig).await;
    assert!(from.at <= begin && begin + 20 * SECOND <= to.at);
    assert_eq!(rig.lost().await.1, "closed by the recorder");
}
