//! The periods of the candles on the stream.

/// A period, and the name of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CandleUnit {
    /// The type's name.
    pub(crate) name: &'static str,
    /// The period in milliseconds.
    pub(crate) millis: u64,
}

impl CandleUnit {
    const ALL: [(&'static str, u64); 9] = [
        ("candle.1s", 1),
        ("candle.1m", 60),
        ("candle.3m", 180),
        ("candle.5m", 300),
        ("candle.10m", 600),
        ("candle.15m", 900),
        ("candle.30m", 1_800),
        ("candle.60m", 3_600),
        ("candle.240m", 14_400),
    ];

    /// The period of a type's name.
    pub(crate) fn of(kind: &str) -> Option<Self> {
        let (name, seconds) = Self::ALL.into_iter().find(|(name, _)| *name == kind)?;
        Some(Self { name, millis: seconds * 1_000 })
    }
}
