//! Each trade that happened is on the tape once, or in a gap that says why it is not.

use super::Evidence;
use super::history::GapEvent;
use super::losses;
use crate::sim::exchange::market::Trade;
use crate::sim::exchange::{Mood, is_of};
use crate::sim::lived::{Ended, Lived};
use crate::sim::timeline::Moment;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use upbit_recorder::upbit::feed::Feed;

/// What is within the exchange's reach for sure, in microseconds: trades of seven days, less the length of a life.
const REACH: u64 = 7 * 86_400_000_000 - 1_000_000_000;

/// For this long the healer waits for a quiet stream to go on, and asks, in microseconds.
const LATE: u64 = 90_000_000;

/// A trade that is on no line.
struct Missing<'a> {
    trade: &'a Trade,
    at: Moment,
    /// A snapshot that is lost had shown it.
    is_snapshot: bool,
    /// No line of its stream is before it.
    is_first: bool,
}

/// The lines of `.healed` streams.
struct HealedLine {
    stream: String,
    stamp: u64,
    id: u64,
    object: String,
}

/// By what a gap is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct GapId {
    epoch: Option<u64>,
    id: Option<u64>,
}

impl GapId {
    fn of_gap(gap: &Value) -> Self {
        Self { epoch: gap["epoch"].as_u64(), id: gap["id"].as_u64() }
    }

    /// The gap of a `healed` event: one of its own epoch, where it does not say another.
    fn of_outcome(healed: &Value) -> Self {
        Self { epoch: healed["gap_epoch"].as_u64().or(healed["of_epoch"].as_u64()), id: healed["gap"].as_u64() }
    }
}

/// Whatever is missing was in a gap, and was not to be had: the exchange refuses it, or stamps went back.
pub(super) fn missing(evidence: &Evidence) -> Vec<String> {
    let Evidence { history, matched, .. } = evidence;
    if evidence.feed != Feed::Public {
        return Vec::new();
    }
    let healed = healed_lines(evidence);
    let mut there: BTreeSet<u64> = healed.iter().map(|line| line.id).collect();
    there.extend(matched.moments.keys().filter_map(|index| id_of(&matched.side.sent[*index].content)));
    let lost = losses::lost(evidence);
    let lost: BTreeMap<u64, (Moment, bool)> = lost
        .into_iter()
        .filter_map(|(object, at)| Some((id_of(&object.sent.content)?, (at, is_snapshot(&object.sent.content)))))
        .collect();
    let first_of = |stream: &str| {
        let own = matched.objects().filter(|object| is_of(&object.sent.content, stream));
        own.filter_map(|object| matched.moments.get(&object.index)).min().copied()
    };
    let recorded: Vec<_> =
        matched.objects().filter_map(|object| Some((object.sent.at, *matched.moments.get(&object.index)?))).collect();
    // A gap that no data has followed is open.
    let Some((until, _)) = recorded.last().copied() else { return Vec::new() };
    // Time begins with the first start that records the feed and has left anything.
    let is_of_feed = |lived: &&Lived| lived.started.is_some() && lived.life.off != Some(evidence.feed);
    let Some(first) = history.lives.iter().find(is_of_feed) else { return Vec::new() };
    let mut recorded = recorded.into_iter().peekable();
    let mut before = Moment::default();
    let mut missing = Vec::new();
    for trade in evidence.trades.iter().filter(|trade| first.from < trade.at && trade.at < until) {
        // In the order in which they happened, as the lines are.
        while let Some((_, moment)) = recorded.next_if(|(at, _)| *at < trade.at) {
            before = moment;
        }
        // A life that has left nothing may have had a clock that nothing tells of.
        let is_told = lost.contains_key(&trade.id) || history.life_at(trade.at).started.is_some();
        if is_told && !there.contains(&trade.id) {
            let own = || history.as_recorded(before.max(history.time.at(trade.at)), trade.at);
            let (at, is_snapshot) = lost.get(&trade.id).copied().unwrap_or_else(|| (own(), false));
            let is_first = first_of(&trade.stream()).is_none_or(|first| at < first);
            missing.push(Missing { trade, at, is_snapshot, is_first });
        }
    }
    let outcomes = outcomes(evidence);
    missing.iter().filter_map(|missing| fault(evidence, &outcomes, missing)).collect()
}

