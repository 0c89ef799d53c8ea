//! The state of one subscribed code: its topics, and the sums that tickers and candles show.

use super::item::{Item, SlotEvent};
use super::topic::Topic;
use crate::replay::market::{
    Beat, Candle, DAY_MILLIS, Instrument, LAG_MILLIS, Rolling, SLOT_MILLIS, Trade, previous_close,
};
use crate::replay::wire::CandleUnit;
use crate::replay::wire::frames::{self, Head, StreamType};
use std::collections::VecDeque;

/// One code's realtime topics.
pub(super) struct Pair {
    topics: Vec<Topic>,
    /// The day, counted from the epoch, and the last price before it.
    close: (u64, u64),
    /// Only kept where tickers are wanted, and made with the first trade.
    rolling: Option<Rolling>,
    candles: Vec<Growing>,
}

/// A candle of the running period.
struct Growing {
    unit: CandleUnit,
    start: u64,
    candle: Option<Candle>,
    changed: bool,
}

impl Pair {
    /// A code without topics, at the beginning of a slot.
    pub(super) fn new(instrument: &Instrument, slot: u64) -> Self {
        let day = slot * SLOT_MILLIS / DAY_MILLIS;
        let close = (day, previous_close(instrument, day * DAY_MILLIS));
        Self { topics: Vec::new(), close, rolling: None, candles: Vec::new() }
    }

    /// Adds a topic; idempotent.
    pub(super) fn subscribe(&mut self, topic: Topic, instrument: &Instrument, slot: u64) {
        if self.topics.contains(&topic) {
            return;
        }
        self.topics.push(topic);
        if let Topic::Candle(unit) = topic {
            let now = slot * SLOT_MILLIS;
            let start = now - now % unit.millis;
            let candle = instrument.candle(start, now);
            self.candles.push(Growing { unit, start, candle, changed: false });
        }
    }

    /// Reuses the sums computed for the snapshot, as of before the first trade.
    pub(super) fn begin_with(&mut self, rolling: Rolling) {
        if self.topics.contains(&Topic::Ticker) && self.rolling.is_none() {
            self.rolling = Some(rolling);
        }
    }

    /// The events of a beat for these topics, each with the time it is sent.
    pub(super) fn events(
        &self,
        instrument: &Instrument,
        beat: Beat,
        code: usize,
        mut each: impl FnMut(u64, SlotEvent),
    ) {
        let is_book = |topic: &Topic| matches!(topic, Topic::Book(_));
        if self.topics.iter().any(is_book) {
            each(beat.slot * SLOT_MILLIS + LAG_MILLIS, SlotEvent::Book { code, slot: beat.slot });
        }
        if !self.topics.iter().all(is_book) {
            instrument.trades(beat).for_each(|trade| each(trade.millis + LAG_MILLIS, SlotEvent::Trade { code, trade }));
        }
    }

    /// The books of a slot.
    pub(super) fn books(&self, head: Head<'_>, slot: u64, ready: &mut VecDeque<Item>, code: usize) {
        let book = head.instrument.book(slot);
        for topic in &self.topics {
            if let Topic::Book(view) = topic {
                let text = frames::orderbook(head, &book.clone().grouped(view.level), slot, *view);
                ready.push_back(Item::realtime(*topic, code, text));
            }
        }
    }

    /// A trade, and the ticker after it.
    pub(super) fn trade(&mut self, head: Head<'_>, trade: Trade, ready: &mut VecDeque<Item>, code: usize) {
        let day = trade.millis / DAY_MILLIS;
        if day > self.close.0 {
            self.close = (day, previous_close(head.instrument, day * DAY_MILLIS));
        }
        if self.topics.contains(&Topic::Trade) {
            let text = frames::trade(head, &trade, self.close.1);
            ready.push_back(Item::realtime(Topic::Trade, code, text));
        }
        if self.topics.contains(&Topic::Ticker) {
            let before = || Rolling::at(head.instrument, trade.millis / SLOT_MILLIS);
            let rolling = self.rolling.get_or_insert_with(before);
            rolling.add(head.instrument, trade);
            ready.push_back(Item::realtime(Topic::Ticker, code, frames::ticker(head, rolling, &trade)));
        }
        self.candles.iter_mut().for_each(|growing| growing.add(trade));
    }

    /// The candles changed by trades since the last call.
    pub(super) fn changed_candles(&mut self, head: Head<'_>, ready: &mut VecDeque<Item>, code: usize) {
        for growing in &mut self.candles {
            if let (Some(candle), true) = (growing.candle, std::mem::take(&mut growing.changed)) {
                let text = frames::candle(head, growing.unit, growing.start, &candle);
                ready.push_back(Item::realtime(Topic::Candle(growing.unit), code, text));
            }
        }
    }
}

/// The snapshot of a topic: the state before a slot. A ticker's sums are returned too, for the frames after it.
pub(super) fn snapshot(
    instrument: &Instrument,
    topic: Topic,
    slot: u64,
    short: bool,
) -> Option<(String, Option<Rolling>)> {
    let head = Head { instrument, short, stream: StreamType::Snapshot };
    let text = match topic {
        Topic::Trade => {
            let trade = instrument.last_trade_before(slot)?;
            frames::trade(head, &trade, previous_close(instrument, trade.millis - trade.millis % DAY_MILLIS))
        }
        Topic::Ticker => {
            let rolling = Rolling::at(instrument, slot);
            return Some((frames::ticker(head, &rolling, &rolling.last?), Some(rolling)));
        }
        Topic::Book(view) => {
            let slot = instrument.book_slot(slot - 1);
            frames::orderbook(head, &instrument.book(slot).grouped(view.level), slot, view)
        }
        Topic::Candle(unit) => {
            let last = instrument.last_trade_before(slot)?.millis;
            let start = last - last % unit.millis;
            let candle = instrument.candle(start, (slot * SLOT_MILLIS).min(start + unit.millis))?;
            frames::candle(head, unit, start, &candle)
        }
    };
    Some((text, None))
}

impl Growing {
    fn add(&mut self, trade: Trade) {
        let start = trade.millis - trade.millis % self.unit.millis;
        if start > self.start {
            self.start = start;
            self.candle = None;
        }
        self.candle = Some(Candle::grown(self.candle, trade));
        self.changed = true;
    }
}
