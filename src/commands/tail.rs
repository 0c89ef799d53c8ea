//! `tail`: the last lines of one or many streams, and those that follow, across rotations and restarts.
//!
//! ```text
//! Merged: the last lines ──▶ a ring of -n ─┐
//! Follower, a round every 200 ms ──────────┴─▶ standard output
//!   └ `gap` events, names that nothing is of ──▶ comments on standard error, where they stand among the lines
//! ```

use super::output::{Form, complain, exit_of, standard};
use super::process::{Host, serve};
use super::recording::{ReadError, open};
use super::work::StopTerms;
use crate::clock::{Position, Stamp, sleep_until};
use crate::config::Sources;
use crate::exit::Exit;
use crate::printable;
use crate::reading::gaps::GapComment;
use crate::reading::raw;
use crate::reading::streams::{Choice, Named, Place};
use crate::tape::line::Line;
use crate::tape::reader::{Follower, Merged, MergedLine, Round, Selection, Tape};
use crate::tape::stream_key::StreamKey;
use clap::Args;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

/// The interval of rounds where nothing is new: a call a stream, which nobody notices, and what nobody waits for.
const INTERVAL: Duration = Duration::from_millis(200);

/// The first span that is searched for the last lines, and how much longer each further one is.
const SPAN: Duration = Duration::from_secs(10);
const LONGER: u32 = 16;

/// The longest span that is searched: longer than there are stamps.
const LONGEST: Duration = Duration::from_secs(1 << 34);

/// What to follow.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder tail 'KRW-*_trade' -n 0 --raw")]
pub struct TailOptions {
    /// Streams: KRW-BTC_trade, patterns such as 'KRW-*_trade' and '!KRW-DOGE_*', private/myOrder. One that is not there yet
    /// is waited for.
    #[arg(required = true, value_name = "STREAM")]
    streams: Vec<String>,
    /// How many lines to begin with.
    #[arg(short = 'n', long = "lines", value_name = "LINES", default_value_t = 10)]
    lines: usize,
    /// Prints the bytes that were received, without the time.
    #[arg(long)]
    raw: bool,
    /// Ends once the lines that are there are printed.
    #[arg(long)]
    no_follow: bool,
}

/// Prints, until it is told to stop.
pub fn run(sources: Sources, options: TailOptions) -> Exit {
    serve(sources, StopTerms::PROMPT, async move |host| {
        let out = standard(Form::of_tape(!options.raw));
        match tail(&host, &options, out).await {
            Ok(()) => Exit::Success,
            Err(ReadError::Output(error)) => exit_of(&error),
            Err(error) => {
                tracing::error!("{error}");
                error.exit()
            }
        }
    })
}

async fn tail(host: &Host, options: &TailOptions, out: Box<dyn Write>) -> Result<(), ReadError> {
    let tape = open(host, &host.config.data_dir)?;
    let choice = Rc::new(Choice::of(&options.streams));
    let mut trees = Vec::new();
    for place in Place::ALL {
        let chosen = choice.clone();
        // The recorder's events tell the gaps of all trees.
        let is_meant = move |stream: &StreamKey| {
            chosen.holds(place, stream) || place == Place::Public && *stream == StreamKey::recorder()
        };
        if place == Place::Public || choice.places().any(|meant| meant == place) {
            let follower = place.of(&tape).follow(is_meant, host.clock.stamp())?;
            trees.extend(follower.map(|follower| FollowedTree { place, follower }));
        }
    }
    let unmet = unmet(&options.streams, &choice, &trees);
    if options.no_follow && !unmet.is_empty() && !is_anything_meant(&tape, &choice)? {
        let (directory, patterns) = (host.config.data_dir.clone(), options.streams.clone());
        return Err(ReadError::NoStream { directory, patterns });
    }
    let waiting = if options.no_follow { "nothing of" } else { "waiting for" };
    for pattern in unmet {
        comment(&format!("# {waiting} {pattern}: no line of the last two days is meant; `ls` shows what there is"));
    }
    let mut printer = Printer { choice, raw: options.raw, out, told: BTreeSet::new() };
    for line in last_lines(&tape, &trees, &printer.choice, options.lines)? {
        printer.print(&line)?;
    }
    printer.out.flush()?;
    let shutdown = host.signals.shutdown.orderly.clone();
    while !options.no_follow && !shutdown.is_cancelled() {
        let mut has_more = false;
        for line in next_lines(&mut trees, &mut printer, &mut has_more) {
            printer.print(&line)?;
        }
        printer.out.flush()?;
        if !has_more {
            let next = sleep_until(Some(host.clock.now() + INTERVAL));
            shutdown.run_until_cancelled(next).await;
        }
    }
    Ok(())
}

struct FollowedTree {
    place: Place,
    follower: Follower,
}

