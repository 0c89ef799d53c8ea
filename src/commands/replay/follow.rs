//! The tape as it is written, for the local exchange: a thread reads what is new, once for all clients.
//!
//! ```text
//! a recorder writes ──inotify──▶ the files written to ──┐
//!                     every 200 ms ──▶ all of them ─────┴──▶ Follower ──▶ Live ──▶ clients
//! ```

use super::tape::endpoint;
use crate::clock::{Clock, Position};
use crate::files::watch::{Noticed, Watch};
use crate::replay::{Live, ReelObject};
use crate::tape::event::Event;
use crate::tape::line::Line;
use crate::tape::paths;
use crate::tape::reader::{Follower, Round, Tape, TapeError};
use crate::tape::record::Record;
use crate::tape::stream_key::StreamKey;
use crate::tape::words::{Stage, Word};
use crate::upbit::feed::{Feed, PerFeed};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The interval of rounds over all files, as of `tail`: new files, rotations, and what the kernel does not tell.
const INTERVAL: Duration = Duration::from_millis(200);

/// Why the tape cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error("cannot follow the recording: {0}")]
    Tape(#[from] TapeError),
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Follows a data directory on a thread until `shutdown`; returns once it is known where the tape has come to.
pub(super) fn begin(
    directory: PathBuf,
    tape: Tape,
    clock: Clock,
    shutdown: CancellationToken,
) -> Result<Arc<Live>, FollowError> {
    let (begun, awaited) = sync_channel(1);
    let thread = std::thread::Builder::new().name("follow".to_owned());
    let work = move || match Following::begin(&directory, &tape, clock, &begun) {
        Ok(following) => following.run(&shutdown),
        // Ignored: who began it has gone.
        Err(error) => drop(begun.send(Err(error))),
    };
    thread.spawn(work).map_err(FollowError::Thread)?;
    let gone = || FollowError::Thread(io::Error::other("it ended at once"));
    Ok(awaited.recv().map_err(|_| gone())??)
}

/// See the module.
struct Following {
    live: Arc<Live>,
    clock: Clock,
    followers: PerFeed<Option<Follower>>,
    watch: Option<Watch>,
    /// Nothing has come of a connection since its clients were cut off.
    is_cut: PerFeed<bool>,
}

impl Following {
    fn begin(
        directory: &Path,
        tape: &Tape,
        clock: Clock,
        begun: &SyncSender<Result<Arc<Live>, TapeError>>,
    ) -> Result<Self, TapeError> {
        let trees = PerFeed { private: tape.beneath(paths::root(Feed::Private)), public: tape.clone() };
        let is_meant = |stream: &StreamKey| stream.is_recorded() || *stream == StreamKey::recorder();
        let own = PerFeed { public: directory.to_owned(), private: directory.join(paths::root(Feed::Private)) };
        // Watched before they are read: nothing is written unseen in between.
        let watch = Watch::new(&[&own.public, &own.private]).inspect_err(|error| {
            tracing::warn!("cannot watch {}, so what comes is up to 0.2 s late: {error}", directory.display());
        });
        let mut followers: PerFeed<Option<Follower>> = PerFeed::default();
        for feed in Feed::ALL {
            followers[feed] = trees[feed].follow_with_last(is_meant, clock.stamp())?;
        }
        let ends = followers.public.iter().chain(&followers.private).flat_map(Follower::ends);
        let newest = ends.map(|(_, end)| end).max();
        let live = Arc::new(Live::new(newest.unwrap_or(Position { epoch: tape.epoch(), stamp: clock.stamp() })));
        for feed in Feed::ALL {
            for (stream, line) in followers[feed].iter_mut().flat_map(Follower::take_last_lines) {
                if stream.is_recorded() {
                    live.begin_with(endpoint(feed), object(stream, &line));
                }
            }
        }
        // Ignored: who began it has gone, and the token tells.
        let _ = begun.send(Ok(live.clone()));
        Ok(Self { live, clock, followers, watch: watch.ok(), is_cut: PerFeed::default() })
    }

    fn run(mut self, shutdown: &CancellationToken) {
        let mut due = self.clock.now();
        let mut has_more = true;
        while !shutdown.is_cancelled() {
            let now = self.clock.now();
            let wait = due.saturating_duration_since(now);
            let noticed = if has_more { Vec::new() } else { self.wait(wait) };
            let is_due = has_more || self.clock.now() >= due || noticed.iter().any(|each| each.is_other);
            has_more = false;
            for (feed, place) in [(Feed::Public, 0), (Feed::Private, 1)] {
                let Some(follower) = &mut self.followers[feed] else { continue };
                let round = match (is_due, noticed.get(place)) {
                    (true, _) => follower.round(),
                    (false, Some(Noticed { written, .. })) if !written.is_empty() => {
                        follower.read_on(&streams(written))
                    }
                    _ => continue,
                };
                has_more |= self.hand_on(feed, round);
            }
            if is_due {
                due = self.clock.now() + INTERVAL;
            }
            self.live.wake();
        }
    }

    fn wait(&self, most: Duration) -> Vec<Noticed> {
        match &self.watch {
            Some(watch) => watch.wait(most),
            None => {
                std::thread::park_timeout(most);
                Vec::new()
            }
        }
    }

    /// Hands on what a round has brought; whether there is more.
    fn hand_on(&mut self, feed: Feed, round: Round) -> bool {
        let now = self.clock.stamp();
        for fault in round.faults {
            tracing::warn!("{fault}");
        }
        for (stream, line) in round.lines {
            if stream == StreamKey::recorder() {
                for feed in lost(&line) {
                    if !std::mem::replace(&mut self.is_cut[feed], true) {
                        self.live.cut(now, endpoint(feed));
                    }
                }
            } else {
                self.is_cut[feed] = false;
                self.live.push(now, endpoint(feed), object(&stream, &line));
            }
        }
        round.has_more
    }
}

fn object(stream: &StreamKey, line: &Line) -> ReelObject {
    ReelObject { at: line.position(), stream: stream.to_string(), object: line.object().into() }
}

/// The streams of active files.
fn streams(names: &BTreeSet<String>) -> BTreeSet<StreamKey> {
    names.iter().filter_map(|name| paths::parse_active(name)).collect()
}

/// The connections that an event says were lost while they were live: all of them where a recorder starts, since one that
/// was killed has told of nothing.
fn lost(line: &Line) -> Vec<Feed> {
    match Record::parse_if(&["lost", "started"], line.text()).and_then(|record| record.event) {
        Some(Event::Lost { connection, stage: Word::Known(Stage::Live), .. }) => vec![connection],
        Some(Event::Started { .. }) => Feed::ALL.to_vec(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_cuts_everybody_off_and_so_does_a_loss() {
        let lost = |event: &str| {
            let text = format!("{{\"ts_recv\":9,\"type\":\"recorder\",{event}}}");
            super::lost(&Line::parse(0, text.as_bytes()).unwrap())
        };
        let started = "\"event\":\"started\",\"version\":\"1\",\"pid\":1,\"connections\":[],\"epoch\":0";
        assert_eq!(lost(started), Feed::ALL);
        for (stage, cut) in [("live", &[Feed::Private][..]), ("tcp", &[])] {
            let event = format!(
                "\"event\":\"lost\",\"connection\":\"private\",\"stage\":\"{stage}\",\"cause\":\"x\",\"attempt\":1,\"last\":8"
            );
            assert_eq!(lost(&event), cut, "{stage}");
        }
        assert_eq!(lost("\"event\":\"disk_ok\""), []);
    }
}
