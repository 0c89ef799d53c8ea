//! The gap tracker in scripts: commands to it, and the gaps that each of them ends.
//!
//! The scripts are in `testscripts/`, each a list of commands (see [`Command`]), followed after `---` by the gaps that
//! each returns, as `[from, to)` in microseconds. `ok` is no gap.
//!
//! `UPDATE_GOLDENFILES=1 cargo test --lib gaps::tests::script` rewrites the part after `---`; review the difference.

use super::*;
use crate::tests::scripts;
use std::error::Error;
use std::fmt::Write;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/daemon/gaps/testscripts");

scripts! {
    SCRIPTS, Script::default();
    clock_step,
    end_of_the_process,
    joining_streams,
    loss,
    mute_streams,
    pause,
    two_feeds,
}

/// A command. Times are stamps in microseconds; a command applies to the public feed, or with the tag `[private]` to
/// the private one.
#[derive(goldenscript::Command)]
enum Command {
    /// The connection is lost, or was never up.
    Open { from: u64, kind: String, cause: Option<String> },
    /// Data of a subscribed stream arrives.
    Close { to: u64 },
    /// A gap is found with both ends known.
    Record { from: u64, to: u64, kind: String },
    /// Streams are mute.
    Suspect {
        since: u64,
        #[arg(many)]
        streams: Vec<String>,
    },
    /// Streams are subscribed some time after they were wanted.
    Join {
        since: u64,
        #[arg(many)]
        streams: Vec<String>,
    },
    /// Streams deliver data again.
    Clear {
        to: u64,
        #[arg(many)]
        streams: Vec<String>,
    },
    /// The process stops orderly.
    Finish { last: u64, to: u64 },
    /// The wall clock was set: the epoch ends at a stamp, and the next one begins at another.
    Step { before: u64, after: u64 },
}

#[derive(Default)]
struct Script {
    tracker: GapTracker,
}

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &goldenscript::Context) -> Result<String, Box<dyn Error>> {
        let feed = if context.tags.contains("private") { Feed::Private } else { PUBLIC };
        let tracker = &mut self.tracker;
        let gaps = match command {
            Command::Open { from, kind, cause } => {
                tracker.open(feed, stamp(*from), kind_of(kind)?, cause.as_deref().unwrap_or_default())
            }
            Command::Close { to } => tracker.close(feed, stamp(*to)).into_iter().collect(),
            Command::Record { from, to, kind } => tracker.record(feed, [stamp(*from), stamp(*to)], kind_of(kind)?, ""),
            Command::Suspect { since, streams } => {
                streams.iter().for_each(|stream| tracker.suspect(feed, stream.clone(), stamp(*since)));
                Vec::new()
            }
            Command::Join { since, streams } => tracker.join(feed, streams.clone(), stamp(*since)),
            Command::Clear { to, streams } => tracker.clear(feed, streams, stamp(*to)),
            Command::Finish { last, to } => tracker.finish(feed, stamp(*last), stamp(*to)),
            Command::Step { before, after } => {
                tracker.step(stamp(*before), Position { epoch: 0, stamp: stamp(*after) })
            }
        };
        let mut output = String::new();
        for gap in gaps {
            let Gap { connection, from, to, kind, cause, only, .. } = gap;
            let streams = only.map_or("all streams".to_owned(), |only| only.join(" "));
            let kind = serde_json::to_value(kind)?;
            writeln!(
                output,
                "[{from}, {to}) {connection}, {streams}: {}, {cause:?}",
                kind.as_str().unwrap_or_default()
            )?;
        }
        Ok(output)
    }
}

fn kind_of(kind: &str) -> Result<GapKind, serde_json::Error> {
    serde_json::from_value(kind.into())
}
