//! What one subscription brings: the snapshots first, then what the market does, in the order it happens.
//!
//! ```text
//!  request ─▶ snapshots of every code ─▶ slot ─▶ its books, trades, tickers; at full seconds the candles ─▶ next slot
//! ```
//!
//! A playback has its own place on the market's tape. A client that reads slowly falls behind and misses nothing, and no
//! frame waits in memory for it: only what one slot of 100 ms holds is ever worked out ahead.

use super::pair::{self, Pair};
use super::topic::Topic;
use crate::replay::market::{AccountEvent, LAG_MILLIS, Market, SLOT_MILLIS, Trade};
use crate::replay::wire::frames::{Head, StreamType};
use crate::replay::wire::private;
use crate::replay::wire::request::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Something that happens in a slot.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A code's book changed.
    Book { code: usize, slot: u64 },
    /// A code was traded.
    Trade { code: usize, trade: Trade },
    /// A second is full.
    Second,
    /// Something happened to the account.
    Account(AccountEvent),
}

/// One object for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The type's name.
    pub(super) kind: &'static str,
    /// The code's place in the market; `None` for types without one.
    pub(super) code: Option<usize>,
    /// A snapshot, or realtime.
    pub(super) stream: StreamType,
    /// The object.
    pub(super) text: String,
}

impl Item {
    /// What just happened to a code.
    pub(super) fn realtime(topic: Topic, code: usize, text: String) -> Self {
        Self { kind: topic.kind(), code: Some(code), stream: StreamType::Realtime, text }
    }
}

/// The frames of one subscription.
pub(super) struct Playback {
    market: Arc<Market>,
    entries: Arc<[Entry]>,
    short: bool,
    snapshots: VecDeque<(Topic, usize)>,
    pairs: BTreeMap<usize, Pair>,
    /// All snapshots show what was before this slot.
    first_slot: u64,
    /// The first slot that is not worked out yet.
    next_slot: u64,
    events: VecDeque<(u64, Event)>,
    ready: VecDeque<Item>,
}

impl Playback {
    /// The answer to a request that comes at `now`, in milliseconds since the epoch. Codes that the market does not
    /// have are passed over in silence, as the exchange does.
    pub(super) fn new(market: Arc<Market>, entries: Arc<[Entry]>, short: bool, now: u64) -> Self {
        let slot = now / SLOT_MILLIS;
        let (snapshots, pairs) = wanted(&market, &entries, slot);
        let (events, ready) = (VecDeque::new(), VecDeque::new());
        Self { market, entries, short, snapshots, pairs, first_slot: slot, next_slot: slot, events, ready }
    }

    /// Spells all later objects with short keys, or with long ones.
    pub(super) fn spell(&mut self, short: bool) {
        self.short = short;
    }

