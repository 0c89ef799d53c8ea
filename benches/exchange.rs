//! What the recorder needs for the whole exchange, measured from outside: a local exchange and the recorder, two
//! processes on loopback.
//!
//! ```text
//! cargo bench --bench exchange                                   855 pairs, 3 types, 2,000 frames/s, 20 s; then a flood
//! cargo bench --bench exchange -- --codes 100 --rate 500 --seconds 60
//! ```
//!
//! **Whole exchange**: memory, descriptors, processor time per frame, and how long after a frame left the socket its
//! line could be read from the file, in the last seconds before and in the first seconds after all streams were rotated
//! at once (SIGUSR1). **Flood**: a recorded file as fast as it is taken: frames/s and processor time per frame.
//! The figures are for comparing two versions on one machine in one hour, not for quoting across machines.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time")]
#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

#[path = "../tests/it/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod support;

use std::fmt::Write;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::{Exchange, Program, eventually, subscribing};

/// Streams whose files are followed for the delay: the busiest pairs come first.
const FOLLOWED: usize = 12;

/// Frames of the flood.
const FLOOD: usize = 400_000;

fn main() {
    let argument = |name: &str, default: usize| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
        arguments.next().map_or(default, |value| value.parse().expect("a whole number"))
    };
    let directory = tempfile::tempdir().unwrap();
    whole_exchange(directory.path(), argument("--codes", 855), argument("--rate", 2_000), argument("--seconds", 20));
    flood(directory.path());
}

fn whole_exchange(directory: &Path, codes: usize, rate: usize, seconds: usize) {
    let exchange = Exchange::start(0, &["--codes", &codes.to_string(), "--rate", &rate.to_string(), "--no-limits"]);
    let listed = exchange.codes();
    let (config, data) = (directory.join("recorder.toml"), directory.join("whole"));
    std::fs::write(&config, subscribing(&listed)).unwrap();
    let recorder = Recorder::start(&exchange.url, &data, &["--config", config.to_str().unwrap()]);
    eventually("frames are on disk", || recorder.lines() > codes * 3);

    let half = Duration::from_secs(seconds as u64).div_f64(2.0);
    let (start, before) = (recorder.cpu(), recorder.lines());
    let (steady, frames) = (follow(&data, &listed, half), recorder.lines() - before);
    let cpu = (recorder.cpu() - start).div_f64(frames as f64);
    recorder.program.signal(rustix::process::Signal::USR1);
    let rotating = follow(&data, &listed, half);

    println!("\nwhole exchange: {codes} pairs × 3 types, {rate} frames/s asked for, {seconds} s");
    println!("  streams                  {}", std::fs::read_dir(&data).unwrap().count() - 3);
    println!("  resident, peak           {:.1} MB", recorder.program.status("VmHWM") as f64 / 1e3);
    println!("  descriptors              {}", recorder.program.descriptors());
    println!(
        "  processor time per frame {:.1} µs ({:.1} % of a core)",
        cpu.as_secs_f64() * 1e6,
        share(cpu, frames, half)
    );
    println!("  socket to file, steady   {steady}");
    println!("  socket to file, rotating {rotating}");
    assert!(recorder.program.terminate().success());
}

fn share(cpu: Duration, frames: usize, length: Duration) -> f64 {
    100.0 * cpu.as_secs_f64() * frames as f64 / length.as_secs_f64()
}

fn flood(directory: &Path) {
    let (file, data) = (directory.join("frames.jsonl"), directory.join("flood"));
    let mut frames = String::new();
    for number in 0..FLOOD {
        let code = number % 20;
        let frame = format!(
            r#"{{"type":"trade","code":"KRW-C{code}","timestamp":1790134742106,"trade_date":"2026-09-23","trade_time":"02:19:02","trade_timestamp":1790134742080,"trade_price":1.16539E8,"trade_volume":0.02054761,"ask_bid":"ASK","prev_closing_price":116000000.00000000,"change":"RISE","change_price":539000.00000000,"sequential_id":17901347420{number:06},"stream_type":"REALTIME"}}"#
        );
        writeln!(frames, "{}", serde_json::json!({"frame": frame})).unwrap();
    }
    std::fs::write(&file, frames).unwrap();
    let exchange = Exchange::start(0, &["--frames", file.to_str().unwrap(), "--no-limits"]);
    let start = Instant::now();
    let recorder = Recorder::start(&exchange.url, &data, &[]);
    eventually("frames are on disk", || recorder.lines() >= FLOOD);
    let (length, cpu) = (start.elapsed(), recorder.cpu());
    println!("\nflood: {FLOOD} trades as fast as they are taken, both processes on this machine");
    println!("  frames per second        {:.0}", FLOOD as f64 / length.as_secs_f64());
    println!("  processor time per frame {:.2} µs", cpu.as_secs_f64() * 1e6 / FLOOD as f64);
    println!("  resident, peak           {:.1} MB", recorder.program.status("VmHWM") as f64 / 1e3);
    assert!(recorder.program.terminate().success());
}