/// The names and patterns that no recent line is meant by.
fn unmet<'a>(patterns: &'a [String], choice: &Choice, trees: &[FollowedTree]) -> Vec<&'a String> {
    let is_met = |pattern: &String| {
        let own = Choice::of(std::slice::from_ref(pattern));
        let is_meant = |place, stream: &StreamKey| own.holds(place, stream) && choice.holds(place, stream);
        trees.iter().any(|tree| tree.follower.ends().any(|(stream, _)| is_meant(tree.place, stream)))
    };
    patterns.iter().filter(|pattern| !pattern.starts_with('!') && !is_met(pattern)).collect()
}

/// Whether there is a stream that is meant, however old.
fn is_anything_meant(tape: &Tape, choice: &Choice) -> Result<bool, ReadError> {
    for place in choice.places() {
        if place.of(tape).streams()?.iter().any(|stream| choice.holds(place, stream)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tells something among the lines, on standard error.
fn comment(text: &str) {
    // Ignored: standard error is closed, and the lines go on.
    let _ = writeln!(io::stderr(), "{}", printable::whole(text));
}

/// A line, and its stream.
struct Found {
    named: Named,
    line: Line,
}

/// The last lines before what is followed, oldest first: searched for in spans that get longer.
fn last_lines(tape: &Tape, trees: &[FollowedTree], choice: &Choice, most: usize) -> Result<VecDeque<Found>, ReadError> {
    let mut ends: BTreeMap<Named, Position> = BTreeMap::new();
    for FollowedTree { place, follower } in trees {
        let own = follower.ends().filter(|(stream, _)| choice.holds(*place, stream));
        ends.extend(own.map(|(stream, end)| (Named { place: *place, stream: stream.clone() }, end)));
    }
    let newest = ends.values().map(|end| end.stamp).max();
    let (Some(newest), true) = (newest, most > 0) else { return Ok(VecDeque::new()) };
    let mut span = SPAN;
    loop {
        let found = last_since(tape, &ends, newest.before(span), most)?;
        if found.len() >= most || span >= LONGEST {
            return Ok(found);
        }
        span = span.saturating_mul(LONGER).min(LONGEST);
    }
}

/// The last lines that are stamped since `begin`.
fn last_since(
    tape: &Tape,
    ends: &BTreeMap<Named, Position>,
    begin: Stamp,
    most: usize,
) -> Result<VecDeque<Found>, ReadError> {
    let selected = Selection::from(Position::default()..).not_before(begin);
    let (mut streams, mut lines) = (Vec::new(), Vec::new());
    for place in Place::ALL {
        let is_meant = |stream: &StreamKey| ends.contains_key(&Named { place, stream: stream.clone() });
        if ends.keys().any(|named| named.place == place) {
            for (stream, own) in place.of(tape).lines_of(&is_meant, selected.clone())? {
                streams.push(Named { place, stream });
                lines.push(own);
            }
        }
    }
    let mut found = VecDeque::new();
    for MergedLine { place, line } in Merged::new(lines).filter_map(Result::ok) {
        let named = &streams[place];
        let is_before = ends.get(named).is_some_and(|end| line.position() <= *end);
        if is_before && is_whole(&line) {
            if found.len() == most {
                found.pop_front();
            }
            found.push_back(Found { named: named.clone(), line });
        }
    }
    Ok(found)
}

/// What a round of all trees brings, in order.
fn next_lines(trees: &mut [FollowedTree], printer: &mut Printer, has_more: &mut bool) -> Vec<Found> {
    let mut found = Vec::new();
    for FollowedTree { place, follower } in trees {
        let Round { lines, faults, has_more: more } = follower.round();
        *has_more |= more;
        for fault in faults {
            printer.tell(fault.to_string());
        }
        found.extend(lines.into_iter().map(|(stream, line)| Found { named: Named { place: *place, stream }, line }));
    }
    found.sort_by_key(|found| found.line.position());
    found
}

/// Whether a line is one: a crash may have torn it.
fn is_whole(line: &Line) -> bool {
    serde_json::from_slice::<IgnoredAny>(line.text()).is_ok()
}

struct Printer {
    choice: Rc<Choice>,
    raw: bool,
    out: Box<dyn Write>,
    /// Faults, each told once while it lasts: a directory that is gone is looked for five times a second.
    told: BTreeSet<String>,
}

impl Printer {
    fn print(&mut self, Found { named, line }: &Found) -> io::Result<()> {
        if named.place == Place::Public
            && named.stream == StreamKey::recorder()
            && let Some(gap) = GapComment::of(line.text(), &self.choice)
        {
            self.out.flush()?;
            comment(&gap.to_string());
        }
        if !self.choice.holds(named.place, &named.stream) || !is_whole(line) {
            return Ok(());
        }
        match self.raw {
            true => raw::write(&mut *self.out, &named.stream, line)?,
            false => self.out.write_all(line.text())?,
        }
        self.out.write_all(b"\n")
    }

    fn tell(&mut self, fault: String) {
        /// Different faults that are told: more are a disk that fails, and no news.
        const MOST: usize = 1_000;
        if self.told.len() < MOST && self.told.insert(fault.clone()) {
            complain(&fault);
        }
    }
}
