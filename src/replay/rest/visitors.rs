//! Rate limits by address: connects, requests of each group, and anything that carries an `Origin`.
//!
//! ```text
//!  within the limit ─▶ served     over it ─▶ 429     over it again and again ─▶ 418 for 5 s, 10 s, 20 s, …
//! ```
//!
//! Requests are counted in whole seconds that begin 370 ms after the clock's; connects in a window that slides.

use super::answer::Answer;
use crate::clock::Stamp;
use crate::replay::session::Windows;
use crate::replay::wire::request::Endpoint;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses remembered; the least recently seen is evicted first.
const MAX_VISITORS: usize = 1_024;

/// Connects of one address, to each of the two streams.
const CONNECTS: &[(Duration, usize)] = &[(Duration::from_secs(1), 5)];

/// Requests and connects of one address that carry an `Origin` header.
const WITH_ORIGIN: &[(Duration, usize)] = &[(Duration::from_secs(10), 1)];

/// Refusals that an address may collect within ten seconds before it is blocked.
const PATIENCE: &[(Duration, usize)] = &[(Duration::from_secs(10), 20)];

/// Requests of one group in a second.
const REQUESTS: u32 = 10;

/// Where the exchange's seconds begin, in microseconds.
const SECOND_BEGINS: u64 = 370_000;

/// The first block; each further one is twice as long.
const FIRST_BLOCK: u64 = 5;

/// All addresses.
#[derive(Default)]
pub(crate) struct Visitors(BTreeMap<IpAddr, Visitor>);

struct Visitor {
    last_seen: Stamp,
    public: Windows,
    private: Windows,
    with_origin: Windows,
    refusals: Windows,
    /// The current second and its request count, for each group.
    groups: BTreeMap<&'static str, (u64, u32)>,
    blocked_until: Stamp,
    blocks: u32,
}

impl Visitors {
    /// A WebSocket upgrade of an address. The exchange counts private ones by account; here there is one account.
    pub(crate) fn connect(
        &mut self,
        now: Stamp,
        address: IpAddr,
        endpoint: Endpoint,
        has_origin: bool,
    ) -> Result<(), Answer> {
        let visitor = self.visitor(now, address);
        visitor.check_blocked(now)?;
        let connects = match endpoint {
            Endpoint::Public => &mut visitor.public,
            Endpoint::Private => &mut visitor.private,
        };
        let fits = connects.admit(now) && (!has_origin || visitor.with_origin.admit(now));
        if fits { Ok(()) } else { Err(visitor.refuse(now)) }
    }

    /// A request of an address; returns the group's remaining quota of this second for the `Remaining-Req` header.
    pub(crate) fn request(
        &mut self,
        now: Stamp,
        address: IpAddr,
        group: &'static str,
        has_origin: bool,
    ) -> Result<u32, Answer> {
        let visitor = self.visitor(now, address);
        visitor.check_blocked(now)?;
        if has_origin && !visitor.with_origin.admit(now) {
            return Err(visitor.refuse(now));
        }
        let second = (now.as_micros() + 1_000_000 - SECOND_BEGINS) / 1_000_000;
        let used = visitor.groups.entry(group).or_insert((second, 0));
        if used.0 != second {
            *used = (second, 0);
        }
        if used.1 == REQUESTS {
            return Err(visitor.refuse(now).with("Remaining-Req", remaining(group, 0)));
        }
        used.1 += 1;
        Ok(REQUESTS - used.1)
    }

    fn visitor(&mut self, now: Stamp, address: IpAddr) -> &mut Visitor {
        if self.0.len() >= MAX_VISITORS && !self.0.contains_key(&address) {
            let longest_away = self.0.iter().min_by_key(|(_, visitor)| visitor.last_seen).map(|(address, _)| *address);
            longest_away.map(|address| self.0.remove(&address));
        }
        let visitor = self.0.entry(address).or_insert_with(|| Visitor::new(now));
        visitor.last_seen = now;
        visitor
    }
}

impl Visitor {
    fn new(now: Stamp) -> Self {
        Self {
            last_seen: now,
            public: Windows::new(CONNECTS),
            private: Windows::new(CONNECTS),
            with_origin: Windows::new(WITH_ORIGIN),
            refusals: Windows::new(PATIENCE),
            groups: BTreeMap::new(),
            blocked_until: Stamp::default(),
            blocks: 0,
        }
    }

