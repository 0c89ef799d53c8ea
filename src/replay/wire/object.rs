//! Writes the objects of frames: long keys or short ones, in the order they are given.

use super::number::{self, Spelling};
use std::fmt::Write;

/// A key: its name in full, and its short name.
pub(crate) type Key = (&'static str, &'static str);

/// A number of `units` × 10^-`scale`, below zero where `negative`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed {
    pub(crate) negative: bool,
    pub(crate) units: u128,
    pub(crate) scale: usize,
}

/// An object being written.
pub(crate) struct Object<'a> {
    out: &'a mut String,
    pub(super) short: bool,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Opens an object; `short` chooses the short keys.
    pub(crate) fn open(out: &'a mut String, short: bool) -> Self {
        out.push('{');
        Self { out, short, empty: true }
    }

    /// Closes it.
    pub(crate) fn close(self) {
        self.out.push('}');
    }

    /// A string that needs no escapes.
    pub(crate) fn name(&mut self, key: Key, value: &str) -> &mut Self {
        self.key(key);
        self.out.push('"');
        self.out.push_str(value);
        self.out.push('"');
        self
    }

    /// A string of several parts that need no escapes.
    pub(crate) fn formatted(&mut self, key: Key, value: std::fmt::Arguments<'_>) -> &mut Self {
        self.key(key);
        write!(self.out, "\"{value}\"").expect("writing to a String cannot fail");
        self
    }

    /// An integer.
    pub(crate) fn integer(&mut self, key: Key, value: u64) -> &mut Self {
        self.key(key);
        number::integer(self.out, value);
        self
    }

    /// A price or a volume, in units of 10^-8.
    pub(crate) fn number(&mut self, key: Key, units: u64, spelling: Spelling) -> &mut Self {
        self.decimal(key, u128::from(units), 8, spelling)
    }

    /// A number of `units` × 10^-`scale`.
    pub(crate) fn decimal(&mut self, key: Key, units: u128, scale: usize, spelling: Spelling) -> &mut Self {
        self.key(key);
        number::spell(self.out, units, scale, spelling);
        self
    }

    /// As [`Object::decimal`], with a sign for negative values.
    pub(crate) fn signed(&mut self, key: Key, number: Signed, spelling: Spelling) {
        self.key(key);
        if number.negative && number.units > 0 {
            self.out.push('-');
        }
        number::spell(self.out, number.units, number.scale, spelling);
    }

    /// A key whose value is appended by `write`.
    pub(crate) fn raw(&mut self, key: Key, write: impl FnOnce(&mut String)) -> &mut Self {
        self.key(key);
        write(self.out);
        self
    }

    fn key(&mut self, key: Key) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(if self.short { key.1 } else { key.0 });
        self.out.push_str("\":");
    }
}
