//! The local exchange, asked by a WebSocket client that it has nothing to do with, over real sockets.
//!
//! The names of the tests are the facts about the exchange that they hold it to.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod faults;
mod frames;
mod keeping;
mod limits;
mod private;
mod rest;
mod served;
mod subscribing;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderName;
use tokio_tungstenite::tungstenite::{Error, Message};

/// A running `replay`, stopped at the end of the test.
struct Replay {
    child: Child,
    url: String,
}

impl Replay {
    fn start(arguments: &[&str]) -> Self {
        Self::start_in(&[], arguments)
    }

    /// In an environment of these variables.
    fn start_in(variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.args(["replay", "--listen", "127.0.0.1:0"]).args(arguments).stdout(Stdio::piped());
        command.env_clear().envs(variables.iter().copied());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("replay: listening on ").expect(&line).trim().to_owned();
        Self { child, url }
    }

    fn address(&self) -> &str {
        self.url.split('/').nth(2).unwrap()
    }

    /// A client of the public stream.
    async fn connect(&self) -> Client<TcpStream> {
        self.try_connect("", &[]).await.unwrap()
    }

    /// A client of the public stream with `path` behind it; the HTTP status where it is refused.
    async fn try_connect(&self, path: &str, headers: &[(&str, &str)]) -> Result<Client<TcpStream>, u16> {
        let tcp = TcpStream::connect(self.address()).await.unwrap();
        Client::upgrade(&format!("{}{path}", self.url), tcp, headers).await
    }

    /// A GET request; its status, its head in lower case, and its body.
    async fn get(&self, target: &str) -> (u16, String, String) {
        self.http(&format!("GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address())).await
    }

    /// A request as it is written, which must ask for the connection to be closed.
    async fn http(&self, request: &str) -> (u16, String, String) {
        let mut tcp = TcpStream::connect(self.address()).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect(&answer);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    fn terminate(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a test that must end within a minute.
fn within_a_minute(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test of the binary runs in real time")]
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await }).expect("within a minute");
}

/// Waits, as long as a test of the real binary has to.
async fn pause(duration: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a test of the binary runs in real time")]
    tokio::time::sleep(duration).await;
}

/// What is time now, for tests that measure.
fn now() -> std::time::Instant {
    #[expect(clippy::disallowed_methods, reason = "a test of the binary runs in real time")]
    std::time::Instant::now()
}

/// A WebSocket client.
struct Client<S>(WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn upgrade(url: &str, stream: S, headers: &[(&str, &str)]) -> Result<Self, u16> {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        match tokio_tungstenite::client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn ask(&mut self, request: &str) {
        self.send(request.into()).await;
    }

    async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    /// The next message; `None` where the connection was cut without a close frame.
    async fn next(&mut self) -> Option<Message> {
        match self.0.next().await {
            Some(Ok(message)) => Some(message),
            Some(Err(_)) | None => None,
        }
    }

    /// The next frame, which must be a binary one.
    async fn binary(&mut self) -> Vec<u8> {
        match self.next().await {
            Some(Message::Binary(bytes)) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// The next frame as JSON.
    async fn json(&mut self) -> Value {
        serde_json::from_slice(&self.binary().await).unwrap()
    }

    /// The next frames as JSON, so many.
    async fn frames(&mut self, count: usize) -> Vec<Value> {
        let mut frames = Vec::with_capacity(count);
        for _ in 0..count {
            frames.push(self.json().await);
        }
        frames
    }

    /// The first frame that answers a question.
    async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.json().await;
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// The name of the error that comes next, and how the connection ends after it.
    async fn refusal(&mut self) -> (String, Option<u16>) {
        let error = self.json().await;
        let name = error["error"]["name"].as_str().expect("an error").to_owned();
        match self.next().await {
            Some(Message::Close(frame)) => (name, frame.map(|frame| frame.code.into())),
            other => panic!("{other:?}"),
        }
    }

    /// Nothing comes for half a second, while pings are answered.
    async fn stays_silent(&mut self) {
        pause(Duration::from_millis(500)).await;
        self.send(Message::Ping("silent?".into())).await;
        assert_eq!(self.next().await, Some(Message::Pong("silent?".into())));
    }
}

/// A request with these entries.
fn request(entries: &str) -> String {
    format!(r#"[{{"ticket":"t"}},{entries}]"#)
}

/// The text of a key.
fn text<'a>(frame: &'a Value, key: &str) -> &'a str {
    frame[key].as_str().unwrap_or_else(|| panic!("{key} of {frame}"))
}

/// The number of a key.
fn number(frame: &Value, key: &str) -> f64 {
    frame[key].as_f64().unwrap_or_else(|| panic!("{key} of {frame}"))
}
