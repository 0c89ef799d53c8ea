//! Which streams of which trees are meant. Pure.
//!
//! ```text
//! KRW-BTC_trade   KRW-*_trade   !KRW-DOGE_*     in the tree of market data
//! private/myOrder private/*                     the account's
//! rest/KRW-BTC_candle.1m                        what `backfill` fetched
//! ```

use crate::tape::paths;
use crate::tape::reader::Tape;
use crate::tape::stream_key::StreamKey;
use crate::upbit::codes::{Meaning, is_pattern};
use crate::upbit::feed::Feed;
use std::fmt;
use std::path::Path;

/// A tree of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Market data, and the recorder's own events.
    Public,
    /// The account's events.
    Private,
    /// What was fetched.
    Rest,
}

impl Place {
    /// All trees.
    pub const ALL: [Self; 3] = [Self::Public, Self::Private, Self::Rest];

    /// Its directory below the data directory.
    pub fn directory(self) -> &'static Path {
        match self {
            Self::Public => paths::root(Feed::Public),
            Self::Private => paths::root(Feed::Private),
            Self::Rest => Path::new("rest"),
        }
    }

    /// What stands before the names of its streams.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Public => "",
            Self::Private => "private/",
            Self::Rest => "rest/",
        }
    }

    /// This tree of a tape.
    pub fn of(self, tape: &Tape) -> Tape {
        match self {
            Self::Public => tape.clone(),
            Self::Private | Self::Rest => tape.beneath(self.directory()),
        }
    }
}

/// A stream of a tree.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Named {
    /// The tree.
    pub place: Place,
    /// The stream.
    pub stream: StreamKey,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place.prefix(), self.stream)
    }
}

/// Names and patterns, by tree.
#[derive(Debug)]
pub struct Choice {
    public: Option<Meaning>,
    private: Option<Meaning>,
    rest: Option<Meaning>,
    /// The types of what is included of any tree, which may be patterns.
    kinds: Vec<String>,
}

impl Choice {
    /// What names and patterns mean; a tree of which nothing is named but exclusions is not meant.
    pub fn of(patterns: &[String]) -> Self {
        let of = |place: Place| {
            let own = patterns.iter().filter_map(|pattern| within(place, pattern)).collect::<Vec<_>>();
            own.iter().any(|pattern| !pattern.starts_with('!')).then(|| Meaning::of(&own))
        };
        let included = patterns.iter().filter(|pattern| !pattern.starts_with('!'));
        let kinds = included.map(|pattern| pattern.rsplit(['_', '/']).next().unwrap_or(pattern).to_owned()).collect();
        Self { public: of(Place::Public), private: of(Place::Private), rest: of(Place::Rest), kinds }
    }

    /// The trees of which something is meant.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        Place::ALL.into_iter().filter(|place| self.meaning(*place).is_some())
    }

    /// Whether a stream is meant.
    pub fn holds(&self, place: Place, stream: &StreamKey) -> bool {
        self.meaning(place).is_some_and(|meaning| meaning.holds(stream.as_str()))
    }

    /// Whether streams of a type may be meant, of some codes.
    pub fn may_hold(&self, place: Place, kind: &str) -> bool {
        self.meaning(place).is_some() && self.kinds.iter().any(|own| own == kind || is_pattern(own))
    }

    fn meaning(&self, place: Place) -> Option<&Meaning> {
        match place {
            Place::Public => self.public.as_ref(),
            Place::Private => self.private.as_ref(),
            Place::Rest => self.rest.as_ref(),
        }
    }
}

/// A pattern without the directory in front of it, if it is of this tree.
fn within(place: Place, pattern: &str) -> Option<String> {
    let (not, pattern) = pattern.strip_prefix('!').map_or(("", pattern), |pattern| ("!", pattern));
    let own = match place {
        Place::Public => Some(pattern).filter(|pattern| !pattern.contains('/')),
        Place::Private | Place::Rest => pattern.strip_prefix(place.prefix()),
    };
    own.map(|own| format!("{not}{own}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_streams_of_their_tree() {
        let patterns =
            ["KRW-*_trade", "!KRW-DOGE_*", "recorder", "rest/*_candle.1m", "!private/misc", "KRW-BTC_*.healed"];
        let choice = Choice::of(&patterns.map(str::to_owned));
        let holds = |place, stream: &str| choice.holds(place, &StreamKey::from_stem(stream).unwrap());
        for stream in ["KRW-BTC_trade", "recorder", "KRW-BTC_trade.healed"] {
            assert!(holds(Place::Public, stream) && !holds(Place::Rest, stream), "{stream}");
        }
        assert!(!holds(Place::Public, "KRW-DOGE_trade") && !holds(Place::Public, "misc"));
        assert!(holds(Place::Rest, "KRW-BTC_candle.1m") && !holds(Place::Public, "KRW-BTC_candle.1m"));
        assert_eq!(choice.places().collect::<Vec<_>>(), [Place::Public, Place::Rest]);
    }
}
