//! What a connection is doing, and the pause in reading that belongs to it.

use super::pause::Pause;
use super::socket::OpenSocket;
use super::timer::TimerTable;
use crate::clock::Moment;
use crate::tape::words::Stage;

/// See the module.
#[derive(Debug)]
pub(super) enum State {
    /// Until [`Timer::Retry`](super::timer::Timer::Retry), which is not armed while there is nothing to subscribe to.
    Waiting {
        /// A new request is a reason to try at once.
        refused_request: bool,
    },
    /// The shell opens a socket.
    Dialing,
    /// A socket is open.
    Open(Box<OpenSocket>),
    /// Until the exchange's answer, or [`Timer::Close`](super::timer::Timer::Close).
    Closing {
        /// How far it had come.
        stage: Stage,
        /// Frames that waited in it may still be read.
        pause: Option<Pause>,
    },
    /// Nothing will ever happen again.
    Finished,
}

impl State {
    /// The pause that goes on.
    pub(super) fn pause(&self) -> Option<&Pause> {
        match self {
            Self::Open(socket) => socket.pause(),
            Self::Closing { pause, .. } => pause.as_ref(),
            Self::Waiting { .. } | Self::Dialing | Self::Finished => None,
        }
    }

    /// Ends it, because all that waited is read or because the connection is `lost`; returns it where it is to be on
    /// record.
    pub(super) fn end_pause(&mut self, to: Moment, lost: bool, timers: &mut TimerTable) -> Option<Pause> {
        match self {
            Self::Open(socket) => socket.end_pause(to, lost, timers),
            Self::Closing { pause, .. } => pause.take().filter(|pause| pause.is_noted(to)),
            Self::Waiting { .. } | Self::Dialing | Self::Finished => None,
        }
    }
}
