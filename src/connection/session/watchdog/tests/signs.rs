//! Immediate signs that streams are mute: a list that leaves them out, and bytes in place of data.

use super::*;

#[test]
fn a_stream_that_is_listed_again_is_fresh() {
    let (mut feed, _) = steady(Exchange::Answers);
    assert!(feed.watchdog.take_question());
    assert!(feed.reply("[]").is_some());
    feed.wait(Duration::from_secs(5));
    assert_eq!(feed.stale.len(), 1);
    assert_eq!(feed.fresh.len(), 4, "by the snapshots");
}

/// A frame of data as a compressed one looks: nothing that can be read.
const COMPRESSED: [u8; 90] = [0xab; 90];

#[test]
fn now_and_then_something_unreadable_is_no_mute_feed() {
    let (mut feed, _) = steady(Exchange::Mute);
    for _ in 0..600 {
        feed.wait(Duration::from_secs(1));
        feed.frame(&COMPRESSED);
        feed.data("trade", "A-B");
    }
    assert!(feed.stale.is_empty());
}

#[test]
fn words_of_a_quiet_venue_are_no_unreadable_feed() {
    let mut feed = Feed::trades(Exchange::Mute);
    feed.data("trade", "A-B");
    for _ in 0..600 {
        feed.wait(Duration::from_secs(10));
        feed.frame(b"PONG");
    }
    assert!(feed.stale.is_empty() && feed.remedies.is_empty());
    assert_eq!(feed.unreadable.len(), 1, "told once an hour");
}

#[test]
fn an_outbreak_is_one_notice_with_its_count() {
    let (mut feed, _) = steady(Exchange::Mute);
    for _ in 0..30 {
        feed.frame(&COMPRESSED);
        feed.frame(b"{\"type\":\n\"trade\"}");
        feed.wait(Duration::from_millis(300));
        feed.data("trade", "A-B");
    }
    assert!(feed.unreadable.is_empty());
    feed.wait(Duration::from_secs(60));
    assert_eq!(feed.unreadable, [60]);
    feed.frame(b"x");
    assert!(
        matches!(feed.watchdog.handle_lost(), Some(Notice::Unreadable { frames: 1, .. })),
        "it ends with the socket"
    );
}
