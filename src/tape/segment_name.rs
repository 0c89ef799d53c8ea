//! The name of a segment: its stream, the stamp of its first line, and its epoch, which is left out while it is 0. Pure.
//!
//! ```text
//! archive/date=2026-11-22/KRW-BTC_trade.20261122T051204.113204Z.jsonl        waiting for its compression
//! archive/date=2026-11-22/KRW-BTC_trade.20261122T051204.113204Z.jsonl.zst    sealed
//! archive/date=2026-11-22/KRW-BTC_trade.20261122T051204.113204Z.e1.jsonl.zst written after stamps had gone back once
//! ```

use super::paths::{self, PLAIN};
use super::stream_key::StreamKey;
use crate::clock::Stamp;
use crate::upbit::feed::Feed;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use std::path::PathBuf;

const SEALED: &str = ".jsonl.zst";
const UNFINISHED: &str = ".jsonl.zst.tmp";

/// The most digits of an epoch in a name: more steps of a clock than a directory can see.
const EPOCH_DIGITS: usize = 10;

/// Where one segment of a stream belongs: its tree, its stream, its epoch, the stamp of its first line. Segments of a
/// stream are ordered as they were written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    /// The tree it lies in.
    pub feed: Feed,
    /// The stream it is a part of.
    pub stream: StreamKey,
    /// The epoch of its lines: how often stamps had gone back in the directory.
    pub epoch: u64,
    /// The stamp of its first line.
    pub first: Stamp,
}

impl SegmentName {
    /// The directory of its date.
    pub fn directory(&self) -> PathBuf {
        paths::date_directory(self.feed, utc(self.first).date())
    }

    /// The file's name before compression, without its directory.
    pub fn plain_name(&self) -> String {
        self.plain().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The plain file, waiting for its compression.
    pub fn plain(&self) -> PathBuf {
        self.with_ending(PLAIN)
    }

    /// The sealed file.
    pub fn sealed(&self) -> PathBuf {
        self.with_ending(SEALED)
    }

    /// The sealed file while it is being written.
    pub fn unfinished(&self) -> PathBuf {
        self.with_ending(UNFINISHED)
    }

    /// The same segment under the next possible name, for the case that a clock set back has brought this one already.
    #[must_use]
    pub fn next(mut self) -> Self {
        self.first = self.first.next();
        self
    }

    /// The manifest of its directory.
    pub fn manifest(&self) -> PathBuf {
        paths::manifest(&self.directory())
    }

    fn with_ending(&self, ending: &str) -> PathBuf {
        let time = utc(self.first).strftime("%Y%m%dT%H%M%S%.6fZ");
        let epoch = if self.epoch == 0 { String::new() } else { format!(".e{}", self.epoch) };
        self.directory().join(format!("{}.{time}{epoch}{ending}", self.stream))
    }
}

/// The kind of a name in an archive directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archived {
    /// A segment waiting for its compression.
    Plain(SegmentName),
    /// A sealed segment.
    Sealed(SegmentName),
    /// A sealed segment that was not finished.
    Unfinished(SegmentName),
}

/// Reads the name of a file in `directory` of an archive; `None` where it is not one of ours.
pub fn parse_archived(feed: Feed, directory: &str, name: &str) -> Option<Archived> {
    let of = |ending: &str| name.strip_suffix(ending).and_then(|stem| parse_segment(feed, stem));
    let archived = if let Some(segment) = of(PLAIN) {
        Archived::Plain(segment)
    } else if let Some(segment) = of(SEALED) {
        Archived::Sealed(segment)
    } else {
        Archived::Unfinished(of(UNFINISHED)?)
    };
    let (Archived::Plain(segment) | Archived::Sealed(segment) | Archived::Unfinished(segment)) = &archived;
    (segment.directory().file_name() == Some(directory.as_ref())).then_some(archived)
}

/// `KRW-BTC_trade.20261122T051204.113204Z.e1`: epoch, time, then code and type, from the right.
fn parse_segment(feed: Feed, stem: &str) -> Option<SegmentName> {
    let (named, epoch) = match stem.strip_suffix('Z') {
        Some(named) => (named, 0),
        None => {
            let (named, digits) = stem.rsplit_once("Z.e")?;
            (named, digits.parse().ok().filter(|_| digits.len() <= EPOCH_DIGITS)?)
        }
    };
    let (rest, micros) = named.rsplit_once('.')?;
    let (stream, seconds) = rest.rsplit_once('.')?;
    let time = DateTime::strptime("%Y%m%dT%H%M%S.%f", format!("{seconds}.{micros}")).ok()?;
    let micros = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond();
    let first = Stamp::from_micros(u64::try_from(micros).ok()?)?;
    let segment = SegmentName { feed, stream: StreamKey::from_stem(stream)?, epoch, first };
    // Only the one spelling that `with_ending` makes is ours.
    let spelt = segment.with_ending("");
    (spelt.file_name() == Some(stem.as_ref())).then_some(segment)
}

