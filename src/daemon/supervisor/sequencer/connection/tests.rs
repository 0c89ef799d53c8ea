//! A connection's requests, and how far it is proved to have listened.

use super::*;
use crate::clock::Clock;
use crate::config::{ConnectionConfig, Sources, load};
use crate::upbit::subscription::Subscription;
use std::time::Duration;

/// Trades of one pair, tickers of all that are listed.
fn connection(named: &[&str], listed: &Listed) -> Connection {
    let entry = |kind: &str, codes: &[&str]| Subscription {
        kind: kind.into(),
        codes: codes.iter().map(|&code| code.into()).collect(),
        ..Subscription::default()
    };
    let defaults = load(&Sources::default()).unwrap().config.public;
    let mut subscribe = vec![entry("ticker", &["KRW-*"])];
    if !named.is_empty() {
        subscribe.insert(0, entry("trade", named));
    }
    Connection::new(Feed::Public, Wanted::of(&ConnectionConfig { subscribe, ..defaults }), listed)
}

fn listed(codes: &[&str], complete_at: Option<Instant>) -> Listed {
    let codes: Vec<String> = codes.iter().map(|&code| code.to_owned()).collect();
    Listed { codes: Some(codes.into()), complete_at }
}

fn stand(connection: &mut Connection, listed: &Listed) -> Change {
    let standing = Arc::new(connection.next().clone());
    connection.stand(&standing, listed).unwrap()
}

#[test]
fn a_feed_is_heard_up_to_its_last_proof_of_life() {
    let clock = Clock::anchored(Stamp::default());
    let start = clock.now();
    let stamp = |seconds| clock.stamp_at(start + Duration::from_secs(seconds));
    let mut public = connection(&["KRW-BTC"], &Listed::default());
    let mut private = Connection { feed: Feed::Private, ..connection(&["KRW-BTC"], &Listed::default()) };
    for connection in [&mut public, &mut private] {
        assert_eq!(connection.heard(), None);
        connection.handle_lines(Some(stamp(12)), Some(stamp(10)));
    }
    assert_eq!([public.heard(), private.heard()], [Some(stamp(10)), Some(stamp(12))]);
    assert!(private.handle(Notice::Alive, start + Duration::from_secs(27), &clock).is_none());
    assert_eq!(private.heard(), Some(stamp(27)));
    private.handle_lines(Some(stamp(28)), None);
    assert_eq!(private.heard(), Some(stamp(28)));
    private.begin_epoch(stamp(5));
    assert_eq!(private.heard(), Some(stamp(5)));
}

#[test]
fn a_feed_is_not_heard_over_a_pause_that_is_not_told() {
    let [before, from, first, read] = [10, 11, 5, 60].map(|s| Stamp::default().after(Duration::from_secs(s)));
    let mut connection = connection(&["KRW-BTC"], &Listed::default());
    connection.handle_lines(Some(before), Some(before));
    connection.unsettled = Some(from);
    assert_eq!(connection.heard(), Some(before));
    connection.handle_lines(Some(read), Some(read));
    assert_eq!(connection.heard(), Some(from));
    connection.begin_epoch(first);
    connection.handle_lines(Some(read), Some(read));
    assert_eq!(connection.heard(), Some(first), "it is not told in the next epoch either");
    connection.unsettled = None;
    assert_eq!(connection.heard(), Some(read));
}

#[test]
fn patterns_join_under_their_streams_names() {
    let mut connection = connection(&["KRW-BTC"], &Listed::default());
    assert_eq!(connection.streams(), ["KRW-BTC_trade", "KRW-*_ticker"]);
    let known = listed(&["KRW-ETH", "BTC-ETH"], None);
    assert!(connection.resolve(&known, None).is_some());
    assert_eq!(connection.take_unlisted(&known), [""; 0]);
    assert_eq!(connection.streams(), ["KRW-BTC_trade", "KRW-*_ticker"], "the request is not sent yet");
    let change = stand(&mut connection, &known);
    assert_eq!((change.added, change.since), (vec!["KRW-ETH_ticker".into(), "KRW-*_ticker".into()], None));
    assert_eq!(connection.streams(), ["KRW-BTC_trade", "KRW-ETH_ticker"]);
}

#[test]
fn a_request_is_never_emptied_by_a_list() {
    let mut connection = connection(&[], &listed(&["KRW-ETH"], None));
    let other = listed(&["BTC-ETH"], None);
    assert_eq!(connection.resolve(&other, None), None);
    let mut waiting = self::connection(&["KRW-BTC"], &Listed::default());
    assert_eq!(waiting.resolve(&other, None), None);
    assert_eq!(waiting.take_unlisted(&other), ["KRW-*_ticker"]);
    assert_eq!(waiting.streams(), ["KRW-BTC_trade"]);
}

#[test]
fn what_is_listed_later_was_missed_since_the_list_was_complete() {
    let now = Clock::anchored(Stamp::default()).now();
    let [early, late] = [60, 3600].map(|seconds| now + Duration::from_secs(seconds));
    let mut connection = connection(&[], &listed(&["KRW-ETH"], None));
    connection.resolve(&listed(&["KRW-ETH", "KRW-NEW"], Some(late)), Some(early));
    // The list changes once more before it is sent.
    let newest = listed(&["KRW-ETH", "KRW-NEW", "KRW-XRP"], Some(late));
    connection.resolve(&newest, Some(late));
    let change = stand(&mut connection, &newest);
    assert_eq!(change.since, Some(early));
    assert_eq!(change.added, ["KRW-NEW_ticker", "KRW-XRP_ticker"]);
    let without = listed(&["KRW-NEW", "KRW-XRP"], Some(late));
    connection.resolve(&without, Some(late));
    assert_eq!(stand(&mut connection, &without).removed, ["KRW-ETH_ticker"]);
}
