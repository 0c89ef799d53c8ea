//! The leaves of a table's files, in their order, and the schema that they make. Pure.
//!
//! ```text
//! trade      ts_recv epoch code origin gap_before │ trade_timestamp sequential_id trade_price trade_price_text … │ extra
//! orderbook  …                                    │ … ask_price[] ask_size[] bid_price[] bid_size[] orderbook_units_text
//! flat       exchange symbol timestamp local_timestamp asks[0].price asks[0].amount bids[0].price bids[0].amount …
//! ```

use super::book::Side;
use super::decimal::PRECISION;
use super::table::{Kind, SCALE, Table};
use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{Type, TypePtr};
use std::sync::Arc;

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) nesting: Nesting,
}

/// What its values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Microseconds since the epoch.
    Micros,
    /// Milliseconds since the epoch.
    Millis,
    /// Integers of 64 bits.
    Int,
    /// Decimals of this scale.
    Decimal(u32),
    /// Text.
    Text,
    /// Booleans.
    Flag,
}

/// How many values a row has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nesting {
    Required,
    Optional,
    /// A list, or none.
    List,
}

/// What all columns of books are kept beside, where they do not fit.
pub(super) const UNITS_TEXT: &str = "orderbook_units_text";

/// The leaves of a table.
pub(super) fn leaves(table: Table) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut add = |name: &str, form, nesting| leaves.push(Leaf { name: name.to_owned(), form, nesting });
    if let Table::FlatBooks(levels) = table {
        add("exchange", Form::Text, Nesting::Required);
        add("symbol", Form::Text, Nesting::Required);
        add("timestamp", Form::Millis, Nesting::Optional);
        add("local_timestamp", Form::Micros, Nesting::Required);
        for level in 0..levels {
            for side in ["asks", "bids"] {
                add(&format!("{side}[{level}].price"), Form::Decimal(SCALE), Nesting::Optional);
                add(&format!("{side}[{level}].amount"), Form::Decimal(SCALE), Nesting::Optional);
            }
        }
        add("epoch", Form::Int, Nesting::Required);
        add("gap_before", Form::Flag, Nesting::Required);
        add(UNITS_TEXT, Form::Text, Nesting::Optional);
        return leaves;
    }
    add("ts_recv", Form::Micros, Nesting::Required);
    add("epoch", Form::Int, Nesting::Required);
    add("code", Form::Text, Nesting::Required);
    add("origin", Form::Text, Nesting::Required);
    add("gap_before", Form::Flag, Nesting::Required);
    for column in table.columns() {
        add(column.name, form(column.kind), Nesting::Optional);
        if let Kind::Decimal(_) = column.kind {
            add(&format!("{}_text", column.name), Form::Text, Nesting::Optional);
        }
    }
    if table == Table::Books {
        Side::ALL.into_iter().for_each(|side| add(side.name(), Form::Decimal(SCALE), Nesting::List));
        add(UNITS_TEXT, Form::Text, Nesting::Optional);
    }
    add("extra", Form::Text, Nesting::Optional);
    leaves
}

fn form(kind: Kind) -> Form {
    match kind {
        Kind::Millis | Kind::DateTime => Form::Millis,
        Kind::Int => Form::Int,
        Kind::Decimal(scale) => Form::Decimal(scale),
        Kind::Text => Form::Text,
        Kind::Flag => Form::Flag,
    }
}

/// The schema of leaves.
///
/// # Errors
/// A name or a type that the format refuses.
pub(super) fn schema(leaves: &[Leaf]) -> Result<TypePtr, ParquetError> {
    let fields = leaves.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?))
}

fn field(leaf: &Leaf) -> Result<TypePtr, ParquetError> {
    match leaf.nesting {
        Nesting::Required => primitive(&leaf.name, leaf.form, Repetition::REQUIRED),
        Nesting::Optional => primitive(&leaf.name, leaf.form, Repetition::OPTIONAL),
        Nesting::List => {
            // The three levels that the format prescribes for a list.
            let element = primitive("element", leaf.form, Repetition::REQUIRED)?;
            let repeated = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
            let repeated = Arc::new(repeated.with_fields(vec![element]).build()?);
            let list = Type::group_type_builder(&leaf.name).with_repetition(Repetition::OPTIONAL);
            Ok(Arc::new(list.with_logical_type(Some(LogicalType::List)).with_fields(vec![repeated]).build()?))
        }
    }
}

fn primitive(name: &str, form: Form, repetition: Repetition) -> Result<TypePtr, ParquetError> {
    let of = |physical| Type::primitive_type_builder(name, physical).with_repetition(repetition);
    let timestamp = |unit| Some(LogicalType::timestamp(true, unit));
    let built = match form {
        Form::Micros => of(Physical::INT64).with_logical_type(timestamp(TimeUnit::MICROS)),
        Form::Millis => of(Physical::INT64).with_logical_type(timestamp(TimeUnit::MILLIS)),
        Form::Int => of(Physical::INT64),
        Form::Text => of(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String)),
        Form::Flag => of(Physical::BOOLEAN),
        Form::Decimal(scale) => {
            let (scale, precision) =
                (i32::try_from(scale).unwrap_or(i32::MAX), i32::try_from(PRECISION).unwrap_or(i32::MAX));
            of(Physical::FIXED_LEN_BYTE_ARRAY)
                .with_length(16)
                .with_logical_type(Some(LogicalType::decimal(scale, precision)))
                .with_precision(precision)
                .with_scale(scale)
        }
    };
    Ok(Arc::new(built.build()?))
}
