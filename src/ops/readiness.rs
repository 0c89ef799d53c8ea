//! Whether data is being recorded, and if not, why. Pure.

use super::display::describe;
use super::liveness::{self, Loop, busy};
use super::status::Status;
use super::status::feeds::{ConnectionStatus, Link};
use crate::clock::Instant;
use crate::quantity::{rounded_duration, rounded_size};
use crate::upbit::feed::Feed;
use serde::Serialize;
use std::time::Duration;

/// How long lines may wait for their file: a disk that takes nothing for ten seconds is too slow for what comes, and
/// reading pauses soon.
const UNWRITTEN: Duration = Duration::from_secs(10);

/// How long a sync may take: until it is done a power cut costs what was written since it began.
const UNSYNCED: Duration = Duration::from_secs(60);

/// Why data is not being recorded, or soon may not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The part that it is about: `start`, `stop`, `loops`, `public`, `private`, `disk`.
    pub part: &'static str,
    /// For people.
    pub text: String,
}

/// Every reason at `now`; none: each enabled connection is subscribed and brings data, the disk takes it, and has room.
pub fn reasons(status: &Status, now: Instant) -> Vec<Reason> {
    if status.about.is_none() {
        return vec![reason("start", "the start is not done: nothing is recorded yet")];
    }
    let mut reasons = Vec::new();
    if status.is_stopping {
        reasons.push(reason("stop", "the recorder is stopping"));
    }
    if let Some(length) = liveness::hangs(status, now) {
        reasons.push(reason("loops", format!("the supervisor has not turned for {}", rounded_duration(length))));
    }
    reasons.extend(status.connections.iter().filter_map(|(feed, connection)| unconnected(*feed, connection, now)));
    reasons.extend(disk(status, now));
    reasons
}

fn reason(part: &'static str, text: impl Into<String>) -> Reason {
    Reason { part, text: text.into() }
}

fn unconnected(feed: Feed, connection: &ConnectionStatus, now: Instant) -> Option<Reason> {
    let is_live = matches!(connection.link, Link::Live);
    let is_mute = !connection.mute.is_empty() && connection.mute.len() >= connection.asked.len();
    match (is_live, is_mute) {
        (false, _) => Some(reason(feed.as_str(), describe(feed, &connection.link, now))),
        (true, true) => Some(reason(feed.as_str(), format!("{feed} is connected, and all of its streams are mute"))),
        (true, false) => None,
    }
}

fn disk(status: &Status, now: Instant) -> impl Iterator<Item = Reason> {
    let full = status.disk.full.as_ref().map(|cause| format!("the disk takes no data: {cause}"));
    let low = status.disk.room.filter(|room| room.is_low).map(|room| {
        let bytes = rounded_size(room.bytes);
        format!("the disk is nearly full: {bytes} and {} inodes are left", room.inodes)
    });
    let queues = &status.queues;
    let unwritten = (queues.unwritten_bytes > 0 && queues.oldest_unwritten > UNWRITTEN).then(|| {
        let age = rounded_duration(queues.oldest_unwritten);
        format!("{} have waited for {age} to be written", rounded_size(queues.unwritten_bytes))
    });
    let syncing = busy(status, now).into_iter().find(|(host, length)| *host == Loop::Syncer && *length > UNSYNCED);
    let syncing = syncing.map(|(_, length)| format!("a sync has not returned for {}", rounded_duration(length)));
    [full, low, unwritten, syncing].into_iter().flatten().map(|text| reason("disk", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::counters::turns::Turn;
    use crate::ops::status::{About, Limit, Limits, Queues, Room};
    use crate::upbit::venue::Venue;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    const ONE: Limit = Limit { configured: 1, exchange: 1 };

    fn recording(now: Instant) -> Status {
        let asked = Arc::new(vec!["KRW-BTC_trade".to_owned(), "KRW-ETH_trade".to_owned()]);
        let public = ConnectionStatus { link: Link::Live, asked, mute: vec![], gap: None, count: Default::default() };
        let (run, venue) = (Stamp::default(), Venue::named_after("local"));
        let about =
            About { pid: 1, run, venue, min_free_bytes: 1, limits: Limits { rest: ONE, connects: ONE, messages: ONE } };
        let connections = BTreeMap::from([(Feed::Public, public)]);
        Status { about: Some(about), turned: Some(now), connections, ..Status::default() }
    }

    /// The parts of the reasons after a change, and the text of the first.
    fn after(change: impl FnOnce(&mut Status, Instant)) -> (Vec<&'static str>, String) {
        let now = Clock::anchored(Stamp::default()).now() + Duration::from_secs(1_000);
        let mut status = recording(now);
        assert_eq!(reasons(&status, now), [], "it is ready before");
        change(&mut status, now);
        let reasons = reasons(&status, now);
        (reasons.iter().map(|reason| reason.part).collect(), reasons[0].text.clone())
    }

    #[test]
    fn a_start_a_stop_and_a_hang_are_reasons() {
        assert_eq!(after(|status, _| *status = Status::default()).0, ["start"]);
        assert_eq!(after(|status, _| status.is_stopping = true).0, ["stop"]);
        let hung = after(|status, now| status.turned = Some(now - Duration::from_secs(11)));
        assert_eq!(hung, (vec!["loops"], "the supervisor has not turned for 11 s".to_owned()));
    }

    #[test]
    fn a_connection_that_brings_nothing_is_a_reason() {
        let link = |link: Link| after(|status, _| status.connections.get_mut(&Feed::Public).unwrap().link = link);
        assert_eq!(link(Link::Subscribing).0, ["public"]);
        assert!(link(Link::Unresolved).1.contains("list of pairs"));
        let waiting = Link::Waiting { cause: "connection refused".into(), attempt: 2, until: None };
        assert_eq!(link(waiting).1, "public given up: connection refused");
        let mute = |streams: &[&str]| {
            let streams: Vec<String> = streams.iter().map(|&stream| stream.to_owned()).collect();
            move |status: &mut Status, _: Instant| {
                status.connections.get_mut(&Feed::Public).unwrap().mute = streams;
                status.is_stopping = true;
            }
        };
        assert_eq!(after(mute(&["KRW-BTC_trade"])).0, ["stop"], "one of two is no reason");
        assert_eq!(after(mute(&["KRW-BTC_trade", "KRW-ETH_trade"])).0, ["stop", "public"]);
    }

    #[test]
    fn a_disk_that_does_not_take_data_is_a_reason() {
        let full = after(|status, _| status.disk.full = Some("No space left on device".into()));
        assert_eq!(full, (vec!["disk"], "the disk takes no data: No space left on device".to_owned()));
        assert_eq!(after(|status, _| status.disk.room = Some(Room { bytes: 5, inodes: 9, is_low: true })).0, ["disk"]);
        let oldest_unwritten = Duration::from_secs(11);
        let queues = Queues { unwritten_bytes: 7, oldest_unwritten, ..Queues::default() };
        assert!(after(|status, _| status.queues = queues).1.ends_with("have waited for 11 s to be written"));
        let turn = |now| Some(Turn { at: now - Duration::from_secs(61), is_busy: true });
        assert_eq!(after(|status, now| status.hosts.syncer = turn(now)).0, ["disk"]);
    }
}
