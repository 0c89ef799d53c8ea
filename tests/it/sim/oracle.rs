//! Holds what is on disk against what the exchange handed over.
//!
//! After every life:
//! * each line was sent, is there once, and stands in the order in which it was sent;
//! * an orderly end misses nothing that was read, however slow the disk; on a sound disk a kill misses at most the last
//!   50 ms of it, a power cut at most one `sync_interval`;
//! * the process that ends itself does so within 10 s;
//! * what was in the way of our names is in quarantine, no file of others was written, and nobody else reads the account's;
//! * no sealed file fails a full decode; no line is torn that is not kept in quarantine.
//!
//! In the end:
//! * whatever is missing lies inside a gap on record;
//! * sockets and gaps together cover all time since the directory was made;
//! * time in which the process did not run is in a gap, and no line is stamped before it was read;
//! * streams that bring nothing for more than a minute, on a socket that lives, are in a gap from their last data on;
//! * no gap of market data begins at a status or at something else that is no data;
//! * a gap in which nobody listened holds no line, one of a kill only those of the last moments: none is wider than it has
//!   to be;
//! * every sealed file is in its manifest, and nothing unfinished is left.

use super::disk::{Crash, Fault, SimDisk};
use super::exchange::books::{Books, MuteTime, Sent, Side};
use super::exchange::is_of;
use super::machine;
use super::tape::Tape;
use super::timeline::{Gap, Moment, RAISED, Timeline};
use super::world::{Ended, Lived};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use upbit_recorder::clock::Instant;
use upbit_recorder::upbit::feed::{Feed, PerFeed};

/// What a kill may cost, and how late a sync may be.
const FLUSH: Duration = Duration::from_millis(50);

/// How long nothing counts as certain behind a freeze, the next tick and sync included.
const HELD: Duration = Duration::from_secs(3);

/// How long an end may take, whatever the disk does.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// How long a feed may be mute before it is noticed, and so much for the way to the disk.
const NOTICED: Duration = Duration::from_secs(61);

/// Violations of one kind that are told; the rest is counted.
const TOLD: usize = 5;

/// See the module.
#[derive(Debug)]
pub(crate) struct Oracle {
    pub(crate) violations: Vec<String>,
    lives: Vec<Lived>,
    time: Timeline,
    sync_interval: Duration,
    /// Objects that were on disk after the life before, by connection.
    seen: PerFeed<BTreeSet<usize>>,
}

/// One connection's objects and lines, matched.
struct Matched {
    side: Side,
    /// When each object that is on disk was received, by its line.
    moments: BTreeMap<usize, Moment>,
    /// Objects that prove nothing: in `misc`, which goes on while nobody is subscribed, or of a stream nobody asked for.
    misc: BTreeSet<usize>,
    /// The epochs of the segments that are sealed, each with an object of its own.
    sealed: Vec<(usize, u64)>,
}

impl Oracle {
    pub(crate) fn new(sync_interval: Duration) -> Self {
        Self {
            violations: Vec::new(),
            lives: Vec::new(),
            time: Timeline::default(),
            sync_interval,
            seen: Default::default(),
        }
    }

