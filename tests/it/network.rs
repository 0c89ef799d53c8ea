//! One connection over the machine's own loopback: real sockets, real TLS with an authority made for the test.

use crate::actor::rig::{config, request};
use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use upbit_recorder::batch::room_needed;
use upbit_recorder::clock::{Boot, Clock};
use upbit_recorder::config::proxy::ProxyConfig;
use upbit_recorder::config::{ConnectionConfig, TlsRoots};
use upbit_recorder::connection::actor::{Actor, Wiring};
use upbit_recorder::connection::session::{ConnectBudget, Settings};
use upbit_recorder::connection::{Delivery, Notice, Payload};
use upbit_recorder::net::{Dial, network::Network, tls};
use upbit_recorder::rest::client::{http::Http, request::Request};
use upbit_recorder::tape::words::Stage;
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::url::Url;

/// How long an attempt may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let certificate = CertificateParams::new(vec!["localhost".to_owned(), "exchange.test".to_owned()])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
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
    start_behind(&ProxyConfig::default(), url, ca_file, tasks)
}

fn start_behind(
    proxies: &ProxyConfig,
    url: Url,
    ca_file: Option<PathBuf>,
    tasks: &mut JoinSet<()>,
) -> mpsc::Receiver<Delivery> {
    let config = ConnectionConfig { url, tls_ca_file: ca_file, ..config() };
    let clock = Clock::start();
    let (inbox, deliveries) = mpsc::channel(8);
    let (_, requests) = watch::channel(request(&["KRW-BTC"]));
    let wiring = Wiring {
        inbox,
        room: Arc::new(Semaphore::new(room_needed(config.max_message_bytes) as usize)),
        requests,
        shutdown: CancellationToken::new(),
        clock,
        boot: Boot::machine(),
        connects: Arc::new(ConnectBudget::new(5, clock.now())),
        seed: 1,
        dial: Network::new(
            clock,
            tls::client_config(TlsRoots::Bundled, config.tls_ca_file.as_deref()).unwrap(),
            proxies,
        ),
    };
    tasks.spawn(Actor::new(Settings { feed: Feed::Public, config, credentials: None }, wiring).run());
    deliveries
}

fn url(tls: bool, host: &str, port: u16) -> Url {
    let scheme = if tls { "wss" } else { "ws" };
    Url::websocket(&format!("{scheme}://{host}:{port}/websocket/v1")).unwrap()
}

async fn notice(deliveries: &mut mpsc::Receiver<Delivery>) -> Notice {
    match deliveries.recv().await.unwrap().payload {
        Payload::Notice(notice) => notice,
        Payload::Batch(batch) => panic!("{batch:?}"),
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
    let Payload::Batch(batch) = deliveries.recv().await.unwrap().payload else { panic!("expected the trade") };
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

/// What a proxy was asked for: the head of the request.
type Heads = mpsc::Receiver<String>;

/// A proxy that speaks CONNECT, over TLS with `tls`: takes everybody, or answers everybody with `refusal`.
async fn proxy(refusal: Option<&'static str>, tls: Option<TlsAcceptor>, tasks: &mut JoinSet<()>) -> (u16, Heads) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, heads) = mpsc::channel(64);
    tasks.spawn(async move {
        let mut tunnels = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let asked = asked.clone();
            let tls = tls.clone();
            tunnels.spawn(async move {
                match tls {
                    None => tunnel(stream, refusal, asked).await,
                    Some(tls) => tunnel(tls.accept(stream).await.unwrap(), refusal, asked).await,
                }
            });
        }
    });
    (port, heads)
}

async fn tunnel(mut stream: impl AsyncRead + AsyncWrite + Unpin, refusal: Option<&str>, asked: mpsc::Sender<String>) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.unwrap()));
    }
    // Both names that the tests ask for are of this machine.
    let port: u16 = head.split(' ').nth(1).unwrap().rsplit(':').next().unwrap().parse().unwrap();
    asked.send(head).await.unwrap();
    if let Some(refusal) = refusal {
        stream.write_all(refusal.as_bytes()).await.unwrap();
        return;
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
}

fn through(variable: &'static str, address: &str) -> ProxyConfig {
    ProxyConfig::read(|name| (name == variable).then_some(address))
}

/// A server that sends one trade to the first client that subscribes.
async fn exchange(tls: Option<TlsAcceptor>, tasks: &mut JoinSet<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        match tls {
            None => serve(stream).await,
            Some(tls) => serve(tls.accept(stream).await.unwrap()).await,
        }
    });
    port
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut server = tokio_tungstenite::accept_async(stream).await.unwrap();
    assert!(matches!(server.next().await, Some(Ok(Message::Text(_)))));
    server.send(Message::binary(TRADE)).await.unwrap();
    while let Some(Ok(_)) = server.next().await {}
}

