//! What the service manager is told: readiness, the status line, reloads, and that the recorder's loop turns.
//!
//! ```text
//! driver ──started, ready, status, reloading, watchdog, stopping──▶ newest Condition ──▶ Announcer ──▶ $NOTIFY_SOCKET
//!          Notifier: never waits                            thread of its own, which alone may wait
//! ```
//!
//! A send waits while the service manager's queue is full, as while it executes itself anew. The network's thread must not
//! wait for that, so it only replaces the newest condition; whoever sends catches up with it. Nothing queues, and nothing is
//! lost by being late.

mod announcer;

use crate::clock;
use crate::printable;
use announcer::{Announcer, Condition, News};
use sd_notify::NotifyState;
use std::io;
use tokio::sync::watch;

/// The variable that names the service manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells the service manager, without waiting; without one it does nothing.
#[derive(Clone, Debug)]
pub struct Notifier(Option<watch::Sender<Condition>>);

/// The receiving end, which sends.
#[derive(Debug)]
pub struct Messenger(watch::Receiver<Condition>);

impl Notifier {
    /// Both ends where a service manager has started this process and wants to be told; else no receiving end.
    pub fn of_process() -> (Self, Option<Messenger>) {
        if std::env::var_os(SOCKET).is_none_or(|socket| socket.is_empty()) {
            return (Self(None), None);
        }
        let (sender, receiver) = watch::channel(Condition::default());
        (Self(Some(sender)), Some(Messenger(receiver)))
    }

    /// Whether anybody is told.
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// The start is done: lock, recovery and connections stand.
    pub fn started(&self) {
        self.change(|condition| condition.is_ready = true);
    }

    /// A reload has ended, whatever came of it.
    pub fn ready(&self) {
        self.change(|condition| condition.reloads_ended = condition.reloads_begun);
    }

    /// A reload begins, until [`Self::ready`].
    pub fn reloading(&self) {
        self.change(|condition| condition.reloads_begun += 1);
    }

    /// One line for operators: what is recorded, or what is waited for.
    pub fn status(&self, line: &str) {
        self.change(|condition| condition.status = printable::whole(line));
    }

    /// The loop has turned.
    pub fn watchdog(&self) {
        self.change(|condition| condition.turns += 1);
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.change(|condition| condition.is_stopping = true);
    }

    /// Tells the end, however short it was, and waits until everything is sent. Who does not read is waited for without end.
    pub async fn end(&self) {
        self.change(|condition| (condition.is_stopping, condition.is_over) = (true, true));
        if let Some(condition) = &self.0 {
            condition.closed().await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Condition)) {
        if let Some(condition) = &self.0 {
            condition.send_modify(change);
        }
    }
}

impl Messenger {
    /// Sends what is new until [`Notifier::end`], or until the last one is dropped. Every send may wait for the service manager.
    pub async fn run(mut self) {
        let mut announcer = Announcer::default();
        while self.0.changed().await.is_ok() {
            let condition = self.0.borrow_and_update().clone();
            let is_over = condition.is_over;
            let news = announcer.news(condition);
            for message in &news {
                if let Err(error) = send(message) {
                    tracing::debug!(%error, ?message, "the service manager was not told");
                }
            }
            if is_over {
                return;
            }
        }
    }
}

fn send(message: &News) -> io::Result<()> {
    match message {
        News::Ready => sd_notify::notify(&[NotifyState::Ready]),
        // systemd 253 and newer tells by the time which reload is meant.
        News::Reloading => {
            let now = i128::try_from(clock::since_boot().as_micros()).unwrap_or(i128::MAX);
            sd_notify::notify(&[NotifyState::Reloading, NotifyState::MonotonicUsec(now)])
        }
        News::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        News::Status(line) => sd_notify::notify(&[NotifyState::Status(line)]),
        News::Turned => sd_notify::notify(&[NotifyState::Watchdog]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_where_nobody_asked() {
        // Tests run without a service manager.
        let (notifier, messenger) = Notifier::of_process();
        notifier.started();
        assert!(!notifier.is_heard() && messenger.is_none());
    }
}
