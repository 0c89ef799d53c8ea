//! The least that a recorder can be: tokio-tungstenite, and each frame appended to one file.
//!
//! ```text
//! bare URL FILE [CERTIFICATE]      CERTIFICATE (PEM) is trusted for wss://
//! ```
//!
//! No stamp, no parse, no sync, no seal: what `record` is held against. It goes on until it is ended.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use futures_util::{SinkExt, StreamExt};
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::Message;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (url, file) = (&arguments[0], File::create_new(&arguments[1]).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let authority = url.split('/').nth(2).unwrap();
        let socket = TcpStream::connect(authority).await.unwrap();
        socket.set_nodelay(true).unwrap();
        match arguments.get(2) {
            Some(certificate) => {
                let name = ServerName::try_from(authority.split(':').next().unwrap().to_owned()).unwrap();
                append(url, connector(certificate).connect(name, socket).await.unwrap(), file).await;
            }
            None => append(url, socket, file).await,
        }
    });
}

fn connector(certificate: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    TlsConnector::from(Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

async fn append(url: &str, socket: impl AsyncRead + AsyncWrite + Unpin, mut file: File) {
    let (mut socket, _) = tokio_tungstenite::client_async(url, socket).await.unwrap();
    socket.send(Message::text(r#"[{"ticket":"bare"},{"type":"trade","codes":["KRW-BTC"]}]"#)).await.unwrap();
    let mut line = Vec::new();
    while let Some(message) = socket.next().await {
        if let Message::Binary(frame) = message.unwrap() {
            line.clear();
            line.extend_from_slice(&frame);
            line.push(b'\n');
            file.write_all(&line).unwrap();
        }
    }
}
