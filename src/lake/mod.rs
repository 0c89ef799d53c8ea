//! The tape as Parquet: a file per pair, type and day, for the engines that people have.
//!
//! ```text
//! day: manifest, gaps ──▶ Job ──▶ sealed and healed lines ──▶ row: names, numbers ──▶ columns ──▶ file
//!      a pair of a type           repeats of trades dropped                            a row group   whole, synced, read
//!                                                                                      at a time     back, renamed
//! ```
//!
//! The tape stays what it is: a file of the lake can be made again at any time, the same to the byte.

pub mod day;
pub mod decimal;
pub mod job;
pub mod leftovers;
pub mod place;
pub mod table;

mod book;
mod columns;
mod encode;
mod file;
mod gaps;
mod metadata;
mod read_back;
mod repeats;
mod row;
mod scan;
mod schema;
mod shape;

#[cfg(test)]
mod tests;
