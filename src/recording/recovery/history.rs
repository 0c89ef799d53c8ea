//! What the recorder's own events tell of the processes before this one.

use super::UNMARKED;
use crate::clock::Stamp;
use crate::recording::naming::layout::Tree;
use crate::recording::naming::manifest::Origins;
use crate::upbit::subscription::Request;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

/// Requests remembered per tree. Requests that differ are as rare as changes of the configuration.
const REQUESTS: usize = 64;

/// How the last process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// Without a word, or there was none.
    #[default]
    Died,
    /// In order, with this stamp as its last.
    Stopped(Stamp),
    /// After a sync had failed; what was durable then, where it is known.
    SyncFailed(Option<Stamp>),
}

/// See the module.
#[derive(Debug, Default)]
pub struct History {
    requests: [Vec<(Stamp, Request)>; 2],
    /// How the last process ended.
    pub end: End,
    /// There are events that could not be read.
    pub is_incomplete: bool,
    /// Up to here the gaps of each tree are on record.
    pub gaps_until: [Option<Stamp>; 2],
    /// The first start, of those that are told of here, that wanted the connection of each tree.
    pub wanted_since: [Option<Stamp>; 2],
    /// Where the gap begins that was open when the last process started, while no later one closes it.
    pub missing_since: [Option<Stamp>; 2],
    /// Where the gap begins of each connection that was lost, while no event closes it.
    pub lost_since: [Option<Stamp>; 2],
    /// Connections that were not live when the events ended.
    is_down: [bool; 2],
    /// Streams that were suspected when the last process ended, and since when.
    pub suspected: [BTreeMap<String, Stamp>; 2],
    /// How often stamps had gone back, and the first stamp since the last time.
    pub epoch: u64,
    /// The first stamp of the time line; `None`: it is the first one, or began before these events.
    pub epoch_start: Option<Stamp>,
    /// Gaps of earlier time lines that a start found, and died before it told of them.
    pub untold: Vec<Untold>,
    /// The time line in which what the last step ended was written.
    epoch_before: u64,
    /// The last stamp of the time line before.
    before_step: Option<Stamp>,
    /// The same, where the last process itself went on behind the step.
    pub stepped_from: Option<Stamp>,
    /// The stamp of the last event.
    last: Stamp,
    /// In which time line the segments were written that ended since these events begin, by their plain names.
    ended_in: BTreeMap<String, u64>,
}

/// A gap of an earlier time line, of a whole connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untold {
    /// Whose streams are affected.
    pub tree: Tree,
    /// Where it begins.
    pub from: Stamp,
    /// The last stamp of its time line.
    pub to: Stamp,
}

/// The keys that matter here.
#[derive(Deserialize)]
struct Event {
    ts_recv: u64,
    event: String,
    connection: Option<String>,
    #[serde(default)]
    connections: Vec<String>,
    request: Option<String>,
    #[serde(default)]
    requests: BTreeMap<String, String>,
    kind: Option<String>,
    from: Option<u64>,
    to: Option<u64>,
    since: Option<u64>,
    last: Option<u64>,
    before: Option<u64>,
    #[serde(default)]
    streams: Vec<String>,
    #[serde(default)]
    missing_since: BTreeMap<String, u64>,
    durable: Option<u64>,
    epoch: Option<u64>,
    reason: Option<String>,
    #[serde(default)]
    segments: Vec<String>,
}

impl History {
    /// Takes the events of one file in, which are of the time line `epoch` where that is known; files come oldest first.
    /// Lines that are none are passed over.
    pub fn read(&mut self, source: impl Read, epoch: Option<u64>) -> std::io::Result<()> {
        let mut source = BufReader::new(source);
        let (mut line, mut is_first) = (Vec::new(), true);
        while source.read_until(b'\n', &mut line)? > 0 {
            if let Ok(event) = serde_json::from_slice::<Event>(&line) {
                let is_new = epoch.filter(|epoch| std::mem::take(&mut is_first) && *epoch > self.epoch);
                if let Some(epoch) = is_new.filter(|_| event.event != "clock_step") {
                    self.miss_step(epoch);
                }
                self.add(event);
            }
            line.clear();
        }
        Ok(())
    }

    /// What a stream's lines from `stamp` on answer to; `None`: these events do not reach back that far.
    pub fn origins_at(&self, tree: Tree, stamp: Stamp) -> Option<Origins> {
        let before = self.requests[tree as usize].iter().rev().find(|(since, _)| *since <= stamp);
        before.map(|(_, request)| Origins::of(request))
    }

