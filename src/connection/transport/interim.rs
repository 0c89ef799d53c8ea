//! Interim answers to an upgrade (100, 102, 103) taken out of the stream, since tungstenite expects one answer. Pure.
//!
//! ```text
//! Start ──"HTTP/1.1 103"──▶ Skipping ──empty line──▶ Start
//!   └────anything else────▶ the bytes held back, and everything behind them
//! ```
//!
//! No byte is read behind the one that decides, so that nothing has to be put back.

use crate::net::head;
use std::io;

/// Bytes that it takes to know the status: `HTTP/1.1 103`.
const START: usize = 12;

/// The longest interim answer: as long as a whole head may be.
const MOST_BYTES: usize = 16 * 1024;

/// The beginning of the stream, until its kind is known.
#[derive(Debug, Default)]
pub(super) struct Interim {
    held: Vec<u8>,
    is_skipping: bool,
    skipped: usize,
}

impl Interim {
    /// How many bytes may be read before [`Self::take`] is asked again, [`START`] at most.
    pub(super) fn wanted(&self) -> usize {
        if self.is_skipping { 1 } else { START - self.held.len() }
    }

    /// Takes the bytes read, none at the end of the stream; returns the beginning of the final answer.
    ///
    /// # Errors
    /// Interim answers are all that comes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.held.extend_from_slice(bytes);
        if bytes.is_empty() {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        if self.is_skipping && head::ends(&self.held) {
            (self.is_skipping, self.skipped) = (false, self.skipped + 1);
            self.held.clear();
        } else if self.is_skipping || self.held.len() < START {
            // More of the same.
        } else if is_interim(&self.held) {
            self.is_skipping = true;
        } else {
            return Ok(Some(std::mem::take(&mut self.held)));
        }
        if self.skipped > head::MOST_INTERIM || self.held.len() > MOST_BYTES {
            return Err(io::Error::other("interim answers without an end"));
        }
        Ok(None)
    }
}

fn is_interim(start: &[u8]) -> bool {
    let status = start.strip_prefix(b"HTTP/1.1 ").or_else(|| start.strip_prefix(b"HTTP/1.0 "));
    let status = status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.is_some_and(head::is_interim)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of `stream` that passes, read in the sizes wanted.
    fn through(stream: &[u8]) -> io::Result<Vec<u8>> {
        let (mut interim, mut rest) = (Interim::default(), stream);
        loop {
            let (now, later) = rest.split_at(rest.len().min(interim.wanted()));
            rest = later;
            if let Some(mut begun) = interim.take(now)? {
                begun.extend_from_slice(rest);
                return Ok(begun);
            }
        }
    }

    #[test]
    fn the_real_answer_comes_through_whole() {
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x82\x00";
        for before in ["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 \r\nLink: a\r\n\r\nHTTP/1.0 102\n\n"] {
            assert_eq!(through(&[before.as_bytes(), answer].concat()).unwrap(), answer, "{before}");
        }
        for other in
            ["", "HTTP/1.1 2", "HTTP/1.1 401 Unauthorized\r\n\r\nno", "SSH-2.0-OpenSSH_9\r\n", "HTTP/1.1 1x3 ?"]
        {
            assert_eq!(through(other.as_bytes()).unwrap(), other.as_bytes());
        }
    }

    #[test]
    fn interim_answers_without_an_end_are_an_error() {
        let many = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(head::MOST_INTERIM + 1);
        let long = [b"HTTP/1.1 100 ".to_vec(), vec![b'x'; 2 * MOST_BYTES]].concat();
        for endless in [many, long] {
            assert!(through(&endless).unwrap_err().to_string().contains("without an end"));
        }
    }
}
