//! What must not be on record: gaps that are wider than they have to be, stamps before their reading, wrong epochs.

use super::history::GapEvent;
use super::{Evidence, FLUSH};
use crate::sim::disk::{Amnesia, Crash, Fault};
use crate::sim::lived::Ended;
use crate::sim::timeline::{Gap, Moment, RAISED};
use std::collections::BTreeSet;
use std::time::Duration;
use upbit_recorder::upbit::feed::Feed;

/// How long nothing counts as certain behind a freeze, the next tick and sync included.
const HELD: Duration = Duration::from_secs(3);

/// How long a line may have waited to be stamped while the clock was set.
const WAITED: Duration = Duration::from_secs(30);

/// A line may have waited until it was read, and is never stamped before.
pub(super) fn early_stamps(evidence: &Evidence) -> Vec<String> {
    let Evidence { history, matched, .. } = evidence;
    let is_early = |(index, moment): &(&usize, &Moment)| {
        let read = matched.side.read_on(&matched.side.sent[**index]).map(|read| history.time.on(read));
        read.is_some_and(|read| read.epoch == moment.epoch && moment.stamp < read.stamp)
    };
    let early = matched.moments.iter().filter(is_early);
    early.map(|(index, moment)| format!("object {index} at {moment:?}")).collect()
}

/// A gap without a connection holds no line; one of a doubt about what was written may.
pub(super) fn filled_gaps(evidence: &Evidence) -> Vec<String> {
    let moments: BTreeSet<Moment> = evidence.matched.data().map(|(_, moment)| *moment).collect();
    let empty = evidence.gap_events().filter(|found| found.is_of(&["stopped", "disconnected"]));
    // A gap that was open in a state from an earlier time has had its end since.
    let lives = evidence.history.lives.iter();
    let restored = lives.filter(|lived| matches!(lived.life.amnesia, Some(Amnesia::Restored(_))));
    let restored: Vec<u64> = restored.filter_map(|lived| lived.started).collect();
    let is_old = |found: &GapEvent| {
        let told = found.event["ts_recv"].as_u64();
        restored.iter().any(|start| found.gap().from < *start && Some(*start) <= told)
    };
    let empty = empty.filter(|found| !is_old(found));
    let line_in = |gap: Gap| {
        let moment = |stamp| Moment { epoch: gap.epoch, stamp };
        let line = (gap.from < gap.to).then(|| moments.range(moment(gap.from + 1)..moment(gap.to)).next()).flatten();
        line.map(|line| format!("{} in {gap:?}", line.stamp))
    };
    empty.filter_map(|found| line_in(found.gap())).collect()
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
        let at = |stamp| Moment { epoch: gap.epoch, stamp };
        data.range(at(gap.from)..=at(gap.from + RAISED)).next().is_some()
    };
    // That of streams which a reload adds begins with the reload.
    let reloads = evidence.tape.events.iter().filter(|event| event["event"] == "reloaded");
    let number = |event: &serde_json::Value, key: &str| event[key].as_u64().unwrap();
    let reloads: Vec<Moment> =
        reloads.map(|event| Moment { epoch: number(event, "of_epoch"), stamp: number(event, "ts_recv") }).collect();
    let is_reload = |gap: &Gap| {
        let at = |stamp| Moment { epoch: gap.epoch, stamp };
        reloads.iter().any(|reload| (at(gap.from)..=at(gap.from + RAISED)).contains(reload))
    };
    let is_wrong =
        |gap: &Gap| misc.contains(&Moment { epoch: gap.epoch, stamp: gap.from }) && !has_data(gap) && !is_reload(gap);
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
        let is_known = history.lives.iter().all(|lived| lived.life.amnesia.is_none() || lived.to < sent.at);
        let is_read = is_known
            && next.started.is_some()
            && next.life.faults.iter().all(|(_, fault)| !matches!(fault, Fault::Fail(_)));
        let age = matched.side.read_at(sent).map(|read| history.ran(read, own.to));
        // Behind a freeze nothing counts as certain until what it may have cost is on record.
        let held = if own.life.freezes.is_empty() { Duration::ZERO } else { HELD };
        let is_old = age.is_some_and(|age| age > 2 * history.sync_interval + FLUSH + held);
        let is_inside = |gap: &Gap| gap.epoch == moment.epoch && gap.from < moment.stamp && moment.stamp < gap.to;
        is_kill && is_read && is_old && killed.iter().any(is_inside)
    };
    let doubted = matched.data().filter(is_doubted);
    doubted.map(|(index, moment)| format!("object {index} of {moment:?}")).collect()
}

/// A line is of the epoch in which it was read, or of the next one where the clock was set back then.
pub(super) fn wrong_epochs(evidence: &Evidence) -> Vec<String> {
    let Evidence { history, matched, .. } = evidence;
    let is_wrong = |(index, moment): &(&usize, &Moment)| {
        let read = matched.side.read_at(&matched.side.sent[**index]);
        let epochs = read.map(|read| [read, read + WAITED].map(|at| history.time.at(at).epoch));
        epochs.is_some_and(|epochs| moment.epoch < epochs[0] || epochs[1] < moment.epoch)
    };
    let wrong = matched.moments.iter().filter(is_wrong);
    wrong.map(|(index, moment)| format!("object {index} at {moment:?}")).collect()
}
