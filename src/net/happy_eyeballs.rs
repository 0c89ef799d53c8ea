//! Which of a host's addresses answers first: IPv6 and IPv4 raced as RFC 8305 describes.
//!
//! ```text
//! 0 ms    v6 ─────────────────────▶ …
//! 250 ms      v4 ─────▶ connected            the others are dropped
//! ```
//!
//! The families alternate, IPv6 first. The next address starts when the one before has failed or has not answered for
//! 250 ms, so that a network where one family leads nowhere costs a quarter of a second and not the whole deadline.

use crate::clock::{self, Clock};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// RFC 8305, section 5: the recommended delay between two attempts.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Addresses tried at most; a host that has more and answers on none of these will not answer on the others.
const MOST_ADDRESSES: usize = 16;

/// Connects to whichever of `addresses` answers first.
///
/// # Errors
/// Each address with its failure, in the order in which they failed.
pub(super) async fn race<S, F>(
    addresses: Vec<SocketAddr>,
    clock: Clock,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(S, SocketAddr), Vec<(SocketAddr, io::Error)>>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = alternate(addresses);
    let mut running = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        if let Some(address) = waiting.pop_front() {
            let attempt = connect(address);
            running.push(async move { (address, attempt.await) });
        } else if running.is_empty() {
            return Err(failures);
        }
        let next_at = (!waiting.is_empty()).then(|| clock.now() + ATTEMPT_DELAY);
        tokio::select! {
            biased;
            Some((address, result)) = running.next() => match result {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => failures.push((address, error)),
            },
            () = clock::sleep_until(next_at) => {}
        }
    }
}

/// The addresses with their families alternating, IPv6 first, each family in the resolver's order.
fn alternate(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut order = VecDeque::new();
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            order.truncate(MOST_ADDRESSES);
            return order;
        }
        order.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    /// Answers after the milliseconds in the port; odd ones refuse.
    async fn connect(address: SocketAddr) -> io::Result<u16> {
        let clock = Clock::anchored(Stamp::MAX);
        clock::sleep_until(Some(clock.now() + Duration::from_millis(address.port().into()))).await;
        if address.port() % 2 == 1 { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(address.port()) }
    }

    async fn raced(list: &[&str]) -> (Result<u16, usize>, u128) {
        let clock = Clock::anchored(Stamp::MAX);
        let begin = clock.now();
        let result = race(addresses(list), clock, connect).await;
        let result = result.map(|(port, _)| port).map_err(|failures| failures.len());
        (result, (clock.now() - begin).as_millis())
    }

    #[test]
    fn families_alternate_and_ipv6_leads() {
        let order = alternate(addresses(&["1.1.1.1:1", "1.1.1.2:1", "[::1]:1", "1.1.1.3:1", "[::2]:1"]));
        let order: Vec<String> = order.iter().map(ToString::to_string).collect();
        assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "1.1.1.3:1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_family_that_leads_nowhere_costs_a_quarter_of_a_second() {
        assert_eq!(raced(&["1.1.1.1:20", "[::1]:60000"]).await, (Ok(20), 270));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_answer_still_wins_where_the_others_are_slower() {
        assert_eq!(raced(&["[::1]:400", "1.1.1.1:600"]).await, (Ok(400), 400));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_at_once() {
        assert_eq!(raced(&["[::1]:11", "1.1.1.1:20"]).await, (Ok(20), 31));
        assert_eq!(raced(&["[::1]:11", "1.1.1.1:21"]).await, (Err(2), 32));
        assert_eq!(raced(&[]).await, (Err(0), 0));
    }
}
