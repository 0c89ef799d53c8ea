//! What is served: recorded frames, the sample market, TLS; and what the log of sent frames says.

use super::{Client, Replay, within_a_minute};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const REQUEST: &str = r#"[{"ticket":"t"},{"type":"trade","codes":["KRW-BTC","KRW-ETH","KRW-XRP"]},
    {"type":"orderbook","codes":["KRW-BTC","KRW-ETH","KRW-XRP"]},
    {"type":"ticker","codes":["KRW-BTC","KRW-ETH","KRW-XRP"]}]"#;

fn sent(path: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(path).unwrap();
    let frame =
        |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["frame"].as_str().unwrap().as_bytes().to_vec();
    text.lines().map(frame).collect()
}

#[test]
fn recorded_frames_come_verbatim_to_subscribers_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames.jsonl");
    let log = folder.path().join("sent.jsonl");
    let frames: Vec<String> =
        (0..2_000).map(|n| format!("{{\"ty\":\"trade\", \"tp\":{n}E-8,\"é\":\"\\u00e9\"}} ")).collect();
    let lines = frames.iter().map(|frame| serde_json::json!({"t_recv": 1.5, "frame": frame}).to_string() + "\n");
    std::fs::write(&file, lines.collect::<String>()).unwrap();
    let replay = Replay::start(&["--frames", file.to_str().unwrap(), "--sent", log.to_str().unwrap()]);
    within_a_minute(async {
        let mut socket = replay.connect().await;
        socket.send(Message::Ping("p".into())).await;
        assert_eq!(socket.next().await.unwrap(), Message::Pong("p".into()));
        socket.ask(REQUEST).await;
        for frame in &frames {
            assert_eq!(socket.binary().await, frame.as_bytes());
        }
        socket.ask(REQUEST).await;
        socket.send(Message::Ping("q".into())).await;
        assert_eq!(socket.next().await.unwrap(), Message::Pong("q".into()));
    });
    assert_eq!(sent(&log), frames.iter().map(|frame| frame.as_bytes().to_vec()).collect::<Vec<_>>());
    replay.terminate();
}

#[test]
fn every_frame_is_noted_and_sigterm_says_goodbye() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("sent.jsonl");
    let replay = Replay::start(&["--codes", "3", "--rate", "2000", "--sent", log.to_str().unwrap()]);
    let mut received = Vec::new();
    within_a_minute(async {
        let mut socket = replay.connect().await;
        socket.ask(REQUEST).await;
        while received.len() < 2_000 {
            received.push(socket.binary().await);
        }
        replay.terminate();
        loop {
            match socket.next().await.unwrap() {
                Message::Binary(bytes) => received.push(bytes.to_vec()),
                Message::Close(frame) => break assert_eq!(frame.unwrap().code, CloseCode::Away),
                other => panic!("{other:?}"),
            }
        }
    });
    assert_eq!(sent(&log), received);
}

#[test]
fn tls_with_a_private_authority() {
    let folder = tempfile::tempdir().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let certificate_file = folder.path().join("cert.pem");
    let key_file = folder.path().join("key.pem");
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
        let mut socket = Client::upgrade(&replay.url, tls, &[]).await.unwrap();
        socket.ask(REQUEST).await;
        assert!(matches!(socket.next().await.unwrap(), Message::Binary(_)));
    });
}
