//! Maps each part of a frame to its stream. Pure.
//!
//! ```text
//! Data, name ours to use, room left ──▶ <code>_<type>
//! everything else                   ──▶ misc of its tree
//! ```
//!
//! No two streams of a tree differ by case alone: they would share a file in a case-insensitive directory.
//!
//! Streams get small numbers, so that a line crosses the queue without its name.

use crate::batch::Entry;
use crate::tape::stream_key::{StreamKey, WireName};
use crate::upbit::feed::{Feed, PerFeed};
use std::collections::{HashMap, HashSet};

/// The number of a stream within one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u32);

impl StreamId {
    /// The number that belongs to a table index.
    pub fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("there are at most `max_streams` streams, far below 2^32"))
    }

    /// The number as a table index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A stream that has just got its number. Numbers are given in order, without a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStream {
    /// Its number.
    pub id: StreamId,
    /// The tree it lies in.
    pub feed: Feed,
    /// Its name.
    pub key: StreamKey,
}

/// The table of streams.
#[derive(Debug)]
pub struct Router {
    trees: PerFeed<HashMap<StreamKey, StreamId>>,
    /// The names in them, in lower case.
    folded: PerFeed<HashSet<String>>,
    misc: PerFeed<StreamId>,
    recorder: StreamId,
    count: u32,
    /// Streams of the recorder's own among them, which do not count against `max_streams`.
    own: u32,
    max_streams: usize,
    fresh: Vec<NewStream>,
    /// Lookup buffer, so that a known stream costs no allocation.
    stem: String,
}

impl Router {
    /// A table with the recorder's own streams, which do not count against `max_streams`.
    pub fn new(max_streams: usize) -> Self {
        let mut router = Self {
            trees: Default::default(),
            folded: Default::default(),
            misc: PerFeed { public: StreamId(0), private: StreamId(0) },
            recorder: StreamId(0),
            count: 0,
            own: 0,
            max_streams,
            fresh: Vec::new(),
            stem: String::new(),
        };
        router.recorder = router.register(Feed::Public, StreamKey::recorder());
        router.misc = PerFeed::from_fn(|feed| router.register(feed, StreamKey::misc()));
        router.own = router.count;
        router
    }

    /// The stream of the recorder's own events.
    pub fn recorder(&self) -> StreamId {
        self.recorder
    }

    /// The catch-all stream of `tree`.
    pub fn misc(&self, feed: Feed) -> StreamId {
        self.misc[feed]
    }

    /// The stream that `entry` belongs to.
    pub fn route(&mut self, feed: Feed, entry: &Entry<'_>) -> StreamId {
        let Entry::Data { kind, code, .. } = *entry else { return self.misc(feed) };
        let Some(name) = WireName::parse(kind, code) else { return self.misc(feed) };
        name.write_stem(&mut self.stem);
        if let Some(id) = self.trees[feed].get(self.stem.as_str()) {
            return *id;
        }
        self.stem.make_ascii_lowercase();
        let is_taken = self.folded[feed].contains(self.stem.as_str());
        if !is_taken && self.streams() < self.max_streams { self.register(feed, name.into()) } else { self.misc(feed) }
    }

    /// The number of a stream known by name: of files left by an earlier process, and of healed data, which adds at
    /// most as many streams as a week's gaps name.
    pub fn register(&mut self, feed: Feed, key: StreamKey) -> StreamId {
        if let Some(id) = self.trees[feed].get(&key) {
            return *id;
        }
        let id = StreamId(self.count);
        self.count += 1;
        self.own += u32::from(key.is_fetched());
        self.folded[feed].insert(key.as_str().to_ascii_lowercase());
        self.trees[feed].insert(key.clone(), id);
        self.fresh.push(NewStream { id, feed, key });
        id
    }

    /// The streams that have got a number since the last call.
    pub fn take_fresh(&mut self) -> Vec<NewStream> {
        std::mem::take(&mut self.fresh)
    }

    /// Streams of the exchange known so far, in both trees.
    pub fn streams(&self) -> usize {
        (self.count - self.own) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data<'a>(kind: &'a str, code: &'a str) -> Entry<'a> {
        Entry::Data { object: b"{}", kind, code: Some(code) }
    }

    #[test]
    fn a_stream_keeps_its_number() {
        let mut router = Router::new(10);
        let first = router.route(Feed::Public, &data("trade", "KRW-BTC"));
        assert_eq!(router.route(Feed::Public, &data("trade", "KRW-BTC")), first);
        assert_ne!(router.route(Feed::Private, &data("trade", "KRW-BTC")), first);
        let ids: Vec<_> = router.take_fresh().into_iter().map(|stream| stream.id.index()).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4]);
        assert_eq!(router.streams(), 2);
    }

    #[test]
    fn what_names_no_stream_goes_to_misc() {
        let mut router = Router::new(10);
        for (kind, code) in [("recorder", "KRW-BTC"), ("../../x", "KRW-BTC"), ("trade", "a_b"), ("trade.healed", "A-B")]
        {
            assert_eq!(router.route(Feed::Public, &data(kind, code)), router.misc(Feed::Public), "{kind} {code}");
        }
        let unnamed = Entry::Data { object: b"{}", kind: "misc", code: None };
        assert_eq!(router.route(Feed::Private, &unnamed), router.misc(Feed::Private));
        let kind_with_code_inside = Entry::Data { object: b"{}", kind: "KRW-BTC_trade", code: None };
        assert_eq!(router.route(Feed::Public, &kind_with_code_inside), router.misc(Feed::Public));
    }

    #[test]
    fn no_two_streams_differ_by_case_alone() {
        let mut router = Router::new(10);
        for (kind, code) in [("Trade", "KRW-BTC"), ("trade", "krw-btc"), ("candle.1M", "KRW-BTC")] {
            assert_eq!(router.route(Feed::Public, &data(kind, code)), router.misc(Feed::Public), "{kind} {code}");
        }
        let trade = router.route(Feed::Public, &data("trade", "KRW-BTC"));
        let (first, news) = (router.route(Feed::Public, &data("News", "A-B")), router.misc(Feed::Public));
        assert!(trade != news && first != news, "what can be subscribed has its file whatever came before");
        for (kind, code) in [("news", "A-B"), ("News", "a-B"), ("News", "A-b")] {
            assert_eq!(router.route(Feed::Public, &data(kind, code)), news, "{kind} {code}");
        }
        assert_eq!(router.route(Feed::Public, &data("News", "A-B")), first);
        assert_ne!(router.route(Feed::Private, &data("news", "A-B")), router.misc(Feed::Private));
    }

    #[test]
    fn streams_beyond_the_limit_go_to_misc() {
        let mut router = Router::new(1);
        let first = router.route(Feed::Public, &data("trade", "KRW-BTC"));
        assert_eq!(router.route(Feed::Public, &data("trade", "KRW-ETH")), router.misc(Feed::Public));
        assert_eq!(router.route(Feed::Public, &data("trade", "KRW-BTC")), first);
    }

    #[test]
    fn what_was_missed_takes_no_room_from_what_comes() {
        let mut router = Router::new(1);
        let healed = StreamKey::from_stem("KRW-BTC_trade.healed").unwrap();
        router.register(Feed::Public, healed);
        assert_ne!(router.route(Feed::Public, &data("trade", "KRW-BTC")), router.misc(Feed::Public));
        assert_eq!(router.streams(), 1);
    }
}
