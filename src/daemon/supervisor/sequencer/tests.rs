//! The sequencer in scripts: its inputs at explicit instants, and the commands and actions that each of them makes.
//!
//! The scripts are in `testscripts/`, each a list of commands (see [`Input`]), followed after `---` by what they make.
//! Times are microseconds since the script began, where the process had its first stamp. A tick is shown where it asks
//! for a sync; in the scripts that is every 10 s, and each tick of a stop.
//!
//! `UPDATE_GOLDENFILES=1 cargo test --lib sequencer::tests` rewrites the part after `---`; review the difference.

mod shown;

use super::*;
use crate::batch::{Batch, DataSpan};
use crate::clock::{Moment, Stamper};
use crate::config::{ConnectionConfig, Sources, load};
use crate::connection::{Notice, Suspect};
use crate::daemon::gaps::GapTracker;
use crate::daemon::supervisor::interface::Reload;
use crate::files::IoError;
use crate::ops::status::{Limit, Limits};
use crate::quantity::parse_duration;
use crate::recording::retention::plan::KeepLimits;
use crate::recording::rotation::Rotation;
use crate::recording::router::Router;
use crate::tape::gap::GapKind;
use crate::tape::segment_name::date;
use crate::tape::state::{State, Unsure};
use crate::tape::words::{PauseCause, RotationReason, Stage, SubscribeReason};
use crate::tests::scripts;
use crate::upbit::feed::PerFeed;
use crate::upbit::subscription::{Format, Subscription};
use crate::upbit::venue::Venue;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// When segments end, before a reload.
const ROTATION: Rotation = Rotation { interval: Duration::from_secs(86_400), bytes: 1 << 20 };
const ONE: Limit = Limit { configured: 1, exchange: 1 };

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/daemon/supervisor/sequencer/testscripts");

scripts! {
    SCRIPTS, Script::begin(&[]);
    clock_step,
    failed_sync,
    freeze,
    full_disk,
    healing,
    joining,
    listing,
    loss,
    reload,
    stop,
    suspension,
}

/// An input of a sequencer.
#[derive(goldenscript::Command)]
enum Input {
    /// Begins anew, with trades of these codes and patterns on the public connection, in silence.
    Start(#[arg(many)] Vec<String>),
    /// Lets time pass.
    Wait(Span),
    /// Time passes, and the process does not run.
    Freeze(Span),
    /// The machine is suspended.
    Suspend(Span),
    /// The wall clock is set ahead, or back.
    Set {
        #[arg(key)]
        ahead: Option<Span>,
        #[arg(key)]
        back: Option<Span>,
    },
    /// A trade of this code comes.
    Data(String),
    /// The session is live.
    Live,
    /// The connection is lost.
    Lost(String),
    /// Streams have been mute for a while.
    Stale { length: Span, streams: Vec<String> },
    /// The wanted request was sent.
    Subscribed,
    /// The exchange lists these pairs.
    Listed(#[arg(many)] Vec<String>),
    /// The configuration was read again: trades of these codes and patterns, and what has changed.
    Reload {
        #[arg(many)]
        codes: Vec<String>,
        #[arg(key)]
        rotate_bytes: Option<u64>,
        #[arg(key)]
        format: Option<String>,
    },
    /// The configuration was read again, and is wrong.
    ReloadFailed(String),
    /// The account's feed announces something.
    Announced,
    /// What the exchange says of a pair was fetched.
    Fetched(String),
    /// Nothing was read for a while.
    Paused(Span),
    /// Every connection has ended.
    Disconnected,
    /// Writer, syncer or sealer report: see `report_of`.
    Report { report: String, count: Option<usize> },
    /// A missed trade of this code was fetched.
    Missing(String),
    /// The operator stops it.
    Stop,
    /// It ends, perhaps with lines that are not written since a stamp.
    End {
        #[arg(key)]
        written: Option<u64>,
    },
    /// What it takes now.
    Takes,
}

/// A length of time, spelt as in the configuration.
struct Span(Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_duration(text).map(Self).map_err(|error| error.to_string())
    }
}

/// A sequencer, and the clocks it lives in.
struct Script {
    sequencer: Option<Sequencer>,
    reading: Reading,
    standing: Arc<Request>,
    output: String,
}

impl Script {
    fn begin(codes: &[String]) -> Self {
        let clock = Clock::anchored(Stamp::default());
        let reading = Reading { now: clock.now(), wall: Stamp::default(), suspended: Duration::ZERO };
        let clock = clock.moved(reading.now, Stamp::default());
        let mut gaps = GapTracker::default();
        gaps.open(Feed::Public, Stamp::default(), GapKind::Disconnected, "the first start");
        let setup = SequencerSetup {
            state: State::new("test", Stamp::default()),
            waiting: Vec::new(),
            stamper: Stamper::after(Stamp::default()),
            router: Router::new(100),
            gaps,
            listed: Listed::default(),
            rotation: ROTATION,
            sync_interval: Duration::from_secs(10),
            about: About {
                pid: 1,
                run: Stamp::default(),
                venue: Venue::named_after("test"),
                min_free_bytes: 0,
                limits: Limits { rest: ONE, connects: ONE, messages: ONE },
            },
            run_until: None,
        };
        let mut sequencer = Sequencer::new(setup, clock, reading);
        let wanted = wanted(codes, Format::Default);
        let standing = Arc::new(sequencer.add(Feed::Public, wanted, &Listed::default()));
        let mut script = Self { sequencer: Some(sequencer), reading, standing, output: String::new() };
        script.drain();
        script.output.clear();
        script
    }