    /// What was asked when the events ended.
    pub fn last_origins(&self, tree: Tree) -> Option<Origins> {
        self.requests[tree as usize].last().map(|(_, request)| Origins::of(request))
    }

    /// In which time line a segment was written that ended; `None`: these events do not tell.
    pub fn ended_in(&self, plain_name: &str) -> Option<u64> {
        self.ended_in.get(plain_name).copied()
    }

    /// Whether an archived segment, from its first stamp to its last, is of the time line before the last step, by which
    /// stamps went back: it is too old or too new for the one behind it, which has come as far as `reached`, or the process
    /// died while it said what had ended.
    pub fn is_before_step(&self, [first, last]: [Stamp; 2], reached: Option<Stamp>) -> bool {
        let (Some(start), Some(before)) = (self.epoch_start, self.before_step) else { return false };
        let is_untold = self.last == start && start < last;
        let is_ahead = last.before(UNMARKED) > self.last.max(reached.unwrap_or_default());
        start <= before && last <= before && (first < start || is_ahead || is_untold)
    }

    fn add(&mut self, event: Event) {
        let Some(stamp) = Stamp::from_micros(event.ts_recv) else { return };
        self.last = stamp;
        let tree = event.connection.as_deref().and_then(tree_of);
        if event.event == "gap" {
            self.untold.retain(|untold| (Some(untold.tree), Some(untold.to.as_micros())) != (tree, event.to));
        }
        match (event.event.as_str(), tree) {
            ("started", _) => {
                if let Some(epoch) = event.epoch.filter(|epoch| *epoch > self.epoch) {
                    self.miss_step(epoch);
                }
                (self.end, self.stepped_from) = (End::Died, None);
                (self.missing_since, self.lost_since, self.is_down) = ([None; 2], [None; 2], [true; 2]);
                for (connection, since) in &event.missing_since {
                    if let Some(tree) = tree_of(connection) {
                        self.missing_since[tree as usize] = Stamp::from_micros(*since);
                    }
                }
                for tree in event.connections.iter().filter_map(|name| tree_of(name)) {
                    self.wanted_since[tree as usize].get_or_insert(stamp);
                }
            }
            ("subscribed", Some(tree)) => {
                self.add_request(tree, stamp, event.request.as_deref().unwrap_or_default());
            }
            ("live", Some(tree)) => self.is_down[tree as usize] = false,
            ("lost", Some(tree)) => {
                let tree = tree as usize;
                // As in the ledger: it begins at the last line, not before the end of the gap before it, and not while
                // one is open.
                let since = event.last.and_then(Stamp::from_micros).max(self.gaps_until[tree]);
                let since = since.filter(|_| self.missing_since[tree].is_none());
                (self.lost_since[tree], self.is_down[tree]) = (self.lost_since[tree].or(since), true);
            }
            ("sync_failed", _) => self.end = End::SyncFailed(event.durable.and_then(Stamp::from_micros)),
            ("stopped", _) => {
                for (connection, request) in &event.requests {
                    if let Some(tree) = tree_of(connection) {
                        self.add_request(tree, stamp, request);
                    }
                }
                // What failed to be made durable does not become so by the order in which the process ended.
                if self.end == End::Died {
                    self.end = End::Stopped(stamp);
                }
            }
            ("stale", Some(tree)) => {
                let since = event.since.and_then(Stamp::from_micros).unwrap_or(stamp);
                let suspected = &mut self.suspected[tree as usize];
                event.streams.into_iter().for_each(|stream| {
                    suspected.entry(stream).or_insert(since);
                });
            }
            // The streams of a suspected gap are some of the connection's, so it says nothing of the connection.
            ("gap", Some(tree)) if event.kind.as_deref() == Some("suspected") => {
                self.suspected[tree as usize].retain(|stream, _| !event.streams.contains(stream));
            }
            // A start that found stamps ahead of its clock also tells of the time line before.
            ("gap", Some(_)) if event.to > Some(event.ts_recv) => {}
            ("gap", Some(tree)) => {
                let [from, to] = [event.from, event.to].map(|end| end.and_then(Stamp::from_micros));
                let until = &mut self.gaps_until[tree as usize];
                *until = (*until).max(to);
                for since in [&mut self.missing_since[tree as usize], &mut self.lost_since[tree as usize]] {
                    since.take_if(|since| from.is_some_and(|from| from <= *since));
                }
            }
            ("rotated", _) => self.add_ended(event),
            ("clock_step", _) => self.step(stamp, &event),
            _ => {}
        }
    }

