//! Rows as the values of columns, in the order of the table's leaves. Pure.

use super::book::{Fit, Levels, Side};
use super::columns::{Cell, Column};
use super::decimal;
use super::row::Row;
use super::scan::{Field, text_of};
use super::schema::{Leaf, leaves};
use super::table::{Kind, Table};
use crate::clock::Position;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::borrow::Cow;

/// Values of a row group: some 47,000 trades, 35,000 tickers or 7,000 books, whose columns take 16 MiB before they are encoded,
/// and of which a reader that wants an hour of a day skips most.
const VALUES: usize = 1 << 20;

/// Bytes of lines in a row group: three times as many as its values have at the usual length. Only texts are longer.
const LINES: usize = 64 << 20;

/// How often the values are counted.
const COUNTED: usize = 64;

/// What is known of a row beside its values.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    pub(super) position: Position,
    /// Whether it was missed and fetched.
    pub(super) is_healed: bool,
    /// Whether a gap of its stream ended between the row before it and itself.
    pub(super) gap_before: bool,
}

/// The columns of a row group.
#[derive(Debug)]
pub(super) struct Group {
    table: Table,
    venue: String,
    code: String,
    columns: Vec<Column>,
    levels: Levels,
    extra: String,
    rows: usize,
    bytes: usize,
}

impl Group {
    pub(super) fn new(table: Table, venue: &str, code: &str) -> Self {
        let columns = leaves(table).iter().map(|leaf: &Leaf| Column::new(leaf)).collect();
        let (venue, code, levels) = (venue.to_owned(), code.to_owned(), Levels::default());
        Self { table, venue, code, columns, levels, extra: String::new(), rows: 0, bytes: 0 }
    }

    /// Adds a row of a line of so many bytes; `false`: the line is no JSON.
    pub(super) fn push(&mut self, row: &Row<'_>, about: About, bytes: usize) -> bool {
        // Told before anything is added: a row has all of its columns.
        let fit = row.units.map(|units| self.levels.read(units));
        if fit == Some(None) {
            return false;
        }
        let fit = fit.flatten();
        match self.table {
            Table::FlatBooks(levels) => self.push_flat(row, about, Book { levels: levels.into(), fit }),
            _ => self.push_all(row, about, fit),
        }
        self.rows += 1;
        self.bytes += bytes;
        true
    }

    /// Rows that it holds.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether it is to be written before another row comes.
    pub(super) fn is_full(&self) -> bool {
        let is_counted = self.rows.is_multiple_of(COUNTED);
        self.bytes >= LINES || (is_counted && self.columns.iter().map(Column::len).sum::<usize>() >= VALUES)
    }

    /// The columns, to be written; they are empty then.
    pub(super) fn take(&mut self) -> &mut [Column] {
        (self.rows, self.bytes) = (0, 0);
        &mut self.columns
    }

    fn push_all(&mut self, row: &Row<'_>, about: About, fit: Option<Fit>) {
        let Self { columns, code, table, extra, levels, .. } = self;
        let mut next = columns.iter_mut();
        let mut push = |cell: Cell<'_>| {
            if let Some(column) = next.next() {
                column.push(cell);
            }
        };
        extra.clear();
        push(Cell::Int(about.position.stamp.as_micros().cast_signed()));
        push(Cell::Int(about.position.epoch.cast_signed()));
        push(Cell::Text(code));
        push(Cell::Text(if about.is_healed { "healed" } else { "stream" }));
        push(Cell::Flag(about.gap_before));
        for (column, value) in table.columns().iter().zip(&row.values) {
            let value = value.filter(|value| *value != "null");
            let text = if column.kind == Kind::Text { value.and_then(text_of) } else { None };
            let cell = value.map_or(Cell::Null, |value| cell(column.kind, value, text.as_ref()));
            push(cell);
            let unfit = value.filter(|_| matches!(cell, Cell::Null));
            match column.kind {
                Kind::Decimal(_) => push(unfit.map_or(Cell::Null, Cell::Text)),
                _ => unfit.into_iter().for_each(|value| add(extra, column.name, value)),
            }
        }
        if *table == Table::Books {
            for (side, column) in Side::ALL.into_iter().zip(next.by_ref()) {
                let is_there = matches!(fit, Some(Fit::Whole | Fit::More));
                column.push_list(is_there.then(|| levels.side(side)));
            }
            let unfit = row.units.filter(|units| fit != Some(Fit::Whole) && *units != "null");
            if let Some(column) = next.next() {
                column.push(unfit.map_or(Cell::Null, Cell::Text));
            }
        }
        row.others.iter().for_each(|Field { key, value }| add(extra, key, value));
        if !extra.is_empty() {
            extra.push('}');
        }
        if let Some(column) = next.next() {
            column.push(if extra.is_empty() { Cell::Null } else { Cell::Text(extra) });
        }
    }

    fn push_flat(&mut self, row: &Row<'_>, about: About, book: Book) {
        let Self { columns, venue, code, levels, .. } = self;
        let mut next = columns.iter_mut();
        let mut push = |cell: Cell<'_>| {
            if let Some(column) = next.next() {
                column.push(cell);
            }
        };
        let timestamp = row.values[0].map_or(Cell::Null, |value| cell(Kind::Millis, value, None));
        push(Cell::Text(venue));
        push(Cell::Text(code));
        push(timestamp);
        push(Cell::Int(about.position.stamp.as_micros().cast_signed()));
        for level in 0..book.levels {
            for side in Side::ALL {
                push(levels.side(side).get(level).map_or(Cell::Null, |number| Cell::Decimal(*number)));
            }
        }
        push(Cell::Int(about.position.epoch.cast_signed()));
        push(Cell::Flag(about.gap_before));
        let unfit = row.units.filter(|units| book.fit == Some(Fit::None) && *units != "null");
        push(unfit.map_or(Cell::Null, Cell::Text));
    }
}

struct Book {
    levels: usize,
    fit: Option<Fit>,
}

/// A value as its column has it; `Null`: it does not fit.
fn cell<'a>(kind: Kind, value: &str, text: Option<&'a Cow<'_, str>>) -> Cell<'a> {
    let int = |value: &str| i64::try_from(decimal::parse(value.as_bytes(), 0)?).ok();
    match kind {
        Kind::Millis | Kind::Int => int(value).map_or(Cell::Null, Cell::Int),
        Kind::DateTime => moment(value).map_or(Cell::Null, Cell::Int),
        Kind::Decimal(scale) => decimal::parse(value.as_bytes(), scale).map_or(Cell::Null, Cell::Decimal),
        Kind::Text => text.map_or(Cell::Null, |text| Cell::Text(text)),
        Kind::Flag => match value {
            "true" => Cell::Flag(true),
            "false" => Cell::Flag(false),
            _ => Cell::Null,
        },
    }
}

/// Milliseconds since the epoch of `"2026-11-22T05:14:00"`, UTC; `None` where it is spelt in another way.
fn moment(value: &str) -> Option<i64> {
    let text = text_of(value)?;
    let time: DateTime = text.parse().ok()?;
    let is_same = time.strftime("%Y-%m-%dT%H:%M:%S").to_string() == text;
    let moment = Offset::UTC.to_timestamp(time).ok()?;
    is_same.then(|| moment.as_millisecond())
}

/// Adds a key to the object of what has no column.
fn add(extra: &mut String, key: &str, value: &str) {
    extra.push(if extra.is_empty() { '{' } else { ',' });
    extra.push_str(&serde_json::to_string(key).unwrap_or_default());
    extra.push(':');
    extra.push_str(value);
}