    fn sequencer(&mut self) -> Result<(&mut Sequencer, Reading), &'static str> {
        Ok((self.sequencer.as_mut().ok_or("it has ended")?, self.reading))
    }

    fn pass(&mut self, length: Duration) {
        self.reading.now += length;
        self.reading.wall = self.reading.wall.after(length);
    }

    fn wait(&mut self, length: Duration) -> Result<(), Box<dyn Error>> {
        let until = self.reading.now + length;
        while let (sequencer, _) = self.sequencer()?
            && let due = sequencer.next_tick()
            && due <= until
        {
            self.pass(due.saturating_duration_since(self.reading.now));
            let (sequencer, reading) = self.sequencer()?;
            sequencer.handle_tick(reading);
            self.drain();
        }
        self.pass(until - self.reading.now);
        Ok(())
    }

    fn deliver(&mut self, payload: Payload) -> Result<(), Box<dyn Error>> {
        let (sequencer, reading) = self.sequencer()?;
        sequencer.handle_delivery(
            reading,
            Some(Delivery { connection: Feed::Public, at: reading.now, unsettled: None, payload }),
        );
        Ok(())
    }

    /// The notice of an input.
    fn notice(&self, input: &Input) -> Option<Notice> {
        let now = self.reading.now;
        Some(match input {
            Input::Live => Notice::Live { attempt: 1 },
            Input::Lost(cause) => {
                Notice::Lost { stage: Stage::Live, cause: cause.clone(), attempt: 1, retry_at: Some(now) }
            }
            Input::Stale { length: Span(length), streams } => {
                let suspect = |stream: &String| Suspect { stream: stream.clone(), since: now - *length };
                Notice::Stale { streams: streams.iter().map(suspect).collect() }
            }
            Input::Subscribed => Notice::Subscribed {
                request: "as sent".into(),
                standing: self.standing.clone(),
                reason: SubscribeReason::Changed,
            },
            Input::Paused(Span(length)) => {
                let [from, to] = [now - *length, now].map(|at| Moment { at, suspended: self.reading.suspended });
                Notice::Paused { from, to, cause: PauseCause::Disk }
            }
            _ => return None,
        })
    }

    fn end(&mut self, written: Option<u64>) -> Result<(), Box<dyn Error>> {
        let unwritten = written.and_then(Stamp::from_micros).map(|written| Unwritten { written, steps: 0 });
        let sequencer = self.sequencer.take().ok_or("it has ended")?;
        let ended = sequencer.end(self.reading, unwritten);
        ended.commands.into_iter().for_each(|command| self.show(command));
        let left = ended.deadline - self.reading.now;
        writeln!(
            self.output,
            "ended, {left:?} before the deadline: {:?}",
            ended.failure.map(|error| error.to_string())
        )?;
        Ok(())
    }

    fn drain(&mut self) {
        while let Some(command) = self.sequencer.as_mut().and_then(Sequencer::poll_command) {
            self.show(command);
        }
        while let Some(action) = self.sequencer.as_mut().and_then(Sequencer::poll_action) {
            let text = shown::action(&action, self.sequencer.as_ref(), self.reading.now);
            if let Action::Request(_, request) = action {
                self.standing = Arc::new(request);
            }
            writeln!(self.output, "=> {text}").unwrap();
        }
    }

    fn show(&mut self, command: JournalCommand) {
        if let Some(text) = shown::command(command) {
            writeln!(self.output, "{text}").unwrap();
        }
    }
}

impl goldenscript::Runner for Script {
    type Command = Input;

