//! A delivery queue per connection: a flood on one must not block the other from reading.
//!
//! The queues are served round-robin, a delivery at a time, so that neither waits for more than one of the other's.

use crate::connection::Delivery;
use std::future::poll_fn;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Capacity of a connection's queue, in deliveries. Their bytes are bounded by the connection's budget instead.
const WAITING: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// In the order of their turns.
    queues: Vec<mpsc::Receiver<Delivery>>,
}

impl Inbox {
    /// Opens the queue of one more connection.
    pub(super) fn open(&mut self) -> mpsc::Sender<Delivery> {
        let (sender, queue) = mpsc::channel(WAITING);
        self.queues.push(queue);
        sender
    }

    /// Deliveries that wait.
    pub(super) fn waiting(&self) -> usize {
        self.queues.iter().map(mpsc::Receiver::len).sum()
    }

    /// The next delivery; `None`: every connection has ended, and its queue is empty.
    ///
    /// Cancel safe: dropping the future loses nothing.
    pub(super) async fn recv(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut ended = Poll::Ready(None);
        for turn in 0..self.queues.len() {
            match self.queues[turn].poll_recv(context) {
                Poll::Ready(None) => {}
                Poll::Ready(delivery) => {
                    self.queues.rotate_left(turn + 1);
                    return Poll::Ready(delivery);
                }
                Poll::Pending => ended = Poll::Pending,
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::connection::{Notice, Payload};
    use crate::upbit::feed::Feed;

    fn delivery(connection: Feed) -> Delivery {
        let payload = Payload::Notice(Notice::Dialing { attempt: 1 });
        Delivery { connection, at: Clock::anchored(Stamp::MAX).now(), unsettled: None, payload }
    }

    #[tokio::test]
    async fn a_full_queue_leaves_the_other_every_second_turn() {
        let mut inbox = Inbox::default();
        let (public, private) = (inbox.open(), inbox.open());
        while public.try_send(delivery(Feed::Public)).is_ok() {}
        for _ in 0..3 {
            private.try_send(delivery(Feed::Private)).unwrap();
        }
        let mut taken = Vec::new();
        for _ in 0..WAITING + 3 {
            taken.push(inbox.recv().await.unwrap().connection);
        }
        let (first, rest) = taken.split_at(6);
        assert_eq!(first, [Feed::Public, Feed::Private].repeat(3));
        assert!(rest.iter().all(|connection| *connection == Feed::Public));
    }

    #[tokio::test]
    async fn it_ends_with_the_last_connection() {
        let mut inbox = Inbox::default();
        let (public, private) = (inbox.open(), inbox.open());
        drop(public);
        private.try_send(delivery(Feed::Private)).unwrap();
        drop(private);
        assert_eq!(inbox.recv().await.map(|delivery| delivery.connection), Some(Feed::Private));
        assert!(inbox.recv().await.is_none());
    }
}
