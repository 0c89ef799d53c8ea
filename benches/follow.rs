//! How long after the server's send a frame can be read from a file.
//!
//! ```text
//! follow DIRECTORY      until standard input ends; then a line of JSON: count, p50, p99 and max, in µs
//! ```
//!
//! Woken by inotify at each write to a file of the directory, it reads what is new, and compares the time in the frames,
//! `"sent":1795317064154123`, with the clock. Frames that have none are passed over.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time")]
#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use memchr::memmem;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

fn main() {
    let directory = PathBuf::from(std::env::args().nth(1).expect("a directory"));
    let delays = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&delays);
    // It ends with the process.
    std::thread::spawn(move || watch(directory, &shared));
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let mut delays = std::mem::take(&mut *delays.lock().unwrap());
    delays.sort_unstable();
    let at =
        |share: f64| delays.get((delays.len().saturating_sub(1) as f64 * share) as usize).copied().unwrap_or_default();
    println!(r#"{{"count":{},"p50":{},"p99":{},"max":{}}}"#, delays.len(), at(0.5), at(0.99), at(1.0));
}

fn watch(directory: PathBuf, delays: &Mutex<Vec<u64>>) {
    let notices = inotify::init(CreateFlags::CLOEXEC).unwrap();
    inotify::add_watch(&notices, &directory, WatchFlags::MODIFY | WatchFlags::CREATE).unwrap();
    let mut files: HashMap<String, Followed> = HashMap::new();
    let mut room = [MaybeUninit::uninit(); 64 * 1024];
    let mut events = inotify::Reader::new(notices, &mut room);
    loop {
        let event = events.next().unwrap();
        let name = event.file_name().unwrap().to_str().unwrap();
        let is_followed = name == "out" || name.ends_with(".jsonl") && name != "recorder.jsonl";
        if !is_followed {
            continue;
        }
        // A new file of a known name follows one that was renamed.
        if event.events().contains(ReadFlags::CREATE)
            && let Some(mut before) = files.remove(name)
        {
            before.read(delays);
        }
        if !files.contains_key(name) {
            let Ok(file) = File::open(directory.join(name)) else { continue };
            files.insert(name.to_owned(), Followed { file, rest: Vec::new() });
        }
        files.get_mut(name).unwrap().read(delays);
    }
}

struct Followed {
    file: File,
    rest: Vec<u8>,
}

impl Followed {
    fn read(&mut self, delays: &Mutex<Vec<u64>>) {
        /// Of frames that are sent together at the beginning, as fast as they are taken.
        const NOT_TIMED: u64 = 1_000_000_000_000_000;
        const KEY: &[u8] = b"\"sent\":";
        self.file.read_to_end(&mut self.rest).unwrap();
        let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap();
        let mut delays = delays.lock().unwrap();
        let mut taken = 0;
        while let Some(at) = memmem::find(&self.rest[taken..], KEY) {
            let digits = self.rest[taken + at + KEY.len()..].trim_ascii_start();
            let Some(digits) = digits.get(..16) else { break };
            match std::str::from_utf8(digits).unwrap().parse::<u64>().unwrap() {
                NOT_TIMED => {}
                sent => delays.push(now.saturating_sub(sent)),
            }
            taken += at + KEY.len();
        }
        // A key that is cut is found when its rest has come.
        let keep = self.rest.len().min(64).min(self.rest.len() - taken);
        self.rest.drain(..self.rest.len() - keep);
    }
}