    fn run(&mut self, input: &Input, _: &goldenscript::Context) -> Result<String, Box<dyn Error>> {
        match input {
            Input::Start(codes) => *self = Self::begin(codes),
            Input::Wait(Span(length)) => self.wait(*length)?,
            Input::Freeze(Span(length)) => self.pass(*length),
            Input::Suspend(Span(length)) => {
                self.reading.suspended += *length;
                self.reading.wall = self.reading.wall.after(*length);
            }
            Input::Set { ahead, back } => {
                let wall = self.reading.wall.after(ahead.as_ref().map_or(Duration::ZERO, |Span(length)| *length));
                self.reading.wall = wall.before(back.as_ref().map_or(Duration::ZERO, |Span(length)| *length));
            }
            Input::Data(code) => {
                let mut batch = Batch::default();
                batch.push(format!(r#"{{"type":"trade","code":"{code}"}}"#).as_bytes(), self.reading.now);
                batch.mark_data(Some(DataSpan { first: 0, last: 0 }));
                self.deliver(Payload::Batch(batch))?;
            }
            Input::Listed(codes) => {
                let (sequencer, reading) = self.sequencer()?;
                let listed = Listed { codes: Some(codes.clone().into()), complete_at: Some(reading.now) };
                sequencer.handle_listed(reading, &listed);
            }
            Input::Reload { codes, rotate_bytes, format } => {
                let format =
                    format.as_deref().unwrap_or("DEFAULT").parse::<Format>().map_err(|error| error.to_string())?;
                let rotation = Rotation { bytes: rotate_bytes.unwrap_or(ROTATION.bytes), ..ROTATION };
                let wanted = PerFeed { public: wanted(codes, format), private: Wanted::default() };
                let changed = vec!["public.subscribe".to_owned()];
                let limits = KeepLimits { keep_bytes: *rotate_bytes, keep_for: None };
                let reload = Reload { wanted, rotation, limits, changed, restart: vec!["rest.url".to_owned()] };
                let (sequencer, reading) = self.sequencer()?;
                sequencer.handle_request(reading, OperatorRequest::Reloading);
                self.drain();
                let (sequencer, reading) = self.sequencer()?;
                sequencer.handle_request(reading, OperatorRequest::Reload(Ok(Box::new(reload))));
            }
            Input::Announced => {
                let mut batch = Batch::default();
                batch.push(br#"{"type":"announcement"}"#, self.reading.now);
                let (sequencer, reading) = self.sequencer()?;
                let payload = Payload::Batch(batch);
                let delivery = Delivery { connection: Feed::Private, at: reading.now, unsettled: None, payload };
                sequencer.handle_delivery(reading, Some(delivery));
            }
            Input::Fetched(code) => {
                let objects = vec![format!(r#"{{"market":"{code}"}}"#)];
                let (sequencer, reading) = self.sequencer()?;
                sequencer.handle_fetched(reading, RestObjects { stream: StreamKey::market_objects(), objects });
            }
            Input::ReloadFailed(cause) => {
                let (sequencer, reading) = self.sequencer()?;
                sequencer.handle_request(reading, OperatorRequest::Reload(Err(cause.clone())));
            }
            Input::Disconnected => {
                let (sequencer, reading) = self.sequencer()?;
                sequencer.handle_delivery(reading, None);
            }
            Input::Report { report, count } => {
                let report = report_of(report, count.unwrap_or_default()).ok_or("no such report")?;
                let (sequencer, reading) = self.sequencer()?;
                sequencer.handle_report(reading, report);
            }
            Input::Missing(code) => {
                let stream = StreamKey::recorder();
                let (sequencer, reading) = self.sequencer()?;
                let object = MissedObject { gap: Position::default(), object: format!(r#"{{"code":"{code}"}}"#) };
                sequencer.handle_missing(reading, stream, vec![object]);
            }
            Input::Stop => {
                let (sequencer, reading) = self.sequencer()?;
                sequencer.handle_stop(reading);
            }
            Input::End { written } => self.end(*written)?,
            Input::Takes => {
                let (sequencer, _) = self.sequencer()?;
                let (deliveries, healing) = (sequencer.takes_deliveries(), sequencer.takes_healing());
                let is_done = sequencer.is_done();
                writeln!(self.output, "deliveries {deliveries}, healing {healing}, done {is_done}")?;
            }
            notice => {
                let notice = self.notice(notice).ok_or("no such notice")?;
                self.deliver(Payload::Notice(notice))?;
            }
        }
        self.drain();
        Ok(std::mem::take(&mut self.output))
    }
}

/// Trades of these codes and patterns.
fn wanted(codes: &[String], format: Format) -> Wanted {
    let defaults = load(&Sources::default()).unwrap().config.public;
    let trades = Subscription { kind: "trade".into(), codes: codes.to_vec(), ..Subscription::default() };
    Wanted::of(&ConnectionConfig { subscribe: vec![trades], format, ..defaults })
}

/// A report by its name.
fn report_of(name: &str, count: usize) -> Option<ThreadReport> {
    Some(match name {
        "rotated" => {
            ThreadReport::Rotated(BTreeMap::from([((RotationReason::Interval, date(Stamp::default())), count)]))
        }
        "names_checked" => ThreadReport::NamesChecked,
        "not_sealed" => ThreadReport::NotSealed { name: "a".into(), cause: "damaged".into(), retried: false },
        "synced" => ThreadReport::Synced(crate::clock::Position { epoch: 0, stamp: Stamp::from_micros(count as u64)? }),
        "disk_full" => ThreadReport::DiskFull("no space left".into()),
        "disk_ok" => ThreadReport::DiskOk,
        "sync_full" => ThreadReport::SyncFull("no space left".into()),
        "sync_ok" => {
            let to = Stamp::from_micros(count as u64)?;
            ThreadReport::SyncOk(Unsure { epoch: 0, from: Stamp::default(), to })
        }
        "sync_failed" => ThreadReport::SyncFailed(IoError::at("sync", "a".as_ref())(io::Error::other("EIO"))),
        _ => return None,
    })
}