    /// The stamps before this one are of another time line and mean nothing in this one.
    fn step(&mut self, stamp: Stamp, event: &Event) {
        let before = event.before.and_then(Stamp::from_micros);
        self.epoch_before = self.epoch;
        if event.epoch > Some(self.epoch) {
            (self.before_step, self.stepped_from, self.epoch_start) = (before, before, Some(stamp));
        }
        for (connection, since) in &event.missing_since {
            let (tree, from) = (tree_of(connection), Stamp::from_micros(*since));
            let ends = from.zip(before);
            self.untold.extend(tree.zip(ends).map(|(tree, (from, to))| Untold { tree, from, to }));
        }
        self.epoch = event.epoch.unwrap_or(self.epoch);
        self.missing_since = [None; 2];
        self.lost_since = self.is_down.map(|is_down| is_down.then_some(stamp));
        self.suspected.iter_mut().flat_map(BTreeMap::values_mut).for_each(|since| *since = stamp);
        // Up to the step every connection was listened to, or its gap was closed by it.
        self.gaps_until = self.wanted_since.map(|since| since.map(|_| stamp));
        self.wanted_since = self.wanted_since.map(|since| since.map(|_| stamp));
        self.requests.iter_mut().for_each(|requests| {
            requests.last_mut().into_iter().for_each(|(since, _)| *since = (*since).min(stamp));
        });
    }

    /// Stamps have gone back, and the events that tell of it are not among these: what the ones before tell means nothing.
    fn miss_step(&mut self, epoch: u64) {
        (self.epoch_before, self.before_step, self.epoch, self.epoch_start) = (epoch, None, epoch, None);
        (self.missing_since, self.lost_since, self.gaps_until) = ([None; 2], [None; 2], [None; 2]);
        (self.wanted_since, self.suspected) = ([None; 2], Default::default());
    }

    fn add_ended(&mut self, event: Event) {
        // What ends because of a step was written before it.
        let is_by_step = event.reason.as_deref() == Some("clock");
        let epoch = event.epoch.unwrap_or(if is_by_step { self.epoch_before } else { self.epoch });
        self.ended_in.extend(event.segments.into_iter().map(|name| (name, epoch)));
    }

    fn add_request(&mut self, tree: Tree, stamp: Stamp, frame: &str) {
        let requests = &mut self.requests[tree as usize];
        let Some(request) = Request::from_frame(frame) else { return };
        if requests.last().is_none_or(|(_, last)| *last != request) {
            if requests.len() == REQUESTS {
                requests.remove(0);
            }
            requests.push((stamp, request));
        }
    }
}

