//! The local exchange, asked by a WebSocket client of its own over real sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const REQUEST: &str = r#"[{"ticket":"t"},{"type":"trade","codes":["KRW-BTC","KRW-ETH","KRW-XRP"]},
    {"type":"orderbook","codes":["KRW-BTC","KRW-ETH","KRW-XRP"]},
    {"type":"ticker","codes":["KRW-BTC","KRW-ETH","KRW-XRP"]}]"#;

/// A running `replay`, stopped at the end of the test.
struct Replay {
    child: Child,
    url: String,
}

impl Replay {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.args(["replay", "--listen", "127.0.0.1:0"]).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("replay: listening on ").expect(&line).trim().to_owned();
        Self { child, url }
    }

    fn address(&self) -> &str {
        self.url.split('/').nth(2).unwrap()
    }

    async fn connect(&self) -> WebSocketStream<TcpStream> {
        let tcp = TcpStream::connect(self.address()).await.unwrap();
        tokio_tungstenite::client_async(&self.url, tcp).await.unwrap().0
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

async fn binary(socket: &mut WebSocketStream<TcpStream>) -> Vec<u8> {
    match socket.next().await.unwrap().unwrap() {
        Message::Binary(bytes) => bytes.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn sent(path: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).unwrap();
    let frame =
        |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["frame"].as_str().unwrap().as_bytes().to_vec();
    text.lines().map(frame).collect()
}

#[test]
fn recorded_frames_come_verbatim_and_in_order_after_a_subscription_only() {
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("frames.jsonl"), folder.path().join("sent.jsonl"));
    let frames: Vec<String> =
        (0..2_000).map(|n| format!("{{\"ty\":\"trade\", \"tp\":{n}E-8,\"é\":\"\\u00e9\"}} ")).collect();
    let lines = frames.iter().map(|frame| serde_json::json!({"t_recv": 1.5, "frame": frame}).to_string() + "\n");
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    let replay = Replay::start(&["--frames", file.to_str().unwrap(), "--sent", log.to_str().unwrap()]);
    within_a_minute(async {
        let mut socket = replay.connect().await;
        socket.send(Message::Ping("p".into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("p".into()));
        socket.send(REQUEST.into()).await.unwrap();
        for frame in &frames {
            assert_eq!(binary(&mut socket).await, frame.as_bytes());
        }
        socket.send(REQUEST.into()).await.unwrap();
        socket.send(Message::Ping("q".into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("q".into()));
    });
    assert_eq!(sent(&log), frames.iter().map(|frame| frame.as_bytes().to_vec()).collect::<Vec<_>>());
    replay.terminate();
}

#[test]
fn every_frame_of_the_sample_market_is_noted_and_sigterm_says_goodbye() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("sent.jsonl");
    let replay = Replay::start(&["--codes", "3", "--rate", "2000", "--sent", log.to_str().unwrap()]);
    let mut received = Vec::new();
    within_a_minute(async {
        let mut socket = replay.connect().await;
        socket.send(REQUEST.into()).await.unwrap();
        while received.len() < 2_000 {
            received.push(binary(&mut socket).await);
        }
        replay.terminate();
        loop {
            match socket.next().await.unwrap().unwrap() {
                Message::Binary(bytes) => received.push(bytes.to_vec()),
                Message::Close(frame) => break assert_eq!(frame.unwrap().code, CloseCode::Away),
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(sent(&log), received);
}

#[test]
fn a_refused_request_brings_the_error_and_then_close_1000() {
    let replay = Replay::start(&[]);
    within_a_minute(async {
        let mut socket = replay.connect().await;
        socket.send(r#"[{"type":"trade","codes":["KRW-BTC"]}]"#.into()).await.unwrap();
        let error: serde_json::Value = serde_json::from_slice(&binary(&mut socket).await).unwrap();
        assert_eq!(error["error"]["name"], "NO_TICKET");
        match socket.next().await.unwrap().unwrap() {
            Message::Close(frame) => assert_eq!(frame.unwrap().code, CloseCode::Normal),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn tls_with_a_private_authority() {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let (certificate_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate_file, certificate.pem()).unwrap();
    std::fs::write(&key_file, key.serialize_pem()).unwrap();
    let replay =
        Replay::start(&["--tls-cert", certificate_file.to_str().unwrap(), "--tls-key", key_file.to_str().unwrap()]);
    assert!(replay.url.starts_with("wss://"));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let connector =
        tokio_rustls::TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    within_a_minute(async {
        let tcp = TcpStream::connect(replay.address()).await.unwrap();
        let tls = connector.connect("127.0.0.1".try_into().unwrap(), tcp).await.unwrap();
        let mut socket = tokio_tungstenite::client_async(&replay.url, tls).await.unwrap().0;
        socket.send(REQUEST.into()).await.unwrap();
        assert!(matches!(socket.next().await.unwrap().unwrap(), Message::Binary(_)));
    });
}