    /// Looks at the disk after a life.
    pub(crate) fn look(&mut self, disk: &SimDisk, books: &Books, lived: Lived) {
        let tape = Tape::read(disk);
        let number = self.lives.len();
        if lived.recovered {
            let exposed: Vec<String> = disk.exposed().iter().map(|path| path.display().to_string()).collect();
            self.tell(&format!("after life {number}: others may read"), &exposed);
        }
        if !disk.has_unharmed_strangers() {
            self.violations.push(format!("after life {number}: a file of somebody else's was written"));
        }
        let in_the_way = disk.obstacles().into_iter().map(|path| path.display().to_string());
        let in_the_way: Vec<String> = in_the_way.filter(|path| !path.contains("quarantine")).collect();
        if lived.recovered {
            self.tell(&format!("after life {number}: still in the way"), &in_the_way);
        }
        self.tell(&format!("after life {number}: a sealed file is damaged"), &tape.corrupt);
        if lived.recovered && !matches!(lived.ended, Ended::Crashed(_)) {
            // What a start could not read is mended by the next one.
            let kept: Vec<&str> = tape.events.iter().filter_map(|event| event["kept"].as_str()).collect();
            let is_set_aside = |broken: &String| {
                let name = broken.split(' ').next().unwrap_or_default();
                kept.iter().any(|kept| kept.ends_with(name))
            };
            let broken: Vec<String> = tape.broken.iter().filter(|broken| !is_set_aside(broken)).cloned().collect();
            self.tell(&format!("after life {number}: a line is none, and not kept"), &broken);
        }
        let ran = machine::ran(&lived.frozen, lived.from, lived.to);
        if !matches!(lived.ended, Ended::Crashed(_)) && ran > lived.life.length + SHUTDOWN {
            let took = ran - lived.life.length;
            self.tell(&format!("life {number}: the end took too long"), &[format!("{took:?}")]);
        }
        self.time.add_life(&lived.spans, lived.ahead, lived.started.is_some());
        self.lives.push(lived);
        for id in Feed::ALL {
            let matched = self.match_lines(&tape, books, id);
            self.check_bound(id, &matched);
            self.seen[id] = matched.moments.into_keys().collect();
        }
    }

    /// Looks at the disk after the last life; returns how many objects were sent and how many are there.
    pub(crate) fn conclude(&mut self, disk: &SimDisk, books: &Books) -> (usize, usize) {
        let tape = Tape::read(disk);
        self.tell("in the end: a file is not in its manifest", &tape.unlisted);
        self.tell("in the end: something unfinished is left", &tape.leftovers);
        let (mut sent, mut recorded) = (0, 0);
        for id in Feed::ALL {
            let matched = self.match_lines(&tape, books, id);
            let gaps = self.gaps(&tape, id, None);
            self.check_mute(id, &matched, &tape);
            self.check_missing(id, &matched, &gaps);
            self.check_coverage(id, &matched, (&gaps, self.beginning(&tape)));
            self.check_frozen(id, &gaps, self.beginning(&tape));
            self.check_stamps(id, &matched);
            self.check_emptiness(id, &tape, &matched);
            self.check_beginnings(id, &tape, &matched);
            self.check_doubts(id, &tape, &matched);
            self.check_epochs(id, &matched);
            sent += matched.side.sent.len();
            recorded += matched.moments.len();
        }
        (sent, recorded)
    }

    /// Finds the object of every line: it was sent, it is there once, and the order is that of sending.
    fn match_lines(&mut self, tape: &Tape, books: &Books, id: Feed) -> Matched {
        let side = books.side(id);
        let by_content: HashMap<&[u8], usize> =
            side.sent.iter().enumerate().map(|(index, sent)| (&*sent.content, index)).collect();
        let (mut stamps, mut misc, mut sealed, mut faults) = (BTreeMap::new(), BTreeSet::new(), Vec::new(), Vec::new());
        for (stream, segments) in &tape.streams[id] {
            let mut order = Vec::new();
            for segment in segments {
                let mut indexes = Vec::new();
                for line in &segment.lines {
                    let Some(&index) = by_content.get(&*line.content) else {
                        faults.push(format!("{stream}: never sent: {}", String::from_utf8_lossy(&line.content)));
                        continue;
                    };
                    if stamps.insert(index, line.stamp).is_some() {
                        faults.push(format!("{stream}: object {index} is there twice"));
                    }
                    indexes.push(index);
                }
                if stream == "misc" || stream.ends_with("_ticker") {
                    misc.extend(&indexes);
                }
                let first = indexes.first().copied();
                sealed.extend(first.zip(segment.epoch));
                order.push((first, indexes));
            }
            // After a clock was set back, names do not tell in which order the segments were written.
            order.sort();
            let order: Vec<usize> = order.into_iter().flat_map(|(_, indexes)| indexes).collect();
            let disordered = order.windows(2).filter(|pair| pair[0] >= pair[1]);
            faults.extend(disordered.map(|pair| format!("{stream}: object {} is out of order", pair[1])));
        }
        let (mut moments, mut last) = (BTreeMap::new(), Moment::default());
        for (index, stamp) in stamps {
            let sent = &side.sent[index];
            let read = self.time.at(side.read_at(sent).unwrap_or(sent.at));
            match self.time.place(stamp, read, last) {
                Some(moment) => last = moment,
                None => faults.push(format!("the stamp of object {index} does not follow that of the one before")),
            }
            moments.insert(index, Moment { stamp, ..last });
        }
        self.tell(&format!("{id}, after life {}: a line is wrong", self.lives.len().saturating_sub(1)), &faults);
        Matched { side, moments, misc, sealed }
    }

