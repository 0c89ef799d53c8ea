//! What one subscription brings: the snapshots first, then what the market does, in the order it happens.
//!
//! ```text
//!  request ─▶ snapshots of every code ─▶ slot ─▶ its books, trades, tickers; at full seconds the candles ─▶ next slot
//! ```
//!
//! A playback has its own place on the market's tape. A client that reads slowly falls behind and misses nothing, and no
//! frame waits in memory for it: only what one slot of 100 ms holds is ever worked out ahead.

use super::market::{
    Beat, Candle, DAY_MILLIS, Instrument, LAG_MILLIS, Market, Rolling, SLOT_MILLIS, Trade, previous_close,
};
use super::wire::frames::{self, Head, StreamType};
use super::wire::request::{CandleUnit, Request};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One kind of frame of one code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    Trade,
    Ticker,
    Book { depth: usize },
    Candle(CandleUnit),
}

impl Topic {
    /// `None` for a type that the market has not got.
    fn of(kind: &str, suffix: Option<&str>) -> Option<Self> {
        Some(match kind {
            "trade" => Self::Trade,
            "ticker" => Self::Ticker,
            "orderbook" => Self::Book { depth: suffix.map_or(30, depth) },
            candle => Self::Candle(CandleUnit::of(candle)?),
        })
    }
}

/// The pairs that the suffix of a code asks for; whatever else it says, there are 30.
fn depth(suffix: &str) -> usize {
    match suffix {
        "1" => 1,
        "5" => 5,
        "15" => 15,
        _ => 30,
    }
}

/// Something that happens in a slot.
#[derive(Clone, Copy, Debug)]
enum Event {
    Book { code: usize, slot: u64 },
    Trade { code: usize, trade: Trade },
    Second,
}

/// What is kept for one code while it is subscribed.
struct Pair {
    topics: Vec<Topic>,
    /// The day, counted from the epoch, and the last price before it.
    close: (u64, u64),
    /// Only kept where tickers are wanted.
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

/// The frames of one subscription.
pub(crate) struct Playback {
    market: Arc<Market>,
    short: bool,
    snapshots: VecDeque<(Topic, usize)>,
    pairs: BTreeMap<usize, Pair>,
    /// The first slot that is not worked out yet; all snapshots show what was before it.
    next_slot: u64,
    first_slot: u64,
    events: VecDeque<(u64, Event)>,
    ready: VecDeque<String>,
}

impl Playback {
    /// The answer to a request that comes at `now`, in milliseconds since the epoch. Codes that the market does not
    /// have are passed over in silence, as the exchange does.
    pub(crate) fn new(market: Arc<Market>, request: &Request, now: u64) -> Self {
        let slot = now / SLOT_MILLIS;
        let mut playback = Self {
            market,
            short: request.format.short,
            snapshots: VecDeque::new(),
            pairs: BTreeMap::new(),
            next_slot: slot,
            first_slot: slot,
            events: VecDeque::new(),
            ready: VecDeque::new(),
        };
        for entry in &request.entries {
            for code in &entry.codes {
                playback.want(&entry.kind, code, (entry.snapshot, entry.realtime));
            }
        }
        playback
    }

