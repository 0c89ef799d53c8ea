//! What must not be on record: gaps that are wider than they have to be, stamps before their reading, wrong epochs.

use super::{Evidence, FLUSH};
use crate::sim::disk::{Crash, Fault};
use crate::sim::timeline::{Gap, Moment, RAISED};
use crate::sim::world::Ended;
use std::collections::BTreeSet;
use std::time::Duration;
use upbit_recorder::upbit::feed::Feed;

/// How long nothing counts as certain behind a freeze, the next tick and sync included.
const HELD: Duration = Duration::from_secs(3);

/// A line may have waited until it was read, and is never stamped before.
pub(super) fn early_stamps(evidence: &Evidence) -> Vec<String> {
    let Evidence { history, matched, .. } = evidence;
    let is_early = |(index, moment): &(&usize, &Moment)| {
        let read = matched.side.read_on(&matched.side.sent[**index]).map(|read| history.time.on(read));
        read.is_some_and(|read| read.line == moment.line && moment.stamp < read.stamp)
    };
    let early = matched.moments.iter().filter(is_early);
    early.map(|(index, moment)| format!("object {index} at {moment:?}")).collect()
}

/// A gap without a connection holds no line; one of a doubt about what was written may.
pub(super) fn filled_gaps(evidence: &Evidence) -> Vec<String> {
    let moments: BTreeSet<Moment> = evidence.matched.data().map(|(_, moment)| *moment).collect();
    let empty = evidence.gap_events().filter(|found| found.is_of(&["stopped", "disconnected"]));
    let is_filled = |gap: &Gap| {
        let moment = |stamp| Moment { line: gap.line, stamp };
        gap.from < gap.to && moments.range(moment(gap.from + 1)..moment(gap.to)).next().is_some()
    };
    let filled = empty.map(|found| found.gap()).filter(is_filled);
    filled.map(|gap| format!("the one from {} to {} of line {}", gap.from, gap.to, gap.line)).collect()
}

/// No gap of market data begins at a line that proves nothing: what came before it may be missing as well. That of a kill
/// begins where the disk is in doubt, which may be anywhere.
pub(super) fn wrong_beginnings(evidence: &Evidence) -> Vec<String> {
    let matched = evidence.matched;
    if evidence.feed != Feed::Public {
        return Vec::new();
    }
    let misc: BTreeSet<Moment> = matched.misc.iter().filter_map(|index| matched.moments.get(index)).copied().collect();
    let data: BTreeSet<Moment> = matched.data().map(|(_, moment)| *moment).collect();
    // Data of the same moment may have a stamp a little later.
    let has_data = |gap: &Gap| {
        let at = |stamp| Moment { line: gap.line, stamp };
        data.range(at(gap.from)..=at(gap.from + RAISED)).next().is_some()
    };
    let is_wrong = |gap: &Gap| misc.contains(&Moment { line: gap.line, stamp: gap.from }) && !has_data(gap);
    let by_data = evidence.gap_events().filter(|found| found.is_of(&["disconnected", "stopped", "suspected"]));
    let wrong = by_data.map(|found| found.gap()).filter(is_wrong);
    wrong.map(|gap| format!("the one from {} to {}", gap.from, gap.to)).collect()
}

/// What had been durable for a while when a process was killed is in no doubt, as far as the next start could read.
pub(super) fn durable_doubts(evidence: &Evidence) -> Vec<String> {
    let Evidence { history, matched, .. } = evidence;
    let killed = evidence.gap_events().filter(|found| found.is_of(&["killed"]));
    let killed: Vec<Gap> = killed.map(|found| found.gap()).collect();
    let is_doubted = |(index, moment): &(&usize, &Moment)| {
        let sent = &matched.side.sent[**index];
        let mut lives = history.lives.iter().skip_while(|lived| lived.to < sent.at);
        let (Some(own), Some(next)) = (lives.next(), lives.next()) else { return false };
        let is_kill = own.life.has_sound_disk() && matches!(own.ended, Ended::Crashed(Crash::Kill));
        let is_read =
            next.started.is_some() && next.life.faults.iter().all(|(_, fault)| !matches!(fault, Fault::Fail(_)));
        let age = matched.side.read_at(sent).map(|read| history.ran(read, own.to));
        // Behind a freeze nothing counts as certain until what it may have cost is on record.
        let held = if own.life.freezes.is_empty() { Duration::ZERO } else { HELD };
        let is_old = age.is_some_and(|age| age > 2 * history.sync_interval + FLUSH + held);
        let is_inside = |gap: &Gap| gap.line == moment.line && gap.from < moment.stamp && moment.stamp < gap.to;
        is_kill && is_read && is_old && killed.iter().any(is_inside)
    };
    let doubted = matched.data().filter(is_doubted);
    doubted.map(|(index, moment)| format!("object {index} of {moment:?}")).collect()
}

/// The manifest says how often stamps had gone back.
pub(super) fn wrong_epochs(evidence: &Evidence) -> Vec<String> {
    let mut faults = Vec::new();
    for sealed in &evidence.matched.sealed {
        let moment = evidence.matched.moments.get(&sealed.first);
        let expected = moment.and_then(|moment| evidence.history.time.epoch(*moment));
        if expected.is_some_and(|expected| expected != sealed.epoch) {
            faults.push(format!("{}, with object {} of {moment:?}", sealed.epoch, sealed.first));
        }
    }
    faults
}
