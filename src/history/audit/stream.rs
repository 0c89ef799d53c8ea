//! One stream's day: its trades are summed by minutes, and each minute is compared with its candle.

use super::day::Day;
use super::figures::candle::Candle;
use super::figures::sum::Sum;
use super::figures::trade::Trade;
use super::finding::{Comparison, compare};
use super::gaps::{Gaps, stamp};
use crate::clock::Stamp;
use crate::tape::certificate::{Blind, Finding, Residue, Row, StreamAudit};
use crate::tape::day::DAY;
use crate::tape::line::Line;
use crate::tape::reader::{Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use bigdecimal::{BigDecimal, Zero};
use std::collections::HashSet;
use std::ops::RangeInclusive;

/// Trades are received after they happened, and clocks may be wrong by minutes: this much of the tape before and after
/// the day is scanned as well, in milliseconds.
const EDGE: i64 = 600_000;

/// The exchange returns trades of the last seven days, so healing fetches those of a gap within a day more, in
/// milliseconds.
const HEALED_WITHIN: i64 = 8 * DAY;

/// Most trades of one pair in a day: the busiest one has a few million. Their ids take some 30 bytes each.
const MOST_TRADES: usize = 10_000_000;

/// Faults of the tape that are listed individually.
const FAULTS_TOLD: usize = 8;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The archive cannot be listed.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// More trades than one pair can have in a day.
    #[error("{stream} has more than {MOST_TRADES} trades in a day")]
    TooMany {
        /// The stream.
        stream: String,
    },
}

/// The inputs of an audit.
#[derive(Debug)]
pub struct Auditor {
    /// The tape of the recorder.
    pub tape: Tape,
    /// The tape of fetched data.
    pub fetched: Tape,
    /// The day.
    pub day: Day,
    /// Its gaps, with the streams in audit order.
    pub gaps: Gaps,
}

impl Auditor {
    /// Whether trades of the day were deleted by the retention, so that nothing can be said of the stream.
    ///
    /// # Errors
    /// A manifest cannot be read.
    pub fn is_pruned(&self, stream: &StreamKey) -> Result<bool, TapeError> {
        let micros = |millis: i64| stamp(millis.saturating_mul(1_000));
        self.tape.is_pruned(stream, micros(self.day.from)..=micros(self.day.until))
    }

    /// Audits the stream at index `place`. `candles` are the stamps between which the fetched candles lie.
    ///
    /// # Errors
    /// See [`AuditError`].
    pub fn audit(
        &self,
        stream: &StreamKey,
        place: u16,
        candle_stream: &StreamKey,
        candles: RangeInclusive<Stamp>,
    ) -> Result<StreamAudit, AuditError> {
        let mut sums = Sums::new(self.day);
        let micros = |millis: i64| millis.saturating_mul(1_000);
        let begin = stamp(micros(self.day.from - EDGE));
        // The first line after a gap may be a trade from before it.
        let end = self.gaps.last_end(place).unwrap_or_default().max(self.day.until) + EDGE;
        sums.read(&self.tape, stream, begin..=stamp(micros(end)))?;
        let recorded = sums.trades;
        if let Some(healed) = stream.healed() {
            sums.read(&self.tape, &healed, begin..=stamp(micros(end + HEALED_WITHIN)))?;
        }
        let candles = self.candles(candle_stream, candles, &mut sums.faults)?;
        let mut audit = StreamAudit {
            stream: stream.to_string(),
            trades: sums.trades,
            healed: sums.trades - recorded,
            exact: 0,
            differs: 0,
            no_data: 0,
            residue: Residue::default(),
            blind_below: BigDecimal::zero(),
            blind_minutes: Vec::new(),
            unreadable: sums.unreadable,
            faults: sums.faults,
            rows: Vec::new(),
        };
        for (minute, (sum, candle)) in sums.minutes.iter().zip(&candles).enumerate() {
            count(&mut audit, compare(sum.as_ref(), candle.as_ref()), || Minute {
                begin: Day::shown(self.day.start_of(minute)),
                trades: sum.as_ref().map_or(0, |sum| sum.trades),
                gaps: self.gaps.touching(place, self.day.start_of(minute)),
            });
        }
        Ok(audit)
    }

