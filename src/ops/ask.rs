//! Asks the HTTP side of a running recorder, for `health`: one request over a socket to this machine.

use crate::clock::Clock;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// How long the connection may take, and the answer with it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer: that of `/readyz` takes a hundredth.
const MOST_BYTES: usize = 1 << 20;

/// How much is read at a time.
const PORTION: usize = 16 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens, or the answer did not come.
    #[error("{address} does not answer: {source}")]
    Unanswered {
        /// Where it was asked.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// It is no answer of a recorder.
    #[error("{0} is no recorder: it answers something else")]
    Foreign(SocketAddr),
}

/// Requests a path from the recorder that listens on `listen`; returns the body, whatever the status.
///
/// # Errors
/// There is no answer, or it is no HTTP.
pub fn ask(listen: SocketAddr, path: &str) -> Result<Vec<u8>, AskError> {
    let address = reachable(listen);
    let answer = exchange(address, path).map_err(|source| AskError::Unanswered { address, source })?;
    let body = body(&answer).ok_or(AskError::Foreign(address))?;
    Ok(body.to_vec())
}

/// An address that stands for all of the machine's is reached on this machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        ip if !ip.is_unspecified() => listen,
        IpAddr::V4(_) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port()),
        IpAddr::V6(_) => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listen.port()),
    }
}

fn exchange(address: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let clock = Clock::start();
    let deadline = clock.now() + PATIENCE;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one piece: who answers before it has read all may hang up on the rest.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut portion = [0; PORTION];
    while answer.len() < MOST_BYTES {
        let left = deadline.saturating_duration_since(clock.now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut portion)? {
            0 => break,
            length => answer.extend_from_slice(&portion[..length]),
        }
    }
    Ok(answer)
}

/// What follows the head; the server closes the connection behind it.
fn body(answer: &[u8]) -> Option<&[u8]> {
    const END: &[u8] = b"\r\n\r\n";
    let end = answer.windows(END.len()).position(|bytes| bytes == END)?;
    answer.starts_with(b"HTTP/1.").then_some(&answer[end + END.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_behind_the_head() {
        assert_eq!(body(b"HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\n{}\n"), Some(&b"{}\n"[..]));
        assert_eq!(body(b"HTTP/1.1 200 OK\r\na: b\r\n"), None);
        assert_eq!(body(b"SSH-2.0-OpenSSH\r\n\r\n"), None);
    }

    #[test]
    fn all_addresses_of_the_machine_are_reached_on_it() {
        let reached = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:9464"), "127.0.0.1:9464");
        assert_eq!(reached("[::]:9464"), "[::1]:9464");
        assert_eq!(reached("10.0.0.7:9464"), "10.0.0.7:9464");
    }
}
