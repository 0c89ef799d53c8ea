//! The subscribed streams, and when each last brought data.
//!
//! ```text
//! object ── code, type ──▶ subscribed? ── yes ──▶ its last data
//!                           └ no ──▶ no proof of liveness
//! ```
//!
//! Bounded by the request; one look-up for each object that comes. The last data outlives the connection, because a stream
//! that is missing on the next one is missing since then.

use crate::clock::Instant;
use crate::connection::Suspect;
use crate::upbit::listing::stream_name;
use crate::upbit::subscription::Request;
use std::collections::HashMap;

/// The most different begins among streams suspected together. Each becomes a gap of its own, and a whole exchange of
/// 2,565 streams must not become as many lines. Where there are more, neighbours begin with the earliest of them.
const BEGINS: usize = 64;

/// One stream.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    kind: String,
    /// It goes on after its snapshot; the silence of others means nothing.
    goes_on: bool,
    /// When it last brought data.
    pub(super) last: Option<Instant>,
    /// The exchange's list lacks it, and it has brought no data since.
    pub(super) is_unlisted: bool,
    /// It brought data while the list lacked it, so the list is wrong about it.
    pub(super) list_is_wrong: bool,
}

/// The streams of one request.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_code: HashMap<String, Vec<Stream>>,
    /// Types subscribed as a whole, whatever codes they bring.
    whole: Vec<Stream>,
}

impl Stream {
    fn new(kind: &str, goes_on: bool) -> Self {
        Self { kind: kind.to_owned(), goes_on, last: None, is_unlisted: false, list_is_wrong: false }
    }
}

impl Streams {
    /// Another request stands; streams that stay keep their state.
    pub(super) fn handle_requested(&mut self, request: &Request) {
        let mut before = std::mem::take(self);
        for subscription in &request.subscriptions {
            let kind = &*subscription.kind;
            let goes_on = !subscription.only_snapshot;
            for code in &subscription.codes {
                let known = before.by_code.get_mut(code).and_then(|streams| take(streams, kind));
                let stream = Stream { goes_on, ..known.unwrap_or_else(|| Stream::new(kind, goes_on)) };
                let streams = self.by_code.entry(code.clone()).or_default();
                if streams.iter().all(|other| other.kind != *kind) {
                    streams.push(stream);
                }
            }
            if subscription.codes.is_empty() && self.whole.iter().all(|other| other.kind != *kind) {
                self.whole.push(take(&mut before.whole, kind).unwrap_or_else(|| Stream::new(kind, goes_on)));
            }
        }
    }

    /// The stream that an object belongs to; `None`: it is not subscribed.
    pub(super) fn find(&mut self, kind: &str, code: Option<&str>) -> Option<&mut Stream> {
        let of_code = code.and_then(|code| self.by_code.get_mut(code));
        let of_code = of_code.and_then(|streams| streams.iter_mut().find(|stream| stream.kind == kind));
        of_code.or_else(|| self.whole.iter_mut().find(|stream| stream.kind == kind))
    }

    /// The stream of a name.
    pub(super) fn named(&mut self, name: &str) -> Option<&mut Stream> {
        match name.rsplit_once('_') {
            Some((code, kind)) => self.find(kind, Some(code)),
            None => self.find(name, None),
        }
    }

    /// The names of the streams that are `meant`, sorted.
    pub(super) fn names(&self, meant: impl Fn(&Stream) -> bool) -> Vec<String> {
        let mut names: Vec<String> = self.going_on(meant).map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }

    /// The streams that are `meant`, by name, each in doubt since its last data, or since `unknown` where it never brought
    /// any.
    pub(super) fn suspects(&self, meant: impl Fn(&Stream) -> bool, unknown: Instant) -> Vec<Suspect> {
        let streams = self.going_on(meant);
        let mut suspects: Vec<Suspect> =
            streams.map(|(stream, last)| Suspect { stream, since: last.unwrap_or(unknown) }).collect();
        bound_begins(&mut suspects);
        suspects.sort_unstable_by(|one, other| one.stream.cmp(&other.stream));
        suspects
    }

