//! The frames of one subscription: the snapshots first, then the market's events in order.
//!
//! ```text
//!  request ─▶ snapshots of every code ─▶ slot ─▶ its books, trades, tickers; at full seconds the candles ─▶ next slot
//! ```
//!
//! A playback has its own place on the market's tape. A client that reads slowly falls behind and misses nothing, and no
//! frame waits in memory for it: only one slot of 100 ms is ever computed ahead.

use super::item::{Item, SlotEvent};
use super::pair::{self, Pair};
use super::topic::Topic;
use crate::replay::market::{AccountEvent, LAG_MILLIS, Market, SLOT_MILLIS};
use crate::replay::wire::frames::{Head, StreamType};
use crate::replay::wire::private::{self, AccountHead};
use crate::replay::wire::request::Subscription;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The frames of one subscription.
pub(super) struct Playback {
    market: Arc<Market>,
    subscriptions: Arc<[Subscription]>,
    short: bool,
    snapshots: VecDeque<(Topic, usize)>,
    pairs: BTreeMap<usize, Pair>,
    /// All snapshots show the state before this slot.
    first_slot: u64,
    /// The first slot not computed yet.
    next_slot: u64,
    events: VecDeque<(u64, SlotEvent)>,
    ready: VecDeque<Item>,
}

impl Playback {
    /// The answer to a request that comes at `now`, in milliseconds since the epoch. Codes that the market does not
    /// have are ignored silently, as the exchange does.
    pub(super) fn new(market: Arc<Market>, subscriptions: Arc<[Subscription]>, short: bool, now: u64) -> Self {
        let slot = now / SLOT_MILLIS;
        let (snapshots, pairs) = wanted(&market, &subscriptions, slot);
        Self {
            market,
            subscriptions,
            short,
            snapshots,
            pairs,
            first_slot: slot,
            next_slot: slot,
            events: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// Selects short or long keys for all later objects.
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
                self.compute_slot();
                continue;
            }
            self.events.front().filter(|(due, _)| *due <= now)?;
            let (due, event) = self.events.pop_front()?;
            self.handle_event(due, event);
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
        self.subscriptions
            .iter()
            .any(|subscription| matches!(subscription.kind.as_str(), "myOrder" | "myAsset" | "announcement"))
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

    /// Sorts the events of the next slot by the time they are sent.
    fn compute_slot(&mut self) {
        let slot = self.next_slot;
        self.next_slot += 1;
        let due = slot * SLOT_MILLIS + LAG_MILLIS;
        if due % 1_000 == LAG_MILLIS {
            self.events.push_back((due, SlotEvent::Second));
        }
        for (&code, pair) in &self.pairs {
            let instrument = self.market.instrument(code);
            for beat in instrument.tape.beats(slot, slot + 1) {
                pair.events(instrument, beat, code, |due, event| self.events.push_back((due, event)));
            }
        }
        if self.wants_account() {
            let events = self.market.account_events(slot).into_iter();
            self.events.extend(events.map(|event| (due, SlotEvent::Account(event))));
        }
        // The sort is stable, so that a full second stays before the events after it.
        self.events.make_contiguous().sort_by_key(|(due, _)| *due);
    }

    fn handle_event(&mut self, due: u64, event: SlotEvent) {
        let (short, stream) = (self.short, StreamType::Realtime);
        let head = |code| Head { instrument: self.market.instrument(code), short, stream };
        match event {
            SlotEvent::Book { code, slot } => {
                if let Some(pair) = self.pairs.get(&code) {
                    pair.books(head(code), slot, &mut self.ready, code);
                }
            }
            SlotEvent::Trade { code, trade } => {
                if let Some(pair) = self.pairs.get_mut(&code) {
                    pair.trade(head(code), trade, &mut self.ready, code);
                }
            }
            SlotEvent::Second => {
                for (&code, pair) in &mut self.pairs {
                    pair.changed_candles(head(code), &mut self.ready, code);
                }
            }
            SlotEvent::Account(event) => self.account(&event, due),
        }
    }

    fn account(&mut self, event: &AccountEvent, now: u64) {
        let head = AccountHead { now, short: self.short };
        let (kind, code, text) = match event {
            AccountEvent::Order(order) => {
                let code = &self.market.instrument(order.code).listing.code;
                ("myOrder", Some(order.code), private::my_order(head, code, order))
            }
            AccountEvent::Asset(holding) => ("myAsset", None, private::my_asset(head, holding)),
            AccountEvent::Announcement(number) => ("announcement", None, private::announcement(head, *number)),
        };
        let is_wanted = |subscription: &Subscription| {
            let code = code.map(|code| &self.market.instrument(code).listing.code);
            subscription.kind == kind
                && (subscription.codes.is_empty() || code.is_none_or(|code| subscription.codes.contains(code)))
        };
        if self.subscriptions.iter().any(is_wanted) {
            self.ready.push_back(Item { kind, code, stream: StreamType::Realtime, text });
        }
    }
}

/// The snapshots in the order requested, and the realtime topics of each code.
fn wanted(
    market: &Market,
    subscriptions: &[Subscription],
    slot: u64,
) -> (VecDeque<(Topic, usize)>, BTreeMap<usize, Pair>) {
    let (mut snapshots, mut pairs) = (VecDeque::new(), BTreeMap::new());
    for subscription in subscriptions {
        for text in &subscription.codes {
            let (code, suffix) =
                text.split_once('.').map_or((text.as_str(), None), |(code, suffix)| (code, Some(suffix)));
            let Some(code) = market.find(code) else { continue };
            let instrument = market.instrument(code);
            let Some(topic) = Topic::of(subscription, suffix, instrument, slot) else { continue };
            if subscription.snapshot {
                snapshots.push_back((topic, code));
            }
            if subscription.realtime {
                let pair = pairs.entry(code).or_insert_with(|| Pair::new(instrument, slot));
                pair.subscribe(topic, instrument, slot);
            }
        }
    }
    (snapshots, pairs)
}