/// Why a trade should not be missing; `None`: it may be.
fn fault(evidence: &Evidence, outcomes: &BTreeMap<GapId, &Value>, missing: &Missing) -> Option<String> {
    let Missing { trade, at, is_snapshot, is_first } = missing;
    let stream = trade.stream();
    let is_own = |found: &&super::GapEvent| found.names(&stream) && found.gap().holds(*at);
    let gaps: Vec<_> = evidence.gap_events().collect();
    let mut own = gaps.iter().filter(is_own).peekable();
    if own.peek().is_none() {
        // What no start could know any more is among these.
        let known = evidence.history.gaps(evidence.tape, evidence.feed, Some(&stream));
        let is_excused = known.iter().any(|gap| gap.holds(*at)) || evidence.history.time.is_behind(*at);
        return (!is_excused).then(|| format!("{trade:?}, {at:?}, is in no gap"));
    }
    let is_partial = |gap: &Value| match outcomes.get(&GapId::of_gap(gap)) {
        Some(outcome) => outcome["partial"].get(&stream).is_some(),
        None => !is_to_be_healed(evidence, gap),
    };
    let ids: Vec<_> = own.clone().map(|found| found.event["id"].clone()).collect();
    // What was written of it may have been taken away: of the healer, or by which the healer knew that it was there.
    let healed = format!("{stream}.healed");
    let is_taken = |found: &GapEvent| {
        let is_cut = found.event["cause"].as_str().is_some_and(|cause| cause.ends_with("a part of it is lost"));
        found.names(&healed) || (*is_snapshot && is_cut && found.names(&stream) && found.gap().holds(*at))
    };
    // Before the first line of a stream, a gap is bounded by its stamps alone, and the clock may have been set since.
    let is_beyond = |found: &GapEvent| {
        let time = u64::try_from(trade.time).unwrap() * 1_000;
        *is_first && !(found.gap().from..found.gap().to).contains(&time)
    };
    // What happened as an epoch ended, at the last moment that the start found of it, may be told by the gap that goes on in
    // the next epoch.
    let goes_on = |found: &GapEvent| found.names(&stream) && found.gap().epoch == at.epoch + 1;
    let is_told_behind =
        evidence.history.time.is_behind(*at) && gaps.iter().any(|found| goes_on(found) && is_partial(found.event));
    let is_excused =
        is_told_behind || own.any(|found| is_partial(found.event) || is_beyond(found)) || gaps.iter().any(is_taken);
    (!is_excused).then(|| format!("{trade:?}, {at:?}, in {ids:?}"))
}

/// With the time for it, every gap is healed.
pub(super) fn untold(evidence: &Evidence) -> Vec<String> {
    let outcomes = outcomes(evidence);
    let is_untold = |gap: &&Value| is_to_be_healed(evidence, gap) && !outcomes.contains_key(&GapId::of_gap(gap));
    let gaps: Vec<_> = evidence.gap_events().collect();
    let untold = gaps.iter().map(|found| found.event).filter(is_untold).map(Value::to_string);
    let mut seen = BTreeSet::new();
    // One that was deleted, as it can be before its gap where the clock was set back, tells nobody that it was healed.
    let is_known = |event: &&Value| event["event"] == "healed" && event["is_pruned"] == false;
    let again = evidence.tape.events.iter().filter(is_known);
    let again = again.filter(|event| !seen.insert(GapId::of_outcome(event))).map(|event| format!("again: {event}"));
    untold.chain(again.filter(|_| evidence.feed == Feed::Public)).collect()
}

