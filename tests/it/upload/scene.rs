//! A data directory with sealed files, a place to upload them to, and what a run of `upload` came to.

use super::store::Store;
use crate::support::json::{number, parse};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use upbit_recorder::clock::{Clock, Stamp};
use upbit_recorder::files::Files;
use upbit_recorder::files::disk::Disk;
use upbit_recorder::recording::seal::{Provenance, Sealer};
use upbit_recorder::recording::segment::Finished;
use upbit_recorder::tape::segment_name::SegmentName;
use upbit_recorder::tape::stream_key::StreamKey;
use upbit_recorder::upbit::feed::Feed;
use upbit_recorder::upbit::venue::Venue;

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A data directory with sealed files, and a directory to upload them to.
pub(super) struct Scene {
    pub(super) directory: tempfile::TempDir,
    pub(super) files: Arc<dyn Files>,
    pub(super) now: Stamp,
}

impl Scene {
    /// Two streams, events and an account of two days.
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("data")).unwrap();
        let files: Arc<dyn Files> = Arc::new(Disk::existing(&directory.path().join("data")).unwrap());
        let scene = Self { directory, files, now: Clock::start().stamp() };
        for age in [0, 1] {
            for (feed, stream) in [
                (Feed::Public, "KRW-BTC_trade"),
                (Feed::Public, "KRW-ETH_trade"),
                (Feed::Public, "recorder"),
                (Feed::Private, "KRW-BTC_myOrder"),
            ] {
                scene.seal(feed, stream, scene.now.before(age * DAY));
            }
        }
        scene
    }

    pub(super) fn data(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join("data").join(name)
    }

    /// The path of the sealed file.
    pub(super) fn seal(&self, feed: Feed, stream: &str, first: Stamp) -> PathBuf {
        self.seal_line(feed, stream, first, "1")
    }

    /// The path of a sealed file of today that has more than 16 MiB and less than 24.
    pub(super) fn seal_large(&self, stream: &str) -> PathBuf {
        // Hexadecimal digits without order take half a byte each.
        let mut digest = Sha256::digest(b"large");
        let digits = (0..550_000).map(|_| {
            digest = Sha256::digest(digest);
            upbit_recorder::printable::hex(&digest)
        });
        let text = digits.collect::<String>();
        self.seal_line(Feed::Public, stream, self.now, &format!("\"{text}\""))
    }

    /// Nothing is known here any more of what is in the store.
    pub(super) fn forget_uploaded(&self) {
        for date in std::fs::read_dir(self.data("archive")).unwrap() {
            std::fs::remove_file(date.unwrap().path().join("uploaded.jsonl")).unwrap();
        }
    }

    fn seal_line(&self, feed: Feed, stream: &str, first: Stamp, value: &str) -> PathBuf {
        let name = SegmentName { feed, stream: StreamKey::from_stem(stream).unwrap(), epoch: 0, first };
        let line = format!("{{\"ts_recv\":{first},\"type\":\"trade\",\"n\":{value}}}\n");
        std::fs::create_dir_all(self.data(name.directory())).unwrap();
        std::fs::write(self.data(name.plain()), line).unwrap();
        let provenance = Provenance { run: first, venue: Venue::named_after("local") };
        let sealed = name.sealed();
        let finished = Finished { name, origin: None, last: first, bytes: None, torn: Vec::new() };
        Sealer::new(self.files.clone(), 1, provenance, Arc::default()).step(&finished).unwrap();
        sealed
    }

    pub(super) fn remote(&self) -> PathBuf {
        self.directory.path().join("remote")
    }

    /// A verb, with a store in a directory.
    pub(super) fn command(&self, verb: &str, settings: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.arg(verb).env_clear();
        let own = [
            format!("data_dir={}", self.data("").display()),
            format!("upload.url=file://{}", self.remote().display()),
            "upload.host=tape1".to_owned(),
        ];
        for setting in own.iter().map(String::as_str).chain(settings.iter().copied()) {
            command.args(["--set", setting]);
        }
        command
    }

    pub(super) fn upload(&self, settings: &[&str]) -> Uploaded {
        Uploaded::of(self.command("upload", settings).arg("--json").output().unwrap())
    }

    /// To a store that speaks the language of S3.
    pub(super) fn upload_to(&self, store: &Store) -> Uploaded {
        self.upload_to_port(store.port)
    }

    /// A verb, with such a store.
    pub(super) fn s3(&self, verb: &str, port: u16) -> Command {
        let endpoint = format!("upload.endpoint=http://127.0.0.1:{port}");
        let mut command = self.command(verb, &["upload.url=s3://tape/a", &endpoint]);
        command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "SECRETTEST");
        command
    }

    pub(super) fn upload_to_port(&self, port: u16) -> Uploaded {
        Uploaded::of(self.s3("upload", port).arg("--json").output().unwrap())
    }

    /// `verify --remote` of a store in a directory: how it ended, and its lines.
    pub(super) fn verify(&self, settings: &[&str], arguments: &[&str]) -> Verified {
        let output = self.command("verify", settings).args(["--remote", "--json"]).args(arguments).output().unwrap();
        let mut lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        let sum = lines.pop().map(|sum| parse(&sum)).unwrap_or_default();
        Verified { code: output.status.code(), lines, sum, told: String::from_utf8(output.stderr).unwrap() }
    }

    /// The files in the directory that is the store, by their paths, but for the one that says so.
    pub(super) fn there(&self) -> BTreeMap<String, Vec<u8>> {
        fn walk(directory: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => walk(&path, root, found),
                    false => {
                        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                        found.insert(name, std::fs::read(&path).unwrap());
                    }
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.remote(), &self.remote(), &mut found);
        assert!(found.remove(".upbit-recorder").is_some(), "it is marked");
        found
    }
}

/// What a run of `verify --remote --json` came to.
pub(super) struct Verified {
    pub(super) code: Option<i32>,
    pub(super) lines: Vec<String>,
    pub(super) sum: serde_json::Value,
    pub(super) told: String,
}

/// What a run of `upload --json` came to.
pub(super) struct Uploaded {
    pub(super) code: Option<i32>,
    pub(super) files: u64,
    pub(super) waiting: u64,
    pub(super) told: String,
}

impl Uploaded {
    pub(super) fn of(output: Output) -> Self {
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!told.contains("panicked"), "{told}");
        assert!(!told.contains("SECRETTEST") && !told.contains("AKIATEST"), "{told}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        let sum = stdout.lines().next().map(parse);
        let count = |key| sum.as_ref().map_or(0, |sum| number(sum, key));
        Self { code: output.status.code(), files: count("files"), waiting: count("waiting"), told }
    }
}

/// Each manifest line there has its file, whole; returns how many there are.
pub(super) fn assert_committed(there: &BTreeMap<String, Vec<u8>>) -> usize {
    let mut listed = 0;
    for (path, content) in there.iter().filter(|(path, _)| path.contains("/manifest.")) {
        for line in std::str::from_utf8(content).unwrap().lines() {
            let entry = parse(line);
            let (directory, _) = path.rsplit_once('/').unwrap();
            let file = &there[&format!("{directory}/{}", entry["name"].as_str().unwrap())];
            let sha256 = upbit_recorder::printable::hex(&Sha256::digest(file));
            assert_eq!(
                (sha256.as_str(), file.len() as u64),
                (entry["sha256"].as_str().unwrap(), number(&entry, "zst_bytes"))
            );
            listed += 1;
        }
    }
    listed
}
