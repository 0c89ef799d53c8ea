//! The pairs of the sample market: their codes, names and approximate prices.
//!
//! The 855 pairs have the split of the exchange in September 2026: 289 against KRW, 328 against BTC, 238 against USDT.
//! A base currency has the same worth in every quote currency, so the three prices of one currency agree.

use super::chance::Seed;

/// A quote currency, in the order in which the exchange's pairs are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quote {
    /// The won.
    Krw,
    /// Bitcoin.
    Btc,
    /// Tether's dollar.
    Usdt,
}

impl Quote {
    const COUNTS: [(Self, usize); 3] = [(Self::Krw, 289), (Self::Btc, 328), (Self::Usdt, 238)];

    /// The name that begins a code.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Krw => "KRW",
            Self::Btc => "BTC",
            Self::Usdt => "USDT",
        }
    }
}

/// One pair.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// The code on the wire: quote, hyphen, base.
    pub(crate) code: String,
    /// The quote currency.
    pub(crate) quote: Quote,
    /// The middle of the price's curve, in the quote currency.
    pub(crate) price: f64,
    /// The base currency's name in English.
    pub(crate) english_name: &'static str,
    /// The base currency's name in Korean.
    pub(crate) korean_name: &'static str,
}

/// How many pairs there are at most.
pub const MAX_PAIRS: usize = 855;

/// The first `count` pairs; at most [`MAX_PAIRS`].
pub(crate) fn first(count: usize, seed: Seed) -> Vec<Listing> {
    let currencies: Vec<Currency> =
        include_str!("symbols.txt").lines().map(|line| Currency::read(line, seed)).collect();
    let worth = |name: &str| currencies.iter().find(|currency| currency.symbol == name).map_or(1.0, |found| found.won);
    let (btc, usdt) = (worth("BTC"), worth("USDT"));
    let pairs = Quote::COUNTS.into_iter().flat_map(|(quote, pairs)| {
        let against = currencies.iter().filter(move |currency| currency.symbol != quote.as_str());
        against.take(pairs).map(move |currency| currency.against(quote, btc, usdt))
    });
    pairs.take(count).collect()
}

/// A line of `symbols.txt`: symbol, then (for the well-known ones) its worth in won and its names in English and Korean.
struct Currency {
    symbol: &'static str,
    won: f64,
    english_name: &'static str,
    korean_name: &'static str,
}

impl Currency {
    fn read(line: &'static str, seed: Seed) -> Self {
        let mut fields = line.split('\t');
        let symbol = fields.next().expect("splitting always gives a first field");
        let index = symbol.bytes().fold(0, |index: u64, byte| index * 256 + u64::from(byte));
        // The unknown ones cost between 1 and 100,000 won, evenly over the powers of ten.
        let drawn = 10f64.powf(5.0 * seed.unit(index));
        let won = fields.next().and_then(|price| price.parse().ok()).unwrap_or(drawn);
        let english_name = fields.next().unwrap_or(symbol);
        Self { symbol, won, english_name, korean_name: fields.next().unwrap_or(english_name) }
    }

    fn against(&self, quote: Quote, btc: f64, usdt: f64) -> Listing {
        let price = match quote {
            Quote::Krw => self.won,
            Quote::Btc => self.won / btc,
            Quote::Usdt => self.won / usdt,
        };
        let code = format!("{}-{}", quote.as_str(), self.symbol);
        Listing { code, quote, price, english_name: self.english_name, korean_name: self.korean_name }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_pairs_are_split_as_the_exchange_splits_them() {
        let pairs = first(usize::MAX, Seed::new(1));
        let of = |quote| pairs.iter().filter(|pair| pair.quote == quote).count();
        assert_eq!((of(Quote::Krw), of(Quote::Btc), of(Quote::Usdt), pairs.len()), (289, 328, 238, MAX_PAIRS));
        assert_eq!(pairs.iter().map(|pair| &pair.code).collect::<BTreeSet<_>>().len(), MAX_PAIRS);
        let codes: Vec<&str> = pairs[..3].iter().map(|pair| pair.code.as_str()).collect();
        assert_eq!(codes, ["KRW-BTC", "KRW-ETH", "KRW-XRP"]);
    }

    #[test]
    fn every_pair_has_a_price() {
        assert!(first(MAX_PAIRS, Seed::new(2)).iter().all(|pair| pair.price > 0.0));
    }
}
