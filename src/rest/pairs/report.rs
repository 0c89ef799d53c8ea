//! Log lines about the list of pairs, each repeated only after a change.

use super::evidence::Finding;
use crate::clock::Instant;
use crate::config::Config;
use crate::desired::{Resolution, resolve};
use crate::quantity::rounded_duration;
use crate::rest::markets::{Markets, Odd};
use crate::upbit::codes::unlisted;
use crate::upbit::subscription::Subscription;
use std::collections::BTreeSet;

/// Names in one log line; the rest is counted.
const SHOWN: usize = 20;

/// The last reported state.
#[derive(Debug, Default)]
pub(super) struct ListingReport {
    /// Patterns wait for the list.
    is_needed: bool,
    public: Vec<Subscription>,
    private: Vec<Subscription>,
    unlisted: BTreeSet<String>,
    unmatched: BTreeSet<String>,
    contested: BTreeSet<String>,
    /// Instruments could not be fetched.
    lacks_instruments: bool,
}

impl ListingReport {
    pub(super) fn take_config(&mut self, config: &Config, is_needed: bool) {
        let entries = |enabled: bool, entries: &[Subscription]| if enabled { entries.to_vec() } else { Vec::new() };
        self.is_needed = is_needed;
        self.public = entries(config.public.enabled, &config.public.subscribe);
        self.private = entries(config.private.enabled, &config.private.subscribe);
    }

    /// Reports how the configured codes and patterns resolve against the known pairs.
    pub(super) fn codes(&mut self, known: &Markets) {
        if known.pairs.is_empty() {
            return;
        }
        let listed = known.codes();
        let wanted = self.public.iter().flat_map(|entry| &entry.codes);
        let codes = unlisted(wanted, &listed).into_iter().map(str::to_owned).collect();
        if changed(&mut self.unlisted, codes) {
            let codes = &self.unlisted;
            tracing::warn!(?codes, "the exchange does not list these pairs, and will be silent about them");
        }
        let resolutions = [&self.public, &self.private].map(|entries| resolve(entries, Some(&listed)));
        let all = |part: fn(&Resolution) -> &BTreeSet<String>| resolutions.iter().flat_map(part).cloned().collect();
        if changed(&mut self.unmatched, all(|resolution| &resolution.unmatched)) {
            let patterns = &self.unmatched;
            tracing::warn!(?patterns, "these match no pair of the exchange now; they do as soon as one is listed");
        }
        if changed(&mut self.contested, all(|resolution| &resolution.contested)) {
            let count = self.contested.len();
            let first: Vec<&String> = self.contested.iter().take(SHOWN).collect();
            tracing::warn!(count, ?first, "patterns of several entries mean these: the first entry's options count");
        }
    }

    /// Reports that instruments could not be fetched, and why, or that they could.
    pub(super) fn instruments(&mut self, failure: Option<String>) {
        let lacked = std::mem::replace(&mut self.lacks_instruments, failure.is_some());
        match failure {
            Some(cause) if !lacked => {
                tracing::warn!(
                    cause,
                    "the exchange does not say how its pairs are traded: instrument.rest waits for it"
                );
            }
            None if lacked => tracing::info!("the exchange says again how its pairs are traded"),
            _ => {}
        }
    }

    /// Reports a finding of the evidence.
    pub(super) fn finding(&self, finding: Finding, now: Instant) {
        match finding {
            Finding::Waiting { since, known, cause } => self.waiting(rounded_duration(now - since), known, cause),
            Finding::Odd(Odd { count, shown }) => {
                tracing::warn!(count, first = ?shown, "entries of the list of pairs name no pair, and are left out");
            }
            Finding::Lacking { listed, known, lacking, is_short: true } => tracing::warn!(
                listed,
                known,
                first = ?lacking,
                "the exchange's list of pairs is empty or much shorter than known: it is not believed, and asked for again"
            ),
            Finding::Lacking { listed, known, lacking, is_short: false } => tracing::info!(
                listed,
                known,
                first = ?lacking,
                "the exchange's list lacks pairs that are known: they are recorded until it has done so for a while"
            ),
            Finding::New { count, first } => tracing::info!(count, ?first, "the exchange lists new pairs"),
            Finding::Delisted(codes) => {
                let (count, first) = (codes.len(), &codes[..codes.len().min(SHOWN)]);
                tracing::warn!(count, ?first, "delisted: the exchange's answers agree on it");
            }
        }
    }

    fn waiting(&self, waited: String, known: usize, cause: Option<String>) {
        match known {
            _ if !self.is_needed => {
                tracing::info!(waited, cause, "the codes are not checked: the list of pairs cannot be read");
            }
            0 => tracing::warn!(
                waited,
                cause,
                "the exchange does not say which pairs it has: what is named in full is recorded, and patterns wait"
            ),
            known => tracing::warn!(
                waited,
                cause,
                known,
                "the exchange does not say which pairs it has: patterns are resolved by its last answer"
            ),
        }
    }
}

/// Replaces the reported set; returns whether there is a change to report.
fn changed(reported: &mut BTreeSet<String>, now: BTreeSet<String>) -> bool {
    let is_news = *reported != now && !now.is_empty();
    *reported = now;
    is_news
}
