//! The frames of one read of the socket: the unit that crosses a queue.
//!
//! ```text
//! bytes  {"type":"trade","code":"KRW-BTC",…}{"type":"ticker",…}trade KRW-BTC ticker …
//!        └── object ──────────────────────┘                    └── names ─────────┘
//! records[i] = received, spans of the object and of its names
//! ```
//!
//! One buffer for all, no allocation per frame. A batch holds a permit of the connection's byte budget until it is
//! dropped, which is after its lines were copied to the journal's buffers. Its own buffers then serve the next one
//! ([`Spares`]): under load the kernel would otherwise take their pages back, and zero them for each batch anew.

use crate::clock::Instant;
use crate::upbit::message::{self, Part};
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// The target size of a batch: reading stops at the message that crosses it.
///
/// Large enough that the cost of a queue slot vanishes, small enough that it passes in well under a millisecond.
pub const BATCH_BYTES: usize = 256 * 1024;

/// Memory for each part in the queue to the disk: its stamp and its stream.
const NOTED_BYTES: usize = 16;

/// Memory for each part beside its bytes.
const RECORD_BYTES: usize = size_of::<Record>() + NOTED_BYTES;

/// Memory for a batch beside its contents: itself, its slot in two queues, and the allocator's share of its buffers.
const BATCH_OVERHEAD: usize = 512;

/// How many times its size a message may take beside its copy in the batch: the buffer that it is received into, and
/// the one of twice the size that this is copied to when it grows.
const RECEIVING: usize = 3;

/// Batches whose buffers are kept: one is read into, one is with the supervisor, two wait for the writer.
const SPARES: usize = 4;

/// Smaller buffers are made as fast as they are found again, and greater ones held an unusual message, bytes.
const SPARE_BYTES: Range<usize> = BATCH_BYTES / 8..2 * BATCH_BYTES + 1;

/// The room, in bytes, that is reserved before a read: a batch, one message on top of it, and its receive buffers.
pub fn room_needed(max_message_bytes: usize) -> u32 {
    let message = max_message_bytes.saturating_mul(1 + RECEIVING);
    u32::try_from(BATCH_BYTES.saturating_add(message)).unwrap_or(u32::MAX)
}

/// Frames that left the socket together, taken apart. Its `Debug` shows no byte of them: they may be private.
#[derive(Default)]
pub struct Batch {
    buffers: Buffers,
    seen: Seen,
    data: Option<DataSpan>,
    room: Option<OwnedSemaphorePermit>,
    spares: Option<Spares>,
}

/// Empty buffers of batches that were dropped, on whichever thread.
#[derive(Clone, Default)]
pub struct Spares(Arc<Mutex<Vec<Buffers>>>);

#[derive(Default)]
struct Buffers {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

impl Spares {
    /// A batch that takes buffers from here with its first frame, and leaves its own when it is dropped.
    pub fn batch(&self) -> Batch {
        let mut batch = Batch::default();
        batch.spares = Some(self.clone());
        batch
    }

    fn take(&self) -> Buffers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn leave(&self, mut buffers: Buffers) {
        let is_usual = buffers.records.capacity() * RECORD_BYTES < SPARE_BYTES.end;
        if !is_usual || !SPARE_BYTES.contains(&buffers.bytes.capacity()) {
            return;
        }
        buffers.bytes.clear();
        buffers.records.clear();
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARES {
            spares.push(buffers);
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(spares) = self.spares.take() {
            spares.leave(std::mem::take(&mut self.buffers));
        }
    }
}

/// One part of a frame inside a batch.
#[derive(Debug)]
struct Record {
    received: Instant,
    body: Range<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Data { kind: Range<usize>, code: Option<Range<usize>> },
    Control,
    Unreadable,
}

/// One part of a frame, as the supervisor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// An object that names its stream; the names are unescaped and otherwise unchecked.
    Data {
        /// The object as received.
        object: &'a [u8],
        /// `type` or `ty`.
        kind: &'a str,
        /// `code` or `cd`.
        code: Option<&'a str>,
    },
    /// An object that belongs to no stream: status, error, reply, nameless.
    Control {
        /// The object as received.
        object: &'a [u8],
    },
    /// Bytes that cannot stand in a line of their own.
    Unreadable {
        /// The bytes as received.
        bytes: &'a [u8],
    },
}

/// The span of the data of subscribed streams in a batch: the indices of the first and the last such entry, from 0.
/// Entries between them may be of any kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSpan {
    /// The first of them.
    pub first: usize,
    /// The last of them.
    pub last: usize,
}

