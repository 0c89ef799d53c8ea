//! The exchange's pairs: the parsed answer, and the list kept on disk for a start without REST.
//!
//! ```text
//! /market/all ──▶ Markets ──evidence──▶ known ──keep──▶ rest/markets.json ──kept──▶ known at the next start
//!                    └─ odd: entries that name no pair are skipped, and the others are used
//! ```
//!
//! The file is replaced atomically by a rename. How far an answer is believed is decided in [`pairs`](super::pairs).

use super::client::verdict::Page;
use super::client::{Client, RestError, request::Request};
use crate::files::EntryKind;
use crate::printable;
use crate::tape::quarantine::clear;
use crate::upbit::codes::is_code;
use crate::upbit::feed::Feed;
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The file of the list, in the REST directory.
pub const FILE: &str = "markets.json";

/// The most pairs read from an answer: ten times the number that the exchange lists.
pub const MOST_PAIRS: usize = 10_000;

/// The size bound of the file: an answer has 4 MiB at the most.
const MOST_BYTES: u64 = 8 << 20;

/// Invalid entries of an answer shown, and characters of each; the rest is counted.
const ODD_SHOWN: usize = 3;
const ODD_LENGTH: usize = 60;

/// The pairs, in the order of the exchange.
#[derive(Clone, Debug, Default)]
pub struct Markets {
    /// Each with the exchange's description; no code twice.
    pub pairs: Vec<Pair>,
    /// Entries that name no pair.
    pub odd: Odd,
}

/// One pair.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Its code: `KRW-BTC`.
    pub code: String,
    /// The Korean name; empty if absent.
    pub korean_name: String,
    /// The English name; empty if absent.
    pub english_name: String,
    /// The object, verbatim.
    pub object: Box<RawValue>,
}

/// Entries of an answer that name no valid pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Odd {
    /// Their number.
    pub count: usize,
    /// The first of them, sanitised and cut.
    pub shown: Vec<String>,
}

impl Odd {
    fn note(&mut self, object: &RawValue) {
        self.count += 1;
        if self.shown.len() < ODD_SHOWN {
            self.shown.push(printable::line(object.get(), ODD_LENGTH));
        }
    }
}

impl Markets {
    /// Requests the list from the exchange, with warnings and cautions where they are wanted.
    ///
    /// # Errors
    /// The request failed.
    pub async fn fetch(client: &mut Client, has_details: bool) -> Result<Self, RestError> {
        let request = Request::new("market/all");
        let request = if has_details { request.with("is_details", "true") } else { request };
        client.get(request).await.map(Self::of)
    }

    /// The list kept below a data directory; `None` if it is missing or unreadable.
    pub fn kept(data_dir: &Path) -> Option<Self> {
        let text = super::existing(data_dir)?.read_all(Path::new(FILE), MOST_BYTES).ok()?;
        let markets = Self::of(serde_json::from_slice(&text).ok()?);
        (!markets.pairs.is_empty()).then_some(markets)
    }

    /// Writes this list below a data directory. An empty list is an error upstream and is not kept.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, data_dir: &Path) -> io::Result<()> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let objects: Vec<&str> = self.pairs.iter().map(|pair| pair.object.get()).collect();
        let disk = super::open(data_dir).map_err(io::Error::other)?;
        clear(&disk, Feed::Public, Path::new(FILE), EntryKind::File).map_err(|error| error.source)?;
        // The temporary name is unique per process: two processes on one directory may write at the same time.
        let unfinished = PathBuf::from(format!("{FILE}.{}.tmp", std::process::id()));
        disk.put(&unfinished, Path::new(FILE), format!("[{}]\n", objects.join(",\n")).as_bytes())
    }

    /// The codes.
    pub fn codes(&self) -> Vec<String> {
        self.pairs.iter().map(|pair| pair.code.clone()).collect()
    }

    /// Parses an answer. Only `market` is required and must be a code; every other field may be missing or of any type.
    pub fn of(page: Page) -> Self {
        let (mut markets, mut seen) = (Self::default(), BTreeSet::new());
        for object in page {
            match Pair::of(object) {
                Ok(pair) if markets.pairs.len() < MOST_PAIRS => {
                    if seen.insert(pair.code.clone()) {
                        markets.pairs.push(pair);
                    }
                }
                Ok(Pair { object, .. }) | Err(object) => markets.odd.note(&object),
            }
        }
        markets
    }
}

