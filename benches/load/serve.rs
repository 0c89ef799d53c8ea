//! One client after the other, over TCP or TLS.

use super::frames::{Frames, SENT};
use super::websocket::{self, Message};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// Pings that wait for the chunk that is being written.
const PINGS: usize = 16;

/// Listens on a port of its own.
pub(crate) struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Server {
    /// With TLS where there is a file for its certificate.
    pub(crate) async fn bind(certificate: Option<PathBuf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, tls: certificate.map(acceptor) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// For ever.
    pub(crate) async fn serve(&self, frames: &Frames) {
        loop {
            let (socket, _) = self.listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            match &self.tls {
                Some(tls) => serve_one(tls.accept(socket).await.unwrap(), frames).await,
                None => serve_one(socket, frames).await,
            }
        }
    }
}

fn acceptor(certificate: PathBuf) -> TlsAcceptor {
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    std::fs::write(certificate, own.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

async fn serve_one(mut socket: impl AsyncRead + AsyncWrite + Unpin, frames: &Frames) {
    websocket::accept(&mut socket).await;
    let (mut reader, writer) = tokio::io::split(socket);
    while !matches!(websocket::read(&mut reader).await, Message::Text) {}
    let (pings, pending) = channel(PINGS);
    // Either ends where the client has left.
    tokio::join!(listen(reader, pings), send(writer, pending, frames));
}

async fn listen(mut reader: impl AsyncRead + Unpin, pings: Sender<Vec<u8>>) {
    loop {
        match websocket::read(&mut reader).await {
            Message::Ping(payload) => {
                if pings.send(payload).await.is_err() {
                    return;
                }
            }
            Message::Close => return,
            Message::Text | Message::Other => {}
        }
    }
}

async fn send(mut writer: impl AsyncWrite + Unpin, mut pings: Receiver<Vec<u8>>, frames: &Frames) {
    report("begin");
    let sent = async {
        write(&mut writer, &mut pings, frames).await?;
        report("end");
        while let Some(ping) = pings.recv().await {
            writer.write_all(&websocket::pong(&ping)).await?;
            writer.flush().await?;
        }
        writer.shutdown().await
    };
    // A client that leaves early is what the runner sees, too.
    let _ = sent.await;
}

async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    pings: &mut Receiver<Vec<u8>>,
    frames: &Frames,
) -> std::io::Result<()> {
    let begin = tokio::time::Instant::now();
    let mut frame = Vec::new();
    let mut is_paced = false;
    for portion in frames.portions() {
        let Some(due) = portion.due else {
            writer.write_all(portion.bytes).await?;
            answer(writer, pings).await?;
            continue;
        };
        pause_until(begin + due, writer, pings).await?;
        if !std::mem::replace(&mut is_paced, true) {
            report("paced");
        }
        frame.clear();
        frame.extend_from_slice(portion.bytes);
        let from_end = frame.len() - SENT.end;
        frame[from_end..from_end + SENT.len()].copy_from_slice(format!("{:016}", micros()).as_bytes());
        writer.write_all(&frame).await?;
        writer.flush().await?;
    }
    writer.flush().await
}

fn report(what: &str) {
    println!(r#"{{"{what}":{}}}"#, micros());
}

/// Answers pings until then.
async fn pause_until(
    until: tokio::time::Instant,
    writer: &mut (impl AsyncWrite + Unpin),
    pings: &mut Receiver<Vec<u8>>,
) -> std::io::Result<()> {
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(until) => return answer(writer, pings).await,
            Some(ping) = pings.recv() => {
                writer.write_all(&websocket::pong(&ping)).await?;
                writer.flush().await?;
            }
        }
    }
}

async fn answer(writer: &mut (impl AsyncWrite + Unpin), pings: &mut Receiver<Vec<u8>>) -> std::io::Result<()> {
    while let Ok(ping) = pings.try_recv() {
        writer.write_all(&websocket::pong(&ping)).await?;
    }
    Ok(())
}

fn micros() -> u64 {
    let since: Duration = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}
