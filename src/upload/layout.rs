//! Where things are in the store. Pure.
//!
//! ```text
//! <prefix>/venue=upbit-kr/host=tape1/date=2026-11-22/KRW-BTC_trade.20261122T051204.113204Z.jsonl.zst
//!                                                    manifest.000001.jsonl      lines of the local manifest, added last
//! <prefix>/private/venue=upbit-kr/host=tape1/…       what the account received
//! ```
//!
//! Nothing in a store can be appended to, and nothing there is replaced: a manifest is a row of parts, of which each is
//! added once.

use crate::config::HostName;
use crate::upbit::feed::Feed;
use crate::upbit::venue::Venue;
use jiff::civil::Date;
use object_store::path::Path;

/// The tree of one recorder in a store.
#[derive(Clone, Debug)]
pub struct Layout {
    /// What all names begin with, without slashes around it; may be empty.
    pub prefix: String,
    /// The recorder.
    pub host: HostName,
}

/// Which directory of the tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which tree.
    pub feed: Feed,
    /// Whose data.
    pub venue: String,
    /// Of which day, UTC.
    pub date: Date,
}

impl Layout {
    /// The directory of all dates.
    pub fn root(&self, feed: Feed, venue: &str) -> Path {
        let prefix = self.prefix.split('/').filter(|part| !part.is_empty());
        let private = (feed == Feed::Private).then_some("private");
        let own = [format!("venue={venue}"), format!("host={}", self.host)];
        Path::from_iter(prefix.chain(private).map(str::to_owned).chain(own))
    }

    /// The directory of a date.
    pub fn directory(&self, place: &Place) -> Path {
        self.root(place.feed, &place.venue).join(format!("date={}", place.date))
    }
}

impl Place {
    /// That of a sealed file; files of versions that did not name their venue are of the directory's.
    pub fn of(feed: Feed, date: Date, venue: Option<&Venue>, directory: &Venue) -> Self {
        Self { feed, venue: venue.unwrap_or(directory).to_string(), date }
    }
}

/// The name of a part of a manifest; they are counted from 1.
pub fn part_name(number: u32) -> String {
    format!("manifest.{number:06}.jsonl")
}

/// The number of a part of a manifest; `None`: it is no such name.
pub fn part_number(name: &str) -> Option<u32> {
    let number: u32 = name.strip_prefix("manifest.")?.strip_suffix(".jsonl")?.parse().ok()?;
    (number > 0 && part_name(number) == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_spelt_as_documented() {
        let layout = |prefix: &str| Layout { prefix: prefix.to_owned(), host: "tape1".parse().unwrap() };
        let date = "2026-11-22".parse().unwrap();
        let place = |feed| Place { feed, venue: "upbit-kr".to_owned(), date };
        assert_eq!(
            layout("a/b").directory(&place(Feed::Public)).as_ref(),
            "a/b/venue=upbit-kr/host=tape1/date=2026-11-22"
        );
        assert_eq!(
            layout("").directory(&place(Feed::Private)).as_ref(),
            "private/venue=upbit-kr/host=tape1/date=2026-11-22"
        );
    }

    #[test]
    fn parts_of_a_manifest_are_known_by_their_name() {
        for number in [1, 42, 999_999, 1_000_000] {
            assert_eq!(part_number(&part_name(number)), Some(number));
        }
        for other in
            ["manifest.jsonl", "manifest.0.jsonl", "manifest.000000.jsonl", "manifest.1.jsonl", "x.000001.jsonl"]
        {
            assert_eq!(part_number(other), None, "{other}");
        }
    }
}
