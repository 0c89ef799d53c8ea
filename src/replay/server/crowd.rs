//! How many clients there are, in total and from one address. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Clients at a time: more than any test needs, and far below the usual limit of descriptors.
const MOST: usize = 256;

/// Clients at a time from one address: recorders and their REST connections, and a script beside them. A quarter, so
/// that one machine cannot shut the others out.
const MOST_FROM_ONE: usize = 64;

/// The clients that are being served, by address.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    clients: BTreeMap<IpAddr, usize>,
    total: usize,
}

impl Crowd {
    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        self.total < MOST
    }

    /// Admits a client, unless its address has too many.
    pub(super) fn enter(&mut self, address: IpAddr) -> bool {
        let count = self.clients.entry(address).or_default();
        let is_in = *count < MOST_FROM_ONE;
        *count += usize::from(is_in);
        self.total += usize::from(is_in);
        is_in
    }

    /// An admitted client has left.
    pub(super) fn leave(&mut self, address: IpAddr) {
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.clients.get_mut(&address) {
            *count = count.saturating_sub(1);
        }
        self.clients.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    #[test]
    fn one_address_does_not_shut_the_others_out() {
        let mut crowd = Crowd::default();
        let entered = (0..1_000).filter(|_| crowd.enter(address(1))).count();
        assert_eq!(entered, MOST_FROM_ONE);
        assert!(crowd.has_room() && crowd.enter(address(2)));
        crowd.leave(address(1));
        assert!(crowd.enter(address(1)) && !crowd.enter(address(1)));
    }

    #[test]
    fn together_they_are_bounded_and_nothing_is_left_of_them() {
        let mut crowd = Crowd::default();
        let mut inside = Vec::new();
        for number in 0..=255 {
            inside.extend((0..3).filter(|_| crowd.has_room() && crowd.enter(address(number))).map(|_| number));
        }
        assert!(inside.len() == MOST && !crowd.has_room());
        inside.into_iter().for_each(|number| crowd.leave(address(number)));
        assert!(crowd.has_room() && crowd.clients.is_empty(), "{crowd:?}");
    }
}
