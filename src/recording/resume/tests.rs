//! How a recording is resumed, in scripts: what the processes before have left, and what a start makes of it.
//!
//! The scripts are in `testscripts/`, each a list of commands (see [`Command`]), followed after `---` by what a start
//! decides. Times are in seconds; the id of a gap is a microsecond or more behind one.
//!
//! `UPDATE_GOLDENFILES=1 cargo test --lib resume` rewrites the part after `---`; review the difference.

use super::*;
use crate::tape::stream_key::StreamKey;
use crate::tests::scripts;
use std::error::Error;
use std::fmt::Write;

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/recording/resume/testscripts");

scripts! {
    SCRIPTS, Script::default();
    a_backup_without_dot_files,
    ahead_of_the_clock,
    clean_stop,
    durable_mark_and_state,
    feed_switched_off,
    first_start,
    full_disk,
    kill,
    kills_within_a_step,
    lost_and_found,
    no_durable_mark,
    private_quiet,
    state_lost,
    suspicion_at_the_kill,
    sync_failed,
    unreadable_file,
}

/// A command. It applies to the public feed, or with the tag `[private]` to the private one.
#[derive(goldenscript::Command)]
enum Command {
    /// The state of a process that runs, in an epoch that began at a time.
    State { epoch: u64, began: f64 },
    /// It says how the process ended: `stopped` at a time, or `sync_failed`.
    Ended { how: String, last: Option<f64>, heard: Option<f64> },
    /// A gap of the feed is open.
    Open { from: f64, kind: String, cause: String },
    /// Streams are suspected.
    Suspect {
        since: f64,
        #[arg(many)]
        streams: Vec<String>,
    },
    /// A step has begun.
    Step { epoch: u64, before: f64, after: f64 },
    /// A sync had no room.
    Unsure { from: f64, to: f64 },
    /// A gap is decided and not on record.
    Redo { id: f64, epoch: u64, from: f64, to: f64 },
    /// The state does not want the feed.
    Unwanted,
    /// There is no state any more.
    Forget,
    /// The durable mark; with `heard`, of the feed.
    Mark { epoch: u64, durable: f64, generation: u64, heard: Option<f64> },
    /// An active file begins at 10 and ends with this stamp, or one of an epoch in the archive.
    Tail { stream: String, last: f64, epoch: Option<u64> },
    /// The first line of the active events names an epoch.
    Begun { epoch: u64 },
    /// An active file cannot be read.
    Unreadable,
    /// A start, on a state of generation 7; `off`: a feed that it does not record. What it writes is the state then.
    Start { now: f64, off: Option<String> },
}

#[derive(Default)]
struct Script {
    state: Option<State>,
    mark: Option<DurableMark>,
    tails: Tails,
}

impl goldenscript::Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, context: &goldenscript::Context) -> Result<String, Box<dyn Error>> {
        let feed = if context.tags.contains("private") { Feed::Private } else { Feed::Public };
        match command {
            Command::State { epoch, began } => {
                let mut state = State::new("upbit-kr", seconds(*began));
                state.epoch = *epoch;
                state.feeds.iter_mut().for_each(|feed| feed.wanted = true);
                self.state = Some(state);
            }
            Command::Mark { epoch, durable, generation, heard } => {
                let mut all = self.mark.map(|mark| mark.heard).unwrap_or_default();
                all[feed] = heard.map(seconds).or(all[feed]);
                let (epoch, generation) = (*epoch, *generation);
                self.mark = Some(DurableMark { durable: seconds(*durable), epoch, heard: all, generation });
            }
            Command::Tail { stream, last, epoch } => {
                let key = StreamKey::from_stem(stream).ok_or("no stream")?;
                match epoch {
                    Some(epoch) => {
                        self.tails.note(feed, &key, Position { epoch: *epoch, stamp: seconds(*last) });
                    }
                    None => {
                        self.tails.active.insert((feed, key), seconds(*last));
                        self.tails.active_began = Some(seconds(10.0));
                    }
                }
            }
            Command::Begun { epoch } => self.tails.begun = *epoch,
            Command::Unreadable => self.tails.has_unreadable = true,
            Command::Forget => self.state = None,
            Command::Start { now, off } => return self.start(seconds(*now), off.as_deref()),
            change => self.change(feed, change)?,
        }
        Ok(String::new())
    }
}