    /// What may be missing right after the last life, beside what was missing before.
    fn check_bound(&mut self, id: Feed, matched: &Matched) {
        let Some(lived) = self.lives.last() else { return };
        let is_orderly = matches!(lived.ended, Ended::Orderly);
        let is_held = lived.life.has_sound_disk() || (is_orderly && lived.life.has_honest_disk());
        if !is_held {
            return;
        }
        let bound = match lived.ended {
            Ended::Failed => return,
            Ended::Orderly => Duration::ZERO,
            Ended::Crashed(Crash::Kill) => FLUSH,
            Ended::Crashed(Crash::PowerCut) => self.sync_interval + FLUSH,
        };
        let (from, to, recovered) = (lived.from, lived.to, lived.recovered);
        let is_new = |sent: &Sent| matched.side.sessions[sent.session].opened > from;
        let must_be_there = |(index, sent): &(usize, &Sent)| {
            let read = matched.side.read_at(sent);
            // Until a start has had everything synced, what a kill had left is where the kernel has it.
            let own = self.life_at(sent.at);
            let until = if recovered { to } else { own.to };
            let in_time = read.is_some_and(|read| read <= until && bound <= self.ran(read, until));
            let in_time = in_time && (recovered || own.life.has_sound_disk());
            let is_old = self.seen[id].contains(index);
            let expected = is_old || is_new(sent);
            in_time && expected && !own.sync_failed
        };
        let sent = matched.side.sent.iter().enumerate();
        let missing = sent.filter(must_be_there).filter(|(index, _)| !matched.moments.contains_key(index));
        let faults: Vec<_> = missing
            .map(|(index, sent)| {
                let read = matched.side.read_at(sent).map(|read| to - read);
                format!("object {index} was read {read:?} before the end and is not on disk")
            })
            .collect();
        let number = self.lives.len() - 1;
        self.tell(
            &format!("{id}, after life {number} ({:?}): more is lost than promised", self.lives[number].ended),
            &faults,
        );
    }

    /// Everything that was handed over and is not on disk has its place in a gap.
    fn check_missing(&mut self, id: Feed, matched: &Matched, gaps: &[Gap]) {
        let (mut faults, mut before) = (Vec::new(), Moment::default());
        for (index, sent) in matched.side.sent.iter().enumerate() {
            if let Some(moment) = matched.moments.get(&index) {
                before = *moment;
            } else if sent.end.is_some() {
                // The earliest stamp it could have got: that of its reading, unless it was never read.
                let seen = matched.side.read_at(sent).unwrap_or(sent.at);
                let at = self.told(before.max(self.time.at(seen)), seen);
                if !gaps.iter().any(|gap| gap.holds(at)) && !self.time.is_behind(at) {
                    faults.push(format!("object {index} of socket {}, {at:?}", sent.session));
                }
            }
        }
        self.tell(&format!("{id}: missing, and not in a gap"), &faults);
    }

