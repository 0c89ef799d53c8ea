//! From patterns to codes, by the pairs that the exchange is known to list. Pure.
//!
//! ```text
//! KRW-BTC          ──▶ itself, listed or not; those that are not stand behind the others
//! KRW-*  + nothing known ──▶ unresolved: the entry waits, under the name KRW-*_trade
//!        + a list        ──▶ the pairs that match; unmatched where none does: one may be listed later
//! ```

use crate::clock::Instant;
use crate::upbit::codes::{is_pattern, select};
use crate::upbit::listing::stream_name;
use crate::upbit::subscription::Subscription;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The pairs that the exchange is known to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Their codes, in a stable order; `None`: no list yet.
    pub codes: Option<Arc<[String]>>,
    /// When this process last knew the list to be complete, apart from pairs listed since; `None`: never.
    pub complete_at: Option<Instant>,
}

/// Entries with their patterns resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The entries with every pattern replaced by its matches. An entry whose patterns match nothing is left out:
    /// without codes it would be a request for all of them, or refused.
    pub subscriptions: Vec<Subscription>,
    /// Patterns that wait for a list, as the streams they stand for.
    pub unresolved: Vec<String>,
    /// Patterns that match no pair of the list, each once.
    pub unmatched: BTreeSet<String>,
    /// Codes that an earlier entry has with other options, as the streams they would be: frames do not name their
    /// entry, so that the first one keeps them.
    pub contested: BTreeSet<String>,
}

/// Resolves entries by the `listed` codes; `None`: there is no list yet.
pub fn resolve(subscriptions: &[Subscription], listed: Option<&[String]>) -> Resolution {
    let mut resolution = Resolution::default();
    let options: Vec<Subscription> = subscriptions.iter().map(Subscription::without_codes).collect();
    let known: Option<BTreeSet<&str>> = listed.map(|listed| listed.iter().map(String::as_str).collect());
    let mut first: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for (index, entry) in subscriptions.iter().enumerate() {
        note_patterns(&mut resolution, entry, listed);
        let mut codes = select(&entry.codes, listed.unwrap_or_default());
        codes.retain(|code| {
            let earlier = *first.entry((&entry.kind, code.clone())).or_insert(index);
            let is_own = options[earlier] == options[index];
            if !is_own {
                resolution.contested.insert(stream_name(&entry.kind, Some(code)));
            }
            is_own
        });
        // The exchange says nothing of a code that it does not know, whenever it lists it: another order is another request,
        // which is sent.
        if let Some(known) = &known {
            codes.sort_by_key(|code| !known.contains(code.as_str()));
        }
        if entry.codes.is_empty() || !codes.is_empty() {
            resolution.subscriptions.push(Subscription { codes, ..options[index].clone() });
        }
    }
    resolution
}

fn note_patterns(resolution: &mut Resolution, entry: &Subscription, listed: Option<&[String]>) {
    let patterns = entry.codes.iter().filter(|code| is_pattern(code) && !code.starts_with('!'));
    for pattern in patterns {
        match listed {
            None => resolution.unresolved.push(stream_name(&entry.kind, Some(pattern))),
            Some(listed) if select(std::slice::from_ref(pattern), listed).is_empty() => {
                resolution.unmatched.insert(pattern.clone());
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::refusals;
    use crate::upbit::feed::Feed;
    use proptest::prelude::*;

    fn texts(codes: &[&str]) -> Vec<String> {
        codes.iter().map(|&code| code.into()).collect()
    }

    fn entry(kind: &str, codes: &[&str]) -> Subscription {
        Subscription { kind: kind.into(), codes: texts(codes), ..Default::default() }
    }

    #[test]
    fn what_is_named_in_full_needs_no_list() {
        let wanted =
            [entry("trade", &["KRW-BTC", "KRW-*"]), entry("ticker", &["BTC-*", "!BTC-X"]), entry("myOrder", &[])];
        let resolution = resolve(&wanted, None);
        assert_eq!(resolution.subscriptions, [entry("trade", &["KRW-BTC"]), entry("myOrder", &[])]);
        assert_eq!(resolution.unresolved, ["KRW-*_trade", "BTC-*_ticker"]);
        assert!(resolution.unmatched.is_empty());
    }

    #[test]
    fn patterns_are_resolved_by_what_is_listed() {
        let wanted =
            [entry("trade", &["KRW-*", "!KRW-DOGE", "BTC-ETH"]), entry("ticker", &["XYZ-*"]), entry("myOrder", &[])];
        let resolution = resolve(&wanted, Some(&texts(&["KRW-BTC", "KRW-DOGE"])));
        assert_eq!(resolution.subscriptions, [entry("trade", &["KRW-BTC", "BTC-ETH"]), entry("myOrder", &[])]);
        assert_eq!(resolution.unmatched, BTreeSet::from(["XYZ-*".to_owned()]));
        assert!(resolution.unresolved.is_empty());
    }

    #[test]
    fn what_is_listed_later_makes_another_request() {
        let wanted = [entry("trade", &["KRW-NEW", "KRW-BTC", "KRW-NOPE"])];
        let codes = |listed: Option<&[&str]>| {
            let listed = listed.map(texts);
            resolve(&wanted, listed.as_deref()).subscriptions[0].codes.join(" ")
        };
        assert_eq!(codes(None), "KRW-NEW KRW-BTC KRW-NOPE");
        assert_eq!(codes(Some(&["KRW-BTC"])), "KRW-BTC KRW-NEW KRW-NOPE");
        assert_eq!(codes(Some(&["KRW-BTC", "KRW-NEW"])), "KRW-NEW KRW-BTC KRW-NOPE");
    }

    #[test]
    fn two_patterns_with_other_options_share_no_code() {
        let five = Subscription { count: Some(5), ..entry("orderbook", &["*-BTC"]) };
        let resolution = resolve(&[entry("orderbook", &["KRW-*"]), five], Some(&texts(&["KRW-BTC", "USDT-BTC"])));
        assert_eq!(resolution.subscriptions[0].codes, ["KRW-BTC"]);
        assert_eq!(resolution.subscriptions[1].codes, ["USDT-BTC"]);
        assert_eq!(resolution.contested, BTreeSet::from(["KRW-BTC_orderbook".to_owned()]));
    }

    proptest! {
        /// For any list of pairs, a configuration that passed the checks yields a request that passes them.
        #[test]
        fn no_list_makes_a_sound_configuration_wrong(
            listed in prop::collection::btree_set("(KRW|BTC|USDT)-[ABC]{1,2}", 0..12),
            codes in prop::collection::vec(prop::collection::vec("!?(KRW|BTC|\\*)-(\\*|[ABC]{1,2}|\\?)", 1..4), 1..4),
            counts in prop::collection::vec(prop::option::of(Just(5u8)), 4),
        ) {
            let entries = codes.into_iter().zip(counts);
            let wanted: Vec<Subscription> = entries
                .map(|(codes, count)| Subscription { kind: "orderbook".into(), codes, count, ..Default::default() })
                .collect();
            prop_assume!(refusals(Feed::Public, &wanted).is_empty());
            let listed: Vec<String> = listed.into_iter().collect();
            for listed in [None, Some(&listed[..])] {
                let resolved = resolve(&wanted, listed).subscriptions;
                let refused = refusals(Feed::Public, &resolved);
                prop_assert!(resolved.is_empty() || refused.is_empty(), "{refused:?}");
            }
        }
    }
}
