//! Fault injection, planned ahead or on demand.
//!
//! ```text
//!  refuse              connections are closed without an answer  │ drop        cut without a close frame   ┐
//!  hang=STAGE          nothing more after connect, upgrade,      │ close=CODE  a close frame               │ once, to
//!                      subscribe (no answer) or live (no pong)   │ half        half a frame, then cut      │ every
//!  silence[=STREAM]    no data, or none of KRW-BTC_trade         │ garbage     malformed or misleading     │ client
//!  hold=CODE           its trades are in REST and tickers only   │ huge=BYTES  one frame of this size      ┘
//!  flood=N             N frames a second on top                  │ slow=N      N bytes a second
//!  deny                the private stream answers 401            │ 429, 418=SECONDS   upgrades and REST are refused
//!  empty[=CODE]        candles and trades (of CODE) are `[]`     │ shuffle     lists of REST are shuffled
//!  other[=CODE]        REST answers for candles or trades of any pair (of CODE) with those of another
//! ```
//!
//! Written `NAME[=VALUE][@AFTER][+FOR]`, for example `silence=KRW-BTC_trade@5s+30s`. Without `@` it begins at once,
//! without `+` it lasts until it is cleared. Pure: times are arguments.

use crate::clock::Stamp;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most faults that are planned at a time: more than a test script would ever list.
pub const MAX_FAULTS: usize = 64;

/// The kind of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// TCP connections are closed without an answer, but for those that ask for the faults.
    Refuse,
    /// Nothing more happens from this stage on.
    Hang(Stage),
    /// TCP is cut without a close frame.
    Drop,
    /// A close frame with this code.
    Close(u16),
    /// A frame is begun and TCP is cut in the middle.
    Half,
    /// No data, or none of one stream (`KRW-BTC_trade`).
    Silence(Option<String>),
    /// The trades of this code are kept from the stream; REST shows them.
    Hold(String),
    /// Frames per second on top of the ordinary ones.
    Flood(u32),
    /// Frames that are no JSON, no UTF-8, no data.
    Garbage,
    /// One frame of about this many bytes.
    Huge(u32),
    /// Bytes per second that leave the server, per connection.
    Slow(u32),
    /// The private stream refuses every token.
    Deny,
    /// Upgrades and REST requests are answered 429.
    TooMany,
    /// Upgrades and REST requests are answered 418, with this block time in seconds.
    Blocked(u32),
    /// REST shows nothing of the past, of any pair or of this one.
    Empty(Option<String>),
    /// REST shows the past of another pair, as a cache does that ignores the query.
    Other(Option<String>),
    /// REST lists are shuffled.
    Shuffle,
}

/// The stage of a connection at which the exchange hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// TCP is open, TLS or HTTP are not answered.
    Connect,
    /// The HTTP request is not answered.
    Upgrade,
    /// Requests on the WebSocket are not answered, pings are.
    Subscribe,
    /// Nothing is read and nothing sent any more.
    Live,
}

/// A fault with its time, counted from when it is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The kind.
    pub fault: Fault,
    /// When it begins.
    pub after: Duration,
    /// How long it lasts; `None`: until it is cleared.
    pub lasts: Option<Duration>,
}

/// A text that is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no fault: {reason}")]
pub struct NoPlan {
    text: String,
    reason: &'static str,
}

/// All faults planned, each with the stamps between which it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<(Fault, Stamp, Stamp)>);

impl Faults {
    /// Plans one more; where there are too many, the oldest is forgotten.
    pub fn plan(&mut self, now: Stamp, plan: Plan) {
        self.0.retain(|(_, _, until)| *until > now);
        if self.0.len() == MAX_FAULTS {
            self.0.remove(0);
        }
        let from = now.after(plan.after);
        self.0.push((plan.fault, from, plan.lasts.map_or(Stamp::MAX, |lasts| from.after(lasts))));
    }

    /// Whether nothing is planned.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The faults that hold at a time; those that happen once do not count.
    pub fn active(&self, now: Stamp) -> impl Iterator<Item = &Fault> {
        let active = self.0.iter().filter(move |(_, from, until)| *from <= now && now < *until);
        active.map(|(fault, ..)| fault).filter(|fault| !fault.happens_once())
    }