impl Pair {
    fn of(object: Box<RawValue>) -> Result<Self, Box<RawValue>> {
        let fields: Value = serde_json::from_str(object.get()).unwrap_or_default();
        let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let code = text("market");
        if !is_code(&code) {
            return Err(object);
        }
        Ok(Self { code, korean_name: text("korean_name"), english_name: text("english_name"), object })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str =
        r#"[{"market":"KRW-BTC","korean_name":"비트코인","english_name":"Bitcoin"},{"x":1},{"market":"BTC-ETH"}]"#;

    #[test]
    fn the_last_answer_is_kept_verbatim() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Markets::kept(directory.path()).is_none());
        let markets = Markets::of(serde_json::from_str(ANSWER).unwrap());
        assert_eq!(markets.codes(), ["KRW-BTC", "BTC-ETH"]);
        markets.keep(directory.path()).unwrap();
        Markets::default().keep(directory.path()).unwrap();
        let kept = Markets::kept(directory.path()).unwrap();
        let objects = |markets: &Markets| -> Vec<String> {
            markets.pairs.iter().map(|pair| pair.object.get().to_owned()).collect()
        };
        assert_eq!(objects(&kept), objects(&markets));
        assert_eq!((kept.pairs[0].korean_name.as_str(), kept.pairs[1].english_name.as_str()), ("비트코인", ""));
        assert_eq!(std::fs::read_dir(directory.path().join("rest")).unwrap().count(), 1);
    }

    fn read(answer: &str) -> Markets {
        Markets::of(serde_json::from_str(answer).unwrap())
    }

    #[test]
    fn an_odd_entry_costs_itself_alone() {
        for odd in [
            r#"{"market":"KRW-wBTC"}"#,
            r#"{"market":"KRW-A_B"}"#,
            r#"{"market":"../../etc/x"}"#,
            r#"{"market":"KRW-"}"#,
            r#"{"market":"KRW-*"}"#,
            r#"{"market":"KRW-BTC\u001b[2J"}"#,
            r#"{"market":"KRW-가"}"#,
            r#"{"market":7}"#,
            r#"{"market":null}"#,
            r#"{"code":"KRW-XRP"}"#,
            "7",
            "null",
            "\"KRW-XRP\"",
            "[]",
        ] {
            let markets = read(&format!(r#"[{{"market":"KRW-BTC"}},{odd},{{"market":"KRW-ETH","korean_name":5}}]"#));
            assert_eq!((markets.codes().join(" ").as_str(), markets.odd.count), ("KRW-BTC KRW-ETH", 1), "{odd}");
        }
    }

    #[test]
    fn unneeded_fields_may_be_anything_and_a_pair_stands_once() {
        let markets = read(
            r#"[{"market":"KRW-BTC","korean_name":null,"english_name":[1],"market_event":{"x":1}},{"market":"KRW-BTC"}]"#,
        );
        assert_eq!((markets.codes(), markets.odd.count), (vec!["KRW-BTC".to_owned()], 0));
        assert!(markets.pairs[0].object.get().contains("market_event"));
    }

    #[test]
    fn a_list_is_read_to_a_bound() {
        let entries: Vec<String> = (0..MOST_PAIRS + 5).map(|n| format!(r#"{{"market":"KRW-{n}"}}"#)).collect();
        let markets = read(&format!("[{}]", entries.join(",")));
        assert_eq!((markets.pairs.len(), markets.odd.count, markets.odd.shown.len()), (MOST_PAIRS, 5, ODD_SHOWN));
    }

    #[test]
    fn what_is_shown_of_strangers_is_clean_and_short() {
        let markets = read(&["[{\"market\":\"\u{202e}x\"},\"", &"y".repeat(100), "\"]"].concat());
        assert_eq!(markets.odd.shown[0], r#"{"market":"\u202ex"}"#);
        assert!(markets.odd.shown[1].ends_with('…') && markets.odd.shown[1].chars().count() == ODD_LENGTH);
    }

    #[test]
    fn what_cannot_be_read_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("rest")).unwrap();
        for text in ["", "[", "[]", "{}", "[1]", r#"[{"market":"x"}]"#] {
            std::fs::write(directory.path().join("rest").join(FILE), text).unwrap();
            assert!(Markets::kept(directory.path()).is_none(), "{text}");
        }
        let long = format!("{ANSWER}{}", " ".repeat(usize::try_from(MOST_BYTES).unwrap()));
        std::fs::write(directory.path().join("rest").join(FILE), long).unwrap();
        assert!(Markets::kept(directory.path()).is_none(), "it is too long");
    }
}