/// Delays from the socket to the file.
struct Delays(Vec<u64>);

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| self.0[((self.0.len() - 1) as f64 * share) as usize] as f64 / 1e3;
        write!(
            f,
            "median {:.1} ms, 99 % {:.1} ms, longest {:.1} ms ({} lines)",
            at(0.5),
            at(0.99),
            at(1.0),
            self.0.len()
        )
    }
}

/// Reads some files as they grow, and compares the stamp of each new line with the time it could be read.
fn follow(data: &Path, codes: &[String], length: Duration) -> Delays {
    let kinds = ["trade", "orderbook", "ticker"].into_iter().cycle();
    let mut files: Vec<Follower> = codes
        .iter()
        .zip(kinds)
        .take(FOLLOWED)
        .map(|(code, kind)| Follower::new(data.join(format!("{code}_{kind}.jsonl"))))
        .collect();
    let mut delays = Vec::new();
    let start = Instant::now();
    while start.elapsed() < length {
        files.iter_mut().for_each(|file| file.read(&mut delays));
        std::thread::sleep(Duration::from_micros(500));
    }
    delays.sort_unstable();
    Delays(delays)
}

struct Follower {
    path: PathBuf,
    file: Option<(u64, std::fs::File)>,
    rest: Vec<u8>,
}

impl Follower {
    fn new(path: PathBuf) -> Self {
        let mut follower = Self { path, file: None, rest: Vec::new() };
        // What is there already was not waited for: the first look opens the file, the second one passes it over.
        (0..2).for_each(|_| follower.read(&mut Vec::new()));
        follower
    }

    fn read(&mut self, delays: &mut Vec<u64>) {
        if let Some((_, file)) = &mut self.file {
            file.read_to_end(&mut self.rest).unwrap();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64;
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let digits = line["{\"ts_recv\":".len()..].iter().take_while(|byte| byte.is_ascii_digit());
            let stamp = digits.fold(0, |stamp, digit| stamp * 10 + u64::from(digit - b'0'));
            delays.push(now.saturating_sub(stamp));
        }
        let Ok(file) = std::fs::File::open(&self.path) else { return };
        let inode = file.metadata().unwrap().ino();
        if self.file.as_ref().is_none_or(|(known, _)| *known != inode) {
            self.file = Some((inode, file));
        }
    }
}

/// A running recorder.
struct Recorder {
    program: Program,
    data: PathBuf,
}

impl Recorder {
    fn start(url: &str, data: &Path, arguments: &[&str]) -> Self {
        let (url, data_dir) = (format!("public.url={url}"), format!("data_dir={}", data.display()));
        let settings = ["record", "--set", &url, "--set", &data_dir, "--set", "log.level=error"];
        Self { program: Program::start(&[&settings, arguments].concat()), data: data.to_owned() }
    }

    /// Lines of the exchange on disk, active files and plain archived ones alike.
    fn lines(&self) -> usize {
        let count =
            |path: PathBuf| std::fs::read(path).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count());
        let entries = std::fs::read_dir(&self.data).into_iter().flatten().map(|entry| entry.unwrap().path());
        let ours = |path: &PathBuf| {
            path.extension().is_some_and(|ending| ending == "jsonl") && !path.ends_with("recorder.jsonl")
        };
        entries.filter(ours).map(count).sum()
    }

    /// Processor time of all threads so far, in the kernel's ticks of 10 ms.
    fn cpu(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.program.pid())).unwrap();
        let (_, fields) = text.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap());
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }
}
