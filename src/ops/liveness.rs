//! Whether the loops turn, by the newest snapshot. Pure.
//!
//! ```text
//! supervisor    its last turn is that of the snapshot: it takes one each second, whatever the disk does
//! writer, syncer, sealer    may wait for the disk as long as it takes: told, and no reason to restart a process
//! ```
//!
//! It proves that the thread of the network turns, with the supervisor and both connections on it, and never that bytes
//! flow: an exchange in maintenance brings none for hours.

use super::status::Status;
use crate::clock::Instant;
use crate::counters::turns::Turn;
use std::time::Duration;

/// How long the supervisor may go without a turn: ten of them. A machine that is suspended stops this clock, too.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A loop of the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loop {
    /// The thread of the network: the supervisor and both connections.
    Supervisor,
    /// Writes lines.
    Writer,
    /// Makes them durable.
    Syncer,
    /// Compresses ended segments.
    Sealer,
}

impl Loop {
    /// As in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::Writer => "writer",
            Self::Syncer => "syncer",
            Self::Sealer => "sealer",
        }
    }
}

/// For how long each loop has been at its last work, at `now`; zero for one that waits for some. The supervisor's time is
/// that since its last turn.
pub fn busy(status: &Status, now: Instant) -> [(Loop, Duration); 4] {
    let since = |at: Instant| now.saturating_duration_since(at);
    let work = |turn: Option<Turn>| turn.filter(|turn| turn.is_busy).map_or(Duration::ZERO, |turn| since(turn.at));
    [
        (Loop::Supervisor, status.turned.map_or(Duration::ZERO, since)),
        (Loop::Writer, work(status.hosts.writer)),
        (Loop::Syncer, work(status.hosts.syncer)),
        (Loop::Sealer, work(status.hosts.sealer)),
    ]
}

/// For how long the supervisor has hung at `now`; `None`: it turns, or the start is not done, which a slow disk may hold
/// up as long as it likes.
pub fn hangs(status: &Status, now: Instant) -> Option<Duration> {
    let without = now.saturating_duration_since(status.turned?);
    (without > PATIENCE).then_some(without)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use crate::ops::status::Hosts;

    #[test]
    fn a_loop_without_a_turn_hangs_and_a_disk_does_not() {
        let start = Clock::anchored(Stamp::default()).now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(hangs(&Status::default(), at(1_000)), None, "the start is not done");
        let syncer = Some(Turn { at: start, is_busy: true });
        let sealer = Some(Turn { at: start, is_busy: false });
        let hosts = Hosts { syncer, sealer, ..Hosts::default() };
        let status = Status { turned: Some(at(600)), hosts, ..Status::default() };
        assert_eq!(hangs(&status, at(610)), None);
        assert_eq!(hangs(&status, at(611)), Some(Duration::from_secs(11)));
        let busy = busy(&status, at(611)).map(|(host, length)| (host.as_str(), length.as_secs()));
        assert_eq!(busy, [("supervisor", 11), ("writer", 0), ("syncer", 611), ("sealer", 0)]);
    }
}
