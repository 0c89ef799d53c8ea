//! What the recorder's own events tell of the processes before this one.

use crate::clock::Stamp;
use crate::recording::naming::layout::Tree;
use crate::recording::naming::manifest::Origins;
use crate::upbit::subscription::Request;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

/// Requests remembered per tree. Requests that differ are as rare as changes of the configuration.
const REQUESTS: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct History {
    requests: [Vec<(Stamp, Request)>; 2],
    /// Whether the last event is an orderly `stopped`.
    pub is_clean: bool,
    /// Up to here the gaps of each tree are on record.
    pub gaps_until: [Option<Stamp>; 2],
}

/// The keys that matter here.
#[derive(Deserialize)]
struct Event {
    ts_recv: u64,
    event: String,
    connection: Option<String>,
    request: Option<String>,
    #[serde(default)]
    requests: BTreeMap<String, String>,
    to: Option<u64>,
}

impl History {
    /// Reads events, oldest first. Lines that are none are passed over.
    pub fn read(source: impl Read) -> std::io::Result<Self> {
        let mut history = Self::default();
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while source.read_until(b'\n', &mut line)? > 0 {
            if let Ok(event) = serde_json::from_slice::<Event>(&line) {
                history.add(event);
            }
            line.clear();
        }
        Ok(history)
    }

    /// What a stream's lines from `stamp` on answer to; `None`: these events do not reach back that far.
    pub fn origins_at(&self, tree: Tree, stamp: Stamp) -> Option<Origins> {
        let before = self.requests[tree as usize].iter().rev().find(|(since, _)| *since <= stamp);
        before.map(|(_, request)| Origins::of(request))
    }

    /// What was asked when the events ended.
    pub fn last_origins(&self, tree: Tree) -> Option<Origins> {
        self.requests[tree as usize].last().map(|(_, request)| Origins::of(request))
    }

    fn add(&mut self, event: Event) {
        let Some(stamp) = Stamp::from_micros(event.ts_recv) else { return };
        self.is_clean = event.event == "stopped";
        let tree = event.connection.as_deref().and_then(tree_of);
        match (event.event.as_str(), tree) {
            ("subscribed", Some(tree)) => {
                self.add_request(tree, stamp, event.request.as_deref().unwrap_or_default());
            }
            ("stopped", _) => {
                for (connection, request) in &event.requests {
                    if let Some(tree) = tree_of(connection) {
                        self.add_request(tree, stamp, request);
                    }
                }
                self.gaps_until = [Some(stamp); 2];
            }
            ("gap", Some(tree)) => {
                let until = &mut self.gaps_until[tree as usize];
                *until = (*until).max(event.to.and_then(Stamp::from_micros));
            }
            _ => {}
        }
    }

    fn add_request(&mut self, tree: Tree, stamp: Stamp, frame: &str) {
        let requests = &mut self.requests[tree as usize];
        let Some(request) = Request::from_frame(frame) else { return };
        if requests.last().is_none_or(|(_, last)| *last != request) {
            if requests.len() == REQUESTS {
                requests.remove(0);
            }
            requests.push((stamp, request));
        }
    }
}

fn tree_of(connection: &str) -> Option<Tree> {
    match connection {
        "public" => Some(Tree::Public),
        "private" => Some(Tree::Private),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::naming::stream_key::StreamKey;

    const SUBSCRIBED: &str = r#"{"ts_recv":10,"type":"recorder","event":"subscribed","connection":"public","request":"[{\"ticket\":\"a\"},{\"type\":\"orderbook\",\"codes\":[\"KRW-BTC.5\"]},{\"format\":\"SIMPLE\"}]"}"#;

    #[test]
    fn the_last_life_is_read_from_its_events() {
        let events = format!(
            "{SUBSCRIBED}\n{}\n{}\ntorn",
            r#"{"ts_recv":20,"type":"recorder","event":"gap","connection":"public","from":12,"to":19}"#,
            SUBSCRIBED.replace(":10,", ":21,").replace("\\\"a\\\"", "\\\"b\\\"")
        );
        let history = History::read(events.as_bytes()).unwrap();
        assert!(!history.is_clean);
        assert_eq!(history.gaps_until, [Stamp::from_micros(19), None]);
        let at = |micros| history.origins_at(Tree::Public, Stamp::from_micros(micros).unwrap());
        let books = StreamKey::from_stem("KRW-BTC_orderbook").unwrap();
        let origin = at(15).unwrap().get(&books).cloned().unwrap();
        assert_eq!(origin.subscription.get(), r#"{"type":"orderbook","codes":["KRW-BTC.5"]}"#);
        assert!(at(9).is_none());
        assert_eq!(history.requests[0].len(), 1, "the same request with another ticket is the same request");
    }

    #[test]
    fn an_orderly_stop_is_known_by_its_event() {
        let history =
            History::read(&br#"{"ts_recv":30,"type":"recorder","event":"stopped","requests":{"public":"[]"}}"#[..])
                .unwrap();
        assert!(history.is_clean);
        assert_eq!(history.gaps_until, [Stamp::from_micros(30); 2]);
    }
}
