//! One connection over the machine's own loopback: real sockets, real TLS with an authority made for the test.

use crate::actor::rig::{config, request};
use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use upbit_recorder::clock::{Boot, Clock};
use upbit_recorder::config::{ConnectionConfig, Url};
use upbit_recorder::connection::actor::{Actor, Wiring, room_needed};
use upbit_recorder::connection::dial::{network::Network, tls};
use upbit_recorder::connection::session::{ConnectBudget, Settings};
use upbit_recorder::connection::{ConnectionId, Delivery, Notice, Stage, What};

const TRADE: &str = r#"{"type":"trade","code":"KRW-BTC"}"#;

/// An authority's certificate in a file, and a server that it vouches for.
struct Authority {
    _dir: tempfile::TempDir,
    ca_file: PathBuf,
    server: TlsAcceptor,
}

fn authority() -> Authority {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, ca.pem()).unwrap();
    Authority { _dir: dir, ca_file, server: TlsAcceptor::from(Arc::new(server)) }
}

fn start(url: Url, ca_file: Option<PathBuf>, tasks: &mut JoinSet<()>) -> mpsc::Receiver<Delivery> {
    let config = ConnectionConfig { url, tls_ca_file: ca_file, ..config() };
    let clock = Clock::start();
    let (inbox, deliveries) = mpsc::channel(8);
    let (_, requests) = watch::channel(request(&["KRW-BTC"]));
    let wiring = Wiring {
        inbox,
        room: Arc::new(Semaphore::new(room_needed(&config) as usize)),
        requests,
        shutdown: CancellationToken::new(),
        clock,
        boot: Boot::machine(),
        connects: Arc::new(ConnectBudget::new(5, clock.now())),
        seed: 1,
        dial: Network::new(clock, tls::client_config(config.tls_ca_file.as_deref()).unwrap()),
    };
    tasks.spawn(Actor::new(Settings { id: ConnectionId::Public, config, credentials: None }, wiring).run());
    deliveries
}

fn url(tls: bool, host: &str, port: u16) -> Url {
    let scheme = if tls { "wss" } else { "ws" };
    Url { tls, host: host.into(), port, text: format!("{scheme}://{host}:{port}/websocket/v1") }
}

async fn notice(deliveries: &mut mpsc::Receiver<Delivery>) -> Notice {
    match deliveries.recv().await.unwrap().what {
        What::Notice(notice) => notice,
        What::Batch(batch) => panic!("{batch:?}"),
    }
}

async fn lost(deliveries: &mut mpsc::Receiver<Delivery>) -> (Stage, String) {
    loop {
        if let Notice::Lost { stage, cause, .. } = notice(deliveries).await {
            return (stage, cause);
        }
    }
}

#[tokio::test]
async fn it_records_over_tls_with_an_authority_of_the_users() {
    let authority = authority();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    let acceptor = authority.server.clone();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = acceptor.accept(stream).await.unwrap();
        let mut server = tokio_tungstenite::accept_async(stream).await.unwrap();
        assert!(matches!(server.next().await, Some(Ok(Message::Text(_)))));
        server.send(Message::binary(TRADE)).await.unwrap();
        while let Some(Ok(_)) = server.next().await {}
    });
    let mut deliveries = start(url(true, "localhost", port), Some(authority.ca_file.clone()), &mut tasks);
    assert_eq!(notice(&mut deliveries).await, Notice::Dialing { attempt: 1 });
    let address = format!("127.0.0.1:{port}");
    assert_eq!(notice(&mut deliveries).await, Notice::Connected { attempt: 1, address });
    assert!(matches!(notice(&mut deliveries).await, Notice::Subscribed { .. }));
    assert_eq!(notice(&mut deliveries).await, Notice::Live { attempt: 1 });
    let What::Batch(batch) = deliveries.recv().await.unwrap().what else { panic!("expected the trade") };
    assert_eq!(batch.entries().count(), 1);
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused() {
    let authority = authority();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    let acceptor = authority.server.clone();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(stream).await.is_err());
    });
    let mut deliveries = start(url(true, "localhost", port), None, &mut tasks);
    let (stage, cause) = lost(&mut deliveries).await;
    assert_eq!(stage, Stage::Tls);
    assert!(cause.starts_with("no TLS with localhost: invalid peer certificate"), "{cause}");
}

#[tokio::test]
async fn a_refused_connection_and_an_unknown_host_say_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut tasks = JoinSet::new();
    let mut deliveries = start(url(false, "127.0.0.1", port), None, &mut tasks);
    let expected = (Stage::Tcp, format!("connection refused by 127.0.0.1:{port}"));
    assert_eq!(lost(&mut deliveries).await, expected);

    let mut deliveries = start(url(false, "no-such-host.invalid", 80), None, &mut tasks);
    let (stage, cause) = lost(&mut deliveries).await;
    assert_eq!(stage, Stage::Resolve);
    assert!(cause.starts_with("the host no-such-host.invalid cannot be found"), "{cause}");
}
