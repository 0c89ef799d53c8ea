//! What the exchange says of its pairs, to be recorded where it changes and whole once a day. Pure.
//!
//! ```text
//! objects of an answer ──▶ Catalogue ──▶ those that differ from what was recorded last, or are new today
//! ```

use crate::clock::Stamp;
use crate::rest::markets::{MOST_PAIRS, Pair};
use std::collections::BTreeMap;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// By pair; as many as two days bring at the most.
    recorded: BTreeMap<String, Recorded>,
}

/// An object as it was recorded last.
#[derive(Debug)]
struct Recorded {
    /// The first moment of that day, UTC.
    day: Stamp,
    object: String,
}

impl Catalogue {
    /// The objects of an answer that are to be recorded at `now`, verbatim and in their order; they count as recorded.
    /// What cannot stand in a line is left out.
    pub(super) fn take(&mut self, now: Stamp, pairs: &[Pair]) -> Vec<String> {
        let day = now.period_start(DAY);
        // What was not listed for a day is new if it comes again.
        self.recorded.retain(|_, recorded| recorded.day >= day.before(DAY));
        let mut fresh = Vec::new();
        for Pair { code, object, .. } in pairs {
            let object = object.get();
            let is_known = self.recorded.get(code).is_some_and(|known| known.day == day && known.object == object);
            let has_room = self.recorded.len() < 2 * MOST_PAIRS || self.recorded.contains_key(code);
            if !is_known && has_room && is_line(object) {
                self.recorded.insert(code.clone(), Recorded { day, object: object.to_owned() });
                fresh.push(object.to_owned());
            }
        }
        fresh
    }
}

/// Whether an object can stand in a line behind a stamp, and be read back.
fn is_line(object: &str) -> bool {
    object.starts_with("{\"") && !object.contains(['\n', '\r']) && !object.contains("\"ts_recv\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::markets::Markets;

    fn take(catalogue: &mut Catalogue, hours: u64, answer: &str) -> Vec<String> {
        let now = Stamp::default().after(Duration::from_secs(hours * 3600));
        catalogue.take(now, &Markets::of(serde_json::from_str(answer).unwrap()).pairs)
    }

    #[test]
    fn objects_are_recorded_on_change_and_whole_once_a_day() {
        let mut catalogue = Catalogue::default();
        let [btc, warned, eth] =
            [r#"{"market":"KRW-BTC","w":1E-8}"#, r#"{"market":"KRW-BTC","w":0.10}"#, r#"{"market":"KRW-ETH"}"#];
        let both = format!("[{btc},{eth}]");
        assert_eq!(take(&mut catalogue, 1, &both), [btc, eth]);
        assert_eq!(take(&mut catalogue, 2, &both), [""; 0]);
        assert_eq!(take(&mut catalogue, 3, &format!("[{warned},{eth}]")), [warned]);
        assert_eq!(
            take(&mut catalogue, 4, &format!("[{eth}]")),
            [""; 0],
            "a list that lacks a pair says nothing of it"
        );
        assert_eq!(take(&mut catalogue, 5, &both), [btc], "as it was before is another change");
        assert_eq!(take(&mut catalogue, 24, &format!("[{eth}]")), [eth]);
        assert_eq!(take(&mut catalogue, 25, &both), [btc], "of each day all is there, whichever answer brings it");
        assert_eq!(take(&mut catalogue, 72, &both), [btc, eth]);
    }

    #[test]
    fn what_cannot_stand_in_a_line_is_left_out() {
        let odd = "[{\"market\":\n\"KRW-BTC\"},{ \"market\":\"KRW-ETH\"},{\"market\":\"KRW-XRP\",\"ts_recv\":7}]";
        assert_eq!(take(&mut Catalogue::default(), 0, odd), [""; 0]);
    }
}
