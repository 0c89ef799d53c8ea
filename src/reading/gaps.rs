//! A gap as a comment among the lines that are printed. Pure.
//!
//! ```text
//! # gap 2026-11-22T05:14:59.912345Z to 2026-11-22T05:15:03.000001Z (3.1 s), disconnected: connection reset by peer
//! ```

use super::streams::{Choice, Place};
use crate::quantity::rounded_duration;
use crate::tape::event::Event;
use crate::tape::gap::{GapRecord, is_kind};
use crate::tape::record::Record;
use crate::tape::segment_name::timestamp;
use crate::tape::stream_key::StreamKey;
use crate::upbit::codes::is_pattern;
use crate::upbit::feed::Feed;
use std::fmt;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapComment {
    gap: GapRecord,
    /// How many of the streams that are printed it touches.
    touched: usize,
}

impl GapComment {
    /// The comment that a line of events asks for, if it is a gap of streams that are printed.
    pub fn of(line: &[u8], choice: &Choice) -> Option<Self> {
        let Some(Event::Gap(gap)) = Record::parse_if(&["gap"], line)?.event else { return None };
        let place = match gap.connection {
            Feed::Public => Place::Public,
            Feed::Private => Place::Private,
        };
        // A pattern stands for streams that are not named one by one.
        let is_touched = |name: &&String| {
            is_pattern(name)
                || StreamKey::from_stem(name).is_some_and(|stream| choice.holds(place, &stream))
                || is_kind(name) && choice.may_hold(place, name)
        };
        let touched = gap.streams.iter().filter(is_touched).count();
        (touched > 0 && choice.places().any(|meant| meant == place)).then_some(Self { gap, touched })
    }
}

impl fmt::Display for GapComment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GapRecord { from, to, kind, cause, .. } = &self.gap;
        let length = rounded_duration(to.since(*from));
        write!(f, "# gap {} to {} ({length}), {kind}: {cause}", timestamp(*from), timestamp(*to))?;
        if self.touched > 1 { write!(f, " ({} streams)", self.touched) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_of_what_is_printed_is_told() {
        let gap = br#"{"ts_recv":1795324503000002,"type":"recorder","event":"gap","id":1795324503000002,"connection":"public","epoch":0,"from":1795324499912345,"to":1795324503000001,"kind":"disconnected","cause":"connection reset by peer","streams":["KRW-BTC_trade"]}"#;
        let of =
            |pattern: &str| GapComment::of(gap, &Choice::of(&[pattern.to_owned()])).map(|comment| comment.to_string());
        let shown = "# gap 2026-11-22T05:14:59.912345Z to 2026-11-22T05:15:03.000001Z (3.1 s), disconnected: connection reset by peer";
        assert_eq!(of("KRW-*_trade").as_deref(), Some(shown));
        assert_eq!(of("KRW-ETH_trade"), None);
        assert_eq!(of("private/*"), None);
        let account =
            String::from_utf8_lossy(gap).replace("public", "private").replace("KRW-BTC_trade", "myAsset\",\"myOrder");
        let of = |pattern: &str| GapComment::of(account.as_bytes(), &Choice::of(&[pattern.to_owned()]));
        assert_eq!(of("private/KRW-BTC_myOrder").map(|comment| comment.touched), Some(1));
        assert_eq!(of("private/KRW-*").map(|comment| comment.touched), Some(2));
        assert_eq!(of("private/KRW-BTC_other"), None);
        assert_eq!(of("*_myOrder"), None);
    }
}