    /// While there was no socket, there is a gap.
    fn check_coverage(&mut self, id: Feed, matched: &Matched, (gaps, beginning): (&[Gap], Moment)) {
        let (side, mut faults) = (&matched.side, Vec::new());
        let mut reached = beginning;
        for (number, session) in side.sessions.iter().enumerate() {
            // A handshake brings bytes as well: only a socket that brought objects was listened to.
            let own = || side.sent.iter().enumerate().filter(|(_, sent)| sent.session == number);
            if !own().any(|(_, sent)| side.read_at(sent).is_some()) {
                continue;
            }
            let opened = self.told(self.time.at(session.opened), session.opened);
            // Where a connection never had a line, events alone tell since when it is missing.
            if reached == beginning && self.lives.iter().any(|lived| lived.hid_events && lived.from <= session.opened) {
                reached = opened;
            }
            if reached < opened && !self.time.is_covered(gaps, reached, opened) {
                faults.push(format!("nobody listened from {reached:?} to {opened:?}"));
            }
            let life = self.life_at(session.opened);
            let closed = session.closed.map_or(life.to, |closed| closed.min(life.to));
            // While the recorder is behind, stamps are later than what they are given to.
            let last = own().filter_map(|(index, _)| matched.moments.get(&index)).max();
            reached = reached.max(self.told(self.time.at(closed), closed)).max(last.copied().unwrap_or_default());
        }
        self.tell(&format!("{id}: time that is in no gap"), &faults);
    }

    /// While the process did not run, there is a gap.
    fn check_frozen(&mut self, id: Feed, gaps: &[Gap], beginning: Moment) {
        let mut faults = Vec::new();
        for frozen in self.lives.iter().flat_map(|lived| &lived.frozen) {
            let suspended = u64::try_from(frozen.suspended.as_micros()).unwrap();
            let begin = self.time.at(frozen.from);
            let begin = self.told(Moment { stamp: begin.stamp - suspended, ..begin }, frozen.from).max(beginning);
            let end = self.told(self.time.at(frozen.to), frozen.to);
            if begin < end && !self.time.is_covered(gaps, begin, end) {
                faults.push(format!("{frozen:?}, from {begin:?} to {end:?}"));
            }
        }
        self.tell(&format!("{id}: the process did not run, and no gap tells"), &faults);
    }

    /// A line may have waited until it was read, and is never stamped before.
    fn check_stamps(&mut self, id: Feed, matched: &Matched) {
        let is_early = |(index, moment): &(&usize, &Moment)| {
            let read = matched.side.read_on(&matched.side.sent[**index]).map(|read| self.time.on(read));
            read.is_some_and(|read| read.line == moment.line && moment.stamp < read.stamp)
        };
        let early = matched.moments.iter().filter(is_early);
        let faults: Vec<_> = early.map(|(index, moment)| format!("object {index} at {moment:?}")).collect();
        self.tell(&format!("{id}: a line is stamped before it was read"), &faults);
    }

    /// How long the process was let run between two instants.
    fn ran(&self, from: Instant, to: Instant) -> Duration {
        machine::ran(self.lives.iter().flat_map(|lived| &lived.frozen), from, to)
    }

    /// Streams that were mute for longer than it takes to notice are in a gap, whatever kept their socket warm.
    fn check_mute(&mut self, id: Feed, matched: &Matched, tape: &Tape) {
        let mut faults = Vec::new();
        for MuteTime { session, streams, from, to } in &matched.side.mutes {
            let life = self.life_at(*from);
            let ends = [*to, matched.side.sessions[*session].closed, Some(life.to)];
            let end = ends.into_iter().flatten().min().expect("a life ends");
            // Behind a freeze the watch over the streams begins anew.
            let is_frozen = life.frozen.iter().any(|frozen| frozen.from <= end && *from <= frozen.to);
            if end.saturating_duration_since(*from) < NOTICED || !life.life.has_sound_disk() || is_frozen {
                continue;
            }
            for stream in streams {
                let sent = |index: &usize| &matched.side.sent[*index];
                // What an earlier process had received is not known to this one.
                let is_before = |index: &usize| (life.from..=*from).contains(&sent(index).at);
                let own = matched.moments.iter().filter(|(index, _)| is_before(index));
                let last =
                    own.filter(|(index, _)| is_of(&sent(index).content, stream)).map(|(_, moment)| *moment).max();
                let (Some(last), until) = (last, self.told(self.time.at(end), end)) else { continue };
                if !self.time.is_covered(&self.gaps(tape, id, Some(stream)), last, until) {
                    faults.push(format!("{stream} from {last:?} to {until:?}, on socket {session}"));
                }
            }
        }
        self.tell(&format!("{id}: mute, and in no gap"), &faults);
    }

