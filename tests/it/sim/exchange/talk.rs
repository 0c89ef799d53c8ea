//! One socket of the simulated exchange: request, frames, and the end that was drawn for it.

use super::super::machine::Machine;
use super::books::{Books, SocketId};
use super::mute::{Kind, Muteness, STREAMS, list};
use super::wire::Wire;
use super::{CODES, Call, End, HANG_UP, Script, Upgrade};
use crate::support::json::{asks_for_list, requested_codes};
use futures_util::{SinkExt, StreamExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use upbit_recorder::clock::{Clock, sleep_until};
use upbit_recorder::tape::manifest::Origins;
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::subscription::Request;

type ServerEnd = Wire<fn(u64)>;
type Socket = WebSocketStream<ServerEnd>;

/// Serves one socket until one of the two hangs up.
pub(super) async fn serve(call: Call, books: Books, clock: Clock, machine: Machine) {
    let socket = call.socket;
    let rng = StdRng::seed_from_u64(call.script.seed);
    let mut talk = Talk { socket, books, clock, machine, rng, written: Arc::default(), asked: Vec::new(), mute: None };
    talk.run(call.stream, &call.script).await;
    talk.books.market.end_serving(socket);
    talk.books.end_mute(socket, clock.now());
    talk.books.close(socket, clock.now());
}

/// One socket's server.
struct Talk {
    socket: SocketId,
    books: Books,
    clock: Clock,
    machine: Machine,
    rng: StdRng,
    written: Arc<AtomicU64>,
    /// The public streams of the request that stands.
    asked: Vec<&'static str>,
    /// What is mute now.
    mute: Option<Muteness>,
}

enum Turn {
    /// `None`: the client is gone.
    Heard(Option<Message>),
    Mute(bool),
    Send,
    Flood,
    Freeze,
    End,
}

impl Talk {
    async fn run(&mut self, mut stream: DuplexStream, script: &Script) {
        match script.upgrade {
            Upgrade::Accepted => {}
            Upgrade::Refused(status) => {
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
                return self.sleep(Duration::from_millis(100)).await;
            }
            Upgrade::Unanswered => return self.sleep(HANG_UP).await,
        }
        let end: ServerEnd = Wire::new(stream, |_| {});
        self.written = end.written();
        let Ok(mut socket) = tokio_tungstenite::accept_async(end).await else { return };
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) if text.starts_with('[') => break self.asked = asked_by(&text),
                Some(Ok(_)) => {}
                _ => return,
            }
        }
        if script.is_quiet {
            self.books.note_quiet(self.socket);
        }
        self.books.market.begin_serving(self.socket);
        if self.send_snapshots(&mut socket).await {
            self.talk(&mut socket, script).await;
        }
    }

    /// The last trade of each stream, as a new subscription begins with it; `false`: the client is gone.
    async fn send_snapshots(&mut self, socket: &mut Socket) -> bool {
        for code in CODES {
            let is_asked = self.asked.iter().any(|stream| stream.strip_suffix("_trade") == Some(code));
            let Some(snapshot) = self.books.market.snapshot(code).filter(|_| is_asked) else { continue };
            if !self.send(socket, snapshot.clone().into_bytes(), vec![snapshot.into_bytes()]).await {
                return false;
            }
        }
        true
    }

    async fn talk(&mut self, socket: &mut Socket, script: &Script) {
        let start = self.clock.now();
        let end = start + script.ends_after;
        let mut flood = start + script.flood_after;
        let mut floods = if script.is_quiet { 0 } else { script.floods };
        let mut next = start + Duration::from_millis(20);
        let mut turning = script.mute.map(|mute| start + mute.after);
        loop {
            let turn = tokio::select! {
                biased;
                () = sleep_until(Some(end)) => Turn::End,
                heard = socket.next() => Turn::Heard(heard.and_then(Result::ok)),
                () = sleep_until(self.machine.next()) => Turn::Freeze,
                () = sleep_until(turning) => Turn::Mute(self.mute.is_none()),
                () = sleep_until(Some(flood)), if floods > 0 => Turn::Flood,
                () = sleep_until(Some(next)), if !script.is_quiet => Turn::Send,
            };
            let alive = match turn {
                Turn::Heard(None) => false,
                Turn::Heard(Some(message)) => {
                    let is_mended = self.mute.is_some_and(|mute| mute.is_forgotten) && is_request(&message);
                    // What goes mute alone, and behind the list, nothing shows.
                    let is_one = matches!(script.mute, Some(Muteness { kind: Kind::One(_), .. }));
                    let is_too_late = is_one && self.mute.is_none() && is_question(&message);
                    turning = turning.filter(|_| !(is_mended || is_too_late));
                    self.set_mute(self.mute.filter(|_| !is_mended));
                    if let (true, Ok(text)) = (is_request(&message), message.to_text()) {
                        self.asked = asked_by(text);
                    }
                    (script.mute.is_none() && !script.is_quiet) || self.answer(socket, &message).await
                }
                Turn::Mute(begins) => {
                    self.set_mute(script.mute.filter(|_| begins));
                    turning = self.mute.map(|mute| self.clock.now() + mute.lasts);
                    true
                }
                Turn::End => {
                    self.books.market.end_serving(self.socket);
                    return self.end(socket, &script.end).await;
                }
                Turn::Flood => {
                    (flood, floods) = (self.clock.now() + Duration::from_secs(1), floods - 1);
                    self.flood(socket).await
                }
                Turn::Freeze => self.freeze(socket).await,
                Turn::Send => {
                    next = self.clock.now() + Duration::from_millis(self.rng.random_range(0..=script.spacing));
                    self.send_some(socket).await
                }
            };
            if !alive {
                return;
            }
        }
    }

    async fn end(&mut self, socket: &mut Socket, end: &End) {
        match end {
            End::Drop => {}
            End::Close(code) => {
                let frame = CloseFrame { code: (*code).into(), reason: "".into() };
                let _ = socket.close(Some(frame)).await;
                self.sleep(Duration::from_millis(50)).await;
            }
            End::HalfFrame => {
                // A frame of 125 bytes, of which three come.
                let _ = socket.get_mut().write_all(&[0x82, 125, b'{', b'"', b't']).await;
                self.sleep(Duration::from_millis(30)).await;
            }
            End::Mute => self.sleep(HANG_UP).await,
            End::Error => {
                let number = self.number();
                // Picked by a digit that is drawn anyway, so that each seed stays the world that it was.
                let name = match number.as_bytes().last().map(|digit| digit % 5) {
                    Some(0) => r#""INTERNAL_SERVER_ERROR""#,
                    Some(1) => r#""INVALID_AUTH""#,
                    Some(2) => "null",
                    _ => r#""WRONG_FORMAT""#,
                };
                let error = format!(r#"{{"error":{{"name":{name},"message":"{number}"}}}}"#);
                self.send(socket, error.clone().into_bytes(), vec![error.into_bytes()]).await;
                self.sleep(Duration::from_millis(150)).await;
                let frame = CloseFrame { code: 1000.into(), reason: "".into() };
                let _ = socket.close(Some(frame)).await;
            }
        }
    }

    async fn flood(&mut self, socket: &mut Socket) -> bool {
        for _ in 0..self.rng.random_range(100..400) {
            let object = self.object(2_000);
            if !self.send(socket, object.clone(), vec![object]).await {
                return false;
            }
        }
        true
    }

    /// Freezes the recorder's machine with something on the way to it.
    async fn freeze(&mut self, socket: &mut Socket) -> bool {
        let Some(freeze) = self.machine.take_due(self.clock.now()) else { return true };
        let mut alive = true;
        for _ in 0..self.rng.random_range(0..20) {
            alive = alive && self.send_some(socket).await;
        }
        self.machine.freeze(self.clock.now(), freeze).await;
        alive
    }

    fn set_mute(&mut self, mute: Option<Muteness>) {
        let now = self.clock.now();
        match (&self.mute, &mute) {
            (None, Some(mute)) => self.books.begin_mute(self.socket, mute.streams(), now),
            (Some(_), None) => self.books.end_mute(self.socket, now),
            _ => {}
        }
        self.mute = mute;
    }

    /// Answers the question what is subscribed.
    async fn answer(&mut self, socket: &mut Socket, message: &Message) -> bool {
        if !is_question(message) {
            return true;
        }
        let is_one = self.mute.is_some_and(|mute| matches!(mute.kind, Kind::One(_)));
        let forgotten = self.mute.filter(|mute| mute.is_forgotten || is_one).map(|mute| mute.streams());
        let reply = list(&forgotten.unwrap_or_default(), &self.number());
        self.send(socket, reply.clone().into_bytes(), vec![reply.into_bytes()]).await
    }

    async fn send_some(&mut self, socket: &mut Socket) -> bool {
        let (frame, contents) = match self.mute.map(|mute| mute.kind) {
            None => self.frame(),
            Some(Kind::One(stream)) => loop {
                let (frame, contents) = self.frame();
                if !contents.iter().any(|object| is_of(object, stream)) {
                    break (frame, contents);
                }
            },
            Some(Kind::Unreadable) => {
                let bytes = [&b"\xff\xfe"[..], self.number().as_bytes(), &[0xfe; 60]].concat();
                (bytes.clone(), vec![bytes])
            }
            Some(Kind::Whole) => {
                let number = self.number();
                let unasked = format!(r#"{{"type":"ticker","code":"KRW-BTC","n":{number}}}"#);
                let status = format!(r#"{{"status":"UP","n":{number}}}"#);
                let text = if self.rng.random() { unasked } else { status };
                (text.clone().into_bytes(), vec![text.into_bytes()])
            }
        };
        self.send(socket, frame, contents).await
    }

    /// Hands a frame over; `false`: the client is gone, or reads nothing.
    async fn send(&mut self, socket: &mut Socket, frame: Vec<u8>, contents: Vec<Vec<u8>>) -> bool {
        // What was drawn of a stream that was not asked for stays away, with the list that it is in.
        let is_unasked = |object: &Vec<u8>| {
            let stream = STREAMS.iter().find(|stream| is_of(object, stream));
            stream.is_some_and(|stream| !self.asked.contains(stream))
        };
        if contents.iter().any(is_unasked) {
            return true;
        }
        contents.iter().for_each(|object| self.books.market.note(object));
        let first = self.books.begin(self.socket, contents, self.clock.now());
        let deadline = self.clock.now() + HANG_UP;
        let sent = tokio::select! {
            biased;
            sent = socket.send(Message::binary(frame)) => sent.is_ok(),
            () = sleep_until(Some(deadline)) => false,
        };
        if sent {
            self.books.finish(self.socket, first, self.written.load(Ordering::Relaxed));
        }
        sent
    }

    /// A frame as it goes over the wire, and what the lines made of it have to give back.
    fn frame(&mut self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let number = self.number();
        let whole = |text: String| (text.clone().into_bytes(), vec![text.into_bytes()]);
        match self.rng.random_range(0..60) {
            0 => whole(format!(r#"{{"status":"UP","n":{number}}}"#)),
            1 => whole(format!("nonsense {number}")),
            2 => whole(format!(r#"{{"ts_recv":7,"type":"trade","code":"KRW-BTC","n":{number}}}"#)),
            3 => whole(format!("{{\"type\":\"trade\",\n\"code\":\"KRW-BTC\",\"n\":{number}}}")),
            4 => whole(format!(r#"{{"type":"trade","code":"../../{number}"}}"#)),
            5 => {
                let bytes = [&b"\xff\xfe"[..], number.as_bytes()].concat();
                (bytes.clone(), vec![bytes])
            }
            6 | 7 => {
                let objects: Vec<Vec<u8>> = (0..self.rng.random_range(1..5)).map(|_| self.object(30)).collect();
                let list = [&b"["[..], &objects.join(&b", "[..]), b"]"].concat();
                (list, objects)
            }
            _ => {
                let object = self.object(200);
                (object.clone(), vec![object])
            }
        }
    }

    fn object(&mut self, most: usize) -> Vec<u8> {
        let number = self.number();
        let pad = "x".repeat(self.rng.random_range(0..most));
        let kind = match self.socket.feed {
            Feed::Private if self.rng.random() => {
                return format!(r#"{{"type":"myAsset","n":{number},"pad":"{pad}"}}"#).into_bytes();
            }
            Feed::Private => "myOrder",
            Feed::Public => ["trade", "orderbook"][self.rng.random_range(0..2)],
        };
        let code = CODES[self.rng.random_range(0..CODES.len())];
        let fields = if kind == "trade" { self.books.market.fields(&number) } else { String::new() };
        format!(r#"{{"type":"{kind}","code":"{code}"{fields},"n":{number},"pad":"{pad}"}}"#).into_bytes()
    }

    /// No two objects are the same, so that each is known by its bytes.
    fn number(&mut self) -> String {
        format!("{}", self.rng.random_range(1_000_000_000_000_u64..9_000_000_000_000))
    }

    async fn sleep(&self, length: Duration) {
        sleep_until(Some(self.clock.now() + length)).await;
    }
}

/// Whether the client asks what is subscribed.
fn is_question(message: &Message) -> bool {
    matches!(message, Message::Text(text) if asks_for_list(text))
}

/// Whether the client asks for streams.
fn is_request(message: &Message) -> bool {
    matches!(message, Message::Text(text) if requested_codes(text).is_some())
}

/// The public streams that a request asks for.
fn asked_by(request: &str) -> Vec<&'static str> {
    let names = Request::from_frame(request).map(|request| Origins::of(&request).names()).unwrap_or_default();
    STREAMS.into_iter().filter(|stream| names.iter().any(|name| name == stream)).collect()
}

/// Whether an object is one of a stream, `CODE_type`.
pub(crate) fn is_of(object: &[u8], stream: &str) -> bool {
    let (code, kind) = stream.split_once('_').expect("it has both");
    object.starts_with(format!(r#"{{"type":"{kind}","code":"{code}""#).as_bytes())
}
