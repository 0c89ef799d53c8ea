//! The exchange over REST: the real client, and the local exchange with its limits and refusals.

mod audit;
mod backfill;
mod client;
mod instruments;
mod lister;
mod markets;
mod requests;