impl Script {
    /// Changes the state.
    fn change(&mut self, feed: Feed, command: &Command) -> Result<(), Box<dyn Error>> {
        let state = self.state.as_mut().ok_or("no state")?;
        match command {
            Command::Ended { how, last, heard } => {
                let last = last.map(seconds);
                let heard = PerFeed::from_fn(|_| heard.map(seconds));
                state.ended = match how.as_str() {
                    "stopped" => Ended::Stopped { last: last.ok_or("when?")?, heard },
                    _ => Ended::SyncFailed,
                };
            }
            Command::Open { from, kind, cause } => {
                let kind = serde_json::from_value(kind.as_str().into())?;
                state.feeds[feed].open = Some(OpenGap { from: seconds(*from), kind, cause: cause.clone() });
            }
            Command::Suspect { since, streams } => {
                state.feeds[feed].suspected.extend(streams.iter().map(|stream| (stream.clone(), seconds(*since))));
            }
            Command::Step { epoch, before, after } => {
                let (before, after) = (seconds(*before), seconds(*after));
                state.stepping = Some(Stepping { epoch: *epoch, before, after });
            }
            Command::Unsure { from, to } => {
                state.unsure.push(Unsure { epoch: state.epoch, from: seconds(*from), to: seconds(*to) });
            }
            Command::Redo { id, epoch, from, to } => {
                let (from, to) = (seconds(*from), seconds(*to));
                let (kind, cause) = (GapKind::Disconnected, "lost".to_owned());
                let gap = Gap { connection: feed, epoch: *epoch, from, to, kind, cause, only: None };
                state.redo.push(Redo { id: seconds(*id), gap });
            }
            _ => state.feeds[feed].wanted = false,
        }
        Ok(())
    }

    fn start(&mut self, now: Stamp, off: Option<&str>) -> Result<String, Box<dyn Error>> {
        let wanted = PerFeed::from_fn(|feed| off != Some(&feed.to_string()));
        let state = self.state.as_ref().filter(|state| is_usable(state, 7, self.mark, &self.tails));
        let evidence = Evidence { state, mark: self.mark, tails: &self.tails, venue: "upbit-kr", wanted, now };
        let Resumed { state, step, epoch, last, has_begun, is_clean } = evidence.resume();
        let mut output = String::new();
        let files = if is_clean { "continued" } else { "ended" };
        let first = if has_begun { "" } else { ", the first at once" };
        writeln!(output, "files of epoch {epoch} are {files}, stamps follow {}{first}", shown(last))?;
        if let Some((State { stepping: Some(Stepping { epoch, before, after }), .. }, reason)) = &step {
            let (before, after, reason) = (shown(*before), shown(*after), reason.as_str());
            writeln!(output, "epoch {epoch} begins ({reason}): {before} -> {after}")?;
        }
        for feed in Feed::ALL {
            let FeedState { wanted, open, suspected, streams, .. } = &state.feeds[feed];
            if let Some(OpenGap { from, kind, cause }) = open {
                let wanted = if *wanted { String::new() } else { format!(", not recorded{}", listed(streams)) };
                writeln!(output, "{feed} is open from {}: {}, {cause:?}{wanted}", shown(*from), kind.as_str())?;
            }
            assert!(suspected.is_empty());
        }
        for Redo { id, gap: Gap { connection, epoch, from, to, kind, only, .. } } in &state.redo {
            let streams = only.as_ref().map_or("all streams".to_owned(), |only| only.join(" "));
            let (id, from, to, kind) = (shown(*id), shown(*from), shown(*to), kind.as_str());
            writeln!(output, "gap {id} of epoch {epoch}: [{from}, {to}) {connection}, {streams}: {kind}")?;
        }
        assert!(state.unsure.is_empty() && state.stepping.is_none());
        self.state = Some(state);
        Ok(output)
    }
}

fn listed(streams: &[String]) -> String {
    if streams.is_empty() { String::new() } else { format!(": {}", streams.join(" ")) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the times of scripts are small")]
fn seconds(seconds: f64) -> Stamp {
    Stamp::from_micros((seconds * 1e6).round() as u64).expect("the times of scripts are small")
}

fn shown(stamp: Stamp) -> String {
    let (seconds, micros) = (stamp.as_micros() / 1_000_000, stamp.as_micros() % 1_000_000);
    if micros == 0 { seconds.to_string() } else { format!("{seconds}.{micros:06}") }
}
