//! The log of frames handed to sockets: the ground truth that a recording is compared with.
//!
//! ```text
//! {"sent":1795317064154123,"connection":1,"frame":"{\"type\":\"trade\",…}"}
//! ```

use crate::clock::Stamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A log that all connections share; without a file it logs nothing.
#[derive(Clone, Debug, Default)]
pub struct SentLog(Option<Arc<Mutex<BufWriter<File>>>>);

impl SentLog {
    /// A log into this file, which is emptied first.
    pub fn create(path: &Path) -> io::Result<Self> {
        // A megabyte takes the frames of a tick of the busiest market in one write.
        let writer = BufWriter::with_capacity(1 << 20, File::create(path)?);
        Ok(Self(Some(Arc::new(Mutex::new(writer)))))
    }

    /// Notes one frame.
    pub(crate) fn note(&self, sent: Stamp, connection: u64, frame: &[u8]) -> io::Result<()> {
        self.with(|log| {
            write!(log, r#"{{"sent":{sent},"connection":{connection},"#)?;
            match std::str::from_utf8(frame) {
                Ok(text) => {
                    log.write_all(br#""frame":"#)?;
                    serde_json::to_writer(&mut *log, text)?;
                }
                Err(_) => write!(log, r#""frame_base64":"{}""#, STANDARD.encode(frame))?,
            }
            log.write_all(b"}\n")
        })
    }

    /// Hands everything noted to the system.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.with(BufWriter::flush)
    }

    fn with(&self, work: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
        match &self.0 {
            None => Ok(()),
            Some(log) => work(&mut log.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_noted_verbatim() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let log = SentLog::create(file.path()).unwrap();
        let stamp = Stamp::from_micros(5).unwrap();
        log.note(stamp, 1, "{\"a\":\"\\u00e9é\"}".as_bytes()).unwrap();
        log.note(stamp, 2, b"\xff").unwrap();
        log.flush().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let expected = concat!(
            r#"{"sent":5,"connection":1,"frame":"{\"a\":\"\\u00e9é\"}"}"#,
            "\n",
            r#"{"sent":5,"connection":2,"frame_base64":"/w=="}"#,
            "\n"
        );
        assert_eq!(text, expected);
    }
}