    /// The day's candles, by minute.
    fn candles(
        &self,
        stream: &StreamKey,
        stamps: RangeInclusive<Stamp>,
        faults: &mut Vec<String>,
    ) -> Result<Vec<Option<Candle>>, AuditError> {
        let mut candles = vec![None; self.day.minutes()];
        for line in self.fetched.lines(stream, stamps)? {
            let Some(line) = readable(line, faults) else { continue };
            let Some(candle) = Candle::parse(&line) else {
                tell(faults, format!("{stream}: line {} is no candle", line.stamp()));
                continue;
            };
            if let Some(minute) = self.day.minute_of(candle.start) {
                candles[minute] = Some(candle);
            }
        }
        Ok(candles)
    }
}

/// Counts a minute's finding.
fn count(audit: &mut StreamAudit, found: Comparison, minute: impl FnOnce() -> Minute) {
    let Comparison { finding, differences, residue, blind_below } = found;
    match finding {
        Finding::Exact => audit.exact += 1,
        Finding::Differs => audit.differs += 1,
        Finding::NoData => audit.no_data += 1,
    }
    if finding != Finding::Exact {
        let Minute { begin: minute, trades, gaps } = minute();
        return audit.rows.push(Row { minute, finding, trades, differences, gaps });
    }
    audit.residue.widen(&residue);
    if blind_below > audit.blind_below {
        audit.blind_below.clone_from(&blind_below);
    }
    if !blind_below.is_zero() {
        audit.blind_minutes.push(Blind { minute: minute().begin, blind_below });
    }
}

/// The row of a minute that is not exact.
struct Minute {
    begin: String,
    trades: u64,
    gaps: Vec<u64>,
}

/// The trades of a day, summed by minute.
struct Sums {
    day: Day,
    minutes: Vec<Option<Sum>>,
    seen: HashSet<u128>,
    trades: u64,
    unreadable: u64,
    faults: Vec<String>,
}

impl Sums {
    fn new(day: Day) -> Self {
        let minutes = vec![None; day.minutes()];
        Self { day, minutes, seen: HashSet::new(), trades: 0, unreadable: 0, faults: Vec::new() }
    }

    fn read(&mut self, tape: &Tape, stream: &StreamKey, stamps: RangeInclusive<Stamp>) -> Result<(), AuditError> {
        for line in tape.lines(stream, stamps)? {
            let Some(line) = readable(line, &mut self.faults) else { continue };
            match Trade::parse(&line) {
                Some(trade) => self.add(trade),
                None => self.unreadable += 1,
            }
            if self.seen.len() > MOST_TRADES {
                return Err(AuditError::TooMany { stream: stream.to_string() });
            }
        }
        Ok(())
    }

    /// Counts a trade of the day once: a snapshot repeats an already recorded one, and objects fetched for a gap extend
    /// past its ends.
    fn add(&mut self, trade: Trade) {
        let Some(minute) = self.day.minute_of(trade.millis) else { return };
        if !self.seen.insert(trade.id) {
            return;
        }
        self.trades += 1;
        match &mut self.minutes[minute] {
            Some(sum) => sum.add(trade),
            empty => *empty = Some(Sum::of(trade)),
        }
    }
}

/// A part of the tape that cannot be read is listed as a fault, and the rest is audited nevertheless.
fn readable(line: Result<Line, TapeError>, faults: &mut Vec<String>) -> Option<Line> {
    match line {
        Ok(line) => Some(line),
        Err(fault) => {
            tell(faults, fault.to_string());
            None
        }
    }
}

