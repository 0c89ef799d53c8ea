//! The threads of a recorder as tasks in virtual time: what their calls to the disk take, they wait for.

use super::disk::SimDisk;
use super::exchange::rest::Rest;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use upbit_recorder::clock::{Clock, sleep_until};
use upbit_recorder::history::healing::Healer;

/// Heals gaps, where that is wanted.
pub(super) async fn heal(healer: Option<Healer<Rest>>, disk: &SimDisk) {
    if let Some(healer) = healer {
        let mut healing = pin!(healer.run());
        poll_fn(|cx| {
            disk.set_aside(true);
            let polled = healing.as_mut().poll(cx);
            disk.set_aside(false);
            polled
        })
        .await;
    }
    std::future::pending().await
}

/// Runs a host of the disk. What its calls take, it waits for, while everything else goes on.
pub(super) async fn paced(host: impl Future<Output = ()>, disk: SimDisk, clock: Clock) {
    let mut host = pin!(host);
    loop {
        let debt = poll_fn(|cx| {
            let polled = host.as_mut().poll(cx);
            let debt = disk.take_debt();
            match polled {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending if debt.is_zero() => Poll::Pending,
                Poll::Pending => Poll::Ready(Some(debt)),
            }
        });
        match debt.await {
            None => return,
            Some(debt) => sleep_until(Some(clock.now() + debt)).await,
        }
    }
}
