//! Liveness: when the exchange sends its status, and when it drops an idle client.

use crate::clock::Stamp;
use std::time::Duration;

/// The interval of `{"status":"UP"}` frames.
const UP_EVERY: Duration = Duration::from_secs(10);

/// One connection's two timers.
#[derive(Clone, Debug)]
pub(super) struct Keepalive {
    opened: Stamp,
    idle_limit: Duration,
    last_traffic: Stamp,
    next_up: Option<Stamp>,
}

impl Keepalive {
    /// A connection that has just been opened.
    pub(super) fn new(now: Stamp, idle_limit: Duration) -> Self {
        Self { opened: now, idle_limit, last_traffic: now, next_up: None }
    }

    /// Restarts the idle timer after traffic in either direction.
    pub(super) fn traffic(&mut self, now: Stamp) {
        self.last_traffic = self.last_traffic.max(now);
    }

    /// The client has sent `PING`: from now on the status comes every 10 s, on a grid of the connection's own, so the
    /// first one within 10 s. A second `PING` changes nothing.
    pub(super) fn switch_on(&mut self, now: Stamp) {
        if self.next_up.is_none() {
            let age = now.since(self.opened);
            let periods = age.as_secs() / UP_EVERY.as_secs() + 1;
            self.next_up = Some(self.opened.after(Duration::from_secs(periods * UP_EVERY.as_secs())));
        }
    }

    /// Whether a status is due; if so, the next is due 10 s later.
    pub(super) fn status_is_due(&mut self, now: Stamp) -> bool {
        match self.next_up {
            Some(due) if due <= now => {
                self.next_up = Some(due.after(UP_EVERY));
                true
            }
            _ => false,
        }
    }

    /// Whether the connection has been idle for too long.
    pub(super) fn is_over(&self, now: Stamp) -> bool {
        self.idle_deadline() <= now
    }

    /// The earlier of the two timers.
    pub(super) fn deadline(&self) -> Stamp {
        self.next_up.map_or(self.idle_deadline(), |up| up.min(self.idle_deadline()))
    }

    fn idle_deadline(&self) -> Stamp {
        self.last_traffic.after(self.idle_limit)
    }
}
