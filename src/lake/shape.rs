//! Where the value of a key goes, in either format and as the REST interface has it. Pure.
//!
//! The exchange writes the keys of a type in one order: the place that a key had in the last object is looked at first.

use super::table::Table;
use crate::upbit::names::short_of;
use std::collections::HashMap;

/// Where a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// To the column of this place.
    Column(usize),
    /// The units of a book.
    Units,
    /// Nowhere: the stamp, which is known.
    Stamp,
    /// Nowhere, if it is the type of the table.
    Kind,
    /// Nowhere, if it is the code of the file.
    Code,
    /// It has no column.
    Other,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Shape {
    /// Looked up by key alone.
    slots: HashMap<Box<str>, Slot>,
    last: Vec<(Box<str>, Slot)>,
}

impl Shape {
    /// That of lines that came over a connection.
    pub(super) fn streamed(table: Table) -> Self {
        let kind = table.kind();
        let mut slots = HashMap::from([("ts_recv".into(), Slot::Stamp)]);
        let mut add = |name: &str, slot| {
            slots.insert(name.into(), slot);
            slots.extend(short_of(&kind, name).map(|short| (short.into(), slot)));
        };
        add("type", Slot::Kind);
        add("code", Slot::Code);
        for (place, column) in table.columns().iter().enumerate() {
            // What stands in front of a healed object is no key of the exchange's.
            if !matches!(column.name, "gap" | "gap_epoch") {
                add(column.name, Slot::Column(place));
            }
        }
        if matches!(table, Table::Books | Table::FlatBooks(_)) {
            add("orderbook_units", Slot::Units);
        }
        Self { slots, last: Vec::new() }
    }

    /// That of healed lines.
    pub(super) fn healed(table: Table) -> Self {
        let mut slots = HashMap::from([("ts_recv".into(), Slot::Stamp), ("market".into(), Slot::Code)]);
        let named = table.columns().iter().enumerate().filter(|(_, column)| !column.rest.is_empty());
        slots.extend(named.map(|(place, column)| (column.rest.into(), Slot::Column(place))));
        Self { slots, last: Vec::new() }
    }

    /// Where the value of a key goes that is the object's `place`th.
    pub(super) fn slot(&mut self, place: usize, key: &str) -> Slot {
        if let Some((last, slot)) = self.last.get(place)
            && **last == *key
        {
            return *slot;
        }
        let slot = self.slots.get(key).copied().unwrap_or(Slot::Other);
        if let Some(last) = self.last.get_mut(place) {
            *last = (key.into(), slot);
        } else if place == self.last.len() && place < REMEMBERED {
            self.last.push((key.into(), slot));
        }
        slot
    }
}

/// Places that are remembered: twice the keys of the largest object.
const REMEMBERED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_place_under_all_its_names() {
        let price = TRADE_PRICE;
        let (mut streamed, mut healed) = (Shape::streamed(Table::Trades), Shape::healed(Table::Trades));
        assert_eq!((streamed.slot(0, "trade_price"), streamed.slot(0, "tp")), (price, price));
        assert_eq!(healed.slot(3, "trade_price"), price);
        assert_eq!((streamed.slot(1, "code"), healed.slot(1, "market")), (Slot::Code, Slot::Code));
        assert_eq!((streamed.slot(2, "gap"), healed.slot(2, "gap")), (Slot::Other, Slot::Column(16)));
        // `timestamp` is the time of the frame on the stream, and the time of the trade in REST.
        assert_eq!((streamed.slot(5, "tms"), healed.slot(5, "timestamp")), (Slot::Column(14), Slot::Column(0)));
        assert_eq!(Shape::streamed(Table::Books).slot(0, "obu"), Slot::Units);
        for (place, key) in [(0, "x"), (0, "tp"), (200, "tp"), (1, "sid"), (1, "tp")] {
            let wanted = [("x", Slot::Other), ("tp", price), ("sid", Slot::Column(1))];
            assert_eq!(
                Some(streamed.slot(place, key)),
                wanted.iter().find(|(name, _)| *name == key).map(|(_, slot)| *slot)
            );
        }
    }

    const TRADE_PRICE: Slot = Slot::Column(2);
}
