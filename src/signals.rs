//! Signals become tokens and requests, which the program polls.
//!
//! ```text
//! SIGTERM, SIGINT   first: Shutdown::orderly    second: Shutdown::now    third: the process ends itself
//! SIGHUP            Request::Reload
//! SIGUSR1           Request::Rotate
//! SIGXFSZ           nothing: a file that reaches a limit of its size is a write that fails, and handled as such
//! ```
//!
//! A thread of its own waits for them, so that a third SIGINT ends even a program that hangs. A process with id 1 (in a
//! container) ignores signals without a handler, SIGTERM among them.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals as Arrivals;
use std::io;
use std::thread;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// How many reloads and rotations may wait. One more than these would ask for nothing new, and is left out.
const PENDING: usize = 4;

/// How the process is to end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Drain, then end: nothing is lost.
    pub orderly: CancellationToken,
    /// End at once.
    pub now: CancellationToken,
}

/// A request to a process that runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read the configuration again.
    Reload,
    /// Begin new files.
    Rotate,
}

/// Both, as they arrive.
#[derive(Debug)]
pub struct Signals {
    /// Fires with SIGTERM and SIGINT.
    pub shutdown: Shutdown,
    /// Holds SIGHUP and SIGUSR1.
    pub requests: mpsc::Receiver<Request>,
}

/// Begins to listen.
///
/// # Errors
///
/// The handlers cannot be installed or the thread cannot be started.
pub fn listen() -> io::Result<Signals> {
    let mut arrivals = Arrivals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGXFSZ])?;
    let shutdown = Shutdown::default();
    let (sender, requests) = mpsc::channel(PENDING);
    let listener = Listener { shutdown: shutdown.clone(), requests: sender };
    // Never joined: it waits for signals until the process ends.
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || arrivals.forever().for_each(|signal| listener.handle(signal)))?;
    Ok(Signals { shutdown, requests })
}

struct Listener {
    shutdown: Shutdown,
    requests: mpsc::Sender<Request>,
}

impl Listener {
    fn handle(&self, signal: i32) {
        match signal {
            SIGHUP => self.request(Request::Reload),
            SIGUSR1 => self.request(Request::Rotate),
            SIGXFSZ => {}
            _ if !self.shutdown.orderly.is_cancelled() => self.shutdown.orderly.cancel(),
            _ if !self.shutdown.now.is_cancelled() => self.shutdown.now.cancel(),
            // As a shell reports a process that a signal ended.
            other => signal_hook::low_level::exit(128 + other),
        }
    }

    fn request(&self, request: Request) {
        if self.requests.try_send(request).is_err() {
            tracing::debug!(?request, "left out, as enough requests are waiting");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> (Listener, Signals) {
        let shutdown = Shutdown::default();
        let (sender, requests) = mpsc::channel(PENDING);
        (Listener { shutdown: shutdown.clone(), requests: sender }, Signals { shutdown, requests })
    }

    #[test]
    fn the_first_stop_is_orderly_and_the_second_at_once() {
        let (listener, signals) = listener();
        listener.handle(SIGINT);
        assert!(signals.shutdown.orderly.is_cancelled() && !signals.shutdown.now.is_cancelled());
        listener.handle(SIGTERM);
        assert!(signals.shutdown.now.is_cancelled());
    }

    #[test]
    fn requests_wait_in_order_and_are_bounded() {
        let (listener, mut signals) = listener();
        listener.handle(SIGHUP);
        for _ in 0..10 {
            listener.handle(SIGUSR1);
        }
        let waiting: Vec<Request> = std::iter::from_fn(|| signals.requests.try_recv().ok()).collect();
        assert_eq!(waiting, [Request::Reload, Request::Rotate, Request::Rotate, Request::Rotate]);
        assert!(!signals.shutdown.orderly.is_cancelled());
    }

    #[tokio::test]
    async fn a_real_signal_arrives() {
        let mut signals = listen().unwrap();
        signal_hook::low_level::raise(SIGUSR1).unwrap();
        assert_eq!(signals.requests.recv().await, Some(Request::Rotate));
        signal_hook::low_level::raise(SIGTERM).unwrap();
        signals.shutdown.orderly.cancelled().await;
    }
}
