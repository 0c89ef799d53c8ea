//! File descriptors: the recorder's need, and the limit that covers it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors beside those of the streams: sockets, the files being sealed and synced, standard streams.
const OTHERS: usize = 64;

/// Descriptors that so many streams take: one each, and those beside them.
pub(super) fn needed(streams: usize) -> usize {
    streams + OTHERS
}

/// Raises the soft limit to the hard one: the usual 1,024 is for programs that use `select`.
pub(super) fn raise_limit(max_streams: usize) {
    let limit = getrlimit(Resource::Nofile);
    // Ignored: it fails only if the hard limit was lowered meanwhile, and the limit in force is read below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let needed = needed(max_streams) as u64;
    if let Some(open_files) = getrlimit(Resource::Nofile).current.filter(|current| *current < needed) {
        tracing::debug!(open_files, needed, "not every one of storage.max_streams could keep its file open");
    }
}
