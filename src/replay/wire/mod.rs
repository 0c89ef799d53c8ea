//! The exchange's side of the wire: requests read, frames and REST objects written.

mod candle_unit;
pub(crate) mod frames;
mod number;
mod object;
pub(crate) mod private;
pub(crate) mod request;
pub(crate) mod spelt;
mod time;

pub(crate) use candle_unit::CandleUnit;
pub(crate) use number::{Spelling, eight_decimals, kept_by_a_double, spell};
pub(crate) use object::{Object, Signed};
pub(crate) use time::Time;
