//! How fast: pauses between attempts, what the exchange's limits allow, and what waits for them.

mod backoff;
mod budget;
mod outbox;

pub(super) use backoff::{Backoff, jittered};
pub use budget::ConnectBudget;
pub(super) use budget::MessageBudget;
pub(super) use outbox::{Message, Outbox, Reason};
