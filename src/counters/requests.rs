//! Requests over REST, counted by the group in which the exchange counts them, and by the status of the answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestKind {
    /// The first segment of the path: `candles`. There are as many as this program asks for, which is a handful.
    pub group: String,
    /// The status of the answer, of which HTTP has 900 at most; `None`: there was no answer.
    pub status: Option<u16>,
}

/// How many requests there were of each kind.
pub type Requests = BTreeMap<RequestKind, u64>;

/// Requests that the clients of one process count together.
#[derive(Clone, Debug, Default)]
pub struct SharedRequests(Arc<Mutex<Requests>>);

impl SharedRequests {
    /// Adds one.
    pub fn note(&self, group: &str, status: Option<u16>) {
        let kind = RequestKind { group: group.to_owned(), status };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kind).or_default() += 1;
    }

    /// The requests so far.
    pub fn read(&self) -> Requests {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
