//! The head of an HTTP answer, for a client that then switches to another protocol on the same stream.
//!
//! It is read byte by byte, because the bytes behind it belong to that protocol; that costs a few hundred calls for
//! each connect.

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head that is read: a usual one takes a twentieth of it.
const MOST_BYTES: usize = 16 * 1024;

/// Interim answers skipped before the final one: a busy server sends one or two.
pub(crate) const MOST_INTERIM: usize = 8;

/// The first line of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StatusLine {
    /// Three digits.
    pub(super) status: u16,
    /// The reason phrase, as received.
    pub(super) reason: String,
}

/// Reads a head to its end, and those of interim answers before it.
///
/// # Errors
/// The stream ended or failed, or its bytes are no head of HTTP/1.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<StatusLine> {
    for _ in 0..=MOST_INTERIM {
        let head = read_one(stream).await?;
        let line = parse(&head).ok_or_else(|| io::Error::other("it does not speak HTTP"))?;
        if !is_interim(line.status) {
            return Ok(line);
        }
    }
    Err(io::Error::other("it sends interim answers only"))
}

/// Whether an answer is followed by another: 101 is not, since HTTP ends with it.
pub(crate) fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != 101
}

async fn read_one(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !ends(&head) {
        if head.len() == MOST_BYTES {
            return Err(io::Error::other(format!("the head of its answer is longer than {MOST_BYTES} bytes")));
        }
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(io::Error::new(error.kind(), "it hung up without an answer"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

/// Whether a head is over: an empty line, whichever line breaks it was written with.
pub(crate) fn ends(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

/// Reads `HTTP/1.1 200 Connection established`.
fn parse(head: &[u8]) -> Option<StatusLine> {
    let line = head.split(|&byte| byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let rest = line.strip_prefix("HTTP/1.")?.strip_prefix(['0', '1'])?.strip_prefix(' ')?;
    let (status, reason) = rest.split_at_checked(3)?;
    let is_status =
        status.bytes().all(|byte| byte.is_ascii_digit()) && !reason.starts_with(|c: char| c != ' ' && c != '\r');
    let status = status.parse().ok().filter(|_| is_status)?;
    Some(StatusLine { status, reason: reason.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: u16, reason: &str) -> StatusLine {
        StatusLine { status, reason: reason.into() }
    }

    #[test]
    fn a_status_line_is_taken_apart() {
        assert_eq!(parse(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some(line(200, "Connection established")));
        assert_eq!(parse(b"HTTP/1.0 407\r\n\r\n"), Some(line(407, "")));
        for wrong in
            ["", "SSH-2.0-x\r\n", "HTTP/2 200\r\n", "HTTP/1.1 2000 OK\r\n", "HTTP/1.1 +20 OK\r\n", "HTTP/1.1 20"]
        {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn nothing_behind_the_head_is_taken() {
        let mut stream: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nhello";
        assert_eq!(read(&mut stream).await.unwrap(), line(200, "OK"));
        assert_eq!(stream, b"hello");
    }

    #[tokio::test]
    async fn what_never_ends_is_given_up() {
        let failed = async |bytes: Vec<u8>| read(&mut &*bytes).await.unwrap_err().to_string();
        assert!(failed(vec![b'x'; 2 * MOST_BYTES]).await.contains("longer than 16384 bytes"));
        let interim = b"HTTP/1.1 102 Processing\r\n\r\n".repeat(MOST_INTERIM + 1);
        assert!(failed(interim).await.contains("interim answers only"));
        assert_eq!(failed(b"HTTP/1.1 2".to_vec()).await, "it hung up without an answer");
        assert_eq!(failed(b"+OK\r\n\r\n".to_vec()).await, "it does not speak HTTP");
    }
}
