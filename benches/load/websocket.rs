//! The server's side of RFC 6455, as far as a client that only listens needs it.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What a client sends.
pub(crate) enum Message {
    /// A request, whatever it asks for.
    Text,
    /// To be answered with the same.
    Ping(Vec<u8>),
    /// Anything else.
    Other,
    /// It leaves.
    Close,
}

/// Answers the request for an upgrade.
pub(crate) async fn accept(socket: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(socket.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    let mut fields = request.lines().filter_map(|line| line.split_once(": "));
    let key = fields.find_map(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-key").then_some(value));
    let accept = derive_accept_key(key.unwrap().as_bytes());
    let head =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ";
    socket.write_all(format!("{head}{accept}\r\n\r\n").as_bytes()).await.unwrap();
}

/// Reads one frame, masked as a client's is; a socket that ends is a client that leaves.
pub(crate) async fn read(socket: &mut (impl AsyncRead + Unpin)) -> Message {
    match read_whole(socket).await {
        Ok(message) => message,
        Err(_) => Message::Close,
    }
}

async fn read_whole(socket: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Message> {
    let (first, second) = (socket.read_u8().await?, socket.read_u8().await?);
    let length = match second & 0x7f {
        126 => usize::from(socket.read_u16().await?),
        127 => usize::try_from(socket.read_u64().await?).unwrap(),
        length => usize::from(length),
    };
    let mut mask = [0; 4];
    socket.read_exact(&mut mask).await?;
    let mut payload = vec![0; length];
    socket.read_exact(&mut payload).await?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(match first & 0x0f {
        1 | 2 => Message::Text,
        8 => Message::Close,
        9 => Message::Ping(payload),
        _ => Message::Other,
    })
}

/// The answer to a ping.
pub(crate) fn pong(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a control frame has up to 125 bytes");
    [&[0x8a, length], payload].concat()
}
