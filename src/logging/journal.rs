//! Log lines for systemd's journal: `<4>WARN` without its time and level, which the journal keeps itself.
//!
//! A JSON object would be one opaque message there, and `journalctl -p warning` would find nothing.

use rustix::fs::fstat;
use std::fmt;
use std::io;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The variable that names device and inode of the journal's stream.
const STREAM: &str = "JOURNAL_STREAM";

/// Whether standard error is the journal. The variable alone tells nothing: a program that was started below has it, too.
pub fn is_stderr() -> bool {
    std::env::var(STREAM).is_ok_and(|stream| is(&stream, &io::stderr()))
}

fn is(stream: &str, file: &impl rustix::fd::AsFd) -> bool {
    let named = stream.split_once(':').and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    named.is_some_and(|named: (u64, u64)| fstat(file).is_ok_and(|found| (found.st_dev, found.st_ino) == named))
}

/// The priority of an error, before a line that is written without logging.
pub const ERROR: &str = "<3>";

fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => ERROR,
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// Writes an event as one line with its priority.
#[derive(Debug)]
pub(super) struct Prioritised(Format<Full, ()>);

impl Prioritised {
    pub(super) fn new() -> Self {
        Self(Format::default().without_time().with_level(false).with_target(false))
    }
}

impl<S, N> FormatEvent<S, N> for Prioritised
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        line.write_str(priority(*event.metadata().level()))?;
        self.0.format_event(context, line, event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_stream_is_known_by_device_and_inode() {
        let file = tempfile::tempfile().unwrap();
        let (device, inode) = (file.metadata().unwrap().dev(), file.metadata().unwrap().ino());
        assert!(is(&format!("{device}:{inode}"), &file));
        for other in
            [format!("{device}:{}", inode + 1), format!("{}:{inode}", device + 1), inode.to_string(), "a:b".into()]
        {
            assert!(!is(&other, &file), "{other}");
        }
    }
}
