//! The values of a row group, column by column, as they wait to be written. Pure but for the writer that they go to.

use super::schema::{Form, Leaf, Nesting};
use bytes::Bytes;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;

/// A column's values, and which rows have them.
#[derive(Debug)]
pub(super) struct Column {
    values: Values,
    nesting: Nesting,
    /// Definition levels; none for a column that every row has.
    definitions: Vec<i16>,
    /// Repetition levels, of lists alone.
    repetitions: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Ints(Vec<i64>),
    Flags(Vec<bool>),
    Decimals(Vec<i128>),
    Texts { bytes: Vec<u8>, ends: Vec<usize> },
}

/// A value of a row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Null,
    Int(i64),
    Flag(bool),
    Decimal(i128),
    Text(&'a str),
}

impl Column {
    pub(super) fn new(leaf: &Leaf) -> Self {
        let values = match leaf.form {
            Form::Micros | Form::Millis | Form::Int => Values::Ints(Vec::new()),
            Form::Flag => Values::Flags(Vec::new()),
            Form::Decimal(_) => Values::Decimals(Vec::new()),
            Form::Text => Values::Texts { bytes: Vec::new(), ends: Vec::new() },
        };
        Self { values, nesting: leaf.nesting, definitions: Vec::new(), repetitions: Vec::new() }
    }

    /// Adds a row's value; one of another form is none.
    pub(super) fn push(&mut self, cell: Cell<'_>) {
        let is_there = match (&mut self.values, cell) {
            (Values::Ints(values), Cell::Int(value)) => {
                values.push(value);
                true
            }
            (Values::Flags(values), Cell::Flag(value)) => {
                values.push(value);
                true
            }
            (Values::Decimals(values), Cell::Decimal(value)) => {
                values.push(value);
                true
            }
            (Values::Texts { bytes, ends }, Cell::Text(text)) => {
                bytes.extend_from_slice(text.as_bytes());
                ends.push(bytes.len());
                true
            }
            _ => false,
        };
        debug_assert!(is_there || self.nesting != Nesting::Required, "every row has it");
        if self.nesting == Nesting::Optional {
            self.definitions.push(i16::from(is_there));
        }
    }

    /// Adds a row's list of decimals; `None`: it has none.
    pub(super) fn push_list(&mut self, list: Option<&[i128]>) {
        let Values::Decimals(values) = &mut self.values else { return };
        let Some([_, rest @ ..]) = list else {
            self.definitions.push(i16::from(list.is_some()));
            return self.repetitions.push(0);
        };
        values.extend_from_slice(list.unwrap_or_default());
        self.definitions.resize(self.definitions.len() + rest.len() + 1, 2);
        self.repetitions.push(0);
        self.repetitions.resize(self.repetitions.len() + rest.len(), 1);
    }

    /// Values that it holds.
    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Ints(values) => values.len(),
            Values::Flags(values) => values.len(),
            Values::Decimals(values) => values.len(),
            Values::Texts { ends, .. } => ends.len(),
        }
    }

    /// Writes what it holds to a chunk of its own, and forgets it.
    ///
    /// # Errors
    /// Those of the writer.
    pub(super) fn write(&mut self, writer: &mut ColumnWriter<'_>) -> Result<(), ParquetError> {
        let definitions = (self.nesting != Nesting::Required).then_some(&self.definitions[..]);
        let repetitions = (self.nesting == Nesting::List).then_some(&self.repetitions[..]);
        match (writer, &mut self.values) {
            (ColumnWriter::Int64ColumnWriter(writer), Values::Ints(values)) => {
                writer.write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            (ColumnWriter::BoolColumnWriter(writer), Values::Flags(values)) => {
                writer.write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            (ColumnWriter::FixedLenByteArrayColumnWriter(writer), Values::Decimals(values)) => {
                let mut rest = &values[..];
                for levels in Levels::parts(definitions, repetitions, values.len()) {
                    let (part, behind) = rest.split_at(levels.values);
                    writer.write_batch(&fixed(part), levels.definitions, levels.repetitions)?;
                    rest = behind;
                }
                values.clear();
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Texts { bytes, ends }) => {
                let taken = Bytes::from(std::mem::take(bytes));
                writer.write_batch(&texts(&taken, ends), definitions, repetitions)?;
                ends.clear();
            }
            _ => return Err(ParquetError::General("a column of another type than its leaf".to_owned())),
        }
        self.definitions.clear();
        self.repetitions.clear();
        Ok(())
    }
}

/// Values that are handed to a writer at once: as many as stay in the processor's cache.
const PART: usize = 1 << 12;

/// The levels of some rows, and how many values these have.
#[derive(Debug, PartialEq, Eq)]
struct Levels<'a> {
    definitions: Option<&'a [i16]>,
    repetitions: Option<&'a [i16]>,
    values: usize,
}