    /// Nothing was recorded while nobody listened. Where the doubt is about what was written, there may be lines.
    fn check_emptiness(&mut self, id: Feed, tape: &Tape, matched: &Matched) {
        let data = matched.moments.iter().filter(|(index, _)| !matched.misc.contains(index));
        let moments: BTreeSet<Moment> = data.map(|(_, moment)| *moment).collect();
        let empty = self.gap_events(tape, id);
        let empty = empty.filter(|(_, gap)| gap["kind"] == "stopped" || gap["kind"] == "disconnected");
        let ends = empty.map(|(line, gap)| (line, gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap()));
        let moment = |line, stamp| Moment { line, stamp };
        let is_filled = |(line, from, to): &(usize, u64, u64)| {
            from < to && moments.range(moment(*line, from + 1)..moment(*line, *to)).next().is_some()
        };
        let filled = ends.filter(is_filled);
        let faults: Vec<_> =
            filled.map(|(line, from, to)| format!("the one from {from} to {to} of line {line}")).collect();
        self.tell(&format!("{id}: a gap in which there are lines"), &faults);
    }

    /// No gap of market data begins at a line that proves nothing: what came before it may be missing as well. That of a kill
    /// begins where the disk is in doubt, which may be anywhere.
    fn check_beginnings(&mut self, id: Feed, tape: &Tape, matched: &Matched) {
        let moments: BTreeSet<Moment> =
            matched.misc.iter().filter_map(|index| matched.moments.get(index)).copied().collect();
        let is_judged = |gap: &serde_json::Value| {
            let by_data = ["disconnected", "stopped", "suspected"].iter().any(|kind| gap["kind"] == *kind);
            by_data && id == Feed::Public
        };
        let begins = self.gap_events(tape, id).filter(|(_, event)| is_judged(event)).map(gap);
        let data = matched.moments.iter().filter(|(index, _)| !matched.misc.contains(index));
        let data: BTreeSet<Moment> = data.map(|(_, moment)| *moment).collect();
        // Data of the same moment may have a stamp a little later.
        let has_data = |gap: &Gap| {
            let at = |stamp| Moment { line: gap.line, stamp };
            data.range(at(gap.from)..=at(gap.from + RAISED)).next().is_some()
        };
        let is_wrong = |gap: &Gap| moments.contains(&Moment { line: gap.line, stamp: gap.from }) && !has_data(gap);
        let wrong = begins.filter(is_wrong);
        let faults: Vec<_> = wrong.map(|gap| format!("the one from {} to {}", gap.from, gap.to)).collect();
        self.tell(&format!("{id}: a gap begins at a line that is no data"), &faults);
    }

    /// What had been durable for a while when a process was killed is in no doubt, as far as the next start could read.
    fn check_doubts(&mut self, id: Feed, tape: &Tape, matched: &Matched) {
        let killed: Vec<Gap> = self.gap_events(tape, id).filter(|(_, gap)| gap["kind"] == "killed").map(gap).collect();
        let is_doubted = |(index, moment): &(&usize, &Moment)| {
            let sent = &matched.side.sent[**index];
            let mut lives = self.lives.iter().skip_while(|lived| lived.to < sent.at);
            let (Some(own), Some(next)) = (lives.next(), lives.next()) else { return false };
            let is_kill = own.life.has_sound_disk() && matches!(own.ended, Ended::Crashed(Crash::Kill));
            let is_read =
                next.started.is_some() && next.life.faults.iter().all(|(_, fault)| !matches!(fault, Fault::Fail(_)));
            let age = matched.side.read_at(sent).map(|read| self.ran(read, own.to));
            // Behind a freeze nothing counts as certain until what it may have cost is told.
            let held = if own.life.freezes.is_empty() { Duration::ZERO } else { HELD };
            let is_old = age.is_some_and(|age| age > 2 * self.sync_interval + FLUSH + held);
            let is_inside = |gap: &Gap| gap.line == moment.line && gap.from < moment.stamp && moment.stamp < gap.to;
            is_kill && is_read && is_old && killed.iter().any(is_inside)
        };
        let data = matched.moments.iter().filter(|(index, _)| !matched.misc.contains(index));
        let doubted = data.filter(is_doubted);
        let faults: Vec<_> = doubted.map(|(index, moment)| format!("object {index} of {moment:?}")).collect();
        self.tell(&format!("{id}: what was durable is in the gap of a kill"), &faults);
    }

