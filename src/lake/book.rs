//! The units of a book taken apart: prices and sizes of both sides, best first. Pure.
//!
//! ```text
//! [{"ask_price":1.16539E8,"bid_price":1.16538E8,"ask_size":0.5,"bid_size":2}, …]
//! ```

use super::decimal;
use super::scan::{Elements, Fields, is_whole};
use super::table::SCALE;

/// A price and a size in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    AskPrice,
    AskSize,
    BidPrice,
    BidSize,
}

impl Side {
    pub(super) const ALL: [Self; 4] = [Self::AskPrice, Self::AskSize, Self::BidPrice, Self::BidSize];

    /// The name in the format DEFAULT, which is that of its column.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::AskPrice => "ask_price",
            Self::AskSize => "ask_size",
            Self::BidPrice => "bid_price",
            Self::BidSize => "bid_size",
        }
    }

    fn of(key: &str) -> Option<Self> {
        match key {
            "ask_price" | "ap" => Some(Self::AskPrice),
            "ask_size" | "as" => Some(Self::AskSize),
            "bid_price" | "bp" => Some(Self::BidPrice),
            "bid_size" | "bs" => Some(Self::BidSize),
            _ => None,
        }
    }
}

/// The levels of the last book that was read.
#[derive(Debug, Default)]
pub(super) struct Levels {
    sides: [Vec<i128>; 4],
}

/// How much of a book's units its levels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// All of it.
    Whole,
    /// There are other keys.
    More,
    /// A number does not fit, or is missing: there are no levels.
    None,
}

impl Levels {
    /// Reads the units; `None`: they are no JSON.
    pub(super) fn read(&mut self, units: &str) -> Option<Fit> {
        self.sides.iter_mut().for_each(Vec::clear);
        let fit = self.extend(units);
        if !matches!(fit, Some(Fit::Whole | Fit::More)) {
            self.sides.iter_mut().for_each(Vec::clear);
        }
        match fit {
            Some(Fit::None) => is_whole(units).then_some(Fit::None),
            fit => fit,
        }
    }

    fn extend(&mut self, units: &str) -> Option<Fit> {
        if !units.starts_with('[') {
            return Some(Fit::None);
        }
        let mut fit = Fit::Whole;
        for unit in Elements::of(units) {
            let unit = unit.ok()?;
            if !unit.starts_with('{') {
                return Some(Fit::None);
            }
            let mut found = [None; 4];
            for field in Fields::of(unit) {
                let field = field.ok()?;
                let side = Side::of(&field.key).map(|side| side as usize).filter(|side| found[*side].is_none());
                match side {
                    Some(side) => found[side] = decimal::parse(field.value.as_bytes(), SCALE),
                    None if is_whole(field.value) => fit = Fit::More,
                    None => return None,
                }
            }
            for (side, number) in self.sides.iter_mut().zip(found) {
                let Some(number) = number else { return Some(Fit::None) };
                side.push(number);
            }
        }
        Some(fit)
    }

    /// Prices or sizes, best first.
    pub(super) fn side(&self, side: Side) -> &[i128] {
        &self.sides[side as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_both_formats_are_the_same_levels() {
        let mut levels = Levels::default();
        let long = r#"[{"ask_price":1.16539E8,"bid_price":1.16538E8,"ask_size":0.5,"bid_size":6E-8}]"#;
        let short = r#"[{"ap":116539000,"bp":116538000.0,"as":5.0E-1,"bs":0.00000006}]"#;
        for units in [long, short] {
            assert_eq!(levels.read(units), Some(Fit::Whole));
            let best = Side::ALL.map(|side| levels.side(side)[0]);
            assert_eq!(best, [11_653_900_000_000_000, 50_000_000, 11_653_800_000_000_000, 6], "{units}");
        }
        assert_eq!(levels.read("[]"), Some(Fit::Whole));
        assert_eq!(levels.side(Side::AskPrice), []);
    }

    #[test]
    fn what_does_not_fit_leaves_no_levels() {
        let mut levels = Levels::default();
        let unit = |price: &str| format!(r#"[{{"ap":1,"bp":1,"as":1,"bs":1}},{{"ap":{price},"bp":1,"as":1,"bs":1}}]"#);
        assert_eq!(levels.read(&unit("1,\"n\":[7]")), Some(Fit::More));
        assert_eq!(levels.side(Side::BidSize).len(), 2);
        for (units, fit) in [
            (unit("1.000000001"), Some(Fit::None)),
            (unit("null"), Some(Fit::None)),
            ("null".to_owned(), Some(Fit::None)),
            ("[1]".to_owned(), Some(Fit::None)),
            (unit("1}"), None),
            (unit("1,\"n\":[}]"), None),
        ] {
            assert_eq!(levels.read(&units), fit, "{units}");
            assert_eq!(levels.side(Side::AskPrice), [], "{units}");
        }
    }
}