impl<'a> Levels<'a> {
    /// Those of a column in parts of whole rows.
    fn parts(definitions: Option<&'a [i16]>, repetitions: Option<&'a [i16]>, values: usize) -> Vec<Self> {
        let length = definitions.map_or(values, <[i16]>::len);
        // The level of a value that is there.
        let most = if repetitions.is_some() { 2 } else { 1 };
        let (mut parts, mut begin) = (Vec::new(), 0);
        while begin < length {
            let mut end = length.min(begin + PART);
            if let Some(repetitions) = repetitions {
                end += repetitions[end..].iter().position(|level| *level == 0).unwrap_or(length - end);
            }
            let definitions = definitions.map(|levels| &levels[begin..end]);
            let values = definitions.map_or(end - begin, |own| own.iter().filter(|level| **level == most).count());
            parts.push(Self { definitions, repetitions: repetitions.map(|levels| &levels[begin..end]), values });
            begin = end;
        }
        parts
    }
}

/// Decimals as the format has them: 16 bytes each, the highest first. All share one allocation.
fn fixed(values: &[i128]) -> Vec<FixedLenByteArray> {
    const WIDTH: usize = 16;
    let mut bytes = Vec::with_capacity(values.len() * WIDTH);
    values.iter().for_each(|value| bytes.extend_from_slice(&value.to_be_bytes()));
    let bytes = Bytes::from(bytes);
    let slice = |place: usize| ByteArray::from(bytes.slice(place * WIDTH..(place + 1) * WIDTH)).into();
    (0..values.len()).map(slice).collect()
}

fn texts(bytes: &Bytes, ends: &[usize]) -> Vec<ByteArray> {
    let begins = std::iter::once(0).chain(ends.iter().copied());
    begins.zip(ends).map(|(begin, end)| bytes.slice(begin..*end).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_rows_and_hold_every_value() {
        // Lists of seven, none, and an empty one, in turns.
        let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
        for _ in 0..3_000 {
            definitions.extend([2, 2, 2, 2, 2, 2, 2, 0, 1]);
            repetitions.extend([0, 1, 1, 1, 1, 1, 1, 0, 0]);
        }
        let parts = Levels::parts(Some(&definitions), Some(&repetitions), 21_000);
        assert!(parts.len() > 5 && parts.iter().all(|part| part.repetitions.unwrap()[0] == 0));
        assert_eq!(parts.iter().map(|part| part.values).sum::<usize>(), 21_000);
        let joined: Vec<i16> = parts.iter().flat_map(|part| part.definitions.unwrap()).copied().collect();
        assert_eq!(joined, definitions);
        let required = Levels::parts(None, None, 9_000);
        assert_eq!(required.iter().map(|part| part.values).collect::<Vec<_>>(), [4_096, 4_096, 808]);
        assert_eq!(
            Levels::parts(Some(&[0, 0]), None, 0),
            [Levels { definitions: Some(&[0, 0]), repetitions: None, values: 0 }]
        );
    }
}