    /// The faults that happen once, after `since` and not after `now`.
    pub fn sudden(&self, since: Stamp, now: Stamp) -> impl Iterator<Item = &Fault> {
        let sudden =
            self.0.iter().filter(move |(fault, from, _)| fault.happens_once() && since < *from && *from <= now);
        sudden.map(|(fault, ..)| fault)
    }

    /// The next time after `now` at which a fault begins or ends.
    pub fn next_change(&self, now: Stamp) -> Option<Stamp> {
        let moments = self.0.iter().flat_map(|(_, from, until)| [*from, *until]);
        moments.filter(|moment| *moment > now && *moment < Stamp::MAX).min()
    }

    /// Whether the exchange hangs at this stage.
    pub(crate) fn hangs(&self, now: Stamp, stage: Stage) -> bool {
        self.active(now).any(|fault| *fault == Fault::Hang(stage))
    }

    /// Whether frames of this kind (and code) are kept back.
    pub(crate) fn silences(&self, now: Stamp, kind: &str, code: Option<&str>) -> bool {
        self.active(now).any(|fault| match fault {
            Fault::Silence(None) => true,
            Fault::Silence(Some(stream)) => match (stream.split_once('_'), code) {
                (Some(wanted), Some(code)) => wanted == (code, kind),
                (None, _) => stream == kind,
                (Some(_), None) => false,
            },
            Fault::Hold(held) => kind == "trade" && code == Some(held),
            _ => false,
        })
    }

    /// How the candles and trades of a code are falsified.
    pub(crate) fn corruption(&self, now: Stamp, code: Option<&str>) -> Corruption {
        let mut corruption = Corruption::default();
        let is_meant = |of: &Option<String>| of.is_none() || of.as_deref() == code;
        for fault in self.active(now) {
            match fault {
                Fault::Empty(of) => corruption.is_empty |= is_meant(of),
                Fault::Other(of) => corruption.is_another |= is_meant(of),
                Fault::Shuffle => corruption.is_shuffled = true,
                _ => {}
            }
        }
        corruption
    }
}

/// How a list of the past is falsified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Corruption {
    /// It has nothing.
    pub(crate) is_empty: bool,
    /// It is of another pair.
    pub(crate) is_another: bool,
    /// It is shuffled.
    pub(crate) is_shuffled: bool,
}

impl Fault {
    fn happens_once(&self) -> bool {
        matches!(self, Self::Drop | Self::Close(_) | Self::Half | Self::Garbage | Self::Huge(_))
    }

    fn named(name: &str, value: Option<&str>) -> Result<Self, &'static str> {
        let number = || value.and_then(|value| value.parse::<u32>().ok()).ok_or("it needs `=` and a number");
        let text = || value.filter(|value| !value.is_empty()).map(str::to_owned);
        Ok(match name {
            "refuse" => Self::Refuse,
            "hang" => Self::Hang(match value {
                Some("connect") => Stage::Connect,
                Some("upgrade") => Stage::Upgrade,
                Some("subscribe") => Stage::Subscribe,
                Some("live") => Stage::Live,
                _ => return Err("a client hangs at `connect`, `upgrade`, `subscribe` or `live`"),
            }),
            "drop" => Self::Drop,
            "close" => Self::Close(number()?.try_into().map_err(|_| "a close code has four digits")?),
            "half" => Self::Half,
            "silence" => Self::Silence(text()),
            "hold" => Self::Hold(text().ok_or("it needs `=` and a code")?),
            "flood" => Self::Flood(number()?),
            "garbage" => Self::Garbage,
            "huge" => Self::Huge(number()?),
            "slow" => Self::Slow(number()?.max(1)),
            "deny" => Self::Deny,
            "429" => Self::TooMany,
            "418" => Self::Blocked(number()?),
            "empty" => Self::Empty(text()),
            "other" => Self::Other(text()),
            "shuffle" => Self::Shuffle,
            _ => return Err("no fault has this name"),
        })
    }
}

impl FromStr for Plan {
    type Err = NoPlan;