/// The date of a stamp, UTC.
pub fn date(stamp: Stamp) -> Date {
    utc(stamp).date()
}

/// A stamp as a time of RFC 3339: `2026-11-22T05:12:04.113204Z`.
pub fn timestamp(stamp: Stamp) -> String {
    utc(stamp).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// A stamp as a point in time.
pub fn moment(stamp: Stamp) -> jiff::Timestamp {
    let micros = i64::try_from(stamp.as_micros()).expect("a stamp is below 2^53");
    jiff::Timestamp::from_microsecond(micros).expect("2^53 µs end in the year 2255")
}

fn utc(stamp: Stamp) -> DateTime {
    Offset::UTC.to_datetime(moment(stamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::paths::{active, is_date_directory, parse_active};
    use proptest::prelude::*;

    fn segment(stream: &str, micros: u64) -> SegmentName {
        let stream = StreamKey::from_stem(stream).unwrap();
        SegmentName { feed: Feed::Public, stream, epoch: 0, first: Stamp::from_micros(micros).unwrap() }
    }

    #[test]
    fn paths_are_spelt_as_documented() {
        let trade = segment("KRW-BTC_trade", 1_795_324_324_113_204);
        assert_eq!(
            trade.sealed(),
            std::path::Path::new("archive/date=2026-11-22/KRW-BTC_trade.20261122T051204.113204Z.jsonl.zst")
        );
        assert_eq!(active(Feed::Private, &trade.stream), std::path::Path::new("private/KRW-BTC_trade.jsonl"));
        assert_eq!(trade.manifest(), std::path::Path::new("archive/date=2026-11-22/manifest.jsonl"));
        let later = SegmentName { epoch: 2, ..trade.clone() };
        assert_eq!(later.plain_name(), "KRW-BTC_trade.20261122T051204.113204Z.e2.jsonl");
        assert!(trade < later && later < SegmentName { epoch: 10, first: Stamp::default(), ..trade });
    }

    #[test]
    fn what_is_not_ours_is_not_ours() {
        let parse = |name: &str| parse_archived(Feed::Public, "date=2026-11-22", name);
        for epoch in ["", ".e1", ".e10", ".e9999999999"] {
            assert!(parse(&format!("KRW-BTC_trade.20261122T051204.113204Z{epoch}.jsonl")).is_some(), "{epoch}");
        }
        for name in [
            "notes.jsonl",
            "KRW-BTC_trade.jsonl.zst",
            "KRW-BTC_trade.20261121T051204.113204Z.jsonl",
            "KRW-BTC_trade.20261122T051204.1132Z.jsonl",
            "KRW-BTC_trade.20261122T251204.113204Z.jsonl",
            "KRW-BTC_trade.20261122T051204.113204Z.jsonl.zst.bak",
            "KRW-BTC_trade.20261122T051204.113204Z.e.jsonl",
            "KRW-BTC_trade.20261122T051204.113204Z.e0.jsonl",
            "KRW-BTC_trade.20261122T051204.113204Z.e01.jsonl",
            "KRW-BTC_trade.20261122T051204.113204Z.e+1.jsonl",
            "KRW-BTC_trade.20261122T051204.113204Z.e1.e1.jsonl",
            "KRW-BTC_trade.20261122T051204.113204Z.e12345678901.jsonl",
            "KRW-BTC_trade.20261122T051204.113204.e1Z.jsonl",
            "manifest.jsonl",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
        assert!(is_date_directory("date=2026-11-22") && !is_date_directory("date=2026-13-22"));
        assert_eq!(parse_active("manifest.jsonl"), None);
        assert_eq!(parse_active("README.md"), None);
    }

    proptest! {
        #[test]
        fn names_are_read_back(micros in 0..=Stamp::MAX.as_micros(), epoch in 0..10_000_000_000u64, stream in "[A-Z0-9-]{1,9}_[a-z][a-z0-9.]{0,9}") {
            let segment = SegmentName { epoch, ..segment(&stream, micros) };
            let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            let directory = name(segment.directory());
            let parse = |path| parse_archived(Feed::Public, &directory, &name(path));
            prop_assert_eq!(parse(segment.plain()), Some(Archived::Plain(segment.clone())));
            prop_assert_eq!(parse(segment.sealed()), Some(Archived::Sealed(segment.clone())));
            prop_assert_eq!(parse(segment.unfinished()), Some(Archived::Unfinished(segment.clone())));
            prop_assert!(is_date_directory(&directory));
        }
    }
}
