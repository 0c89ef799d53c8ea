//! Time: the only file that reads a clock, sleeps, or makes stamps.
//!
//! ```text
//!  wall clock ──anchor──▶ Clock ──stamp_at(instant)──▶ Stamp ──Stamper──▶ strictly increasing
//!  monotonic  ──────────▶ Clock::now() ──────────────▶ Instant (deadlines, durations)
//!  boot time  ──────────▶ Boot::suspended() ──resumed──▶ Clock, as far ahead as the machine was suspended
//!  kernel     ──adjtimex▶ Discipline::read() ──────────▶ ClockState: is the wall clock synchronised?
//! ```
//!
//! Everything else gets instants and stamps as arguments, so that it can be tested at explicit times. Under tokio's
//! paused clock [`Clock::now`] follows the virtual time. Where the wall clock is set while the process runs, [`step`]
//! decides whether the anchor moves. While the machine is suspended the monotonic clock stands still: [`Boot`] measures
//! how long, and [`Clock::resumed`] corrects stamps without a clock step, because they only go forward.

pub mod discipline;
pub mod heartbeat;
pub mod step;

use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point on the monotonic clock.
pub use std::time::Instant;

/// Microseconds since the Unix epoch, UTC: the `ts_recv` of a line.
///
/// Always below 2^53, so that jq and JavaScript keep every digit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct Stamp(u64);

/// A stamp and the epoch that it belongs to. Stamps of two epochs cannot be compared, positions can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The epoch: how often stamps had gone back in the directory.
    pub epoch: u64,
    /// The time within the epoch.
    pub stamp: Stamp,
}

impl Position {
    /// The position `length` after this one, in its epoch.
    pub fn after(self, length: Duration) -> Self {
        Self { stamp: self.stamp.after(length), ..self }
    }

    /// The position `length` before this one, in its epoch.
    pub fn before(self, length: Duration) -> Self {
        Self { stamp: self.stamp.before(length), ..self }
    }
}

impl Stamp {
    /// The greatest stamp: the last whole microsecond that a double represents exactly, in the year 2255.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// The stamp of `micros` microseconds since the epoch; `None` from 2^53 on.
    pub fn from_micros(micros: u64) -> Option<Self> {
        (micros <= Self::MAX.0).then_some(Self(micros))
    }

    /// Microseconds since the epoch.
    pub fn as_micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the epoch, as the exchange counts them.
    pub fn as_millis(self) -> i64 {
        i64::try_from(self.0 / 1_000).unwrap_or(i64::MAX)
    }

    /// The time since `earlier`; zero where that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The next possible stamp.
    pub fn next(self) -> Self {
        Self((self.0 + 1).min(Self::MAX.0))
    }

    /// The stamp before it.
    pub fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// How far this stamp is from another, whichever is later.
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_micros(self.0.abs_diff(other.0))
    }

    /// The stamp `length` before this one.
    pub fn before(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(length.as_micros()).unwrap_or(u64::MAX)))
    }

    /// The stamp `length` after this one, or the greatest.
    pub fn after(self, length: Duration) -> Self {
        let micros = self.0.saturating_add(u64::try_from(length.as_micros()).unwrap_or(u64::MAX));
        Self(micros.min(Self::MAX.0))
    }

    /// The start of the period of `length` that this stamp lies in; periods are counted from the epoch, so that those
    /// which divide a day begin at UTC boundaries.
    pub fn period_start(self, length: Duration) -> Self {
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX).max(1);
        Self(self.0 - self.0 % micros)
    }
}

impl TryFrom<u64> for Stamp {
    type Error = &'static str;

    fn try_from(micros: u64) -> Result<Self, Self::Error> {
        Self::from_micros(micros).ok_or("a stamp is below 2^53")
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An instant, and the suspended time that the monotonic clock had left out by then: together they have one stamp, even
/// if the machine is suspended later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the monotonic clock.
    pub at: Instant,
    /// For how long the machine had been suspended since it booted.
    pub suspended: Duration,
}

impl Moment {
    /// The time since `earlier`, suspended or not; zero where that is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.at.saturating_duration_since(earlier.at) + self.suspended_since(earlier)
    }

    /// How much of it the machine was suspended.
    pub fn suspended_since(self, earlier: Self) -> Duration {
        self.suspended.saturating_sub(earlier.suspended)
    }
}

/// The monotonic clock, and the wall clock that it was anchored to when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    anchor: Instant,
    anchor_stamp: Stamp,
    /// For how long the machine had been suspended, as far as stamps know of it.
    suspended: Duration,
}

impl Clock {
    /// A clock anchored to the machine's wall clock now.
    pub fn start() -> Self {
        Self::anchored(wall()).beside(&Boot::machine())
    }

    /// A clock for which the wall clock shows `stamp` now, on a machine that was never suspended.
    pub fn anchored(stamp: Stamp) -> Self {
        Self { anchor: monotonic(), anchor_stamp: stamp, suspended: Duration::ZERO }
    }

    /// The same clock, anchored when the machine had been suspended for as long as `boot` says.
    pub fn beside(self, boot: &Boot) -> Self {
        Self { suspended: boot.suspended(), ..self }
    }

    /// The same clock, for which the wall clock shows `stamp` at `instant`.
    pub fn moved(self, instant: Instant, stamp: Stamp) -> Self {
        Self { anchor: instant, anchor_stamp: stamp, ..self }
    }

    /// The same clock on a machine that has been `suspended` for so long: stamps move ahead by the increase.
    pub fn resumed(self, suspended: Duration) -> Self {
        let anchor_stamp = self.anchor_stamp.after(suspended.saturating_sub(self.suspended));
        Self { anchor_stamp, suspended: suspended.max(self.suspended), ..self }
    }

