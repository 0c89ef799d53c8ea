//! What a request wants of the streams of a recording. Pure.

use crate::replay::wire::request::Subscription;
use crate::replay::wire::spelt::Spelt;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// What a request wants of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    pub(super) snapshot: bool,
    pub(super) realtime: bool,
}

/// The recorded streams that a request means.
pub(super) fn wanted(streams: &BTreeSet<String>, subscriptions: &[Subscription]) -> BTreeMap<String, Wanted> {
    let mut found: BTreeMap<String, Wanted> = BTreeMap::new();
    for Subscription { kind, codes, snapshot, realtime, .. } in subscriptions {
        // The suffix of a book's code is its depth, and no part of the name.
        let codes: BTreeSet<&str> =
            codes.iter().map(|code| code.split_once('.').map_or(&**code, |(code, _)| code)).collect();
        let is_meant = |stream: &&String| match stream.split_once('_') {
            Some((code, of)) => of == kind && (codes.is_empty() || codes.contains(code)),
            None => *stream == kind,
        };
        for stream in streams.iter().filter(is_meant) {
            let wanted = found.entry(stream.clone()).or_default();
            wanted.snapshot |= snapshot;
            wanted.realtime |= realtime;
        }
    }
    found
}

/// The code and the type of a stream.
pub(super) fn parts(stream: &str) -> (Option<&str>, &str) {
    stream.split_once('_').map_or((None, stream), |(code, kind)| (Some(code), kind))
}

/// An object that tells the present state; `None`: it is none.
pub(super) fn as_snapshot(object: &[u8], short: bool) -> Option<Bytes> {
    let text = Spelt::parse(object)?.respelt(short);
    let [realtime, snapshot] = ["REALTIME", "SNAPSHOT"].map(|word| match short {
        true => format!("\"st\":\"{word}\""),
        false => format!("\"stream_type\":\"{word}\""),
    });
    Some(text.replace(&realtime, &snapshot).into())
}