/// Healed lines are objects of the exchange, verbatim, and each trade is there once.
pub(super) fn doubled(evidence: &Evidence) -> Vec<String> {
    let matched = evidence.matched;
    let mut faults = Vec::new();
    let by_id: BTreeMap<u64, &Trade> = evidence.trades.iter().map(|trade| (trade.id, trade)).collect();
    let recorded = matched.moments.keys().map(|index| &*matched.side.sent[*index].content);
    let mut there: BTreeSet<u64> = recorded.filter(|content| !is_snapshot(content)).filter_map(id_of).collect();
    if evidence.feed != Feed::Public {
        return Vec::new();
    }
    for HealedLine { stream, stamp, id, object } in healed_lines(evidence) {
        let trade = by_id.get(&id).filter(|trade| format!("{}.healed", trade.stream()) == stream);
        if trade.is_none_or(|trade| trade.object() != object) {
            faults.push(format!("{stream} at {stamp}: not the exchange's: {object}"));
        }
        // While others have its file in hand, the healer cannot read what it has written.
        let is_in_doubt = || evidence.gap_events().any(|found| found.names(&stream)) || is_displaced(evidence, &stream);
        if !there.insert(id) && !is_in_doubt() {
            faults.push(format!("{stream} at {stamp}: {object} is there twice"));
        }
    }
    faults
}

/// Whether the last life had the time for it, and the exchange still has it.
fn is_to_be_healed(evidence: &Evidence, gap: &Value) -> bool {
    let Some(last) = evidence.history.lives.last() else { return false };
    let is_over = last.life.mood == Mood::Calm && matches!(last.ended, Ended::Orderly);
    let to = gap["to"].as_u64().unwrap();
    let is_within_reach = last.started.is_some_and(|started| started < to + REACH);
    let is_late = evidence.history.time.at(last.to).stamp < to + LATE;
    // What the retention deleted tells nobody of a gap, and the lines around it went before.
    let is_known = gap["is_pruned"] == false;
    is_over && last.life.heals && is_within_reach && !is_late && is_known
}

/// The `healed` events, by gap.
fn outcomes<'a>(evidence: &Evidence<'a>) -> BTreeMap<GapId, &'a Value> {
    let healed = evidence.tape.events.iter().filter(|event| event["event"] == "healed");
    healed.map(|event| (GapId::of_outcome(event), event)).collect()
}

fn healed_lines(evidence: &Evidence) -> Vec<HealedLine> {
    let streams = evidence.tape.streams[evidence.feed].iter().filter(|(stream, _)| stream.ends_with(".healed"));
    let lines = streams.flat_map(|(stream, segments)| {
        segments.iter().flat_map(|segment| &segment.lines).map(move |line| (stream.clone(), line))
    });
    let parse = |(stream, line): (String, &crate::sim::tape::Line)| {
        let text = String::from_utf8_lossy(&line.content);
        let (_, rest) = text.split_once(',')?;
        let rest = if rest.starts_with(r#""gap_epoch""#) { rest.split_once(',')?.1 } else { rest };
        let object = format!("{{{rest}");
        let id = serde_json::from_str::<Value>(&object).ok()?["sequential_id"].as_u64()?;
        Some(HealedLine { stream, stamp: line.stamp, id, object })
    };
    lines.filter_map(parse).collect()
}

/// Whether others had a file of a stream in hand, which may leave nothing in doubt.
fn is_displaced(evidence: &Evidence, stream: &str) -> bool {
    let displaced = evidence.tape.events.iter().filter(|event| event["event"] == "displaced");
    displaced.filter_map(|event| event["file"].as_str()).any(|file| file.starts_with(&format!("{stream}.")))
}

fn is_snapshot(content: &[u8]) -> bool {
    String::from_utf8_lossy(content).contains("SNAPSHOT")
}

/// The id of a trade, or of the one that a snapshot shows.
fn id_of(content: &[u8]) -> Option<u64> {
    let object: Value = serde_json::from_slice(content).ok()?;
    object["sequential_id"].as_u64()
}
