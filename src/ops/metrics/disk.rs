//! Writing, syncing, sealing, and the room that is left.

use super::sink::{Family, Sink, flag, label, number, size, time};
use crate::ops::status::Status;
use std::fmt;

const OLDEST: Family = Family::seconds(
    "oldest_unwritten",
    "The age of the oldest byte received that is in no file, at most; 0 where there is none",
);
const UNWRITTEN: Family = Family::bytes("unwritten", "Bytes received that are in no file");
const QUEUES: Family = Family::of("queue_length", "What waits inside, by queue");
const DURABLE: Family =
    Family::seconds("durable_timestamp", "What was received up to then survives a power cut, as a Unix time");
const SYNCS: Family = Family::seconds("sync_duration", "How long syncs took, with the state and the mark behind them");
const SEALS: Family = Family::seconds("seal_duration", "How long it took to compress, prove and list a segment");
const BACKLOG: Family = Family::of("seal_backlog", "Ended segments that wait to be sealed");
const SEALED: Family = Family::of("sealed_segments", "Segments sealed");
const CONTENT: Family = Family::bytes("sealed_content", "Their bytes before compression");
const COMPRESSED: Family = Family::bytes("sealed", "Their bytes on disk");
const FAILURES: Family = Family::of("seal_failures", "Attempts to seal a segment that failed");
const FULL: Family = Family::of("disk_full", "1 while the disk takes no data");
const FREE: Family = Family::bytes("disk_free", "The room that is left to the recorder");
const LEAST: Family = Family::bytes("disk_min_free", "storage.min_free_bytes: less room than this is a fault");
const INODES: Family =
    Family::of("disk_free_inodes", "Files that can still be created, where the file system counts them");

/// Writes them.
pub(super) fn encode(sink: &mut Sink<'_>, status: &Status) -> fmt::Result {
    let (disk, queues, hosts) = (&status.disk, &status.queues, &status.hosts);
    sink.gauge(&OLDEST, queues.oldest_unwritten.as_secs_f64())?;
    sink.gauge(&UNWRITTEN, number(queues.unwritten_bytes))?;
    let lengths = [("deliveries", queues.deliveries), ("commands", queues.commands), ("reports", queues.reports)];
    sink.gauges(&QUEUES, lengths.map(|(queue, length)| (label("queue", queue), size(length))))?;
    sink.gauge(&DURABLE, disk.durable.map(time))?;
    sink.histogram(&SYNCS, &hosts.syncs)?;
    sink.histogram(&SEALS, &hosts.seals)?;
    sink.gauge(&BACKLOG, size(disk.backlog))?;
    sink.counter(&SEALED, disk.sealed.segments)?;
    sink.counter(&CONTENT, disk.sealed.bytes)?;
    sink.counter(&COMPRESSED, disk.sealed.compressed_bytes)?;
    sink.counter(&FAILURES, disk.sealed.failures)?;
    sink.gauge(&FULL, flag(disk.full.is_some()))?;
    sink.gauge(&FREE, disk.room.map(|room| number(room.bytes)))?;
    sink.gauge(&LEAST, status.about.as_ref().map(|about| number(about.min_free_bytes)))?;
    let inodes = disk.room.map(|room| room.inodes).filter(|inodes| *inodes < u64::MAX);
    sink.gauge(&INODES, inodes.map(number))
}
