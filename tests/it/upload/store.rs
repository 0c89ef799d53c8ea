//! A store that speaks enough of the language of S3 and behaves as badly as one can: what a real server does not do on
//! demand. What a store has to do is proved against real ones, by `tests/crash/upload`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    /// It answers everything with this.
    Refusing(u16, &'static str),
    /// So it does to what would change it.
    ReadOnly(u16, &'static str),
    /// It says that each object has a byte more.
    Lying,
    /// It takes a request, and says nothing.
    Mute,
    /// It does not know `If-None-Match`, and says so.
    Unconditional,
    /// It takes what is put, and hangs up.
    HangingUp,
}

/// A running one.
pub(crate) struct Store {
    pub(crate) port: u16,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    mood: Mood,
    objects: BTreeMap<String, Vec<u8>>,
    /// Method and path of each request, with what condition.
    requests: Vec<String>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    is_conditional: bool,
    body: Vec<u8>,
}

impl Store {
    pub(crate) fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Mutex::new(Shared { mood, objects: BTreeMap::new(), requests: Vec::new() }));
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = serving.clone();
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.shared.lock().unwrap().mood = mood;
    }

    pub(crate) fn put(&self, key: &str, content: &[u8]) {
        self.shared.lock().unwrap().objects.insert(key.to_owned(), content.to_vec());
    }

    pub(crate) fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.shared.lock().unwrap().objects.clone()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.lock().unwrap().requests.clone()
    }
}

fn serve(stream: TcpStream, shared: &Mutex<Shared>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        let answer = answer(&request, &mut shared.lock().unwrap());
        match answer {
            Some((status, body, headers)) => {
                let length = if request.method == "HEAD" {
                    String::new()
                } else {
                    format!("content-length: {}\r\n", body.len())
                };
                let head = format!("HTTP/1.1 {status} x\r\n{length}{headers}\r\n");
                let body = if request.method == "HEAD" { Vec::new() } else { body };
                if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&body)).is_err() {
                    return;
                }
            }
            None if shared.lock().unwrap().mood == Mood::Mute => {
                // Until the client hangs up.
                let _ = reader.read(&mut [0]);
                return;
            }
            None => return,
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.replace("%3D", "="), query.to_owned());
    let (mut length, mut is_conditional) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let (name, value) = header.trim().split_once(':').unwrap_or((header.trim(), ""));
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "content-length" => length = value.trim().parse().ok()?,
            "if-none-match" => is_conditional = true,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, query, is_conditional, body })
}

/// Status, body and headers; nothing: it hangs up.
type Answer = Option<(u16, Vec<u8>, String)>;

fn refused(status: u16, code: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>AKIATEST SECRETTEST</Message></Error>");
    Some((status, body.into_bytes(), "content-type: application/xml\r\n".to_owned()))
}

fn answer(request: &Request, shared: &mut Shared) -> Answer {
    let Request { method, path, query, is_conditional, body } = request;
    let condition = if *is_conditional { " if-none-match" } else { "" };
    shared.requests.push(format!("{method} {path}{condition}"));
    let key = path.trim_start_matches("/tape").trim_start_matches('/').to_owned();
    let is_change = !["GET", "HEAD"].contains(&method.as_str());
    match shared.mood {
        Mood::Refusing(status, code) => return refused(status, code),
        Mood::ReadOnly(status, code) if is_change => return refused(status, code),
        Mood::Mute => return None,
        Mood::Unconditional if is_change && *is_conditional => return refused(501, "NotImplemented"),
        _ => {}
    }
    let more = usize::from(shared.mood == Mood::Lying);
    match (method.as_str(), shared.objects.get(&key)) {
        ("GET", _) if query.contains("list-type=2") => {
            Some((200, list(query, shared, more).into_bytes(), String::new()))
        }
        ("GET", Some(content)) => Some((200, content.clone(), headers(content.len()))),
        ("HEAD", Some(content)) => {
            Some((200, Vec::new(), format!("content-length: {}\r\n{}", content.len() + more, headers(content.len()))))
        }
        ("GET" | "HEAD", None) => refused(404, "NoSuchKey"),
        ("PUT", Some(_)) if *is_conditional => refused(412, "PreconditionFailed"),
        ("PUT", _) => {
            shared.objects.insert(key, body.clone());
            if shared.mood == Mood::HangingUp { None } else { Some((200, Vec::new(), headers(0))) }
        }
        _ => refused(400, "Unexpected"),
    }
}

fn headers(_: usize) -> String {
    "etag: \"1\"\r\nlast-modified: Sun, 22 Nov 2026 05:12:04 GMT\r\n".to_owned()
}

fn list(query: &str, shared: &Shared, more: usize) -> String {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let prefix = pairs.filter(|(name, _)| *name == "prefix").map(|(_, value)| value).next_back().unwrap_or_default();
    let prefix = prefix.replace("%3D", "=").replace("%2F", "/");
    let under = shared.objects.iter().filter(|(key, _)| key.starts_with(&prefix));
    let contents: String = under
        .map(|(key, content)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-22T05:12:04.000Z</LastModified><ETag>\"1\"</ETag>\
                 <Size>{}</Size></Contents>",
                content.len() + more
            )
        })
        .collect();
    format!("<ListBucketResult><Name>tape</Name><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>")
}
