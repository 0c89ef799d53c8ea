//! The one account of the sample market: it places an order every two seconds, which is filled by a trade of the tape.
//!
//! ```text
//!  0 ms  order waits ─▶ 300 ms  it trades ─▶ 400 ms  it is done, and the assets have changed ─▶ next order at 2,000 ms
//! ```
//!
//! Every minute the exchange makes an announcement.

use super::chance::{SLOT_MILLIS, Seed};
use super::instrument::Instrument;
use super::trade::Trade;

/// The interval of orders, in milliseconds.
const ORDER_EVERY: u64 = 2_000;

/// The interval of announcements, in milliseconds.
const ANNOUNCE_EVERY: u64 = 60_000;

/// The account; it trades on the instruments that it is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    seed: Seed,
}

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderState {
    /// It stands in the book.
    Wait,
    /// A part of it, here all of it, was traded.
    Trade,
    /// Nothing of it is left.
    Done,
}

/// An order, filled completely by one trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// 128 random bits.
    pub(crate) id: u128,
    /// The pair's place in the market.
    pub(crate) code: usize,
    /// The trade that fills it.
    pub(crate) trade: Trade,
    /// When it was placed, in milliseconds since the epoch.
    pub(crate) placed: u64,
    /// Its state.
    pub(crate) state: OrderState,
}

/// The account's balance of a currency after an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    /// 128 random bits.
    pub(crate) id: u128,
    /// The currency's symbol.
    pub(crate) currency: String,
    /// Free, in units of 10^-20: the exchange's precision.
    pub(crate) balance: u128,
    /// Bound by orders, in units of 10^-18.
    pub(crate) locked: u128,
}

/// An event of the account, as its stream reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccountEvent {
    /// An order changed.
    Order(Order),
    /// The assets changed.
    Asset(Holding),
    /// An announcement of the exchange, by its number.
    Announcement(u64),
}

impl Account {
    pub(super) fn new(seed: Seed) -> Self {
        Self { seed }
    }

    /// The events of a slot, in order.
    pub(super) fn events(&self, instruments: &[Instrument], slot: u64) -> Vec<AccountEvent> {
        let now = slot * SLOT_MILLIS;
        let mut events = Vec::new();
        let state = match now % ORDER_EVERY {
            0 => Some(OrderState::Wait),
            300 => Some(OrderState::Trade),
            400 => Some(OrderState::Done),
            _ => None,
        };
        if let Some(order) = state.and_then(|state| self.order(instruments, now / ORDER_EVERY, state)) {
            events.push(AccountEvent::Order(order));
            if state == Some(OrderState::Done) {
                events.push(AccountEvent::Asset(self.holding(instruments, &order)));
            }
        }
        if now.is_multiple_of(ANNOUNCE_EVERY) {
            events.push(AccountEvent::Announcement(now / ANNOUNCE_EVERY));
        }
        events
    }

    fn order(&self, instruments: &[Instrument], index: u64, state: OrderState) -> Option<Order> {
        let seed = self.seed.part(index);
        let code = usize::try_from(seed.below(0, instruments.len() as u64)).unwrap_or(0);
        let placed = index * ORDER_EVERY;
        let trade = instruments[code].last_trade_before(placed / SLOT_MILLIS)?;
        Some(Order { id: wide(seed, 1), code, trade, placed, state })
    }

    /// The balance wanders instead of being a sum: no test adds up the account of a sample market.
    fn holding(&self, instruments: &[Instrument], order: &Order) -> Holding {
        let seed = self.seed.part(order.placed / ORDER_EVERY);
        let code = &instruments[order.code].listing.code;
        let currency = code.split_once('-').map_or(code.as_str(), |(_, base)| base).to_owned();
        let digits = u128::from(seed.number(3)) << 20;
        Holding { id: wide(seed, 4), currency, balance: digits, locked: digits >> 10 }
    }
}

fn wide(seed: Seed, index: u64) -> u128 {
    let seed = seed.part(index);
    u128::from(seed.number(0)) << 64 | u128::from(seed.number(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::market::Market;

    #[test]
    fn an_order_waits_trades_is_done_and_changes_the_assets() {
        let opened = 1_795_317_064_000;
        let market = Market::new(3, 30.0, 1, opened);
        let slots = opened / SLOT_MILLIS..(opened + 2_000) / SLOT_MILLIS;
        let events: Vec<AccountEvent> = slots.flat_map(|slot| market.account_events(slot)).collect();
        let [AccountEvent::Order(wait), AccountEvent::Order(trade), AccountEvent::Order(done), AccountEvent::Asset(_)] =
            &events[..]
        else {
            panic!("{events:?}");
        };
        let states = [wait.state, trade.state, done.state];
        assert_eq!(states, [OrderState::Wait, OrderState::Trade, OrderState::Done]);
        assert!(wait.id == trade.id && wait.trade == done.trade);
    }
}
