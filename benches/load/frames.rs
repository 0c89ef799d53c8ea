//! Frames as the exchange sends them, made in advance, with their WebSocket headers, in one buffer.

use std::time::Duration;

/// How much is handed to the kernel at once, so that a ping is answered between two of them.
const CHUNK: usize = 1024 * 1024;

/// Digits of the time of the send, µs since the epoch, which end a frame of the market: `…,"sent":1000000000000000}`.
pub(crate) const SENT: std::ops::Range<usize> = 1..17;

/// Frames and when each is due.
#[derive(Default)]
pub(crate) struct Frames {
    bytes: Vec<u8>,
    /// Where each part that is written at once ends: a chunk of many frames, or a frame of the market.
    ends: Vec<usize>,
    /// After the beginning, one for each of the last ends; earlier ones are due at once.
    due: Vec<Duration>,
    count: usize,
    payload: usize,
}

/// What is written at once.
pub(crate) struct Portion<'a> {
    pub(crate) bytes: &'a [u8],
    /// After the beginning; `None`: as soon as it is taken.
    pub(crate) due: Option<Duration>,
}

impl Frames {
    /// With a binary frame of `text` more, in a chunk with others.
    pub(crate) fn push(&mut self, text: &str) {
        self.append(text);
        let begin = self.ends.last().copied().unwrap_or_default();
        if self.bytes.len() - begin >= CHUNK {
            self.ends.push(self.bytes.len());
        }
    }

    /// With a binary frame of `text` more, which is written alone when it is due.
    pub(crate) fn push_due(&mut self, text: &str, due: Duration) {
        self.seal();
        self.append(text);
        self.ends.push(self.bytes.len());
        self.due.push(due);
    }

    /// With a last one, of a stream of its own.
    pub(crate) fn finish(mut self) -> Self {
        let end = r#"{"type":"trade","code":"KRW-END","stream_type":"REALTIME","sent":1000000000000000}"#;
        match self.due.last() {
            Some(due) => self.push_due(end, *due + Duration::from_millis(1)),
            None => self.push(end),
        }
        self.seal();
        self
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Bytes of all, without their WebSocket headers.
    pub(crate) fn payload(&self) -> usize {
        self.payload
    }

    /// Bytes of all.
    pub(crate) fn sent(&self) -> usize {
        self.bytes.len()
    }

    /// In the order of sending.
    pub(crate) fn portions(&self) -> impl Iterator<Item = Portion<'_>> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let at_once = self.ends.len() - self.due.len();
        begins.zip(&self.ends).enumerate().map(move |(index, (begin, end))| Portion {
            bytes: &self.bytes[begin..*end],
            due: index.checked_sub(at_once).map(|index| self.due[index]),
        })
    }

    fn seal(&mut self) {
        if self.ends.last().copied().unwrap_or_default() < self.bytes.len() {
            self.ends.push(self.bytes.len());
        }
    }

    /// RFC 6455, 5.2: final, binary, not masked.
    fn append(&mut self, text: &str) {
        self.bytes.push(0x82);
        match u16::try_from(text.len()).expect("a frame of less than 64 KiB") {
            length @ ..=125 => self.bytes.push(length.to_le_bytes()[0]),
            length => {
                self.bytes.push(126);
                self.bytes.extend(length.to_be_bytes());
            }
        }
        self.bytes.extend(text.as_bytes());
        self.count += 1;
        self.payload += text.len();
    }
}
