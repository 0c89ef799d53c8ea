//! What the tests of the real program share: starting and ending it, and reading what it wrote.

mod exchange;
pub(crate) mod http;
pub(crate) mod json;
mod program;
pub(crate) mod tape;

pub(crate) use exchange::{Exchange, sent};
pub(crate) use program::Program;
pub(crate) use tape::Tape;

use std::time::{Duration, Instant};

/// How long anything may take before the test has failed.
const PATIENCE: Duration = Duration::from_secs(120);

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
