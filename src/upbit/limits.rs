//! The exchange's limits, and the pause that it demands after a 429 (too many requests) or a 418 (blocked).
//!
//! The pause is stated in `Retry-After` (seconds, or a date beside the answer's own `Date`) or in the body, which has no
//! documented form: JSON or plain text, English or Korean, with a number and a unit somewhere in it. An unstated one
//! covers the exchange's next second for a 429, and is long enough not to prolong the block for a 418.

use jiff::fmt::rfc2822;
use std::time::Duration;

/// Requests over REST in any second that the exchange allows, in each of its groups.
pub const REST_PER_SECOND: u32 = 10;

/// Attempts to connect to its WebSocket in any second, by address.
pub const CONNECTS_PER_SECOND: u32 = 5;

/// Messages on a WebSocket in any second.
pub const MESSAGES_PER_SECOND: u32 = 5;

/// After a 429 without a stated time: the exchange counts by the second, and its second is not aligned with ours.
const BUSY: Duration = Duration::from_secs(2);

/// After a 418 without a stated time: a block grows with each attempt that comes too early.
const BLOCKED: Duration = Duration::from_secs(600);

/// The longest pause that is believed of a 429. The exchange counts by the second; a gateway that states hours is
/// mistaken, and one request a minute is far below every limit.
const LONGEST_BUSY: Duration = Duration::from_secs(60);

/// The longest pause that is believed of a 418, and of a text about a block. Blocks last seconds to minutes. To believe
/// a day stated by mistake would lose a day of data, and to doubt a true one costs six requests an hour.
const LONGEST_BLOCK: Duration = Duration::from_secs(600);

/// No number and no date states more, in any unit.
const ENDLESS: Duration = Duration::from_secs(u32::MAX as u64);

/// The part of a body that is searched; a sentence is shorter.
const SEARCHED: usize = 4096;

/// An answer of the exchange over HTTP, kept where it is no success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The header `Date`.
    pub date: Option<String>,
    /// The header `Location`: where a redirect points.
    pub location: Option<String>,
    /// The body, as far as it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The pause before the next request; `None` where the status is neither 429 nor 418.
    pub fn pause(&self) -> Option<Duration> {
        let (unstated, longest) = self.pauses()?;
        Some(self.stated().map_or(unstated, |stated| (stated + Duration::from_secs(1)).min(longest)))
    }

    /// The stated pause, where it is longer than is believed.
    pub fn unbelieved(&self) -> Option<Duration> {
        let (_, longest) = self.pauses()?;
        self.stated().filter(|stated| *stated >= longest)
    }

    /// The pause where nothing is stated, and the longest one.
    fn pauses(&self) -> Option<(Duration, Duration)> {
        match self.status {
            429 => Some((BUSY, LONGEST_BUSY)),
            418 => Some((BLOCKED, LONGEST_BLOCK)),
            _ => None,
        }
    }

    fn stated(&self) -> Option<Duration> {
        self.retry_after().or_else(|| stated_in(&String::from_utf8_lossy(&self.body)))
    }

    fn retry_after(&self) -> Option<Duration> {
        let value = self.retry_after.as_deref()?.trim();
        if let Ok(seconds) = value.parse() {
            return Some(Duration::from_secs(seconds).min(ENDLESS));
        }
        let until = rfc2822::parse(value).ok()?.timestamp();
        let sent = rfc2822::parse(self.date.as_deref()?).ok()?.timestamp();
        Some(Duration::try_from(until.duration_since(sent)).unwrap_or_default().min(ENDLESS))
    }
}

/// The pause that an error frame demands; `blocked`: it is about a block.
pub fn pause_in(message: &str, blocked: bool) -> Duration {
    let (unstated, longest) = if blocked { (BLOCKED, LONGEST_BLOCK) } else { (BUSY, LONGEST_BUSY) };
    stated_in(message).map_or(unstated, |stated| (stated + Duration::from_secs(1)).min(longest))
}

/// The first number with a unit of time behind it.
fn stated_in(text: &str) -> Option<Duration> {
    let mut rest: String = text.chars().take(SEARCHED).collect::<String>().to_lowercase();
    loop {
        let start = rest.find(|c: char| c.is_ascii_digit())?;
        rest = rest.split_off(start);
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = rest.split_off(end);
        let seconds = match unit.trim_start_matches([' ', '"', '\'', '-']) {
            unit if unit.starts_with("ms") || unit.starts_with("milli") => None,
            unit if unit.starts_with('s') || unit.starts_with('초') => Some(1),
            unit if unit.starts_with("min") || unit.starts_with('분') => Some(60),
            unit if unit.starts_with("hour") || unit.starts_with("시간") => Some(3600),
            _ => None,
        };
        if let Some(seconds) = seconds {
            let number: u64 = rest.parse().unwrap_or(u64::MAX);
            return Some(Duration::from_secs(number.saturating_mul(seconds)).min(ENDLESS));
        }
        rest = unit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Answer {
        Answer {
            status,
            retry_after: retry_after.map(str::to_owned),
            date: Some("Wed, 21 Oct 2026 07:28:00 GMT".to_owned()),
            location: None,
            body: body.as_bytes().to_vec(),
        }
    }

    fn seconds(answer: &Answer) -> Option<u64> {
        answer.pause().map(|pause| pause.as_secs())
    }

    #[test]
    fn what_is_stated_is_honoured_and_a_second_more() {
        assert_eq!(seconds(&answer(429, Some("7"), "")), Some(8));
        assert_eq!(seconds(&answer(418, Some("Wed, 21 Oct 2026 07:30:00 GMT"), "")), Some(121));
        assert_eq!(seconds(&answer(418, None, "I'm a teapot: blocked for 30 seconds")), Some(31));
        assert_eq!(seconds(&answer(418, None, r#"{"error":{"name":418,"message":"retry in 2 minutes"}}"#)), Some(121));
        assert_eq!(seconds(&answer(418, None, "요청이 차단되었습니다. 45초 후에")), Some(46));
    }

    #[test]
    fn what_is_not_stated_has_a_pause_too() {
        assert_eq!(seconds(&answer(429, None, "Too Many Requests")), Some(2));
        assert_eq!(seconds(&answer(418, Some("soon"), "blocked")), Some(600));
        assert_eq!(answer(503, Some("7"), "").pause(), None);
    }

    #[test]
    fn a_pause_of_a_day_costs_minutes_and_is_told_as_such() {
        let day = Some(Duration::from_secs(86_400));
        for (status, most) in [(429, 60), (418, 600)] {
            let answer = |stated: &str| answer(status, Some(stated), "");
            assert_eq!((seconds(&answer("86400")), answer("86400").unbelieved()), (Some(most), day));
            assert_eq!(seconds(&answer("99999999999999999999")), Some(if status == 429 { 2 } else { 600 }));
            assert_eq!(answer("Thu, 22 Oct 2026 07:28:00 GMT").unbelieved(), day);
            assert_eq!((seconds(&answer("7")), answer("7").unbelieved()), (Some(8), None));
        }
        assert_eq!(pause_in("blocked for 24 hours", true), LONGEST_BLOCK);
        assert_eq!(pause_in("wait 24 hours", false), LONGEST_BUSY);
    }

    proptest! {
        #[test]
        fn no_body_can_break_it(body: String, number: u64) {
            prop_assert!(answer(418, None, &body).pause().is_some_and(|pause| pause <= LONGEST_BLOCK));
            let numbered = format!("{body} {number} sec");
            prop_assert!(answer(418, None, &numbered).pause().is_some());
        }
    }
}