    fn check_blocked(&self, now: Stamp) -> Result<(), Answer> {
        let left = self.blocked_until.as_micros().saturating_sub(now.as_micros()).div_ceil(1_000_000);
        if left == 0 { Ok(()) } else { Err(blocked(left)) }
    }

    fn refuse(&mut self, now: Stamp) -> Answer {
        if self.refusals.admit(now) {
            return too_many();
        }
        let seconds = FIRST_BLOCK << self.blocks.min(10);
        self.blocks += 1;
        self.blocked_until = now.after(Duration::from_secs(seconds));
        blocked(seconds)
    }
}

/// The value of the `Remaining-Req` header; `min` is obsolete.
pub(crate) fn remaining(group: &str, left: u32) -> String {
    format!("group={group}; min=600; sec={left}")
}

/// The answer to one request too many.
pub(crate) fn too_many() -> Answer {
    Answer::text(429, "Too many API requests.")
}

/// The answer to an address that is blocked for so many seconds more.
pub(crate) fn blocked(seconds: u64) -> Answer {
    let message = format!("Too many API requests. Blocked for {seconds} seconds.");
    Answer::numbered(418, &message).with("Retry-After", seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn at(millis: u64) -> Stamp {
        Stamp::from_micros(1_795_317_064_000_000 + millis * 1_000).unwrap()
    }

    fn status(answer: Result<impl Sized, Answer>) -> u16 {
        answer.err().map_or(200, |answer| answer.status)
    }

    #[test]
    fn a_sixth_connect_in_a_second_is_429_then_418_ever_longer() {
        let mut visitors = Visitors::default();
        let mut connect = |millis| status(visitors.connect(at(millis), HOME, Endpoint::Public, false));
        assert!((0..5).all(|_| connect(0) == 200));
        assert!((0..20).all(|_| connect(10) == 429));
        assert_eq!(connect(20), 418);
        assert_eq!(connect(5_000), 418);
        assert_eq!(connect(5_021), 200);
        assert!((0..4).all(|_| connect(5_021) == 200));
        assert_eq!(connect(5_022), 418, "the patience of the last ten seconds is used up");
        assert_eq!(connect(15_000), 418, "twice as long as the first");
        assert_eq!(connect(15_023), 200);
    }

    #[test]
    fn the_two_streams_are_counted_apart() {
        let mut visitors = Visitors::default();
        let mut connect = |endpoint| status(visitors.connect(at(0), HOME, endpoint, false));
        assert!((0..5).all(|_| connect(Endpoint::Public) == 200));
        assert!((0..5).all(|_| connect(Endpoint::Private) == 200));
        assert_eq!(connect(Endpoint::Private), 429);
    }

    #[test]
    fn an_origin_is_cut_to_one_in_ten_seconds() {
        let mut visitors = Visitors::default();
        assert_eq!(status(visitors.request(at(0), HOME, "market", true)), 200);
        assert_eq!(status(visitors.connect(at(9_999), HOME, Endpoint::Public, true)), 429);
        assert_eq!(status(visitors.connect(at(10_000), HOME, Endpoint::Public, true)), 200);
    }

    #[test]
    fn ten_requests_of_a_group_in_the_exchanges_own_second() {
        let mut visitors = Visitors::default();
        let mut request = |millis, group| visitors.request(at(millis), HOME, group, false);
        assert_eq!(request(300, "candles"), Ok(9));
        assert!((0..9).all(|_| request(369, "candles").is_ok()));
        assert_eq!(status(request(369, "candles")), 429);
        assert_eq!(request(369, "ticker"), Ok(9));
        assert_eq!(request(370, "candles"), Ok(9));
    }

    #[test]
    fn addresses_are_bounded() {
        let mut visitors = Visitors::default();
        for number in 0..5_000u32 {
            let _ = visitors.connect(at(u64::from(number)), IpAddr::V4(number.into()), Endpoint::Public, false);
        }
        assert_eq!(visitors.0.len(), MAX_VISITORS);
    }
}
