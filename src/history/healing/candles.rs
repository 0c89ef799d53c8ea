//! The candles of the periods that a gap touches, from the newest back. Pure.
//!
//! The period that runs when the first record after the gap comes is left to the stream: its records show the whole
//! candle. So is one that is not over, where nothing has come since. That nothing is there is believed when the exchange
//! says so twice, asked in two ways, and the tape has nothing of that time.

use super::evidence::Evidence;
use super::walk::{Missing, Step};
use crate::rest::answer::{Item, Question};
use crate::rest::client::request::Request;
use crate::rest::client::verdict::Page;
use crate::rest::quotation::{self, CANDLES_PER_PAGE, CandlePage};
use crate::upbit::series::Unit;

/// See the module.
#[derive(Debug)]
pub struct CandleWalk {
    market: String,
    unit: Unit,
    /// The beginning of the first period, and of the first that is not wanted any more.
    from: i64,
    to: i64,
    question: Option<Question>,
    /// The answer that nothing is before `to` is being confirmed.
    is_confirming: bool,
}

impl CandleWalk {
    /// A walk over the periods of `market` that may have changed, begun at `now`.
    pub fn new((market, unit): (&str, Unit), evidence: &Evidence, now: i64) -> Self {
        let last = evidence.first_after().map_or(now, |first| first.time);
        let (from, to) = (unit.start_of(evidence.last_before()), unit.start_of(last));
        Self { market: market.to_owned(), unit, from, to, question: None, is_confirming: false }
    }

    /// The next request; `None`: there is nothing to be asked for.
    pub fn request(&mut self) -> Option<Request> {
        if self.from >= self.to {
            return None;
        }
        let (to, count) = match self.is_confirming {
            // A cache would give the same answer to the same question.
            true => (self.to + self.unit.length().unwrap_or_default(), CANDLES_PER_PAGE - 1),
            false => (self.to, CANDLES_PER_PAGE),
        };
        let request = quotation::candles_of(self.unit, &self.market, CandlePage { to: Some(to), count });
        self.question.clone_from(&request.question);
        Some(request)
    }

    /// Takes the page that was asked for, at `now`. What is not on disk is put into `missing`, oldest first, and counts as
    /// on disk from here on.
    pub fn handle(&mut self, page: Page, now: i64, (evidence, missing): (&mut Evidence, &mut Vec<Missing>)) -> Step {
        let Some(question) = self.question.take() else { return Step::More };
        let count = CANDLES_PER_PAGE - usize::from(self.is_confirming);
        let is_short = page.len() < count;
        let Ok(mut items) = question.items(page, now) else { return Step::Astray };
        items.retain(|item| item.time < self.to);
        items.sort_by_key(|item| item.time);
        let oldest = items.first().map(|item| item.time);
        // Whatever is before the oldest of a short page is said not to be there.
        let reached = oldest.unwrap_or(self.to);
        if is_short && reached > self.from && evidence.knows_within(self.from..reached) {
            return Step::Doubted;
        }
        for Item { time, id, object } in items {
            if time >= self.from && !evidence.knows(id) {
                evidence.wrote(id, time, i64::MAX);
                missing.push(Missing { time, object });
            }
        }
        if oldest.is_none() && !std::mem::replace(&mut self.is_confirming, true) {
            return Step::Again;
        }
        self.is_confirming = false;
        self.to = oldest.unwrap_or(self.from);
        if self.to <= self.from { Step::Done } else { Step::More }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::history::healing::record::{Fetched, Record};
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

    /// What was asked for, and what comes of an answer to it.
    fn ask(walk: &mut CandleWalk, page: Page, with: (&mut Evidence, &mut Vec<Missing>)) -> (String, Step) {
        let asked = walk.request().unwrap().query.plain();
        (asked, walk.handle(page, 0, with))
    }

    /// A whole page of minutes, the newest first, and some more behind them.
    fn full(newest: i64, missing: &[i64]) -> Page {
        let minutes = (1..=200 + i64::try_from(missing.len()).unwrap()).map(|back| newest + 1 - back);
        page(&minutes.filter(|minute| !missing.contains(minute)).collect::<Vec<_>>())
    }

    /// Of a gap of hours.
    fn long() -> Evidence {
        let mut evidence = Evidence::new([(record(1_011, 0).stamp, record(1_300, 0).stamp)]);
        for record in [record(1_010, 500), record(1_300, 500)] {
            assert!(evidence.add(record));
        }
        evidence
    }

    #[test]
    fn the_periods_between_the_records_around_a_gap_are_fetched() {
        let mut evidence = long();
        let (mut walk, mut missing) = (walk(&evidence), Vec::new());
        let (asked, step) = ask(&mut walk, full(1_299, &[1_290]), (&mut evidence, &mut missing));
        assert!(asked.contains("to=1970-01-01T21:40:00Z") && step == Step::More);
        let shuffled: Page = full(1_098, &[]).into_iter().rev().collect();
        let (asked, step) = ask(&mut walk, shuffled, (&mut evidence, &mut missing));
        assert!(asked.contains("to=1970-01-01T18:19:00Z") && step == Step::Done, "{asked}");
        let expected: Vec<i64> = (1_099..1_300).filter(|minute| *minute != 1_290).chain(1_010..1_099).collect();
        assert_eq!(times(&missing), expected);
    }

    #[test]
    fn nothing_is_asked_for_within_one_period_and_nothing_twice() {
        let within = evidence(&[record(10, 500), record(20, 1)]);
        assert!(CandleWalk::new(("KRW-BTC", "60m".parse().unwrap()), &within, 0).request().is_none());
        let mut evidence = evidence(&[record(10, 500)]);
        evidence.add_fetched(Fetched { id: 12 * 60_000, time: 12 * MINUTE, gap: 1 });
        let (mut walk, mut missing) = (walk(&evidence), Vec::new());
        let (asked, step) = ask(&mut walk, page(&[13, 12, 10]), (&mut evidence, &mut missing));
        assert!(asked.contains("to=1970-01-01T00:25:00Z"));
        assert_eq!((step, times(&missing)), (Step::Done, vec![10, 13]));
    }

    #[test]
    fn an_empty_page_is_doubted_where_the_tape_has_trades() {
        let mut known = evidence(&[record(10, 500), record(20, 500)]);
        for minutes in [&[][..], &[19, 15]] {
            let (_, step) = ask(&mut walk(&known), page(minutes), (&mut known, &mut Vec::new()));
            assert_eq!(step, Step::Doubted, "{minutes:?}");
        }
        let mut unknown = evidence(&[record(20, 500)]);
        let (mut walk, mut missing) = (walk(&unknown), Vec::new());
        assert_eq!(ask(&mut walk, page(&[]), (&mut unknown, &mut missing)).1, Step::Again);
        let (asked, step) = ask(&mut walk, page(&[20]), (&mut unknown, &mut missing));
        assert!(asked.ends_with("to=1970-01-01T00:21:00Z&count=199"), "{asked}");
        assert_eq!((step, missing.len()), (Step::Done, 0));
    }

    #[test]
    fn an_answer_to_another_question_is_noticed() {
        let mut evidence = evidence(&[record(10, 500), record(20, 500)]);
        let (_, step) = ask(&mut walk(&evidence), page(&[20]), (&mut evidence, &mut Vec::new()));
        assert_eq!(step, Step::Astray);
    }
}