    /// The next frame that is due at `now`; `None` until [`Playback::next_due`].
    pub(crate) fn poll(&mut self, now: u64) -> Option<String> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if let Some((topic, code)) = self.snapshots.pop_front() {
                self.ready.extend(self.snapshot(topic, code));
                continue;
            }
            if self.events.is_empty() && !self.pairs.is_empty() && self.next_slot * SLOT_MILLIS <= now {
                self.work_out_slot();
            }
            match self.events.front() {
                Some((due, event)) if *due <= now => {
                    let event = *event;
                    self.events.pop_front();
                    self.happen(event);
                }
                Some(_) => return None,
                None if self.pairs.is_empty() || self.next_slot * SLOT_MILLIS > now => return None,
                None => {}
            }
        }
    }

    /// When to poll again, in milliseconds since the epoch; `None`: never.
    pub(crate) fn next_due(&self) -> Option<u64> {
        if !self.ready.is_empty() || !self.snapshots.is_empty() {
            return Some(0);
        }
        match self.events.front() {
            Some((due, _)) => Some(*due),
            None => (!self.pairs.is_empty()).then_some(self.next_slot * SLOT_MILLIS),
        }
    }

    fn want(&mut self, kind: &str, code: &str, (snapshot, realtime): (bool, bool)) {
        let (code, suffix) = match code.split_once('.') {
            Some((code, suffix)) => (code, Some(suffix)),
            None => (code, None),
        };
        let (Some(topic), Some(code)) = (Topic::of(kind, suffix), self.market.find(code)) else {
            return;
        };
        if snapshot {
            self.snapshots.push_back((topic, code));
        }
        if realtime {
            let market = Arc::clone(&self.market);
            let pair = self.pairs.entry(code).or_insert_with(|| Pair::new(market.instrument(code), self.first_slot));
            pair.want(topic, market.instrument(code), self.first_slot);
        }
    }

    fn snapshot(&self, topic: Topic, code: usize) -> Option<String> {
        let instrument = self.market.instrument(code);
        let head = Head { instrument, short: self.short, stream: StreamType::Snapshot };
        let now = self.first_slot * SLOT_MILLIS;
        match topic {
            Topic::Trade => {
                let trade = instrument.last_trade_before(self.first_slot)?;
                Some(frames::trade(head, &trade, previous_close(instrument, trade.millis - trade.millis % DAY_MILLIS)))
            }
            Topic::Ticker => {
                let rolling = Rolling::at(instrument, self.first_slot);
                Some(frames::ticker(head, &rolling, &rolling.last?))
            }
            Topic::Book { depth } => {
                let slot = instrument.book_slot(self.first_slot - 1);
                Some(frames::orderbook(head, &instrument.book(slot), slot, depth))
            }
            Topic::Candle(unit) => {
                let last = instrument.last_trade_before(self.first_slot)?.millis;
                let start = last - last % unit.millis;
                let candle = instrument.candle(start, now.min(start + unit.millis))?;
                Some(frames::candle(head, unit, start, &candle))
            }
        }
    }

    /// Puts everything that happens in the next slot into the order in which it is sent.
    fn work_out_slot(&mut self) {
        let slot = self.next_slot;
        self.next_slot += 1;
        let due = slot * SLOT_MILLIS + LAG_MILLIS;
        for (&code, pair) in &self.pairs {
            let instrument = self.market.instrument(code);
            for beat in instrument.tape.beats(slot, slot + 1) {
                pair.happenings(instrument, beat, code, |event_due, event| self.events.push_back((event_due, event)));
            }
        }
        self.events.make_contiguous().sort_by_key(|(due, _)| *due);
        if due % 1_000 == LAG_MILLIS {
            self.events.push_front((due, Event::Second));
        }
    }

    fn happen(&mut self, event: Event) {
        let (short, stream) = (self.short, StreamType::Realtime);
        match event {
            Event::Book { code, slot } => {
                let (instrument, pair) = (self.market.instrument(code), &self.pairs[&code]);
                let book = instrument.book(slot);
                let head = Head { instrument, short, stream };
                let frames = pair.depths().map(|depth| frames::orderbook(head, &book, slot, depth));
                self.ready.extend(frames);
            }
            Event::Trade { code, trade } => {
                let head = Head { instrument: self.market.instrument(code), short, stream };
                if let Some(pair) = self.pairs.get_mut(&code) {
                    pair.trade(head, trade, &mut self.ready);
                }
            }
            Event::Second => {
                for (&code, pair) in &mut self.pairs {
                    let head = Head { instrument: self.market.instrument(code), short, stream };
                    self.ready.extend(pair.changed_candles(head));
                }
            }
        }
    }
}

impl Pair {
    fn new(instrument: &Instrument, slot: u64) -> Self {
        let day = slot * SLOT_MILLIS / DAY_MILLIS;
        let close = (day, previous_close(instrument, day * DAY_MILLIS));
        Self { topics: Vec::new(), close, rolling: None, candles: Vec::new() }
    }

    fn want(&mut self, topic: Topic, instrument: &Instrument, slot: u64) {
        if self.topics.contains(&topic) {
            return;
        }
        self.topics.push(topic);
        match topic {
            Topic::Ticker => self.rolling = Some(Rolling::at(instrument, slot)),
            Topic::Candle(unit) => {
                let now = slot * SLOT_MILLIS;
                let start = now - now % unit.millis;
                let candle = instrument.candle(start, now);
                self.candles.push(Growing { unit, start, candle, changed: false });
            }
            Topic::Trade | Topic::Book { .. } => {}
        }
    }

    fn depths(&self) -> impl Iterator<Item = usize> {
        self.topics.iter().filter_map(|topic| match topic {
            Topic::Book { depth } => Some(*depth),
            _ => None,
        })
    }

    fn happenings(&self, instrument: &Instrument, beat: Beat, code: usize, mut each: impl FnMut(u64, Event)) {
        if self.depths().next().is_some() {
            each(beat.slot * SLOT_MILLIS + LAG_MILLIS, Event::Book { code, slot: beat.slot });
        }
        if self.topics.iter().any(|topic| !matches!(topic, Topic::Book { .. })) {
            instrument.trades(beat).for_each(|trade| each(trade.millis + LAG_MILLIS, Event::Trade { code, trade }));
        }
    }

    fn trade(&mut self, head: Head<'_>, trade: Trade, ready: &mut VecDeque<String>) {
        let day = trade.millis / DAY_MILLIS;
        if day > self.close.0 {
            self.close = (day, previous_close(head.instrument, day * DAY_MILLIS));
        }
        if self.topics.contains(&Topic::Trade) {
            ready.push_back(frames::trade(head, &trade, self.close.1));
        }
        if let Some(rolling) = &mut self.rolling {
            rolling.add(head.instrument, trade);
            ready.push_back(frames::ticker(head, rolling, &trade));
        }
        self.candles.iter_mut().for_each(|growing| growing.add(trade));
    }

    fn changed_candles(&mut self, head: Head<'_>) -> impl Iterator<Item = String> {
        self.candles.iter_mut().filter_map(move |growing| {
            let candle = growing.candle.filter(|_| std::mem::take(&mut growing.changed))?;
            Some(frames::candle(head, growing.unit, growing.start, &candle))
        })
    }
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
