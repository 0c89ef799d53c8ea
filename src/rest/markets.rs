//! Which pairs the exchange has: asked for, and the last answer kept for a start without REST.
//!
//! ```text
//! /market/all ──▶ Markets ──keep──▶ rest/markets.json ──kept──▶ Markets
//! ```
//!
//! The file is replaced as a whole, by a rename, so that it always holds one answer or the other.

use super::FetchError;
use super::client::budget::Priority;
use super::client::verdict::Page;
use super::client::{Client, RestError, request::Request};
use crate::clock::Clock;
use crate::config::Config;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs;
use std::io;
use std::path::Path;

/// The file of the last answer, in the directory of what is fetched.
pub const FILE: &str = "markets.json";

/// The pairs, in the order of the exchange.
#[derive(Debug, Default)]
pub struct Markets {
    /// Each as the exchange describes it.
    pub pairs: Vec<Pair>,
}

/// One pair.
#[derive(Debug)]
pub struct Pair {
    /// Its code: `KRW-BTC`.
    pub code: String,
    /// What Koreans call it.
    pub korean_name: String,
    /// What others call it.
    pub english_name: String,
    /// The object, verbatim.
    pub object: Box<RawValue>,
}

#[derive(Deserialize)]
struct Fields {
    market: String,
    #[serde(default)]
    korean_name: String,
    #[serde(default)]
    english_name: String,
}

impl Markets {
    /// Asks the exchange.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn fetch(client: &mut Client) -> Result<Self, RestError> {
        client.get(Request::new("market/all")).await.map(Self::of)
    }

    /// Asks the exchange that is configured, and keeps the answer below its data directory.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn fetch_and_keep(config: &Config, clock: Clock) -> Result<Self, FetchError> {
        let markets = Self::fetch(&mut super::connect(config, clock, Priority::History)?).await?;
        if let Err(error) = markets.keep(&super::directory(&config.data_dir)) {
            tracing::warn!(%error, file = FILE, "the list of pairs cannot be kept for a start without the exchange");
        }
        Ok(markets)
    }

    /// The last answer that was kept in `directory`; `None` where there is none that can be read.
    pub fn kept(directory: &Path) -> Option<Self> {
        let text = fs::read(directory.join(FILE)).ok()?;
        let markets = Self::of(serde_json::from_slice(&text).ok()?);
        (!markets.pairs.is_empty()).then_some(markets)
    }

    /// Keeps this answer in `directory`. One without any pair is a mistake of somebody's and not kept.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(&self, directory: &Path) -> io::Result<()> {
        if self.pairs.is_empty() {
            return Ok(());
        }
        let objects: Vec<&str> = self.pairs.iter().map(|pair| pair.object.get()).collect();
        // Two programs of one directory may write at the same time.
        let unfinished = directory.join(format!("{FILE}.{}.tmp", std::process::id()));
        fs::write(&unfinished, format!("[{}]\n", objects.join(",\n")))?;
        fs::File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, directory.join(FILE))
    }

    /// The codes alone.
    pub fn codes(&self) -> Vec<String> {
        self.pairs.iter().map(|pair| pair.code.clone()).collect()
    }

    /// Objects without a `market` describe no pair.
    fn of(page: Page) -> Self {
        let pair = |object: Box<RawValue>| {
            let Fields { market: code, korean_name, english_name } = serde_json::from_str(object.get()).ok()?;
            Some(Pair { code, korean_name, english_name, object })
        };
        Self { pairs: page.into_iter().filter_map(pair).collect() }
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
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_read_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        for text in ["", "[", "[]", "{}"] {
            fs::write(directory.path().join(FILE), text).unwrap();
            assert!(Markets::kept(directory.path()).is_none(), "{text}");
        }
    }
}
