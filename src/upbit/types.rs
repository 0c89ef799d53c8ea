//! The types that the exchange streams, by connection. Source: docs.upbit.com, "WebSocket guide", and the pages of each
//! type.

/// The types of the market data connection.
pub const PUBLIC_TYPES: [&str; 12] = [
    "trade",
    "orderbook",
    "ticker",
    "candle.1s",
    "candle.1m",
    "candle.3m",
    "candle.5m",
    "candle.10m",
    "candle.15m",
    "candle.30m",
    "candle.60m",
    "candle.240m",
];

/// The types of the account connection.
pub const PRIVATE_TYPES: [&str; 3] = ["myOrder", "myAsset", "announcement"];

/// The pairs of an order book that can be asked for; any other number silently gives 30.
pub const COUNTS: [u8; 4] = [1, 5, 15, 30];