/// The kinds of control objects in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// It held a refusal.
    pub error: bool,
    /// It held the answer to a method.
    pub reply: bool,
    /// It held a status.
    pub status: bool,
}

impl Entry<'_> {
    /// Bytes as received.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Data { object, .. } | Self::Control { object } => object.len(),
            Self::Unreadable { bytes } => bytes.len(),
        }
    }
}

impl Batch {
    /// Takes a whole frame in, whatever its size; `received` is when it left the socket.
    pub fn push(&mut self, frame: &[u8], received: Instant) {
        message::parse(frame, &mut |part| self.push_part(&part, received));
    }

    /// Takes a frame in from the offset `from` (0, or returned for the batch before) until the batch is full. Returns
    /// the offset at which the next batch continues, `None` where the frame is at its end.
    pub fn fill(&mut self, frame: &[u8], from: usize, received: Instant) -> Option<usize> {
        message::parse_from(frame, from, &mut |part| {
            self.push_part(&part, received);
            if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    /// The kinds of control objects of all frames together.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Where the data of subscribed streams lie, as marked by the session; `None`: there are none.
    pub fn data(&self) -> Option<DataSpan> {
        self.data
    }

    /// Marks where the data of subscribed streams lie: they prove the feed's liveness.
    pub fn mark_data(&mut self, data: Option<DataSpan>) {
        self.data = data;
    }

    /// When an entry left the socket.
    pub fn received(&self, entry: usize) -> Option<Instant> {
        self.buffers.records.get(entry).map(|record| record.received)
    }

    /// Whether reading should stop here.
    pub fn is_full(&self) -> bool {
        self.buffers.bytes.len() + self.buffers.records.len() * RECORD_BYTES >= BATCH_BYTES
    }

    /// Bytes of memory: the buffers of the frames, the records of their parts here and in the queue to the disk, and
    /// the batch itself. A million tiny frames, or a thousand tiny batches, cost more in records than in bytes.
    pub fn cost(&self) -> usize {
        self.buffers.bytes.capacity() + self.buffers.records.capacity() * RECORD_BYTES + BATCH_OVERHEAD
    }

    /// Whether nothing was taken in.
    pub fn is_empty(&self) -> bool {
        self.buffers.records.is_empty()
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.buffers.bytes.len()
    }

    /// Keeps `room` in the queue's budget until the batch is dropped.
    pub fn hold(&mut self, room: OwnedSemaphorePermit) {
        self.room = Some(room);
    }

    /// The parts in the order of arrival, each with the time it was received.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (Instant, Entry<'_>)> {
        self.buffers.records.iter().map(|record| (record.received, self.entry(record)))
    }

    /// The objects that belong to no stream, in the order of arrival.
    pub fn controls(&self) -> impl Iterator<Item = &[u8]> {
        self.entries().filter_map(|(_, entry)| match entry {
            Entry::Control { object } => Some(object),
            Entry::Data { .. } | Entry::Unreadable { .. } => None,
        })
    }

    fn push_part(&mut self, part: &Part<'_>, received: Instant) {
        if self.is_empty()
            && let Some(spares) = &self.spares
        {
            self.buffers = spares.take();
        }
        match part {
            Part::Error { .. } => self.seen.error = true,
            Part::Reply { .. } => self.seen.reply = true,
            Part::Status { .. } => self.seen.status = true,
            Part::Data { .. } | Part::Nameless { .. } | Part::Unreadable { .. } => {}
        }
        let (body, kind) = match part {
            Part::Data { object, kind, code } => {
                let body = self.copy(object.as_bytes());
                let kind = self.copy(kind.as_bytes());
                let code = code.as_ref().map(|code| self.copy(code.as_bytes()));
                (body, Kind::Data { kind, code })
            }
            Part::Status { object } | Part::Error { object } | Part::Reply { object } | Part::Nameless { object } => {
                (self.copy(object.as_bytes()), Kind::Control)
            }
            Part::Unreadable { bytes } => (self.copy(bytes), Kind::Unreadable),
        };
        self.buffers.records.push(Record { received, body, kind });
    }

    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.buffers.bytes.len();
        self.buffers.bytes.extend_from_slice(bytes);
        start..self.buffers.bytes.len()
    }

    fn entry(&self, record: &Record) -> Entry<'_> {
        let body = &self.buffers.bytes[record.body.clone()];
        let name = |range: &Range<usize>| {
            std::str::from_utf8(&self.buffers.bytes[range.clone()]).expect("a name was copied from a string")
        };
        match &record.kind {
            Kind::Data { kind, code } => Entry::Data { object: body, kind: name(kind), code: code.as_ref().map(name) },
            Kind::Control => Entry::Control { object: body },
            Kind::Unreadable => Entry::Unreadable { bytes: body },
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("parts", &self.buffers.records.len())
            .field("bytes", &self.buffers.bytes.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Stamp};
    use proptest::prelude::*;

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let now = Clock::anchored(Stamp::MAX).now();
        let mut batch = Batch::default();
        batch.push(br#"[{"ty":"trade","cd":"A-B"},{"ty":"x"}]"#, now);
        assert_eq!(batch.seen(), Seen::default());
        batch.push(br#"{"error":{}}"#, now);
        assert_eq!(batch.seen(), Seen { error: true, ..Seen::default() });
        batch.push(b"nonsense", now);
        let entries: Vec<_> = batch.entries().map(|(_, entry)| entry).collect();
        assert_eq!(
            entries,
            [
                Entry::Data { object: br#"{"ty":"trade","cd":"A-B"}"#, kind: "trade", code: Some("A-B") },
                Entry::Data { object: br#"{"ty":"x"}"#, kind: "x", code: None },
                Entry::Control { object: br#"{"error":{}}"# },
                Entry::Unreadable { bytes: b"nonsense" },
            ]
        );
    }

    #[test]
    fn a_list_of_small_objects_goes_into_many_small_batches() {
        let now = Clock::anchored(Stamp::MAX).now();
        let frame = format!("[{}{{}}]", r#"{},{"a":1},"#.repeat(100_000));
        let (mut from, mut parts) = (Some(0), 0);
        while let Some(at) = from {
            let mut batch = Batch::default();
            from = batch.fill(frame.as_bytes(), at, now);
            assert!(batch.cost() < 2 * BATCH_BYTES, "{}", batch.cost());
            parts += batch.entries().len();
        }
        assert_eq!(parts, 200_001);
    }

    #[test]
    fn buffers_serve_again_and_hold_nothing_of_before() {
        let now = Clock::anchored(Stamp::MAX).now();
        let spares = Spares::default();
        let frame = |bytes: usize| format!(r#"{{"ty":"trade","cd":"A-B","x":"{}"}}"#, "y".repeat(bytes)).into_bytes();
        let kept = || spares.0.lock().unwrap().len();
        let filled = |bytes: usize| {
            let mut batch = spares.batch();
            while !batch.is_full() {
                batch.push(&frame(bytes), now);
            }
            batch
        };
        drop((spares.batch(), filled(BATCH_BYTES * 3)));
        assert_eq!(kept(), 0, "an empty batch has none, and those of a giant go");
        let batches: Vec<Batch> = (0..2 * SPARES).map(|_| filled(3_000)).collect();
        std::thread::scope(|scope| _ = scope.spawn(|| drop(batches)));
        assert_eq!(kept(), SPARES);
        let mut batch = spares.batch();
        assert_eq!((kept(), batch.len()), (SPARES, 0), "nothing is taken before a frame is there");
        batch.push(&frame(1), now);
        assert_eq!((kept(), batch.entries().len(), batch.len()), (SPARES - 1, 1, frame(1).len() + "tradeA-B".len()));
        assert!(batch.cost() >= BATCH_BYTES, "what it holds is counted, used or not");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        /// However a list is cut, its parts are those of the whole.
        #[test]
        fn a_frame_in_portions_is_the_whole_frame(objects in proptest::collection::vec(0..60_000_usize, 1..40)) {
            let now = Clock::anchored(Stamp::MAX).now();
            let objects: Vec<String> = objects.iter().map(|&n| format!(r#"{{"x":"{}"}}"#, "y".repeat(n))).collect();
            let frame = format!("[{}]", objects.join(","));
            let (mut from, mut parts) = (Some(0), Vec::new());
            while let Some(at) = from {
                let mut batch = Batch::default();
                from = batch.fill(frame.as_bytes(), at, now);
                prop_assert!(batch.cost() < 2 * (BATCH_BYTES + 61_000));
                parts.extend(batch.controls().map(<[u8]>::to_vec));
            }
            prop_assert!(parts.iter().map(Vec::as_slice).eq(objects.iter().map(String::as_bytes)));
        }
    }
}