fn tree_of(connection: &str) -> Option<Tree> {
    match connection {
        "public" => Some(Tree::Public),
        "private" => Some(Tree::Private),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::naming::stream_key::StreamKey;

    const SUBSCRIBED: &str = r#"{"ts_recv":10,"type":"recorder","event":"subscribed","connection":"public","request":"[{\"ticket\":\"a\"},{\"type\":\"orderbook\",\"codes\":[\"KRW-BTC.5\"]},{\"format\":\"SIMPLE\"}]"}"#;
    const STOPPED: &str = r#"{"ts_recv":30,"type":"recorder","event":"stopped","requests":{"public":"[]"}}"#;

    fn history(events: &[&str]) -> History {
        let mut history = History::default();
        history.read(events.join("\n").as_bytes(), None).unwrap();
        history
    }

    fn stamp(micros: u64) -> Option<Stamp> {
        Stamp::from_micros(micros)
    }

    #[test]
    fn the_last_life_is_read_from_its_events() {
        let again = SUBSCRIBED.replace(":10,", ":21,").replace("\\\"a\\\"", "\\\"b\\\"");
        let history = history(&[
            r#"{"ts_recv":9,"event":"started","connections":["public"]}"#,
            SUBSCRIBED,
            r#"{"ts_recv":20,"event":"gap","connection":"public","from":12,"to":19,"kind":"disconnected"}"#,
            r#"{"ts_recv":21,"event":"stale","connection":"public","streams":["a","b"],"since":12}"#,
            r#"{"ts_recv":22,"event":"gap","connection":"public","from":12,"to":22,"kind":"suspected","streams":["a"]}"#,
            &again,
            "torn",
        ]);
        assert_eq!(history.end, End::Died);
        assert_eq!((history.gaps_until, history.wanted_since), ([stamp(19), None], [stamp(9), None]));
        assert_eq!(history.suspected[0], BTreeMap::from([("b".to_owned(), stamp(12).unwrap())]));
        let at = |micros| history.origins_at(Tree::Public, stamp(micros).unwrap());
        let books = StreamKey::from_stem("KRW-BTC_orderbook").unwrap();
        let origin = at(15).unwrap().get(&books).cloned().unwrap();
        assert_eq!(origin.subscription.get(), r#"{"type":"orderbook","codes":["KRW-BTC.5"]}"#);
        assert!(at(9).is_none());
        assert_eq!(history.requests[0].len(), 1, "the same request with another ticket is the same request");
    }

    #[test]
    fn a_gap_that_no_event_closes_is_known_by_the_loss() {
        let started = r#"{"ts_recv":9,"event":"started","connections":["public"]}"#;
        let live = r#"{"ts_recv":11,"event":"live","connection":"public"}"#;
        let lost = r#"{"ts_recv":20,"event":"lost","connection":"public","last":17}"#;
        let again = r#"{"ts_recv":25,"event":"lost","connection":"public","last":17}"#;
        let gap = r#"{"ts_recv":31,"event":"gap","connection":"public","from":17,"to":30,"kind":"disconnected"}"#;
        let step = r#"{"ts_recv":90,"event":"clock_step","before":32,"after":90,"epoch":0}"#;
        let since = |events: &[&str]| history(events).lost_since[0];
        assert_eq!(since(&[started, live, lost, again]), stamp(17));
        assert_eq!(since(&[started, live, lost, live, gap]), None);
        assert_eq!(since(&[started, live, lost, gap, step]), stamp(90), "the step ended it, and it goes on");
        assert_eq!(since(&[started, live, step]), None);
        assert_eq!(since(&[started, live, lost, started]), None, "the start says itself what is missing");
        let again = r#"{"ts_recv":40,"event":"started","connections":["public"],"missing_since":{"public":35}}"#;
        let refused = r#"{"ts_recv":41,"event":"lost","connection":"public","last":null}"#;
        let closed = r#"{"ts_recv":51,"event":"gap","connection":"public","from":35,"to":50,"kind":"killed"}"#;
        let lives = [started, live, lost, live, gap, again, refused, live, closed];
        assert_eq!(since(&lives), None, "it was in the gap that was open since the start");
    }

    #[test]
    fn an_orderly_stop_is_known_by_its_event_and_ends_no_gap() {
        let history = history(&[STOPPED]);
        assert_eq!((history.end, history.gaps_until), (End::Stopped(stamp(30).unwrap()), [None; 2]));
    }

    #[test]
    fn what_could_not_be_synced_is_not_made_sure_by_an_orderly_stop() {
        let failed = r#"{"ts_recv":29,"event":"sync_failed","durable":25}"#;
        assert_eq!(history(&[failed, STOPPED]).end, End::SyncFailed(stamp(25)));
        let started = r#"{"ts_recv":31,"event":"started","connections":[],"epoch":2}"#;
        assert_eq!(history(&[failed, STOPPED, started]).end, End::Died);
    }

    #[test]
    fn a_process_that_died_in_a_step_has_left_what_is_of_the_time_line_before() {
        let step = r#"{"ts_recv":50,"event":"clock_step","before":100,"after":50,"epoch":1}"#;
        let history = history(&[r#"{"ts_recv":90,"event":"clock"}"#, step, r#"{"ts_recv":51,"event":"rota"#]);
        let is_before = |ends: [u64; 2]| history.is_before_step(ends.map(|micros| stamp(micros).unwrap()), None);
        assert!(is_before([60, 99]) && is_before([45, 49]) && !is_before([60, 101]));
    }

    #[test]
    fn what_a_start_tells_of_the_time_line_before_ends_nothing_in_its_own() {
        let stepped =
            r#"{"ts_recv":50,"event":"clock_step","before":100,"after":50,"epoch":1,"missing_since":{"public":80}}"#;
        let begun =
            r#"{"ts_recv":51,"event":"started","connections":["public"],"epoch":1,"missing_since":{"public":51}}"#;
        let history = history(&[
            stepped,
            begun,
            r#"{"ts_recv":52,"event":"gap","connection":"public","from":80,"to":100,"kind":"killed"}"#,
        ]);
        assert_eq!((history.gaps_until[0], history.missing_since[0]), (None, stamp(51)));
        assert_eq!(history.untold, []);
        // It may have begun at any stamp.
        let began_lower = r#"{"ts_recv":52,"event":"gap","connection":"public","from":20,"to":100,"kind":"killed"}"#;
        assert_eq!(self::history(&[begun, began_lower]).missing_since[0], stamp(51));
        let untold = Untold { tree: Tree::Public, from: stamp(80).unwrap(), to: stamp(100).unwrap() };
        assert_eq!(self::history(&[stepped, begun]).untold, [untold], "it died before it could");
    }

    #[test]
    fn a_step_forward_leaves_the_time_line_as_it_is() {
        let back = r#"{"ts_recv":50,"event":"clock_step","before":100,"after":50,"epoch":1}"#;
        let forward = r#"{"ts_recv":70,"event":"clock_step","before":60,"after":70,"epoch":1}"#;
        let rotated = r#"{"ts_recv":71,"event":"rotated","reason":"clock","segments":["a"]}"#;
        let history = history(&[back, forward, rotated]);
        assert_eq!((history.epoch_start, history.ended_in("a")), (stamp(50), Some(1)));
        assert!(history.is_before_step([30, 99].map(|micros| stamp(micros).unwrap()), None));
    }

    #[test]
    fn what_older_time_lines_tell_means_nothing_where_the_step_is_not_told_of() {
        let gap = r#"{"ts_recv":95,"event":"gap","connection":"public","from":80,"to":94,"kind":"paused"}"#;
        let later = r#"{"ts_recv":60,"event":"clock","offset":0,"ahead":0}"#;
        for (epoch, gaps_until) in [(Some(1), None), (Some(0), stamp(94)), (None, stamp(94))] {
            let mut history = history(&[gap]);
            history.read(later.as_bytes(), epoch).unwrap();
            assert_eq!((history.epoch, history.gaps_until[0]), (epoch.unwrap_or(0), gaps_until));
        }
        let started = r#"{"ts_recv":60,"event":"started","connections":["public"],"epoch":1}"#;
        let history = history(&[gap, started]);
        assert_eq!((history.epoch, history.gaps_until[0], history.wanted_since[0]), (1, None, stamp(60)));
    }

    #[test]
    fn what_is_far_ahead_of_a_time_line_is_of_the_one_before() {
        const HOUR: u64 = 3_600_000_000;
        let history = history(&[
            &format!(r#"{{"ts_recv":50,"event":"clock_step","before":{},"after":50,"epoch":1}}"#, 3 * HOUR),
            r#"{"ts_recv":51,"event":"rotated","reason":"clock","segments":[]}"#,
        ]);
        let last = stamp(HOUR).unwrap();
        assert!(history.is_before_step([last; 2], stamp(HOUR / 2)));
        assert!(!history.is_before_step([last; 2], stamp(HOUR - 1)), "the new one may have come as far");
    }

    #[test]
    fn a_step_begins_a_time_line() {
        let history = history(&[
            r#"{"ts_recv":90,"event":"rotated","reason":"size","segments":["a"]}"#,
            r#"{"ts_recv":95,"event":"gap","connection":"public","from":80,"to":94,"kind":"paused"}"#,
            r#"{"ts_recv":50,"event":"clock_step","before":100,"after":50,"epoch":1}"#,
            r#"{"ts_recv":51,"event":"rotated","reason":"clock","segments":["b"]}"#,
            r#"{"ts_recv":52,"event":"rotated","reason":"size","segments":["c"]}"#,
            r#"{"ts_recv":53,"event":"rotated","reason":"recovered","segments":["e"],"epoch":0}"#,
        ]);
        assert_eq!((history.epoch, history.epoch_start, history.gaps_until[0]), (1, stamp(50), None));
        let is_before = |ends: [u64; 2]| history.is_before_step(ends.map(|micros| stamp(micros).unwrap()), None);
        assert!(!is_before([60, 99]), "it is on record what ended with it");
        assert!(is_before([49, 99]), "the new time line begins with the step");
        assert_eq!(
            ["a", "b", "c", "d", "e"].map(|name| history.ended_in(name)),
            [Some(0), Some(0), Some(1), None, Some(0)]
        );
    }
}
