//! Stamps over the files of a stream: within an epoch each is later than all before. Pure.

use super::fault::{Fault, Within};
use super::report::Report;
use crate::clock::Stamp;
use crate::tape::stream_key::StreamKey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The last stamp of each stream in each epoch of a tree, in little more memory than there are streams.
#[derive(Debug, Default)]
pub struct Order(BTreeMap<(PathBuf, StreamKey, u64), Stamp>);

impl Order {
    /// The next file of a tree; files of a stream come in the order of their names.
    pub fn next(&mut self, root: &Path, report: &Report) -> Option<Fault> {
        let ((stream, epoch), (first, last)) = report.stream.clone().zip(report.ends)?;
        let before = self.0.insert((root.to_owned(), stream, epoch), last)?;
        let reason = format!("its first line is stamped {first}, and the file before it ends with {before}");
        (before >= first).then(|| Fault { file: report.file.clone(), offset: Some(0), within: Within::Content, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_stream_follow_each_other_within_an_epoch() {
        let mut order = Order::default();
        let mut next = |stream: &str, epoch, ends: [u64; 2]| {
            let [first, last] = ends.map(|stamp| Stamp::from_micros(stamp).unwrap());
            let stream = StreamKey::from_stem(stream).map(|stream| (stream, epoch));
            let report = Report { stream, ends: Some((first, last)), ..Report::of(PathBuf::from("file")) };
            order.next(Path::new(""), &report).map(|fault| fault.reason)
        };
        assert_eq!(next("KRW-BTC_trade", 0, [1, 5]), None);
        assert_eq!(next("KRW-ETH_trade", 0, [2, 3]), None);
        assert_eq!(next("KRW-BTC_trade", 1, [2, 3]), None);
        let overlaps = "its first line is stamped 5, and the file before it ends with 5";
        assert_eq!(next("KRW-BTC_trade", 0, [5, 8]).as_deref(), Some(overlaps));
        assert_eq!(next("KRW-BTC_trade", 0, [9, 9]), None);
    }
}
