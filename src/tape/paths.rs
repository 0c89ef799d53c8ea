//! Where things are under `data_dir`: trees, dates, active files. All paths are relative to it. Pure.
//!
//! ```text
//! KRW-BTC_trade.jsonl                     active
//! archive/date=2026-11-22/…               segments, see `segment_name`
//! archive/date=2026-11-22/manifest.jsonl
//! archive/date=2026-11-22/audit.json
//! quarantine/…
//! private/…                               the same again
//! ```

use super::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// The file that holds the directory's lock.
pub const LOCK: &str = ".lock";

/// The file that says up to which stamp everything is durable.
pub const MARK: &str = ".durable";

/// The checkpoint: what a start has to know.
pub const STATE: &str = ".state";

/// The file that holds room for the last events on a full disk.
pub const RESERVE: &str = ".reserve";

/// The file beside a manifest that says how far its day agrees with the exchange's candles.
pub const CERTIFICATE: &str = "audit.json";

/// The file beside a manifest that sums its day up.
pub const SUMMARY: &str = "day.json";

/// The file beside a manifest that says which of its files are in the object store, and proved there.
pub const UPLOADED: &str = "uploaded.jsonl";

/// The file that whoever uploads holds locked, and that keeps the name of this host there.
pub const UPLOAD: &str = ".upload";

/// The file in the directory of a date that lists its sealed segments.
const MANIFEST: &str = "manifest.jsonl";

/// The files in the directory of a date that are no segments.
pub const BESIDE_SEGMENTS: [&str; 4] = [MANIFEST, SUMMARY, CERTIFICATE, UPLOADED];

/// The ending of a plain file of lines.
pub(super) const PLAIN: &str = ".jsonl";

const DATE_PREFIX: &str = "date=";

/// The directory of a feed's tree.
pub fn root(feed: Feed) -> &'static Path {
    Path::new(match feed {
        Feed::Public => "",
        Feed::Private => "private",
    })
}

/// The directory of finished segments.
pub fn archive(feed: Feed) -> PathBuf {
    root(feed).join("archive")
}

/// The directory for files that recovery could not read.
pub fn quarantine(feed: Feed) -> PathBuf {
    root(feed).join("quarantine")
}

/// The file that a stream is being written to.
pub fn active(feed: Feed, stream: &StreamKey) -> PathBuf {
    root(feed).join(format!("{stream}{PLAIN}"))
}

/// Whether a directory of an archive is one of ours.
pub fn is_date_directory(name: &str) -> bool {
    date_of_directory(name).is_some()
}

/// The manifest of a directory of an archive.
pub fn manifest(directory: &Path) -> PathBuf {
    directory.join(MANIFEST)
}

/// The directory of a date in the archive of a tree.
pub fn date_directory(feed: Feed, date: Date) -> PathBuf {
    archive(feed).join(format!("{DATE_PREFIX}{date}"))
}

/// The date of a directory of an archive, UTC; `None` where it is not one of ours.
pub fn date_of_directory(name: &str) -> Option<Date> {
    name.strip_prefix(DATE_PREFIX)?.parse().ok()
}

/// The stream of an active file's name; `None` where the name is not one of ours.
pub fn parse_active(name: &str) -> Option<StreamKey> {
    StreamKey::from_stem(name.strip_suffix(PLAIN)?)
}

/// The directories in a tree's root.
pub fn own_directories(feed: Feed) -> &'static [&'static str] {
    match feed {
        Feed::Public => &["archive", "quarantine", "private", "rest"],
        Feed::Private => &["archive", "quarantine"],
    }
}

/// The files in a tree's root that are no streams.
pub fn own_files(feed: Feed) -> &'static [&'static str] {
    match feed {
        Feed::Public => &[LOCK, STATE, MARK, RESERVE, UPLOAD],
        Feed::Private => &[],
    }
}

/// Whether nothing can be recorded without this stream.
pub fn is_needed(feed: Feed, stream: &StreamKey) -> bool {
    *stream == StreamKey::misc() || (feed == Feed::Public && *stream == StreamKey::recorder())
}
