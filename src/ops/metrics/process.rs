//! The process, its configuration and loops, the clock, and requests over REST.

use super::sink::{Family, Labels, Sink, flag, label, number, time};
use crate::clock::Instant;
use crate::clock::discipline::ClockState;
use crate::counters::requests::{RequestKind, Requests};
use crate::ops::liveness::busy;
use crate::ops::readiness::reasons;
use crate::ops::shown::seconds;
use crate::ops::status::{Limit, Status};
use std::fmt;

const BUILD: Family = Family::of("build", "The program, and whose data it records");
const START: Family = Family::seconds("start_time", "When this process began to record, as a Unix time");
const READY: Family = Family::of("ready", "1 while data is being recorded, as /readyz says");
const BUSY: Family =
    Family::seconds("loop_busy", "For how long a loop has been at its last work; supervisor: since its last turn");
const OFFSET: Family = Family::seconds("clock_offset", "The wall clock minus the clock of the stamps");
const SYNCHRONISED: Family = Family::of(
    "clock_synchronized",
    "1 where the wall clock is synchronised, as the kernel has it; absent where it does not tell",
);
const ESTIMATED: Family =
    Family::seconds("clock_estimated_error", "How wrong the wall clock is, as its daemon estimates");
const MAXIMUM: Family = Family::seconds("clock_maximum_error", "How wrong the wall clock may be at the most");
const EPOCH: Family = Family::of("epoch", "How often stamps have gone back in the directory");
const RELOADED: Family =
    Family::of("config_last_reload_successful", "1 where the configuration that was read last is in force");
const RELOADED_AT: Family =
    Family::seconds("config_last_reload_success_timestamp", "When the configuration in force was read, as a Unix time");
const REQUESTS: Family = Family::of(
    "rest_requests",
    "Requests over REST by the exchange's group and the status of the answer, `none` where there was none",
);
const LIMITS: Family = Family::of(
    "limit_per_second",
    "What may be sent in a second: as configured, and as the exchange allows; rest: in each group",
);

const KEY: Family = Family::seconds(
    "key_expiry_timestamp",
    "When the account's key expires, as a Unix time, where the exchange tells it",
);

/// Writes them.
pub(super) fn encode(sink: &mut Sink<'_>, status: &Status, now: Instant) -> fmt::Result {
    if let Some(about) = &status.about {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        sink.info(&BUILD, &vec![("version", version), ("venue", about.venue.to_string())])?;
    }
    sink.gauge(&START, status.about.as_ref().map(|about| time(about.run)))?;
    sink.gauge(&READY, flag(reasons(status, now).is_empty()))?;
    let busy = busy(status, now);
    sink.gauges(&BUSY, busy.map(|(host, length)| (label("loop", host.as_str()), length.as_secs_f64())))?;
    sink.gauge(&OFFSET, status.turned.map(|_| seconds(status.clock_offset)))?;
    let (clock, error) = (status.clock.as_ref(), status.clock.as_ref().and_then(ClockState::error));
    sink.gauge(&SYNCHRONISED, clock.and_then(ClockState::is_synchronised).map(flag))?;
    sink.gauge(&ESTIMATED, error.map(|error| error.estimated.as_secs_f64()))?;
    sink.gauge(&MAXIMUM, error.map(|error| error.maximum.as_secs_f64()))?;
    sink.gauge(&EPOCH, status.turned.map(|_| number(status.epoch)))?;
    let reload = status.turned.map(|_| status.reload);
    sink.gauge(&KEY, status.key_expires.map(time))?;
    sink.gauge(&RELOADED, reload.map(|reload| flag(reload.succeeded)))?;
    sink.gauge(&RELOADED_AT, reload.map(|reload| time(reload.in_force_since)))?;
    sink.counters(&REQUESTS, requests(status).iter().map(|(kind, count)| (labels(kind), *count)))?;
    let limits = status.about.iter().flat_map(|about| about.limits.each()).flat_map(|(what, limit)| {
        let Limit { configured, exchange } = limit;
        [("configured", configured), ("exchange", exchange)].map(|(by, limit)| {
            let labels: Labels = vec![("what", what.to_owned()), ("by", by.to_owned())];
            (labels, f64::from(limit))
        })
    });
    sink.gauges(&LIMITS, limits)
}

/// With the refusals of each group from its first request on, so that the first of them is an increase.
fn requests(status: &Status) -> Requests {
    let mut requests = status.requests.clone();
    for RequestKind { group, .. } in status.requests.keys() {
        for refusal in [418, 429] {
            requests.entry(RequestKind { group: group.clone(), status: Some(refusal) }).or_default();
        }
    }
    requests
}

fn labels(kind: &RequestKind) -> Labels {
    let status = kind.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
    vec![("group", kind.group.clone()), ("status", status)]
}
