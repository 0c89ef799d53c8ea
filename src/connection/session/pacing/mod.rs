//! How fast: pauses between attempts, what the exchange's limits allow, what waits for them, and what
//! is said beside the request.

mod auxiliary;
mod backoff;
mod budget;
mod outbox;

pub(super) use auxiliary::{Auxiliaries, Said};
pub(super) use backoff::{Backoff, jittered};
pub use budget::ConnectBudget;
pub(super) use budget::MessageBudget;
pub(super) use outbox::{Message, Outbox};
