//! The deadlines of a session, in one table.
//!
//! ```text
//! state     timers, in the order in which those that expired are handled
//! Waiting   Retry
//! Closing   Close
//! Open      Pong, Assembly, Send, RefusalGrace     the socket is lost
//!           Ping, Standing, Streams                due on a socket that is not
//!           Budget, Auxiliary                      messages that may leave now
//! ```
//!
//! A change of state clears the table: no deadline outlives the state that set it.

use crate::clock::Instant;

/// The kinds of deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The next attempt.
    Retry,
    /// The exchange's answer to our close frame.
    Close,
    /// Any byte in answer to a ping.
    Pong,
    /// The end of a message that was begun.
    Assembly,
    /// The departure of bytes handed to the socket.
    Send,
    /// The close that follows an error.
    RefusalGrace,
    /// The next ping.
    Ping,
    /// A request counts as accepted although it has brought no data.
    Standing,
    /// The stream watchdog.
    Streams,
    /// The message budget lets the next message through.
    Budget,
    /// The next auxiliary message.
    Auxiliary,
}

impl Timer {
    /// Every timer, in the order of handling: losing the socket comes first, since it makes the rest void.
    pub(super) const ALL: [Self; 11] = [
        Self::Retry,
        Self::Close,
        Self::Pong,
        Self::Assembly,
        Self::Send,
        Self::RefusalGrace,
        Self::Ping,
        Self::Standing,
        Self::Streams,
        Self::Budget,
        Self::Auxiliary,
    ];
}

/// The deadline of each [`Timer`] that is armed.
#[derive(Debug, Default)]
pub(super) struct TimerTable([Option<Instant>; Timer::ALL.len()]);

impl TimerTable {
    /// Arms a timer, or disarms it (`None`).
    pub(super) fn set(&mut self, timer: Timer, at: impl Into<Option<Instant>>) {
        self.0[timer as usize] = at.into();
    }

    /// Arms a timer that is not armed yet; an armed one keeps its earlier deadline.
    pub(super) fn set_once(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize].get_or_insert(at);
    }

    /// Disarms a timer.
    pub(super) fn stop(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Whether a timer is armed.
    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].is_some()
    }

    /// Disarms a timer whose deadline has come; `false` where it has not.
    pub(super) fn take_expired(&mut self, timer: Timer, now: Instant) -> bool {
        self.0[timer as usize].take_if(|at| now >= *at).is_some()
    }

    /// The earliest deadline.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }
}
