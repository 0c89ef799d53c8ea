//! A tunnel through a proxy: CONNECT, and its answer.

use super::head;
use crate::config::proxy::Proxy;
use crate::printable;
use crate::upbit::url::Url;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// Characters of the proxy's reason phrase that are shown.
const REASON: usize = 80;

/// Has `proxy`, at the other end of `stream`, connect it to the host of `url`.
///
/// # Errors
/// Why there is no tunnel, as a sentence: the proxy refused, or did not answer.
pub(super) async fn open<S>(stream: &mut S, proxy: &Proxy, url: &Url) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: io::Error| format!("no tunnel through the proxy {proxy}: {error}");
    stream.write_all(request(proxy, url).as_bytes()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let answer = head::read(stream).await.map_err(failed)?;
    let said = printable::line(&format!("{} {}", answer.status, answer.reason), REASON);
    match answer.status {
        200..300 => Ok(()),
        407 => {
            let rejected = match proxy.authorization {
                Some(_) => "does not accept the user name and password in",
                None => "wants a user name and a password: http://user:password@host:port in",
            };
            Err(format!("the proxy {} {rejected} {} ({})", proxy.url.authority(), proxy.variable, said.trim()))
        }
        _ => Err(format!("the proxy {proxy} refuses to connect to {}: {}", url.authority(), said.trim())),
    }
}

fn request(proxy: &Proxy, url: &Url) -> String {
    let host = url.authority();
    let authorization = proxy.authorization.as_ref();
    let authorization = authorization.map(|value| format!("Proxy-Authorization: {}\r\n", value.expose()));
    format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", authorization.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upbit::auth::Secret;
    use tokio::io::AsyncReadExt;

    fn proxy(authorization: Option<&str>) -> Proxy {
        let authorization = authorization.map(Secret::new);
        let url = Url::http("http://proxy:3128").unwrap();
        Proxy { url, authorization, variable: "HTTPS_PROXY" }
    }

    /// The result of an answer, and the request that the proxy received.
    async fn asked(proxy: &Proxy, url: &str, answer: &str) -> (Result<(), String>, String) {
        let (mut ours, mut theirs) = tokio::io::duplex(64 * 1024);
        theirs.write_all(answer.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let url = Url::websocket(url).unwrap();
        let opened = open(&mut ours, proxy, &url).await;
        drop(ours);
        let mut request = String::new();
        theirs.read_to_string(&mut request).await.unwrap();
        (opened, request)
    }

    #[tokio::test]
    async fn host_and_port_are_asked_for() {
        let (opened, request) = asked(&proxy(None), "wss://api.upbit.com/x", "HTTP/1.0 200 OK\r\nA: b\r\n\r\n").await;
        assert_eq!(opened, Ok(()));
        assert_eq!(request, "CONNECT api.upbit.com:443 HTTP/1.1\r\nHost: api.upbit.com:443\r\n\r\n");
        let (_, request) = asked(&proxy(Some("Basic eDp5")), "ws://[fd00::1]:8080/", "").await;
        let expected =
            "CONNECT [fd00::1]:8080 HTTP/1.1\r\nHost: [fd00::1]:8080\r\nProxy-Authorization: Basic eDp5\r\n\r\n";
        assert_eq!(request, expected);
    }

    #[tokio::test]
    async fn a_refusal_is_told_with_its_status_and_cleaned_words() {
        let url = "wss://api.upbit.com/";
        let no = proxy(None);
        for (answer, cause) in [
            ("HTTP/1.1 403 Not \u{202e}for\u{1b}[2J you\r\n\r\n", r"403 Not \u202efor\u001b[2J you"),
            ("HTTP/1.1 503\r\n\r\n", "refuses to connect to api.upbit.com:443: 503"),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 Switching Protocols"),
            ("HTTP/1.1 407 Who?\r\n\r\n", "http://user:password@host:port in HTTPS_PROXY (407 Who?)"),
            ("", "hung up"),
            ("SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP"),
        ] {
            let (opened, _) = asked(&no, url, answer).await;
            let told = opened.unwrap_err();
            assert!(told.contains(cause) && told.contains("proxy:3128"), "{told}");
        }
        let (opened, _) = asked(&proxy(Some("Basic c2VjcmV0")), url, "HTTP/1.1 407 No\r\n\r\n").await;
        let told = opened.unwrap_err();
        assert!(told.contains("does not accept") && !told.contains("c2VjcmV0"), "{told}");
        let (opened, _) = asked(&no, url, &format!("HTTP/1.1 500 {}\r\n\r\n", "x".repeat(999))).await;
        assert!(opened.unwrap_err().chars().count() < 200);
    }
}
