//! What the tests of the real program share: starting and ending it, and reading what it wrote.

use crate::json::{lines_so_far, object_of, parse, stamp_of};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running program, killed at the end of the test if it still runs.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    /// Starts a verb of the program in an environment without any setting of its own.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_upbit-recorder")).args(arguments).env_clear())
    }

    /// Starts any command.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self { child: command.stdin(Stdio::null()).spawn().unwrap() }
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A figure of `/proc/<pid>/status`, such as `VmHWM`, in kB.
    pub(crate) fn status(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Kills it.
    pub(crate) fn kill(mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.wait();
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the program ends", || {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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

/// Waits until something is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a test of the binary runs in real time")]
    let now = Instant::now;
    let start = now();
    while !is_so() {
        assert!(now() - start < PATIENCE, "waited for this in vain: {what}");
        pause(Duration::from_millis(10));
    }
}

/// Lets real time pass.
pub(crate) fn pause(length: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a test of the binary runs in real time")]
    std::thread::sleep(length);
}

/// A configuration that subscribes trades, order books and tickers of `codes`.
pub(crate) fn subscribing(codes: &[String]) -> String {
    let codes = serde_json::json!(codes);
    let entry = |kind: &str| format!("[[public.subscribe]]\ntype = \"{kind}\"\ncodes = {codes}\n");
    ["trade", "orderbook", "ticker"].map(entry).concat()
}

/// A data directory as a reader sees it.
pub(crate) struct Tape {
    /// The directory.
    pub(crate) path: PathBuf,
}

impl Tape {
    /// The program's own reader of it.
    pub(crate) fn reader(&self) -> upbit_recorder::tape::reader::Tape {
        let files = upbit_recorder::files::disk::Disk::readable(&self.path).unwrap();
        upbit_recorder::tape::reader::Tape::new(files, &self.path)
    }

    /// The lines of every stream, oldest first, from sealed, plain and active files, without those that a crash tore:
    /// each of these is in a plain file, and kept in quarantine.
    pub(crate) fn lines(&self) -> BTreeMap<String, Vec<String>> {
        let mut lines: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let torn = self.torn();
        for path in self.segments() {
            let name = path.file_name().unwrap().to_str().unwrap();
            let stem = name.trim_end_matches(".zst").trim_end_matches(".jsonl");
            // An archived name has its time behind the stream's: `KRW-BTC_candle.1m.20261122T051204.113204Z`.
            let stream = if is_active(&path) { stem } else { stem.rsplitn(3, '.').last().unwrap() };
            let bytes = std::fs::read(&path).unwrap();
            let bytes = if name.ends_with(".zst") { zstd::stream::decode_all(&*bytes).unwrap() } else { bytes };
            let text = String::from_utf8(bytes).unwrap();
            let is_sealed = name.ends_with(".zst");
            assert!(text.ends_with('\n') || (is_sealed && text.is_empty()), "{name} ends within a line");
            let is_whole = |line: &&str| {
                let is_whole = serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
                let is_kept = !is_sealed && torn.iter().any(|torn| torn == line);
                assert!(is_whole || is_kept, "{name} holds what is no line: {line}");
                is_whole
            };
            lines.entry(stream.to_owned()).or_default().extend(text.lines().filter(is_whole).map(str::to_owned));
        }
        lines
    }

    /// The starts of lines that a crash tore, as they are kept.
    fn torn(&self) -> Vec<String> {
        let kept = files_below(&self.path.join("quarantine")).into_iter();
        let torn = kept.filter(|path| path.to_str().unwrap().contains(".torn-"));
        torn.map(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()).collect()
    }

    /// The frames of every stream of the exchange, as they were received.
    pub(crate) fn frames(&self) -> BTreeMap<String, Vec<String>> {
        let mut frames = self.lines();
        frames.remove("recorder");
        frames.values_mut().flatten().for_each(|line| *line = object_of(line));
        frames
    }

    /// The recorder's events of one kind, oldest first.
    pub(crate) fn events(&self, event: &str) -> Vec<serde_json::Value> {
        let lines = self.lines().remove("recorder").unwrap_or_default();
        let events = lines.iter().map(|line| parse(line));
        events.filter(|found| found["event"] == event).collect()
    }

    /// The events in the active file of a running recorder, oldest first.
    pub(crate) fn active_events(&self) -> Vec<serde_json::Value> {
        lines_so_far(&self.path.join("recorder.jsonl"))
    }

    /// All stamps of all files, in the order of their values.
    pub(crate) fn stamps(&self) -> Vec<u64> {
        let mut stamps: Vec<u64> = self.lines().values().flatten().map(|line| stamp_of(line)).collect();
        stamps.sort_unstable();
        stamps
    }

    /// The names of the archive's files with an ending.
    pub(crate) fn archived(&self, ending: &str) -> Vec<PathBuf> {
        let mut files = files_below(&self.path.join("archive"));
        files.retain(|path| path.to_str().unwrap().ends_with(ending));
        files
    }

    /// Segments that wait for their compression.
    pub(crate) fn unsealed(&self) -> Vec<PathBuf> {
        let plain = self.archived(".jsonl").into_iter();
        plain.filter(|path| !path.ends_with("manifest.jsonl")).collect()
    }

    /// Asserts that stamps strictly increase over all lines of all files together, and within each stream.
    pub(crate) fn assert_stamps_increase(&self) {
        let stamps = self.stamps();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "a stamp was given twice");
        for (stream, lines) in self.lines() {
            let stamps: Vec<u64> = lines.iter().map(|line| stamp_of(line)).collect();
            assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]), "{stream}");
        }
    }

    /// Asserts that nothing is left to be sealed, and that what is sealed is what the manifests say.
    pub(crate) fn assert_sealed(&self) {
        assert_eq!(self.archived(".tmp"), [""; 0].map(PathBuf::from));
        let plain = self.unsealed();
        assert_eq!(plain, [""; 0].map(PathBuf::from), "a plain segment is left");
        let sealed = self.archived(".zst");
        assert!(!sealed.is_empty());
        let checked = Command::new("zstd").args(["-t", "-q"]).args(&sealed).status();
        assert!(checked.expect("zstd is installed").success());
        let mut listed = 0;
        for manifest in self.archived("manifest.jsonl") {
            let text = std::fs::read_to_string(&manifest).unwrap();
            let entries: Vec<serde_json::Value> = text.lines().map(parse).collect();
            let sums = entries
                .iter()
                .map(|entry| format!("{}  {}\n", entry["sha256"].as_str().unwrap(), entry["name"].as_str().unwrap()));
            let directory = manifest.parent().unwrap();
            let list = directory.join("../sums");
            std::fs::write(&list, sums.collect::<String>()).unwrap();
            let mut check = Command::new("sha256sum");
            check.args(["--check", "--quiet", "--strict", "../sums"]).current_dir(directory);
            assert!(check.status().unwrap().success());
            std::fs::remove_file(list).unwrap();
            listed += entries.len();
        }
        assert_eq!(listed, sealed.len());
    }

    /// Segments in the order of time within each stream: archived ones sort by the time in their name.
    fn segments(&self) -> Vec<PathBuf> {
        let mut segments = self.archived(".jsonl");
        segments.extend(self.archived(".zst"));
        segments.sort();
        let entries = std::fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path());
        segments.extend(entries.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")));
        segments.retain(|path| !path.ends_with("manifest.jsonl"));
        segments
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

fn is_active(path: &Path) -> bool {
    !path.parent().unwrap().file_name().unwrap().to_str().unwrap().starts_with("date=")
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}
