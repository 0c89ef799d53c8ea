//! The planned faults as one connection meets them.

use super::output::Output;
use crate::clock::Stamp;
use crate::replay::faults::{Fault, Faults};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A flood comes in portions, one every 10 ms.
const FLOOD_EVERY: Duration = Duration::from_millis(10);

/// Malformed or misleading frames, which a client must not take for data.
const GARBAGE: [&[u8]; 9] = [
    b"",
    b"\xff\xfe{\"type\":\"trade\"}",
    b"{\"type\":\"trade\",\"code\":\"KRW-BTC\"",
    b"PONG",
    b"null",
    b"[]",
    b"{\"type\":\"recorder\",\"code\":\"KRW-BTC\"}",
    b"{\"type\":\"../../x\",\"code\":\"../../x\"}",
    b"{\"type\":\"trade\",\"code\":\"KRW-BTC\",\"ts_recv\":1}",
];

/// One connection's share of the faults.
pub(super) struct Disturbance {
    pub(super) faults: Arc<Faults>,
    /// One-time faults up to this stamp have been emitted.
    done: Stamp,
    /// When the next portion of a flood is due, while there is one.
    flood_due: Stamp,
    /// The last frame sent, which a flood repeats.
    last: Bytes,
}

impl Disturbance {
    /// A connection that was opened at `now`, without faults.
    pub(super) fn new(now: Stamp) -> Self {
        let last = Bytes::from_static(br#"{"status":"UP"}"#);
        Self { faults: Arc::default(), done: now, flood_due: now, last }
    }

    /// Remembers a frame that was sent.
    pub(super) fn saw(&mut self, frame: &Bytes) {
        self.last = frame.clone();
    }

    /// The outputs that the faults add at `now`.
    pub(super) fn poll(&mut self, now: Stamp) -> Vec<Output> {
        if self.faults.is_empty() {
            return Vec::new();
        }
        let mut outputs: Vec<Output> = self.faults.sudden(self.done, now).flat_map(sudden).collect();
        self.done = now;
        let flood = self.flood(now);
        if flood > 0 && self.flood_due <= now {
            self.flood_due = now.after(FLOOD_EVERY);
            let portion = (u128::from(flood) * FLOOD_EVERY.as_micros()).div_ceil(1_000_000);
            outputs.extend((0..portion).map(|_| Output::Frame(self.last.clone())));
        }
        outputs
    }

    /// Whether the connection is to be cut, regardless of pending frames.
    pub(super) fn cuts(&self, now: Stamp) -> bool {
        self.faults.sudden(self.done, now).any(|fault| *fault == Fault::Drop)
    }

    /// The next time at which the faults change or add an output.
    pub(super) fn deadline(&self, now: Stamp) -> Option<Stamp> {
        let flood = (self.flood(now) > 0).then_some(self.flood_due);
        flood.into_iter().chain(self.faults.next_change(now)).min()
    }

    fn flood(&self, now: Stamp) -> u32 {
        let flood = |fault: &Fault| if let Fault::Flood(rate) = fault { Some(*rate) } else { None };
        self.faults.active(now).filter_map(flood).sum()
    }
}

fn sudden(fault: &Fault) -> Vec<Output> {
    match fault {
        Fault::Drop => vec![Output::Drop],
        Fault::Close(code) => vec![Output::Close(*code)],
        Fault::Half => vec![Output::Half],
        Fault::Garbage => GARBAGE.iter().map(|frame| Output::Frame(Bytes::from_static(frame))).collect(),
        Fault::Huge(bytes) => {
            let filling = "x".repeat(usize::try_from(*bytes).unwrap_or(0));
            vec![Output::Frame(format!(r#"{{"type":"trade","code":"KRW-BTC","x":"{filling}"}}"#).into())]
        }
        _ => Vec::new(),
    }
}
