//! A line as the values of a row, each still its text. Pure.

use super::scan::{Field, Fields, is_whole, text_of};
use super::shape::{Shape, Slot};
use super::table::Table;

/// The values of a line.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    /// The text of each column's value, by the table's columns.
    pub(super) values: Vec<Option<&'a str>>,
    /// The units of a book.
    pub(super) units: Option<&'a str>,
    /// What has no column: other keys, a key that came before, another code than that of the file.
    pub(super) others: Vec<Field<'a>>,
}

/// Reads the lines of one file.
#[derive(Debug)]
pub(super) struct RowReader {
    kind: String,
    code: String,
    columns: usize,
    streamed: Shape,
    healed: Shape,
}

impl RowReader {
    pub(super) fn new(table: Table, code: &str) -> Self {
        let (streamed, healed) = (Shape::streamed(table), Shape::healed(table));
        Self { kind: table.kind(), code: code.to_owned(), columns: table.columns().len(), streamed, healed }
    }

    /// The values of a line; `None`: it is no JSON, as a crash leaves it.
    pub(super) fn read<'a>(&mut self, line: &'a [u8], is_healed: bool) -> Option<Row<'a>> {
        let mut row = Row { values: vec![None; self.columns], ..Row::default() };
        let shape = if is_healed { &mut self.healed } else { &mut self.streamed };
        for (place, field) in Fields::of(std::str::from_utf8(line).ok()?).enumerate() {
            let field = field.ok()?;
            let slot = shape.slot(place, &field.key);
            let is_nested = field.value.starts_with(['[', '{']);
            // Units are checked by whoever takes them apart.
            if is_nested && slot != Slot::Units && !is_whole(field.value) {
                return None;
            }
            match slot {
                Slot::Column(column) if row.values[column].is_none() => row.values[column] = Some(field.value),
                Slot::Units if row.units.is_none() => row.units = Some(field.value),
                Slot::Stamp if place == 0 => {}
                Slot::Kind if is_text(field.value, &self.kind) => {}
                Slot::Code if is_text(field.value, &self.code) => {}
                _ => row.others.push(field),
            }
        }
        Some(row)
    }
}

fn is_text(value: &str, wanted: &str) -> bool {
    text_of(value).is_some_and(|text| text == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_column_is_kept_beside() {
        let mut reader = RowReader::new(Table::Trades, "KRW-BTC");
        let line =
            br#"{"ts_recv":9,"type":"trade","code":"KRW-BTC","tp":1.0,"trade_price":2,"new":{"a":[1]},"cd":"X"}"#;
        let row = reader.read(line, false).unwrap();
        assert_eq!(row.values[2], Some("1.0"));
        let others: Vec<(&str, &str)> = row.others.iter().map(|field| (&*field.key, field.value)).collect();
        assert_eq!(others, [("trade_price", "2"), ("new", r#"{"a":[1]}"#), ("cd", "\"X\"")]);
        assert!(reader.read(br#"{"ts_recv":9,"type":"trade","tp":{"a":]}}"#, false).is_none());
        assert!(reader.read(br#"{"ts_recv":9,"type":"tra"#, false).is_none());
    }
}
