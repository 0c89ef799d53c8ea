//! Connections, streams and gaps.

use super::sink::{Family, Labels, Sink, flag, label, size, time};
use crate::clock::Stamp;
use crate::ops::shown::seconds;
use crate::ops::status::Status;
use crate::ops::status::feeds::{ConnectionStatus, Link};
use crate::tape::gap::GapKind;
use crate::tape::words::Stage;
use crate::upbit::types::{PRIVATE_TYPES, PUBLIC_TYPES};
use std::collections::BTreeMap;
use std::fmt;

const FRAMES: Family =
    Family::of("frames", "Objects received, each a line, by type; misc: those of no stream, other: of unknown types");
const BYTES: Family = Family::of("bytes", "Bytes of these objects, as received");
const LAST: Family = Family::seconds("last_frame_timestamp", "When the last object of a type came, as a Unix time");
const LIVE: Family = Family::of("live", "1 while a connection brings data of what it subscribed");
const ATTEMPTS: Family = Family::of("connect_attempts", "Attempts to connect");
const CONNECTS: Family = Family::of("connects", "Attempts that opened a WebSocket");
const LOSSES: Family =
    Family::of("disconnects", "Failed attempts and lost connections, by the stage that they had reached");
const SUBSCRIBES: Family = Family::of("subscribes", "Requests for streams that were sent");
const STREAMS: Family = Family::of("streams", "Streams and patterns that are asked for");
const MUTE: Family = Family::of("mute_streams", "Streams that are mute on a living connection");
const OPEN: Family = Family::seconds("open_gap", "The length of the gap that is open, 0 where there is none");
const GAPS: Family = Family::of("gaps", "Gaps on record, by kind");
const GAP_SECONDS: Family = Family::seconds("gap", "Their lengths together, by kind");
const LISTED: Family = Family::of("listed_pairs", "Pairs that were listed while it recorded");
const DELISTED: Family = Family::of("delisted_pairs", "Pairs that were delisted while it recorded");
const FIRST: Family = Family::seconds(
    "listing_to_first_message",
    "How long the last new pair took from its listing to its first message",
);
const HEALED: Family =
    Family::of("healed_gaps", "Gaps whose missed trades and candles were fetched, as far as they can be");
const OBJECTS: Family = Family::of("healed_objects", "Objects that were missed and are on disk now");

/// What came of one type.
#[derive(Default)]
struct TypeCount {
    lines: u64,
    bytes: u64,
    last: Option<Stamp>,
}

/// Writes them.
pub(super) fn encode(sink: &mut Sink<'_>, status: &Status) -> fmt::Result {
    let types = types(status);
    let each = || types.iter().map(|(kind, count)| (label("type", *kind), count));
    sink.counters(&FRAMES, each().map(|(labels, count)| (labels, count.lines)))?;
    sink.counters(&BYTES, each().map(|(labels, count)| (labels, count.bytes)))?;
    sink.gauges(&LAST, each().filter_map(|(labels, count)| Some((labels, time(count.last?)))))?;
    connections(sink, status)?;
    sink.counter(&LISTED, status.listings.listed)?;
    sink.counter(&DELISTED, status.listings.delisted)?;
    sink.gauge(&FIRST, status.listings.first_message.map(|length| length.as_secs_f64()))?;
    gaps(sink, status)
}

/// By type: of what was asked for from the start on, so that a rate is there with the first frame.
fn types(status: &Status) -> BTreeMap<&'static str, TypeCount> {
    let mut types: BTreeMap<&'static str, TypeCount> = BTreeMap::new();
    for asked in status.connections.values().flat_map(|connection| connection.asked.iter()) {
        types.entry(known(asked.rsplit('_').next().unwrap_or_default())).or_default();
    }
    for stream in status.streams.iter().filter(|stream| stream.is_received() && stream.lines > 0) {
        let count = types.entry(known(stream.stream.kind())).or_default();
        count.lines += stream.lines;
        count.bytes += stream.bytes;
        count.last = count.last.max(stream.last);
    }
    types
}

/// A type of the exchange's, which anybody on the way could make up: each value of a label costs memory for ever.
fn known(kind: &str) -> &'static str {
    let mut known = PUBLIC_TYPES.into_iter().chain(PRIVATE_TYPES).chain(["misc"]);
    known.find(|known| *known == kind).unwrap_or("other")
}

fn connections(sink: &mut Sink<'_>, status: &Status) -> fmt::Result {
    let each = || status.connections.iter().map(|(feed, connection)| (label("connection", feed.as_str()), connection));
    sink.gauges(&LIVE, each().map(|(labels, connection)| (labels, flag(matches!(connection.link, Link::Live)))))?;
    sink.counters(&ATTEMPTS, each().map(|(labels, connection)| (labels, connection.count.attempts)))?;
    sink.counters(&CONNECTS, each().map(|(labels, connection)| (labels, connection.count.connects)))?;
    sink.counters(&LOSSES, each().flat_map(|(labels, connection)| losses(&labels, connection)))?;
    sink.counters(&SUBSCRIBES, each().map(|(labels, connection)| (labels, connection.count.requests)))?;
    sink.gauges(&STREAMS, each().map(|(labels, connection)| (labels, size(connection.asked.len()))))?;
    sink.gauges(&MUTE, each().map(|(labels, connection)| (labels, size(connection.mute.len()))))?;
    let open = |connection: &ConnectionStatus| {
        connection.gap.as_ref().map_or(0.0, |gap| status.at.since(gap.from).as_secs_f64())
    };
    sink.gauges(&OPEN, each().map(|(labels, connection)| (labels, open(connection))))
}

/// All stages from the start on, so that the first loss of one is an increase.
fn losses(labels: &Labels, connection: &ConnectionStatus) -> Vec<(Labels, u64)> {
    let of_stage = |stage: &Stage| {
        let count = connection.count.losses.get(stage).copied().unwrap_or_default();
        ([labels.clone(), label("stage", stage.as_str())].concat(), count)
    };
    Stage::ALL.iter().map(of_stage).collect()
}

/// All kinds from the start on, so that the first gap of a kind is an increase.
fn gaps(sink: &mut Sink<'_>, status: &Status) -> fmt::Result {
    let totals = GapKind::ALL
        .iter()
        .map(|kind| (label("kind", kind.as_str()), status.gaps.totals.get(kind).copied().unwrap_or_default()));
    let totals: Vec<_> = totals.collect();
    sink.counters(&GAPS, totals.iter().map(|(labels, total)| (labels.clone(), total.count)))?;
    let lengths =
        totals.into_iter().map(|(labels, total)| (labels, seconds(i64::try_from(total.micros).unwrap_or(i64::MAX))));
    sink.counters(&GAP_SECONDS, lengths)?;
    sink.counter(&HEALED, status.gaps.healed)?;
    sink.counter(&OBJECTS, status.gaps.healed_objects)
}
