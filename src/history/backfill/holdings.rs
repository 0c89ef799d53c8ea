//! The data on disk for a pair: fetched intervals, the first day of its history, and the recorder's tape.
//!
//! Claims of "nothing more" are judged against this data. That costs no request, and the tape is read for such a claim
//! only.

use super::store::Store;
use crate::clock::Stamp;
use crate::history::claim::{Claim, Judgement};
use crate::history::healing::record::Record;
use crate::history::page_walk::PageWalk;
use crate::history::span::Span;
use crate::tape::reader::Tape;
use crate::tape::stream_key::StreamKey;
use crate::upbit::series::{DAY, Series, day_of};
use std::time::Duration;

/// Lines of the tape searched for a trade of the time in question: the first line is one, except for lines left by a
/// subscription or a crash.
const MOST_LINES: usize = 1_000;

/// A trade is assumed to be received within this time of its execution; later ones have no known place on the tape.
const RECEIVED_WITHIN: Duration = Duration::from_secs(60);

/// Fetched and recorded data, as evidence about the exchange's claims.
#[derive(Debug)]
pub(super) struct Holdings {
    /// The fetched data.
    pub(super) store: Store,
    /// The recorded data.
    pub(super) tape: Tape,
}

impl Holdings {
    /// Milliseconds since the Unix epoch.
    pub(super) fn now(&self) -> i64 {
        self.store.now().as_millis()
    }

    /// Judges a claim about the time before a piece, at `now`.
    pub(super) fn judge(&self, walk: &PageWalk, claim: Claim, now: i64) -> Judgement {
        let Some(stream) = StreamKey::of(walk.market(), walk.series()) else { return Judgement::Plausible };
        let known = self.exists_before(&stream, walk, now).is_some_and(|before| before <= claim.before);
        if !known && !self.has_recorded(walk.market(), Span { from: walk.span().from, to: claim.before }) {
            return Judgement::Plausible;
        }
        match self.store.is_believed(&stream, claim) {
            true => Judgement::Believed,
            false => Judgement::Contradicted,
        }
    }

    /// A time before which the exchange has returned objects that it still keeps.
    fn exists_before(&self, stream: &StreamKey, walk: &PageWalk, now: i64) -> Option<i64> {
        let series = walk.series();
        match series.reach(now) {
            // A trades answer covers one day only.
            _ if series == Series::Trades => self.store.exists_before(stream, day_of(walk.span().from)),
            // Data a whole day inside the exchange's retention does not expire during a run.
            Some(reach) => self.store.exists_before(stream, reach + DAY),
            None => {
                let listed = self.store.listed(stream).map(|day| day + DAY);
                listed.into_iter().chain(self.store.exists_before(stream, i64::MIN)).min()
            }
        }
    }

    /// Whether the tape has a trade in this span: if so, the exchange has a candle as well.
    fn has_recorded(&self, market: &str, span: Span) -> bool {
        let stamp = |millis: i64| {
            let micros = u64::try_from(millis).unwrap_or_default().saturating_mul(1_000);
            Stamp::from_micros(micros).unwrap_or(Stamp::MAX)
        };
        let Some(stream) = StreamKey::of(market, Series::Trades).filter(|_| span.length() > 0) else { return false };
        let stamps = stamp(span.from)..=stamp(span.to).after(RECEIVED_WITHIN);
        // Unreadable lines are no evidence.
        let lines = self.tape.lines(&stream, stamps).into_iter().flatten().take(MOST_LINES).flatten();
        let mut trades = lines.filter_map(|line| Record::parse(Series::Trades, line.position(), line.text()));
        trades.any(|trade| span.contains(trade.time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::files::disk::Disk;
    use crate::history::page_walk::Slack;
    use std::sync::Arc;

    const MINUTE: i64 = 60_000;
    const LISTED: i64 = 20_000 * DAY;
    const NOW: i64 = LISTED + 400 * DAY;

    struct Scene {
        _directory: tempfile::TempDir,
        holdings: Holdings,
        series: Series,
    }

    impl Scene {
        /// With a tape of one trade, two days and a minute after the listing.
        fn new(series: Series) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let (tape, rest) = (directory.path().join("data"), directory.path().join("rest"));
            [&tape, &rest].into_iter().for_each(|path| std::fs::create_dir(path).unwrap());
            let traded = LISTED + 2 * DAY + MINUTE;
            let trade = format!(
                "{{\"ts_recv\":{},\"type\":\"trade\",\"trade_timestamp\":{traded},\"sequential_id\":1}}\n",
                (traded + 90) * 1_000
            );
            std::fs::write(tape.join("KRW-BTC_trade.jsonl"), trade).unwrap();
            let config = crate::config::load(&Default::default()).unwrap().config;
            let files = Arc::new(Disk::open(&rest).unwrap());
            let streams = vec![(StreamKey::of("KRW-BTC", series).unwrap())];
            let store = Store::open(files, &config, Clock::start(), streams).unwrap();
            Self {
                _directory: directory,
                holdings: Holdings { store, tape: Tape::new(Some(Arc::new(Disk::open(&tape).unwrap())), &tape) },
                series,
            }
        }

        fn stream(&self) -> StreamKey {
            StreamKey::of("KRW-BTC", self.series).unwrap()
        }

        /// Judges the claim "nothing before `before`" for a piece that begins `from` after the listing.
        fn judge(&self, from: i64, before: i64) -> Judgement {
            let span = Span { from: LISTED + from, to: LISTED + before + DAY };
            let walk = PageWalk::new("KRW-BTC".into(), self.series, span, Slack::default(), NOW);
            let claim = Claim { since: span.from, to: LISTED + before, objects: 0, before: LISTED + before };
            self.holdings.judge(&walk, claim, NOW)
        }
    }

    #[test]
    fn what_is_listed_fetched_or_recorded_speaks_against_nothing() {
        let mut scene = Scene::new(Series::Candles("1m".parse().unwrap()));
        let tape = (2 * DAY, 2 * DAY + 2 * MINUTE);
        assert_eq!(scene.judge(tape.0, tape.0 + MINUTE), Judgement::Plausible, "the trade came later");
        assert_eq!(scene.judge(tape.0, tape.1), Judgement::Contradicted, "the tape has a trade");
        assert_eq!(scene.judge(9 * DAY, 9 * DAY + 1), Judgement::Plausible);
        let stream = scene.stream();
        scene.holdings.store.note_listed(&stream, LISTED).unwrap();
        assert_eq!(scene.judge(9 * DAY, 9 * DAY + 1), Judgement::Contradicted, "it is listed");
        assert_eq!(scene.judge(0, DAY - 1), Judgement::Plausible, "on the day of the listing it may be later");
    }

    #[test]
    fn trades_of_another_day_say_nothing_and_those_of_the_day_do() {
        let mut scene = Scene::new(Series::Trades);
        let stream = scene.stream();
        let item = |time| crate::rest::answer::Item {
            time,
            id: 7,
            object: serde_json::value::RawValue::from_string("{}".into()).unwrap(),
        };
        let span = Span { from: LISTED + 5 * DAY, to: LISTED + 5 * DAY + MINUTE };
        scene.holdings.store.commit(&stream, span, vec![item(span.from)]).unwrap();
        assert_eq!(scene.judge(5 * DAY + MINUTE, 5 * DAY + 2 * MINUTE), Judgement::Contradicted);
        assert_eq!(scene.judge(6 * DAY, 6 * DAY + 2 * MINUTE), Judgement::Plausible);
    }
}
