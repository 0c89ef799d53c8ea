//! A load server that is never the limit: the exchange's side of one feed, with all frames made before anybody connects.
//!
//! ```text
//! load --workload trades --frames 2000000                  trades of about 210 bytes on one stream, as fast as they are taken
//! load --workload books --frames 300000 --streams 855      books of about 2.9 KB, as fast as they are taken
//! load --workload market --streams 2565 --rate 1000 --seconds 300 [--tls FILE]
//! ```
//!
//! The market first sends a frame of each stream, then trades, books and tickers at times of a random arrival, each with the
//! microsecond of its send in its last digits. With `--tls` it is spoken over TLS, and FILE gets the certificate to trust.
//!
//! Serves one client after the other, from the first text message on: whatever was subscribed, all frames, and last one
//! of the stream `KRW-END_trade`. Then the connection stays until the client ends it. Standard output has a line of JSON for
//! `listening` (the port) with the number of frames and their bytes without and with headers, then for each client `begin`,
//! `paced` (with the first frame of the market that waits for its time) and `end` (when the kernel took the last byte), in
//! µs since the epoch.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time, and waits")]
#![expect(clippy::print_stdout, reason = "its reports are its output")]
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

mod frames;
mod market;
mod serve;
mod texts;
mod websocket;

use frames::Frames;
use serve::Server;

fn main() {
    let argument = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let number = |name: &str, default: usize| argument(name).map_or(default, |value| value.parse().expect(name));
    let (rate, seconds) = (number("--rate", 1_000), number("--seconds", 20));
    let mut frames = Frames::default();
    match argument("--workload").expect("--workload trades, books or market").as_str() {
        "trades" => texts::trades(number("--frames", 2_000_000), |text| frames.push(text)),
        "books" => texts::books(number("--frames", 300_000), number("--streams", 855), |text| frames.push(text)),
        "market" => market::make(&mut frames, number("--streams", 2_565), rate, rate * seconds),
        other => panic!("no workload {other}"),
    }
    let frames = frames.finish();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::bind(argument("--tls").map(Into::into)).await;
        let (count, payload, sent) = (frames.count(), frames.payload(), frames.sent());
        println!(r#"{{"listening":{},"frames":{count},"bytes":{payload},"sent":{sent}}}"#, server.port());
        server.serve(&frames).await;
    });
}
