//! What orders trades and tells them apart: their time and their id, whoever spelt them. Pure.
//!
//! ```text
//! {"ts_recv":N,…,"trade_timestamp":…,"sequential_id":…,"stream_type":"REALTIME"}      DEFAULT
//! {"ts_recv":N,…,"ttms":…,"sid":…,"st":"REALTIME"}                                    SIMPLE
//! {"ts_recv":N,"gap":G,…,"timestamp":…,"sequential_id":…}                             REST, in a healed stream
//! ```

use crate::tape::healed::HealedTrade;
use serde::Deserialize;

/// The order of trades of one pair; the id is unique within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TradeKey {
    /// When it happened, in milliseconds since the epoch, by the exchange's clock.
    pub time: i64,
    /// Its `sequential_id`.
    pub id: u64,
}

#[derive(Deserialize)]
struct Recorded {
    #[serde(alias = "ttms")]
    trade_timestamp: i64,
    #[serde(alias = "sid")]
    sequential_id: u64,
}

impl TradeKey {
    /// That of a line that came over a connection; `None` where it is no trade.
    pub fn recorded(line: &[u8]) -> Option<Self> {
        let Recorded { trade_timestamp: time, sequential_id: id } = serde_json::from_slice(line).ok()?;
        Some(Self { time, id })
    }

    /// That of a line of a healed stream; `None` where it is no trade.
    pub fn healed(line: &[u8]) -> Option<Self> {
        let HealedTrade { timestamp: time, sequential_id: id, .. } = serde_json::from_slice(line).ok()?;
        Some(Self { time, id })
    }
}