/// The first few identify the problem; a tape that is all wrong must not fill the memory.
fn tell(faults: &mut Vec<String>, fault: String) {
    if faults.len() < FAULTS_TOLD {
        faults.push(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::disk::Disk;
    use crate::tape::decimal;
    use std::fs;
    use std::path::Path;

    const BEGIN: i64 = 1_795_305_600_000;

    fn trade(millis: i64, id: u64, rest: &str) -> String {
        let (stamp, millis) = ((BEGIN + millis) * 1_000 + i64::try_from(id).unwrap(), BEGIN + millis);
        format!(
            "{{\"ts_recv\":{stamp},\"type\":\"trade\",\"trade_timestamp\":{millis},\"sequential_id\":{id},{rest}}}\n"
        )
    }

    fn audited(trades: &[String], candles: &[&str]) -> StreamAudit {
        let directory = tempfile::tempdir().unwrap();
        let [stream, candle_stream] =
            ["KRW-AHT_trade", "KRW-AHT_candle.1m"].map(|stream| StreamKey::from_stem(stream).unwrap());
        fs::write(directory.path().join("KRW-AHT_trade.jsonl"), trades.concat()).unwrap();
        let rest = directory.path().join("rest");
        fs::create_dir(&rest).unwrap();
        let candles = candles.iter().zip(0..).map(|(candle, index)| {
            format!("{{\"ts_recv\":{},\"market\":\"KRW-AHT\",{candle}}}\n", BEGIN * 1_000 + index)
        });
        fs::write(rest.join("KRW-AHT_candle.1m.jsonl"), candles.collect::<String>()).unwrap();
        let day = Day::settled("2026-11-22".parse().unwrap(), BEGIN + 130_000).unwrap();
        let tape = Tape::new(Disk::readable(directory.path()).unwrap(), directory.path());
        let auditor = Auditor { fetched: tape.beneath(Path::new("rest")), tape, day, gaps: Gaps::default() };
        auditor.audit(&stream, 0, &candle_stream, Stamp::default()..=Stamp::MAX).unwrap()
    }

    #[test]
    fn the_outermost_milliseconds_and_repeats_do_not_differ() {
        let trades = [
            trade(-1, 1, r#""trade_price":99.0,"trade_volume":9.0,"stream_type":"SNAPSHOT""#),
            trade(0, 2, r#""trade_price":1.67E1,"trade_volume":11533.89457699"#),
            trade(59_999, 3, r#""trade_price":16.70000000,"trade_volume":1E-8"#),
            trade(59_999, 3, r#""trade_price":16.7,"trade_volume":0.00000001,"stream_type":"SNAPSHOT""#),
            trade(60_000, 4, r#""trade_price":16.8,"trade_volume":0.5"#),
            trade(120_000, 5, r#""trade_price":99.0,"trade_volume":9.0"#),
        ];
        let prices = |price: &str| {
            ["opening_price", "high_price", "low_price", "trade_price"]
                .map(|key| format!("\"{key}\":{price},"))
                .concat()
        };
        let first = format!(
            r#"{}"candle_date_time_utc":"2026-11-22T00:00:00","candle_acc_trade_price":192616.03943590,"candle_acc_trade_volume":11533.89457700"#,
            prices("16.70000000")
        );
        let second = format!(
            r#"{}"candle_date_time_utc":"2026-11-22T00:01:00","candle_acc_trade_price":8.40000000,"candle_acc_trade_volume":0.50000000"#,
            prices("1.68E1")
        );
        let audit = audited(&trades, &[&first, &second]);
        assert_eq!((audit.exact, audit.trades, audit.rows), (2, 3, vec![]));
        assert_eq!((decimal::shown(&audit.residue.value), audit.blind_minutes), ("0".to_owned(), vec![]));
        // A minute without its first trade is not exact, and a candle that cannot be read is a fault.
        let audit = audited(&trades[2..], &[&first, &second.replace("8.40000000", "null")]);
        let found: Vec<Finding> = audit.rows.iter().map(|row| row.finding).collect();
        assert_eq!((audit.exact, found), (0, vec![Finding::Differs; 2]));
        assert_eq!(audit.faults, ["KRW-AHT_candle.1m: line 1795305600000001 is no candle"]);
    }
}