    /// The manifest says how often stamps had gone back.
    fn check_epochs(&mut self, id: Feed, matched: &Matched) {
        let is_wrong = |(index, epoch): &&(usize, u64)| {
            let moment = matched.moments.get(index);
            moment.and_then(|moment| self.time.epoch(*moment)).is_some_and(|expected| expected != *epoch)
        };
        let wrong = matched.sealed.iter().filter(is_wrong);
        let faults: Vec<_> = wrong
            .map(|(index, epoch)| format!("{epoch}, with object {index} of {:?}", matched.moments.get(index)))
            .collect();
        self.tell(&format!("{id}: a manifest has the wrong epoch"), &faults);
    }

    fn gap_events<'a>(&self, tape: &'a Tape, id: Feed) -> impl Iterator<Item = (usize, &'a serde_json::Value)> {
        let lines = self.time.lines_of(tape);
        let is_own = move |event: &serde_json::Value| event["event"] == "gap" && event["connection"] == id.to_string();
        lines.into_iter().zip(&tape.events).filter(move |(_, event)| is_own(event))
    }

    /// The gaps of a connection, or of a stream of it, in order; those that touch or overlap are one.
    fn gaps(&self, tape: &Tape, id: Feed, stream: Option<&str>) -> Vec<Gap> {
        let has = |event: &serde_json::Value| {
            stream
                .is_none_or(|stream| event["streams"].as_array().is_some_and(|all| all.iter().any(|one| one == stream)))
        };
        let mut own: Vec<Gap> = self.gap_events(tape, id).filter(|(_, event)| has(event)).map(gap).collect();
        own.sort_unstable();
        let mut gaps: Vec<Gap> = Vec::new();
        for gap in own {
            match gaps.last_mut() {
                Some(last) if last.line == gap.line && gap.from <= last.to => last.to = last.to.max(gap.to),
                _ => gaps.push(gap),
            }
        }
        gaps
    }

    /// The first sign of life: time begins with it.
    fn beginning(&self, tape: &Tape) -> Moment {
        let line = self.time.lines_of(tape).first().copied().unwrap_or_default();
        Moment { line, stamp: tape.events.first().map_or(0, |event| event["ts_recv"].as_u64().unwrap()) }
    }

    /// Where a moment lies for those who only know what is on disk; `at`: when it was.
    fn told(&self, moment: Moment, at: Instant) -> Moment {
        let life = self.lives.iter().rposition(|lived| lived.from <= at).unwrap_or_default();
        let next = self.lives[life + 1..].iter().find_map(|next| Some((next.from, next.started?)));
        self.time.missed(moment, self.lives[life].to, next)
    }

    fn life_at(&self, at: Instant) -> &Lived {
        self.lives.iter().rev().find(|lived| lived.from <= at).unwrap_or(&self.lives[0])
    }

    fn tell(&mut self, what: &str, faults: &[String]) {
        self.violations.extend(faults.iter().take(TOLD).map(|fault| format!("{what}: {fault}")));
        if faults.len() > TOLD {
            self.violations.push(format!("{what}: and {} more", faults.len() - TOLD));
        }
    }
}

fn gap((line, gap): (usize, &serde_json::Value)) -> Gap {
    let [from, to] = ["from", "to"].map(|key| gap[key].as_u64().unwrap());
    Gap { line, from, to }
}