    fn from_str(text: &str) -> Result<Self, NoPlan> {
        let failed = |reason| NoPlan { text: text.to_owned(), reason };
        let span = |span: &str| duration(span).ok_or_else(|| failed("a time is written 300ms, 5s or 2m"));
        let (rest, lasts) = match text.trim().split_once('+') {
            Some((rest, lasts)) => (rest, Some(span(lasts)?)),
            None => (text.trim(), None),
        };
        let (rest, after) = match rest.split_once('@') {
            Some((rest, after)) => (rest, span(after)?),
            None => (rest, Duration::ZERO),
        };
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (rest, None),
        };
        Ok(Self { fault: Fault::named(name, value).map_err(failed)?, after, lasts })
    }
}

/// As [`POST /_faults`](super) shows them: one in a line, with the stamps between which it holds.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(fault, from, until)| writeln!(f, "{from} {until} {fault:?}"))
    }
}

fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    match &text[digits..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Stamp {
        Stamp::from_micros(1_000_000 * (1_000 + seconds)).unwrap()
    }

    fn planned(plans: &[&str]) -> Faults {
        let mut faults = Faults::default();
        plans.iter().for_each(|plan| faults.plan(at(0), plan.parse().unwrap()));
        faults
    }

    #[test]
    fn a_fault_holds_for_its_time() {
        let faults = planned(&["refuse@5s+10s", "silence"]);
        let active = |seconds| faults.active(at(seconds)).cloned().collect::<Vec<_>>();
        assert_eq!(active(0), [Fault::Silence(None)]);
        assert_eq!(active(5), [Fault::Refuse, Fault::Silence(None)]);
        assert_eq!(active(15), [Fault::Silence(None)]);
        assert_eq!(faults.next_change(at(0)), Some(at(5)));
        assert_eq!(faults.next_change(at(15)), None);
    }

    #[test]
    fn what_happens_once_happens_once() {
        let faults = planned(&["drop@2s", "close=1012@4s"]);
        assert_eq!(faults.active(at(3)).count(), 0);
        assert_eq!(faults.sudden(at(0), at(3)).collect::<Vec<_>>(), [&Fault::Drop]);
        assert_eq!(faults.sudden(at(3), at(9)).collect::<Vec<_>>(), [&Fault::Close(1012)]);
    }

    #[test]
    fn a_stream_is_silenced_by_its_name() {
        let faults = planned(&["silence=KRW-BTC_trade", "hold=KRW-ETH"]);
        assert!(faults.silences(at(0), "trade", Some("KRW-BTC")));
        assert!(faults.silences(at(0), "trade", Some("KRW-ETH")));
        assert!(!faults.silences(at(0), "ticker", Some("KRW-BTC")));
        assert!(!faults.silences(at(0), "trade", Some("KRW-XRP")));
        assert!(planned(&["silence=myAsset"]).silences(at(0), "myAsset", None));
    }

    #[test]
    fn what_is_wrong_with_the_past_can_be_of_one_pair() {
        let faults = planned(&["empty=KRW-BTC", "other=KRW-ETH", "shuffle@5s"]);
        let corruption = |seconds, code| {
            let Corruption { is_empty, is_another, is_shuffled } = faults.corruption(at(seconds), Some(code));
            [is_empty, is_another, is_shuffled]
        };
        assert_eq!(corruption(0, "KRW-BTC"), [true, false, false]);
        assert_eq!(corruption(0, "KRW-ETH"), [false, true, false]);
        assert_eq!(corruption(5, "KRW-XRP"), [false, false, true]);
        assert!(planned(&["empty"]).corruption(at(0), None).is_empty);
    }

    #[test]
    fn what_is_no_fault_says_why() {
        for text in ["", "nope", "hang", "hang=x", "close", "hold", "drop@5", "drop+x", "418"] {
            assert!(text.parse::<Plan>().is_err(), "{text}");
        }
        assert_eq!(
            "drop@5".parse::<Plan>().unwrap_err().to_string(),
            "`drop@5` is no fault: a time is written 300ms, 5s or 2m"
        );
    }

    #[test]
    fn faults_are_bounded() {
        let mut faults = Faults::default();
        (0..200).for_each(|_| faults.plan(at(0), "refuse".parse().unwrap()));
        assert_eq!(faults.active(at(0)).count(), MAX_FAULTS);
    }
}
