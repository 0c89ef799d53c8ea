//! Sockets that stay warm while their feed is dead: pings are answered and a status comes, and data does not.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// Every stream that the world subscribes, as `CODE_type`.
pub(crate) const STREAMS: [&str; 6] =
    ["KRW-BTC_trade", "KRW-ETH_trade", "KRW-XRP_trade", "KRW-BTC_orderbook", "KRW-ETH_orderbook", "KRW-XRP_orderbook"];

/// How a feed goes mute on one socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Muteness {
    pub(super) after: Duration,
    pub(super) lasts: Duration,
    pub(super) kind: Kind,
    /// What is subscribed is forgotten, so that the same request once more helps.
    pub(super) is_forgotten: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No data; what was not asked for goes on.
    Whole,
    /// One stream brings nothing, and the list does not have it.
    One(&'static str),
    /// In place of each object bytes that are no JSON.
    Unreadable,
}

impl Muteness {
    /// `seed` is the script's.
    pub(super) fn draw(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x6d75_7465);
        let kind = match rng.random_range(0..4) {
            0 | 1 => Kind::Whole,
            2 => Kind::One(STREAMS[rng.random_range(0..STREAMS.len())]),
            _ => Kind::Unreadable,
        };
        // One stream alone is found by the list, which is asked for at once and then every five minutes.
        let after = if let Kind::One(_) = kind { 4_000..4_500 } else { 90_000..150_000 };
        let after = Duration::from_millis(rng.random_range(after));
        let lasts = Duration::from_millis(rng.random_range(20_000..200_000));
        Self { after, lasts, kind, is_forgotten: rng.random() }
    }

    /// The streams that bring nothing.
    pub(super) fn streams(&self) -> Vec<&'static str> {
        match self.kind {
            Kind::One(stream) => vec![stream],
            Kind::Whole | Kind::Unreadable => STREAMS.to_vec(),
        }
    }
}

/// The answer to the question what is subscribed, without the streams that are `forgotten`.
pub(super) fn list(forgotten: &[&str], number: &str) -> String {
    let mut entries = Vec::new();
    for kind in ["trade", "orderbook"] {
        let of_kind = STREAMS.iter().filter(|stream| !forgotten.contains(stream));
        let codes = of_kind.filter_map(|stream| stream.split_once('_')).filter(|(_, own)| *own == kind);
        let codes: Vec<String> = codes.map(|(code, _)| format!(r#""{code}""#)).collect();
        if !codes.is_empty() {
            entries.push(format!(r#"{{"type":"{kind}","codes":[{}]}}"#, codes.join(",")));
        }
    }
    format!(r#"{{"method":"LIST_SUBSCRIPTIONS","result":[{}],"ticket":"{number}"}}"#, entries.join(","))
}
