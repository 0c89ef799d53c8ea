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
    /// It promises 100 TB with each answer that has content, and hangs up behind what it has.
    Boasting,
    /// Each part of a list is the first one.
    Repeating,
    /// It lets nobody see what the account received.
    Discreet,
}

/// A running one.
pub(crate) struct Store {
    pub(crate) port: u16,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    mood: Mood,
    objects: BTreeMap<String, Vec<u8>>,
    /// The parts of objects that are not complete.
    parts: BTreeMap<String, Vec<Vec<u8>>>,
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
        let shared = Arc::new(Mutex::new(Shared {
            mood,
            objects: BTreeMap::new(),
            parts: BTreeMap::new(),
            requests: Vec::new(),
        }));
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
        let is_boasting = shared.lock().unwrap().mood == Mood::Boasting;
        match answer {
            Some((status, body, headers)) => {
                let length = if request.method == "HEAD" {
                    String::new()
                } else {
                    format!("content-length: {}\r\n", if is_boasting { 100_000_000_000_000 } else { body.len() })
                };
                let head = format!("HTTP/1.1 {status} x\r\n{length}{headers}\r\n");
                let body = if request.method == "HEAD" { Vec::new() } else { body };
                let written = writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&body));
                if written.is_err() || is_boasting {
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
        Mood::Discreet if key.starts_with("a/private") || query.contains("a%2Fprivate") => {
            return refused(403, "AccessDenied");
        }
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
        ("POST", _) if query == "uploads=" || query == "uploads" => {
            shared.parts.insert(key.clone(), Vec::new());
            let upload = "<UploadId>1</UploadId>";
            let body = format!(
                "<InitiateMultipartUploadResult><Bucket>tape</Bucket><Key>{key}</Key>{upload}</InitiateMultipartUploadResult>"
            );
            Some((200, body.into_bytes(), String::new()))
        }
        ("PUT", _) if query.contains("partNumber=") => {
            shared.parts.get_mut(&key).unwrap().push(body.clone());
            Some((200, Vec::new(), headers(0)))
        }
        ("POST", Some(_)) if *is_conditional => refused(412, "PreconditionFailed"),
        ("POST", _) if query.contains("uploadId=") => {
            let content = shared.parts.remove(&key).unwrap().concat();
            shared.objects.insert(key.clone(), content);
            let body = format!(
                "<CompleteMultipartUploadResult><Bucket>tape</Bucket><Key>{key}</Key><ETag>\"1\"</ETag></CompleteMultipartUploadResult>"
            );
            Some((200, body.into_bytes(), String::new()))
        }
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

/// Objects of a part of a list.
const PAGE: usize = 3;

fn list(query: &str, shared: &Shared, more: usize) -> String {
    let value = |wanted: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.filter(|(name, _)| *name == wanted).map(|(_, value)| value).next_back();
        found.unwrap_or_default().replace("%3D", "=").replace("%2F", "/")
    };
    let (prefix, page) = (value("prefix"), value("continuation-token").parse().unwrap_or(0_usize));
    let under: Vec<_> = shared.objects.iter().filter(|(key, _)| key.starts_with(&prefix)).collect();
    let begin = if shared.mood == Mood::Repeating { 0 } else { page * PAGE };
    let contents: String = under
        .iter()
        .skip(begin)
        .take(PAGE)
        .map(|(key, content)| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-11-22T05:12:04.000Z</LastModified><ETag>\"1\"</ETag>\
                 <Size>{}</Size></Contents>",
                content.len() + more
            )
        })
        .collect();
    let has_more = shared.mood == Mood::Repeating || under.len() > begin + PAGE;
    let next = format!("<NextContinuationToken>{}</NextContinuationToken>", page + 1);
    let next = if has_more { next } else { String::new() };
    format!(
        "<ListBucketResult><Name>tape</Name><IsTruncated>{has_more}</IsTruncated>{next}{contents}</ListBucketResult>"
    )
}
