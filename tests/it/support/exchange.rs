//! A local exchange, and its own record of what it sent.

use super::json::parse;
use super::program::Program;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

/// A running local exchange.
pub(crate) struct Exchange {
    program: Program,
    /// Its address for the recorder.
    pub(crate) url: String,
}

impl Exchange {
    /// Starts one on a free port, or on `port`.
    pub(crate) fn start(port: u16, arguments: &[&str]) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.args(["replay", "--listen", &listen]).args(arguments).env_clear().stdout(Stdio::piped());
        let mut program = Program::spawn(&mut command);
        let mut line = String::new();
        BufReader::new(program.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("replay: listening on ").expect(&line).trim().to_owned();
        Self { program, url }
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        let authority = self.url.split('/').nth(2).unwrap();
        authority.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Makes something go wrong from now on, as `replay --fault` spells it.
    pub(crate) fn fault(&self, fault: &str) {
        let answer = self.http(&format!("POST /_faults HTTP/1.1\r\nContent-Length: {}", fault.len()), fault);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// Nothing goes wrong any more.
    pub(crate) fn clear_faults(&self) {
        let answer = self.http("DELETE /_faults HTTP/1.1", "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// A list that it answers with.
    pub(crate) fn list(&self, path: &str) -> Vec<Box<RawValue>> {
        let answer = self.http(&format!("GET /v1/{path} HTTP/1.1"), "");
        let (_, body) = answer.split_once("\r\n\r\n").expect(&answer);
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// The pairs it lists.
    pub(crate) fn codes(&self) -> Vec<String> {
        let markets = self.list("market/all");
        let markets = markets.iter().map(|market| parse(market.get()));
        markets.map(|market| market["market"].as_str().unwrap().to_owned()).collect()
    }

    /// The whole answer to a request.
    fn http(&self, head: &str, body: &str) -> String {
        let authority = self.url.split('/').nth(2).unwrap();
        let mut socket = TcpStream::connect(authority).unwrap();
        write!(socket, "{head}\r\nHost: {authority}\r\nConnection: close\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Kills it.
    pub(crate) fn kill(self) {
        self.program.kill();
    }

    /// Asks it to end, after which its log of sent frames is complete.
    pub(crate) fn terminate(self) {
        assert!(self.program.terminate().success());
    }
}

/// What an exchange logged of the objects it handed to sockets, by the stream that each belongs to; those of the account
/// stand behind `private/`.
pub(crate) fn sent(log: &Path) -> BTreeMap<String, Vec<String>> {
    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let line = parse(line);
        let frame = line["frame"].as_str().unwrap();
        let objects: Vec<&RawValue> = match frame.starts_with('[') {
            true => serde_json::from_str(frame).unwrap(),
            false => vec![serde_json::from_str(frame).unwrap()],
        };
        for object in objects {
            sent.entry(stream_of(object.get())).or_default().push(object.get().to_owned());
        }
    }
    sent
}

fn stream_of(object: &str) -> String {
    let object = parse(object);
    let name = |long: &str, short: &str| {
        object.get(long).or(object.get(short)).and_then(serde_json::Value::as_str).map(str::to_owned)
    };
    let stream = match (name("type", "ty"), name("code", "cd")) {
        (Some(kind), Some(code)) => format!("{code}_{kind}"),
        (Some(kind), None) => kind,
        (None, _) => "misc".to_owned(),
    };
    let of_the_account = ["myOrder", "myAsset", "announcement"].iter().any(|kind| stream.ends_with(kind));
    if of_the_account { format!("private/{stream}") } else { stream }
}
