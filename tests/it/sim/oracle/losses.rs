//! What may be missing: right after a life no more than was promised, and in the end nothing that no gap covers.

use super::history::History;
use super::matching::{Matched, Object};
use super::{Evidence, FLUSH};
use crate::sim::disk::Crash;
use crate::sim::exchange::books::MuteTime;
use crate::sim::exchange::is_of;
use crate::sim::lived::Ended;
use crate::sim::timeline::Moment;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a feed may be mute before it is noticed, and a second until it is on disk.
const NOTICED: Duration = Duration::from_secs(61);

/// Objects that are missing right after the last life and must not be; `seen`: those that were there before it.
pub(super) fn beyond_bound(history: &History, matched: &Matched, seen: &BTreeSet<usize>) -> Vec<String> {
    let Some(lived) = history.lives.last() else { return Vec::new() };
    let is_orderly = matches!(lived.ended, Ended::Orderly);
    if !(lived.life.has_sound_disk() || (is_orderly && lived.life.has_honest_disk())) {
        return Vec::new();
    }
    let bound = match lived.ended {
        Ended::Failed => return Vec::new(),
        Ended::Orderly => Duration::ZERO,
        Ended::Crashed(Crash::Kill) => FLUSH,
        Ended::Crashed(Crash::PowerCut) => history.sync_interval + FLUSH,
    };
    let must_be_there = |object: &Object| {
        // Until a start has had everything synced, what a kill had left is where the kernel has it.
        let own = history.life_at(object.sent.at);
        let until = if lived.recovered { lived.to } else { own.to };
        let read = matched.read_at(*object);
        let in_time = read.is_some_and(|read| read <= until && bound <= history.ran(read, until));
        let is_new = matched.side.sessions[object.sent.session].opened > lived.from;
        let is_expected = seen.contains(&object.index) || is_new;
        // A sync that fails in a start leaves lines that are read and that a power cut takes.
        let mut later = history.lives.iter().filter(|life| own.to <= life.from && !life.recovered);
        let is_sound = later.all(|life| life.life.has_sound_disk());
        in_time && (lived.recovered || own.life.has_sound_disk()) && is_expected && !own.sync_failed && is_sound
    };
    let missing = matched.objects().filter(must_be_there).filter(|object| !matched.moments.contains_key(&object.index));
    let fault = |object: Object| {
        let read = matched.read_at(object).map(|read| lived.to - read);
        format!("object {} was read {read:?} before the end and is not on disk", object.index)
    };
    missing.map(fault).collect()
}

/// Everything that was handed over and is not on disk lies in a gap.
pub(super) fn missing(evidence: &Evidence) -> Vec<String> {
    let Evidence { history, gaps, .. } = evidence;
    // An epoch whose beginning was lost with the state begins anew, with its first line.
    let is_ahead = |at: Moment| evidence.tape.first_of(at.epoch).is_some_and(|first| at <= first);
    let is_told = |at: Moment| gaps.iter().any(|gap| gap.holds(at)) || history.time.is_behind(at) || is_ahead(at);
    let is_untold = |(_, at): &(Object, Moment)| !is_told(*at);
    let untold = lost(evidence).into_iter().filter(is_untold);
    let shown = |(object, at): (Object, Moment)| {
        let found = history.time.found(at.epoch);
        format!("object {} of socket {}, {at:?}; found {found:?}", object.index, object.sent.session)
    };
    untold.map(shown).collect()
}

/// Everything that was handed over and is not on disk, and when it would have been received.
pub(super) fn lost<'a>(evidence: &Evidence<'a>) -> Vec<(Object<'a>, Moment)> {
    let Evidence { history, matched, .. } = evidence;
    let mut lost = Vec::new();
    let mut before = Moment::default();
    for object in matched.objects() {
        if let Some(moment) = matched.moments.get(&object.index) {
            before = *moment;
        } else if object.sent.end.is_some() {
            // The earliest stamp it could have got: that of its reading, unless it was never read.
            let seen = matched.read_at(object).unwrap_or(object.sent.at);
            let at = history.as_recorded(before.max(history.time.at(seen)), seen);
            lost.push((object, at));
        }
    }
    lost
}

/// While there was no socket, there is a gap.
pub(super) fn unheard(evidence: &Evidence) -> Vec<String> {
    let Evidence { history, matched, gaps, .. } = evidence;
    let beginning = evidence.beginning();
    let mut faults = Vec::new();
    let mut reached = beginning;
    for (number, session) in matched.side.sessions.iter().enumerate() {
        // A handshake brings bytes as well: only a socket that brought objects was listened to.
        let own = || matched.objects().filter(|object| object.sent.session == number);
        if !session.is_quiet && !own().any(|object| matched.read_at(object).is_some()) {
            continue;
        }
        let opened = history.recorded_moment(session.opened);
        // An epoch whose beginning was lost with the state begins anew, with its first line.
        reached = reached.max(evidence.tape.first_of(reached.epoch).unwrap_or_default());
        if reached < opened && !history.time.is_covered(gaps, reached, opened) {
            faults.push(format!("nobody listened from {reached:?} to {opened:?}"));
        }
        let life = history.life_at(session.opened);
        let closed = session.closed.map_or(life.to, |closed| closed.min(life.to));
        // While the recorder is behind, stamps are later than what they are given to.
        let last = own().filter_map(|object| matched.moments.get(&object.index)).max();
        reached = reached.max(history.recorded_moment(closed)).max(last.copied().unwrap_or_default());
    }
    faults
}

/// While the process did not run, there is a gap.
pub(super) fn frozen(evidence: &Evidence) -> Vec<String> {
    let Evidence { history, gaps, .. } = evidence;
    let beginning = evidence.beginning();
    let mut faults = Vec::new();
    for frozen in history.lives.iter().flat_map(|lived| &lived.frozen) {
        let suspended = u64::try_from(frozen.suspended.as_micros()).unwrap();
        let begin = history.time.at(frozen.from);
        let begin = history.as_recorded(Moment { stamp: begin.stamp - suspended, ..begin }, frozen.from).max(beginning);
        let end = history.recorded_moment(frozen.to);
        if begin < end && !history.time.is_covered(gaps, begin, end) {
            faults.push(format!("{frozen:?}, from {begin:?} to {end:?}"));
        }
    }
    faults
}

/// Streams that were mute for longer than it takes to notice are in a gap, whatever kept their socket warm.
pub(super) fn mute(evidence: &Evidence) -> Vec<String> {
    let Evidence { history, matched, feed, .. } = evidence;
    let mut faults = Vec::new();
    for MuteTime { session, streams, from, to } in &matched.side.mutes {
        let life = history.life_at(*from);
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
            let last = own.filter(|(index, _)| is_of(&sent(index).content, stream)).map(|(_, moment)| *moment).max();
            let Some(last) = last else { continue };
            let until = history.recorded_moment(end);
            let gaps = history.gaps(evidence.tape, *feed, Some(stream));
            if !history.time.is_covered(&gaps, last, until) {
                faults.push(format!("{stream} from {last:?} to {until:?}, on socket {session}"));
            }
        }
    }
    faults
}