    /// For how long the machine had been suspended, as far as stamps know of it.
    pub fn suspended(&self) -> Duration {
        self.suspended
    }

    /// This instant.
    pub fn now(&self) -> Instant {
        monotonic()
    }

    /// The stamp of an instant, by the monotonic clock from the anchor.
    pub fn stamp_at(&self, instant: Instant) -> Stamp {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let since = micros(instant.saturating_duration_since(self.anchor));
        let before = micros(self.anchor.saturating_duration_since(instant));
        let stamp = self.anchor_stamp.0.saturating_add(since).saturating_sub(before);
        Stamp(stamp.min(Stamp::MAX.0))
    }

    /// The stamp of a moment: unlike [`Self::stamp_at`] also of one before the machine was suspended.
    pub fn stamp_of(&self, moment: Moment) -> Stamp {
        let stamp = self.stamp_at(moment.at).before(self.suspended.saturating_sub(moment.suspended));
        stamp.after(moment.suspended.saturating_sub(self.suspended))
    }

    /// The stamp of this instant.
    pub fn stamp(&self) -> Stamp {
        self.stamp_at(self.now())
    }
}

/// The wall clock that the anchor is compared with: the machine's, or one that a test sets.
#[derive(Clone)]
pub struct Wall(Arc<dyn Fn() -> Stamp + Send + Sync>);

impl Wall {
    /// The machine's.
    pub fn machine() -> Self {
        Self::new(wall)
    }

    /// One that shows whatever `read` says.
    pub fn new(read: impl Fn() -> Stamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Its current time.
    pub fn read(&self) -> Stamp {
        (self.0)()
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wall").field(&self.read()).finish()
    }
}

/// The clock since boot, which runs on while the machine is suspended, beside the monotonic one: the machine's, or one
/// that a test sets.
#[derive(Clone)]
pub struct Boot(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Boot {
    /// The machine's.
    pub fn machine() -> Self {
        Self::new(suspended)
    }

    /// One by which the machine has been suspended for as long as `read` says; it never says less than before.
    pub fn new(read: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// For how long the machine has been suspended since it booted: how far this clock is ahead of the monotonic one.
    pub fn suspended(&self) -> Duration {
        (self.0)()
    }
}

impl fmt::Debug for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Boot").field(&self.suspended()).finish()
    }
}

/// Sleeps until `deadline`; for ever where there is none.
pub async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Makes stamps strictly increase over everything one process writes.
#[derive(Debug)]
pub struct Stamper {
    last: Stamp,
}

impl Stamper {
    /// A stamper whose first stamp is later than `last`.
    pub fn after(last: Stamp) -> Self {
        Self { last }
    }

    /// `wanted`, raised to one microsecond past the last stamp where it is not later than that.
    pub fn raise(&mut self, wanted: Stamp) -> Stamp {
        self.last = wanted.max(self.last.next());
        self.last
    }

    /// The last stamp made.
    pub fn last(&self) -> Stamp {
        self.last
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn wall() -> Stamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX).min(Stamp::MAX.0))
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the monotonic clock")]
fn monotonic() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Boot time is read first: a delay between the two makes the result too small, never too great, and the next read
/// corrects it.
fn suspended() -> Duration {
    let [boot, monotonic] = [ClockId::Boottime, ClockId::Monotonic].map(clock_gettime).map(since_zero);
    boot.saturating_sub(monotonic)
}

/// The monotonic clock as the system counts it, for programs that compare it with theirs.
pub fn since_boot() -> Duration {
    since_zero(clock_gettime(ClockId::Monotonic))
}

fn since_zero(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_slept_is_in_the_stamps_behind_it_alone() {
        let second = Duration::from_secs(1);
        let clock = Clock::anchored(Stamp(1_000_000)).resumed(second);
        let moment = |suspended| Moment { at: clock.anchor + second, suspended };
        let resumed = clock.resumed(600 * second);
        assert_eq!(resumed.stamp_at(clock.anchor + second), Stamp(602_000_000));
        assert_eq!(resumed.stamp_of(moment(600 * second)), Stamp(602_000_000));
        assert_eq!(resumed.stamp_of(moment(second)), Stamp(3_000_000), "before it was suspended");
        assert_eq!(clock.stamp_of(moment(600 * second)), Stamp(602_000_000), "before the clock was told");
        assert_eq!(resumed.resumed(second), resumed, "it never goes back");
        assert_eq!(moment(600 * second).since(moment(second)), 599 * second);
    }

    #[test]
    fn stamps_follow_the_monotonic_clock_from_the_anchor() {
        let clock = Clock::anchored(Stamp(1_000_000));
        let instant = clock.anchor;
        assert_eq!(clock.stamp_at(instant + Duration::from_millis(5)), Stamp(1_005_000));
        assert_eq!(clock.stamp_at(instant - Duration::from_micros(7)), Stamp(999_993));
    }

    #[test]
    fn a_stamper_never_repeats_nor_goes_back() {
        let mut stamper = Stamper::after(Stamp(10));
        assert_eq!(stamper.raise(Stamp(5)), Stamp(11));
        assert_eq!(stamper.raise(Stamp(11)), Stamp(12));
        assert_eq!(stamper.raise(Stamp(40)), Stamp(40));
    }

    #[test]
    fn periods_begin_at_utc_boundaries() {
        let day = Duration::from_secs(86_400);
        let stamp = Stamp(1_795_317_064_154_123);
        assert_eq!(stamp.period_start(day).0 % 86_400_000_000, 0);
        assert!(stamp.period_start(day) <= stamp);
    }

    #[test]
    fn stamps_stay_exact_in_a_double() {
        assert_eq!(Stamp::from_micros(1 << 53), None);
        assert_eq!(Stamp::MAX.next(), Stamp::MAX);
    }
}