    /// Each stream in turn.
    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.by_code.values_mut().flatten().chain(&mut self.whole)
    }

    fn going_on(&self, meant: impl Fn(&Stream) -> bool) -> impl Iterator<Item = (String, Option<Instant>)> {
        let of_codes = self.by_code.iter().flat_map(|(code, streams)| streams.iter().map(|one| (Some(&**code), one)));
        let all = of_codes.chain(self.whole.iter().map(|stream| (None, stream)));
        let meant = all.filter(move |(_, stream)| stream.goes_on && meant(stream));
        meant.map(|(code, stream)| (stream_name(&stream.kind, code), stream.last))
    }
}

fn take(streams: &mut Vec<Stream>, kind: &str) -> Option<Stream> {
    let index = streams.iter().position(|stream| stream.kind == kind)?;
    Some(streams.swap_remove(index))
}

/// Leaves at most [`BEGINS`] different begins, none of them later than it was.
fn bound_begins(suspects: &mut [Suspect]) {
    let mut begins: Vec<Instant> = suspects.iter().map(|suspect| suspect.since).collect();
    begins.sort_unstable();
    begins.dedup();
    if begins.len() <= BEGINS {
        return;
    }
    suspects.sort_unstable_by(|one, other| (one.since, &one.stream).cmp(&(other.since, &other.stream)));
    for group in suspects.chunks_mut(suspects.len().div_ceil(BEGINS)) {
        let earliest = group[0].since;
        group.iter_mut().for_each(|suspect| suspect.since = earliest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::upbit::subscription::{Format, Subscription};
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn request(kinds: &[&str], codes: &[&str]) -> Request {
        let codes: Vec<String> = codes.iter().map(|&code| code.to_owned()).collect();
        let of = |kind: &&str| Subscription { kind: (*kind).into(), codes: codes.clone(), ..Subscription::default() };
        Request { subscriptions: kinds.iter().map(of).collect(), format: Format::Default }
    }

    fn streams(request: &Request) -> Streams {
        let mut streams = Streams::default();
        streams.handle_requested(request);
        streams
    }

    #[test]
    fn only_what_was_asked_for_is_found() {
        let mut streams = streams(&request(&["trade", "ticker"], &["A-B"]));
        assert!(streams.find("trade", Some("A-B")).is_some());
        for (kind, code) in [("orderbook", Some("A-B")), ("trade", Some("C-D")), ("trade", None), ("error", None)] {
            assert!(streams.find(kind, code).is_none(), "{kind} {code:?}");
        }
    }

    #[test]
    fn a_type_asked_for_as_a_whole_has_any_code() {
        let mut streams = streams(&request(&["myOrder"], &[]));
        assert!(streams.find("myOrder", Some("A-B")).is_some() && streams.find("myOrder", None).is_some());
        assert!(streams.find("myAsset", None).is_none());
    }

    #[test]
    fn another_request_keeps_what_is_known_of_what_stays() {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut streams = streams(&request(&["trade"], &["A-B", "C-D"]));
        streams.find("trade", Some("A-B")).unwrap().last = Some(now);
        streams.handle_requested(&request(&["trade", "ticker"], &["A-B", "E-F"]));
        let brought = streams.names(|stream| stream.last.is_some());
        assert_eq!(brought, ["A-B_trade"]);
        assert_eq!(streams.names(|_| true), ["A-B_ticker", "A-B_trade", "E-F_ticker", "E-F_trade"]);
    }

    #[test]
    fn many_suspects_share_begins_that_are_never_later() {
        let now = Clock::anchored(Stamp::MAX).now();
        let codes: Vec<String> = (0..1_000).map(|n| format!("KRW-{n}")).collect();
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        let mut streams = streams(&request(&["trade"], &codes));
        for (n, code) in (0..).zip(&codes) {
            streams.find("trade", Some(code)).unwrap().last = Some(now + Duration::from_millis(n));
        }
        let suspects = streams.suspects(|_| true, now);
        assert_eq!(suspects.len(), 1_000);
        assert!(suspects.iter().all(|suspect| Some(suspect.since) <= streams.named(&suspect.stream).unwrap().last));
        let begins: BTreeSet<Instant> = suspects.iter().map(|suspect| suspect.since).collect();
        assert!((2..=BEGINS).contains(&begins.len()), "{}", begins.len());
    }
}
