//! What shows at once that streams are mute: a list that leaves them out, and bytes in place of data.

use super::*;

#[test]
fn streams_that_lived_and_are_not_listed_are_suspected() {
    let (mut feed, quiet) = steady(Exchange::Mute);
    let last = feed.now;
    assert!(feed.watchdog.take_question());
    let notice = feed.reply(r#"[{"type":"trade","codes":["A-B"]},{"type":"ticker","codes":["A-B"]}]"#);
    assert!(matches!(notice, Some(Notice::Mismatch { .. })));
    for _ in 0..6 {
        feed.wait(Duration::from_secs(1));
        feed.data("trade", "A-B");
    }
    let told =
        [("C-D_ticker", quiet), ("C-D_trade", last)].map(|(stream, since)| Suspect { stream: stream.into(), since });
    assert_eq!(feed.stale.iter().map(|(_, told)| &told[..]).collect::<Vec<_>>(), [&told[..]]);
    assert_eq!(feed.count(EscalationStep::Resubscribe), 1);
    for _ in 0..20 {
        feed.wait(Duration::from_secs(1));
        feed.data("trade", "A-B");
    }
    assert_eq!(feed.count(EscalationStep::Reconnect), 1);
}

#[test]
fn a_stream_that_is_dropped_later_is_found_by_a_later_list() {
    let (mut feed, _) = steady(Exchange::Mute);
    assert!(feed.watchdog.take_question());
    let all = r#"[{"type":"trade","codes":["A-B","C-D"]},{"type":"ticker","codes":["A-B","C-D"]}]"#;
    assert_eq!(feed.reply(all), None);
    let asks = |feed: &Feed| feed.count(EscalationStep::Ask);
    let go_on = |feed: &mut Feed, seconds: u64| {
        for _ in 0..seconds {
            feed.wait(Duration::from_secs(1));
            feed.data("trade", "A-B");
        }
    };
    go_on(&mut feed, 299);
    assert_eq!(asks(&feed), 0);
    go_on(&mut feed, 2);
    assert_eq!(asks(&feed), 1);
    let without = r#"[{"type":"trade","codes":["A-B"]},{"type":"ticker","codes":["A-B","C-D"]}]"#;
    assert!(matches!(feed.reply(without), Some(Notice::Mismatch { missing, .. }) if missing == ["C-D_trade"]));
    go_on(&mut feed, 6);
    let told: Vec<&str> = feed.stale.iter().flat_map(|(_, told)| told).map(|suspect| &*suspect.stream).collect();
    assert_eq!(told, ["C-D_trade"]);
}

#[test]
fn a_list_that_stays_different_is_told_once() {
    let mut feed = Feed::new(request(&["trade"], &["A-B", "KRW-NOPE"]), Exchange::Mute);
    feed.data("trade", "A-B");
    assert!(feed.watchdog.take_question());
    let listed = r#"[{"type":"trade","codes":["A-B"]}]"#;
    assert!(feed.reply(listed).is_some());
    feed.wait(Duration::from_secs(301));
    assert_eq!((feed.count(EscalationStep::Ask), feed.reply(listed)), (1, None));
}

#[test]
fn what_never_came_is_not_suspected_because_no_list_has_it() {
    let mut feed = Feed::new(request(&["trade"], &["A-B", "KRW-NOPE"]), Exchange::Mute);
    feed.data("trade", "A-B");
    assert!(feed.watchdog.take_question());
    assert!(feed.reply(r#"[{"type":"trade","codes":["A-B"]}]"#).is_some());
    feed.wait(Duration::from_secs(6));
    assert!(feed.stale.is_empty());
}

#[test]
fn data_proves_a_list_wrong() {
    let (mut feed, _) = steady(Exchange::Mute);
    for _ in 0..5 {
        feed.watchdog.handle_requested(feed.now, &feed.request.clone(), SubscribeReason::Changed);
        assert!(feed.watchdog.take_question());
        assert!(feed.reply("[]").is_some());
        feed.wait(Duration::from_secs(2));
        for (kind, code) in [("trade", "A-B"), ("trade", "C-D"), ("ticker", "A-B"), ("ticker", "C-D")] {
            feed.data(kind, code);
        }
        feed.wait(Duration::from_secs(6));
    }
    assert!(feed.stale.is_empty() && feed.remedies.is_empty());
}

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
fn a_feed_that_becomes_unreadable_is_mute() {
    let (mut feed, _) = steady(Exchange::Mute);
    let last = feed.now;
    for _ in 0..50 {
        feed.wait(Duration::from_secs(1));
        feed.frame(&COMPRESSED);
    }
    let tried: Vec<(u64, EscalationStep)> =
        feed.remedies.iter().map(|(at, remedy)| ((*at - last).as_secs(), *remedy)).collect();
    assert_eq!(tried[..2], [(11, EscalationStep::Ask), (21, EscalationStep::Resubscribe)]);
    assert_eq!(feed.stale[0].1[1], Suspect { stream: "A-B_trade".into(), since: last });
    assert_eq!((feed.count(EscalationStep::Reconnect), &feed.unreadable[..]), (1, &[40][..]));
}

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
