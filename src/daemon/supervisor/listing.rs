//! The list of pairs, by which the patterns of the configuration are resolved.

use crate::desired::Listed;
use tokio::sync::watch;

/// The list of pairs, while it is being refreshed from the exchange.
#[derive(Debug)]
pub(super) struct ListingInbox(pub(super) Option<watch::Receiver<Listed>>);

impl ListingInbox {
    /// The current list.
    pub(super) fn current(&self) -> Listed {
        self.0.as_ref().map(|listed| listed.borrow().clone()).unwrap_or_default()
    }

    /// The next list; `None`: the last one stays, as no more follow.
    pub(super) async fn recv(&mut self) -> Option<Listed> {
        let listed = self.0.as_mut()?;
        let next = listed.changed().await.ok().map(|()| listed.borrow_and_update().clone());
        if next.is_none() {
            self.0 = None;
        }
        next
    }
}