async fn lives(deliveries: &mut mpsc::Receiver<Delivery>) {
    loop {
        match notice(deliveries).await {
            Notice::Live { .. } => return,
            Notice::Lost { stage, cause, .. } => panic!("{stage}: {cause}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn it_records_through_a_proxy_and_tls_goes_end_to_end() {
    let authority = authority();
    // The proxy is spoken to in the clear, then over TLS: then there are two layers of it.
    for tls in [None, Some(authority.server.clone())] {
        let mut tasks = JoinSet::new();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (proxy, mut heads) = proxy(None, tls, &mut tasks).await;
        let port = exchange(Some(authority.server.clone()), &mut tasks).await;
        let proxies = through("HTTPS_PROXY", &format!("{scheme}://me:hunter2@localhost:{proxy}"));
        let url = url(true, "exchange.test", port);
        let mut deliveries = start_behind(&proxies, url, Some(authority.ca_file.clone()), &mut tasks);
        lives(&mut deliveries).await;
        let expected = format!(
            "CONNECT exchange.test:{port} HTTP/1.1\r\nHost: exchange.test:{port}\r\n\
             Proxy-Authorization: Basic bWU6aHVudGVyMg==\r\n\r\n"
        );
        assert_eq!(heads.recv().await, Some(expected));
    }
}

#[tokio::test]
async fn without_tls_it_is_a_tunnel_too() {
    let mut tasks = JoinSet::new();
    let (proxy, mut heads) = proxy(None, None, &mut tasks).await;
    let port = exchange(None, &mut tasks).await;
    let proxies = through("all_proxy", &format!("127.0.0.1:{proxy}"));
    let mut deliveries = start_behind(&proxies, url(false, "exchange.test", port), None, &mut tasks);
    lives(&mut deliveries).await;
    assert!(heads.recv().await.unwrap().starts_with(&format!("CONNECT exchange.test:{port} ")));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_a_stage_and_not_the_exchange() {
    let mut tasks = JoinSet::new();
    let url = || url(true, "exchange.test", 443);
    // Of the exchange, 401 would mean wrong keys, and 429 a pause.
    for status in ["407 Proxy Authentication Required", "401 Unauthorized", "429 Too Many", "403 No\u{1b}[2J"] {
        let refusal = format!("HTTP/1.1 {status}\r\nRetry-After: 600\r\nContent-Length: 0\r\n\r\n").leak();
        let (proxy, _heads) = proxy(Some(refusal), None, &mut tasks).await;
        let proxies = through("HTTPS_PROXY", &format!("http://me:hunter2@127.0.0.1:{proxy}"));
        let network = Network::new(Clock::start(), tls::client_config(TlsRoots::Bundled, None).unwrap(), &proxies);
        let error = network.dial(&url(), Clock::start().now() + PATIENCE).await.unwrap_err();
        assert_eq!((error.stage, error.answer.as_ref()), (Stage::Proxy, None), "{error}");
        let is_told = error.cause.contains(&status[..3]) && error.cause.contains(&format!("127.0.0.1:{proxy}"));
        assert!(is_told && !error.cause.contains("hunter2") && !error.cause.contains('\u{1b}'), "{error}");
    }
    for (address, cause) in [
        ("http://127.0.0.1:1", "connection refused by 127.0.0.1:1"),
        ("http://no-such-host.invalid:1", "the host no-such-host.invalid cannot be found"),
        ("socks5://127.0.0.1:1", "only proxies of the kinds"),
    ] {
        let mut deliveries = start_behind(&through("HTTPS_PROXY", address), url(), None, &mut tasks);
        let (stage, told) = lost(&mut deliveries).await;
        assert!(stage == Stage::Proxy && told.contains(cause) && told.contains("HTTPS_PROXY"), "{stage} {told}");
    }
}

#[tokio::test]
async fn this_machine_is_dialed_without_the_proxy() {
    let mut tasks = JoinSet::new();
    let port = exchange(None, &mut tasks).await;
    let proxies = through("ALL_PROXY", "http://127.0.0.1:1");
    lives(&mut start_behind(&proxies, url(false, "localhost", port), None, &mut tasks)).await;
}

/// Answers every GET with an empty list, until it is closed.
async fn lists(stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]").await.unwrap();
    }
}

#[tokio::test]
async fn rest_takes_the_way_of_the_websocket() {
    let authority = authority();
    for tls in [false, true] {
        let mut tasks = JoinSet::new();
        let (proxy, mut heads) = proxy(None, None, &mut tasks).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = authority.server.clone();
        tasks.spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            if tls { lists(acceptor.accept(stream).await.unwrap()).await } else { lists(stream).await }
        });
        let scheme = if tls { "https" } else { "http" };
        let url = Url::http(&format!("{scheme}://exchange.test:{port}/v1")).unwrap();
        let proxies = through("ALL_PROXY", &format!("http://me:hunter2@127.0.0.1:{proxy}"));
        let clock = Clock::start();
        let config = tls::client_config(TlsRoots::Bundled, Some(&authority.ca_file)).unwrap();
        let http = Http::new(&url, Network::new(clock, config, &proxies), clock);
        for _ in 0..2 {
            let answer = http.clone().send(Request::new("market/all"), None).await.unwrap().answer;
            assert_eq!((answer.status, &*answer.body), (200, &b"[]"[..]));
        }
        assert!(heads.recv().await.unwrap().starts_with(&format!("CONNECT exchange.test:{port} HTTP/1.1\r\n")));
        assert!(heads.try_recv().is_err(), "the connection is kept for the next request");
    }
}

#[tokio::test]
async fn rest_tells_the_refusal_of_a_proxy() {
    let mut tasks = JoinSet::new();
    let (proxy, _heads) = proxy(Some("HTTP/1.1 403 Not for you\r\n\r\n"), None, &mut tasks).await;
    let proxies = through("HTTPS_PROXY", &format!("http://127.0.0.1:{proxy}"));
    let clock = Clock::start();
    let network = Network::new(clock, tls::client_config(TlsRoots::Bundled, None).unwrap(), &proxies);
    let http = Http::new(&Url::http("https://exchange.test/v1").unwrap(), network, clock);
    let cause = http.send(Request::new("market/all"), None).await.unwrap_err();
    let expected = format!(
        "the proxy http://127.0.0.1:{proxy} (HTTPS_PROXY) refuses to connect to exchange.test:443: 403 Not for you"
    );
    assert_eq!(cause, expected);
}
