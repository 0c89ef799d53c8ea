//! The list of pairs, by which the patterns of the configuration are resolved.

use crate::desired::Listed;
use tokio::sync::watch;

/// The list, as long as the exchange is asked for it.
#[derive(Debug)]
pub(super) struct ListingInbox(pub(super) Option<watch::Receiver<Listed>>);

impl ListingInbox {
    /// The list as it is known now.
    pub(super) fn current(&self) -> Listed {
        self.0.as_ref().map(|listed| listed.borrow().clone()).unwrap_or_default()
    }

    /// The next list; `None`: there are no more, and the last one stays.
    pub(super) async fn recv(&mut self) -> Option<Listed> {
        let listed = self.0.as_mut()?;
        let next = listed.changed().await.ok().map(|()| listed.borrow_and_update().clone());
        if next.is_none() {
            self.0 = None;
        }
        next
    }
}
