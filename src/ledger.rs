//! The gaps: every interval in which a connection was not listened to, with both its ends. Pure.
//!
//! ```text
//! (nothing) ──open(from, kind)──▶ Open ──close(to)──▶ Gap, on record
//!                                  └─open again: the first cause and the first end stay
//! ```
//!
//! A gap begins at the last line before it and ends at the first line after it, so that lines and gaps together cover
//! all time. One that is open when the process dies is opened again by the next start, from what is on disk.

use crate::clock::Stamp;
use crate::connection::ConnectionId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Why nothing was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// There was no live connection.
    Disconnected,
    /// The recorder had been stopped in order.
    Stopped,
    /// The recorder had died.
    Killed,
}

/// An interval without records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Whose streams are affected.
    #[serde(serialize_with = "as_text")]
    pub connection: ConnectionId,
    /// The stamp of the last line before it, µs.
    #[serde(serialize_with = "as_micros")]
    pub from: Stamp,
    /// The stamp of the first line after it, µs.
    #[serde(serialize_with = "as_micros")]
    pub to: Stamp,
    /// Why.
    pub kind: Kind,
    /// Why, for people.
    pub cause: String,
}

impl Gap {
    /// From its beginning to its end.
    pub fn length(&self) -> Duration {
        self.to.since(self.from)
    }
}

/// The gaps that are open.
#[derive(Debug, Default)]
pub struct Ledger {
    open: BTreeMap<ConnectionId, Open>,
}

#[derive(Debug)]
struct Open {
    from: Stamp,
    kind: Kind,
    cause: String,
}

impl Ledger {
    /// From `from` on nothing is recorded. While a gap is open, another one does not begin.
    pub fn open(&mut self, connection: ConnectionId, from: Stamp, kind: Kind, cause: &str) {
        self.open.entry(connection).or_insert_with(|| Open { from, kind, cause: cause.to_owned() });
    }

    /// At `to` a line was recorded, or there is nothing more to come.
    pub fn close(&mut self, connection: ConnectionId, to: Stamp) -> Option<Gap> {
        let Open { from, kind, cause } = self.open.remove(&connection)?;
        Some(Gap { connection, from, to, kind, cause })
    }

    /// Whether a gap is open.
    pub fn is_open(&self, connection: ConnectionId) -> bool {
        self.open.contains_key(&connection)
    }
}

fn as_text<S: serde::Serializer>(connection: &ConnectionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(connection)
}

fn as_micros<S: serde::Serializer>(stamp: &Stamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(stamp.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PUBLIC: ConnectionId = ConnectionId::Public;

    fn stamp(micros: u64) -> Stamp {
        Stamp::from_micros(micros).unwrap()
    }

    #[test]
    fn a_gap_keeps_its_first_cause() {
        let mut ledger = Ledger::default();
        ledger.open(PUBLIC, stamp(5), Kind::Killed, "killed");
        ledger.open(PUBLIC, stamp(9), Kind::Disconnected, "refused");
        let gap = ledger.close(PUBLIC, stamp(12)).unwrap();
        assert_eq!((gap.from, gap.to, gap.kind, gap.cause.as_str()), (stamp(5), stamp(12), Kind::Killed, "killed"));
        assert_eq!(ledger.close(PUBLIC, stamp(13)), None);
    }

    #[test]
    fn the_connections_have_gaps_of_their_own() {
        let mut ledger = Ledger::default();
        ledger.open(PUBLIC, stamp(1), Kind::Disconnected, "");
        assert!(ledger.is_open(PUBLIC) && !ledger.is_open(ConnectionId::Private));
        assert_eq!(ledger.close(ConnectionId::Private, stamp(2)), None);
    }

    proptest! {
        /// Lines and gaps cover all time: between two lines in a row there is a gap, or the connection was live.
        #[test]
        fn time_is_covered(history in prop::collection::vec((1u64..50, any::<bool>()), 1..60)) {
            let mut ledger = Ledger::default();
            let (mut now, mut last_line, mut is_live) = (1, 1, false);
            let mut covered = vec![];
            ledger.open(PUBLIC, stamp(now), Kind::Stopped, "");
            for (step, is_line) in history {
                now += step;
                if is_line {
                    if is_live {
                        covered.push((last_line, now));
                    }
                    covered.extend(ledger.close(PUBLIC, stamp(now)).map(|gap| (gap.from.as_micros(), gap.to.as_micros())));
                    (last_line, is_live) = (now, true);
                } else {
                    ledger.open(PUBLIC, stamp(last_line), Kind::Disconnected, "");
                    is_live = false;
                }
            }
            covered.extend(ledger.close(PUBLIC, stamp(now)).map(|gap| (gap.from.as_micros(), gap.to.as_micros())));
            let mut reached = 1;
            for (from, to) in covered {
                prop_assert_eq!(from, reached, "one interval begins where the last one ended");
                reached = to;
            }
            prop_assert!(is_live || reached == now);
        }
    }
}