    /// The next object that is due at `now`; `None` until [`Playback::next_due`].
    pub(super) fn poll(&mut self, now: u64) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            if let Some((topic, code)) = self.snapshots.pop_front() {
                self.snapshot(topic, code);
                continue;
            }
            if self.events.is_empty() && self.has_realtime() && self.next_slot * SLOT_MILLIS <= now {
                self.work_out_slot();
                continue;
            }
            self.events.front().filter(|(due, _)| *due <= now)?;
            let event = self.events.pop_front()?;
            self.happen(event);
        }
    }

    /// When to poll again, in milliseconds since the epoch; `None`: never.
    pub(super) fn next_due(&self) -> Option<u64> {
        if !self.ready.is_empty() || !self.snapshots.is_empty() {
            return Some(0);
        }
        match self.events.front() {
            Some((due, _)) => Some(*due),
            None => self.has_realtime().then_some(self.next_slot * SLOT_MILLIS),
        }
    }

    fn has_realtime(&self) -> bool {
        !self.pairs.is_empty() || self.wants_account()
    }

    fn wants_account(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.kind.as_str(), "myOrder" | "myAsset" | "announcement"))
    }

    fn snapshot(&mut self, topic: Topic, code: usize) {
        let instrument = self.market.instrument(code);
        let Some((text, rolling)) = pair::snapshot(instrument, topic, self.first_slot, self.short) else {
            return;
        };
        if let (Some(rolling), Some(pair)) = (rolling, self.pairs.get_mut(&code)) {
            pair.begin_with(rolling);
        }
        self.ready.push_back(Item { kind: topic.kind(), code: Some(code), stream: StreamType::Snapshot, text });
    }

    /// Puts everything that happens in the next slot into the order in which it is sent.
    fn work_out_slot(&mut self) {
        let slot = self.next_slot;
        self.next_slot += 1;
        let due = slot * SLOT_MILLIS + LAG_MILLIS;
        if due % 1_000 == LAG_MILLIS {
            self.events.push_back((due, Event::Second));
        }
        for (&code, pair) in &self.pairs {
            let instrument = self.market.instrument(code);
            for beat in instrument.tape.beats(slot, slot + 1) {
                pair.happenings(instrument, beat, code, |due, event| self.events.push_back((due, event)));
            }
        }
        if self.wants_account() {
            let events = self.market.account().events(&self.market, slot).into_iter();
            self.events.extend(events.map(|event| (due, Event::Account(event))));
        }
        // A stable sort: the full second stays before what happens after it.
        self.events.make_contiguous().sort_by_key(|(due, _)| *due);
    }

    fn happen(&mut self, (due, event): (u64, Event)) {
        let (short, stream) = (self.short, StreamType::Realtime);
        let head = |code| Head { instrument: self.market.instrument(code), short, stream };
        match event {
            Event::Book { code, slot } => {
                if let Some(pair) = self.pairs.get(&code) {
                    pair.books(head(code), slot, &mut self.ready, code);
                }
            }
            Event::Trade { code, trade } => {
                if let Some(pair) = self.pairs.get_mut(&code) {
                    pair.trade(head(code), trade, &mut self.ready, code);
                }
            }
            Event::Second => {
                for (&code, pair) in &mut self.pairs {
                    pair.changed_candles(head(code), &mut self.ready, code);
                }
            }
            Event::Account(event) => self.account(&event, due),
        }
    }

    fn account(&mut self, event: &AccountEvent, now: u64) {
        let (kind, code, text) = match event {
            AccountEvent::Order(order) => {
                let code = &self.market.instrument(order.code).listing.code;
                ("myOrder", Some(order.code), private::my_order(code, order, (now, self.short)))
            }
            AccountEvent::Asset(holding) => ("myAsset", None, private::my_asset(holding, (now, self.short))),
            AccountEvent::Announcement(number) => {
                ("announcement", None, private::announcement(*number, (now, self.short)))
            }
        };
        let is_wanted = |entry: &Entry| {
            let code = code.map(|code| &self.market.instrument(code).listing.code);
            entry.kind == kind && (entry.codes.is_empty() || code.is_none_or(|code| entry.codes.contains(code)))
        };
        if self.entries.iter().any(is_wanted) {
            self.ready.push_back(Item { kind, code, stream: StreamType::Realtime, text });
        }
    }
}

/// The snapshots in the order they were asked for, and the topics of each code that go on after them.
fn wanted(market: &Market, entries: &[Entry], slot: u64) -> (VecDeque<(Topic, usize)>, BTreeMap<usize, Pair>) {
    let (mut snapshots, mut pairs) = (VecDeque::new(), BTreeMap::new());
    for entry in entries {
        for text in &entry.codes {
            let (code, suffix) =
                text.split_once('.').map_or((text.as_str(), None), |(code, suffix)| (code, Some(suffix)));
            let Some(code) = market.find(code) else { continue };
            let instrument = market.instrument(code);
            let Some(topic) = Topic::of(entry, suffix, instrument, slot) else { continue };
            if entry.snapshot {
                snapshots.push_back((topic, code));
            }
            if entry.realtime {
                let pair = pairs.entry(code).or_insert_with(|| Pair::new(instrument, slot));
                pair.want(topic, instrument, slot);
            }
        }
    }
    (snapshots, pairs)
}
