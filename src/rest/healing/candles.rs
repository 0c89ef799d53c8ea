//! The candles of the periods that a gap touches, from the newest back. Pure.
//!
//! The period that runs when the first record after the gap comes is left to the stream: its records show the whole
//! candle. So is one that is not over, where nothing has come since.

use super::evidence::Evidence;
use super::record::{Fetched, Healable};
use super::walk::{Missing, Step};
use crate::rest::backfill::Unit;
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::quotation;

/// See the module.
#[derive(Debug)]
pub struct CandleWalk {
    market: String,
    unit: Unit,
    /// The beginning of the first period, and of the first that is not wanted any more.
    from: i64,
    to: i64,
}

impl CandleWalk {
    /// A walk over the periods of `market` that may have changed, begun at `now`.
    pub fn new((market, unit): (&str, Unit), evidence: &Evidence, now: i64) -> Self {
        let last = evidence.first_after().map_or(now, |first| first.time);
        let (from, to) = (unit.start_of(evidence.last_before()), unit.start_of(last));
        Self { market: market.to_owned(), unit, from, to }
    }

    /// The next request; `None`: there is nothing to be asked for.
    pub fn request(&self) -> Option<Request> {
        (self.from < self.to).then(|| quotation::candles(self.unit.path(), &self.market, self.to))
    }

    /// Takes the page that was asked for. What is not on disk is put into `missing`, oldest first, and counts as on disk
    /// from here on.
    pub fn handle(&mut self, page: Page, evidence: &mut Evidence, missing: &mut Vec<Missing>) -> Step {
        let healable = Healable::Candles(self.unit);
        let mut oldest = None;
        for object in page.into_iter().rev() {
            let Some(fetched) = Fetched::parse(healable, object.get().as_bytes()) else { return Step::Astray };
            if fetched.time >= self.to || !super::fits_a_line(&object) {
                return Step::Astray;
            }
            oldest.get_or_insert(fetched.time);
            if fetched.time >= self.from && !evidence.knows(fetched.id) {
                evidence.wrote(fetched.id, fetched.time, i64::MAX);
                missing.push(Missing { time: fetched.time, object });
            }
        }
        self.to = oldest.unwrap_or(self.from);
        if self.to <= self.from { Step::Done } else { Step::More }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::rest::healing::record::Record;
    use jiff::Timestamp;
    use jiff::tz::Offset;
    use serde_json::value::RawValue;

    const MINUTE: i64 = 60_000;

    fn record(minute: u64, millis: u64) -> Record {
        let time = minute * 60_000 + millis;
        let stamp = Stamp::from_micros(time * 1_000).unwrap();
        Record { stamp, id: time * 31, time: i64::try_from(time).unwrap(), is_snapshot: false }
    }

    /// Of a gap from minute 11 to minute 20.
    fn evidence(records: &[Record]) -> Evidence {
        let mut evidence = Evidence::new([(record(11, 0).stamp, record(20, 0).stamp)]);
        records.iter().for_each(|record| assert!(evidence.add(*record)));
        evidence
    }

    fn walk(evidence: &Evidence) -> CandleWalk {
        CandleWalk::new(("KRW-BTC", "1m".parse().unwrap()), evidence, 25 * MINUTE + 1)
    }

    fn page(minutes: &[i64]) -> Page {
        let object = |minute: &i64| {
            let time = Offset::UTC.to_datetime(Timestamp::from_second(minute * 60).unwrap());
            RawValue::from_string(format!("{{\"candle_date_time_utc\":\"{}\"}}", time.strftime("%FT%T"))).unwrap()
        };
        minutes.iter().map(object).collect()
    }

    fn times(missing: &[Missing]) -> Vec<i64> {
        missing.iter().map(|missing| missing.time / MINUTE).collect()
    }

    #[test]
    fn the_periods_between_the_records_around_a_gap_are_fetched() {
        let mut evidence = evidence(&[record(10, 500), record(20, 500)]);
        let (mut walk, mut missing) = (walk(&evidence), Vec::new());
        assert!(walk.request().unwrap().query.plain().contains("to=1970-01-01T00:20:00Z"));
        assert_eq!(walk.handle(page(&[19, 15]), &mut evidence, &mut missing), Step::More);
        assert!(walk.request().unwrap().query.plain().contains("to=1970-01-01T00:15:00Z"));
        assert_eq!(walk.handle(page(&[13, 10, 7]), &mut evidence, &mut missing), Step::Done);
        assert_eq!(times(&missing), [15, 19, 10, 13]);
    }

    #[test]
    fn nothing_is_asked_for_within_one_period_and_nothing_twice() {
        let within = evidence(&[record(10, 500), record(20, 1)]);
        assert!(CandleWalk::new(("KRW-BTC", "60m".parse().unwrap()), &within, 0).request().is_none());
        let mut evidence = evidence(&[record(10, 500)]);
        evidence.add_fetched(Fetched { id: 12 * 60_000, time: 12 * MINUTE, gap: 1 });
        let (mut walk, mut missing) = (walk(&evidence), Vec::new());
        assert!(walk.request().unwrap().query.plain().contains("to=1970-01-01T00:25:00Z"));
        assert_eq!(walk.handle(page(&[13, 12, 10]), &mut evidence, &mut missing), Step::Done);
        assert_eq!(times(&missing), [10, 13]);
    }

    #[test]
    fn an_empty_page_is_the_end_and_an_answer_to_another_question_is_noticed() {
        let mut evidence = evidence(&[record(10, 500), record(20, 500)]);
        assert_eq!(walk(&evidence).handle(page(&[]), &mut evidence, &mut Vec::new()), Step::Done);
        assert_eq!(walk(&evidence).handle(page(&[20]), &mut evidence, &mut Vec::new()), Step::Astray);
    }
}
