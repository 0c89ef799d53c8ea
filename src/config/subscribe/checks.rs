//! Static validation of subscription entries. Pure.
//!
//! The exchange acknowledges nothing and answers an unknown code, or a level that a pair does not have, with silence: a
//! provable mistake is refused before it is sent. Patterns are checked by syntax alone, since the list of pairs is only
//! known at run time.

use super::{candles, codes};
use crate::config::faults::nearest;
use crate::upbit::codes::{Meaning, is_pattern};
use crate::upbit::feed::Feed;
use crate::upbit::subscription::Subscription;
use crate::upbit::types::{PRIVATE_TYPES, PUBLIC_TYPES};
use std::collections::BTreeMap;

/// The most entries of a list. There are 12 types, and few sets of options that make sense for one; entries are
/// compared with each other, which grows with the square.
const MAX_ENTRIES: usize = 1_000;

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The entry, counted from 0; `None`: the list as a whole.
    pub entry: Option<usize>,
    /// The key of the entry.
    pub key: &'static str,
    /// The mistake, and how to correct it.
    pub problem: String,
}

/// All refusals of a list on this connection.
pub fn refusals(connection: Feed, subscriptions: &[Subscription]) -> Vec<Refusal> {
    let mut refused = Refused::default();
    if subscriptions.is_empty() {
        let problem = "nothing is subscribed: add an entry, or disable the connection";
        refused.0.push(Refusal { entry: None, key: "", problem: problem.to_owned() });
    }
    if subscriptions.len() > MAX_ENTRIES {
        let problem = format!(
            "has {} entries, and more than {MAX_ENTRIES} are not read: put codes with the same options into one",
            subscriptions.len()
        );
        refused.0.push(Refusal { entry: None, key: "", problem });
    }
    let subscriptions = &subscriptions[..subscriptions.len().min(MAX_ENTRIES)];
    for (index, subscription) in subscriptions.iter().enumerate() {
        if check_type(&mut refused, index, connection, subscription) {
            check_presence_of_codes(&mut refused, index, subscription);
            check_options(&mut refused, index, subscription);
        }
        check_codes(&mut refused, index, subscription);
    }
    check_overlaps(&mut refused, subscriptions);
    refused.0
}

#[derive(Default)]
struct Refused(Vec<Refusal>);

impl Refused {
    fn add(&mut self, entry: usize, key: &'static str, problem: impl Into<String>) {
        self.0.push(Refusal { entry: Some(entry), key, problem: problem.into() });
    }
}

/// Whether the type is one of this connection.
fn check_type(refused: &mut Refused, index: usize, connection: Feed, subscription: &Subscription) -> bool {
    let (own, other, elsewhere): (&[&str], &[&str], _) = match connection {
        Feed::Public => (&PUBLIC_TYPES, &PRIVATE_TYPES, "private"),
        Feed::Private => (&PRIVATE_TYPES, &PUBLIC_TYPES, "public"),
    };
    let kind = subscription.kind.as_str();
    if own.contains(&kind) {
        return true;
    }
    let hint = if other.contains(&kind) {
        format!("belongs into [[{elsewhere}.subscribe]]")
    } else if let Some(hint) = candles::hint(kind) {
        hint
    } else if let Some(near) = nearest(kind, own.iter().copied()) {
        format!("is no type of the exchange; did you mean `{near}`?")
    } else {
        format!("is no type of the exchange; known here: {}", own.join(", "))
    };
    refused.add(index, "type", format!("`{kind}` {hint}"));
    false
}

fn check_presence_of_codes(refused: &mut Refused, index: usize, subscription: &Subscription) {
    let Subscription { kind, codes, .. } = subscription;
    match kind.as_str() {
        "myOrder" => {}
        "myAsset" | "announcement" if !codes.is_empty() => {
            refused.add(index, "codes", format!("{kind} takes no codes; the exchange would refuse the request"));
        }
        "myAsset" | "announcement" => {}
        _ if codes.is_empty() => {
            refused.add(index, "codes", format!("{kind} needs codes, such as codes = [\"KRW-BTC\"]"));
        }
        _ => {}
    }
}

fn check_codes(refused: &mut Refused, index: usize, subscription: &Subscription) {
    let codes = &subscription.codes;
    if !codes.is_empty() && codes.iter().all(|code| code.starts_with('!')) {
        refused.add(index, "codes", "leaves something out of nothing: say what of, such as codes = [\"KRW-*\", …]");
    }
    for code in codes {
        if let Some(problem) = codes::problem(code) {
            refused.add(index, "codes", format!("`{code}` {problem}"));
        }
    }
}

fn check_options(refused: &mut Refused, index: usize, subscription: &Subscription) {
    let kind = &subscription.kind;
    if subscription.count.is_some() && kind != "orderbook" {
        refused.add(index, "count", format!("only an orderbook has a count, {kind} does not"));
    }
    if subscription.level.is_some() && kind != "orderbook" {
        refused.add(index, "level", format!("only an orderbook has a level, {kind} does not"));
    } else if subscription.level.is_some() {
        let other = subscription.codes.iter().filter(|code| !code.starts_with('!') && !code.starts_with("KRW-"));
        for code in other {
            let problem = "has no levels, only KRW pairs do; the exchange would answer with silence";
            refused.add(index, "level", format!("`{code}` {problem}"));
        }
    }
    let is_private = PRIVATE_TYPES.contains(&kind.as_str());
    for (key, set) in [("only_snapshot", subscription.only_snapshot), ("only_realtime", subscription.only_realtime)] {
        if set && is_private {
            refused.add(index, key, format!("{kind} has no snapshots to choose from"));
        }
    }
    if subscription.only_snapshot && subscription.only_realtime && !is_private {
        refused.add(index, "only_snapshot", "excludes only_realtime: choose one, or neither for both");
    }
}

/// The same code twice in a type with different options, or a whole type and a code of it: frames do not name the entry
/// that they answer. A pattern that matches a code of another entry is refused whatever is listed; where two patterns
/// overlap depends on the list, and the first entry gets the code.
fn check_overlaps(refused: &mut Refused, subscriptions: &[Subscription]) {
    let options: Vec<Subscription> = subscriptions.iter().map(|entry| entry.without_codes().completed()).collect();
    let differ = |earlier: usize, index: usize| options[earlier] != options[index];
    let problem = |other: usize| {
        format!("has other options in entry {other}, and the frames could not be told apart: ask for it once")
    };
    let has_pattern = |entry: &Subscription| entry.codes.iter().any(|code| is_pattern(code));
    let patterns: Vec<usize> = (0..subscriptions.len()).filter(|&index| has_pattern(&subscriptions[index])).collect();
    let meant: Vec<Meaning> = subscriptions.iter().map(|entry| Meaning::of(&entry.codes)).collect();
    let mut first: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (index, subscription) in subscriptions.iter().enumerate() {
        for code in subscription.codes.iter().filter(|code| !code.starts_with('!')) {
            let earlier = *first.entry((&subscription.kind, code)).or_insert(index);
            let is_named = !is_pattern(code) && meant[index].holds(code);
            let is_met = |&other: &usize| {
                let is_same_kind = subscriptions[other].kind == subscription.kind;
                is_named && is_same_kind && differ(other, index) && meant[other].holds(code)
            };
            let first = Some(earlier).filter(|&earlier| differ(earlier, index));
            if let Some(other) = first.or_else(|| patterns.iter().copied().find(is_met)) {
                refused.add(index, "codes", format!("`{code}` {}", problem(other)));
            }
        }
        let everything = |earlier: &usize| {
            let other = &subscriptions[*earlier];
            other.kind == subscription.kind && (other.codes.is_empty() || subscription.codes.is_empty())
        };
        if let Some(earlier) = (0..index).find(|earlier| everything(earlier) && differ(*earlier, index)) {
            refused.add(index, "options", format!("{} {}", subscription.kind, problem(earlier)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, codes: &[&str]) -> Subscription {
        Subscription { kind: kind.into(), codes: codes.iter().map(|&code| code.into()).collect(), ..Default::default() }
    }

    /// The key and problem of the only refusal.
    fn only(connection: Feed, subscriptions: &[Subscription]) -> (Option<usize>, &'static str, String) {
        let mut refusals = refusals(connection, subscriptions);
        let refusal = refusals.pop().unwrap();
        assert_eq!(refusals, []);
        (refusal.entry, refusal.key, refusal.problem)
    }

    fn refused(subscription: Subscription) -> (&'static str, String) {
        let is_private = PRIVATE_TYPES.contains(&subscription.kind.as_str());
        let connection = if is_private { Feed::Private } else { Feed::Public };
        let (_, key, problem) = only(connection, &[subscription]);
        (key, problem)
    }

    #[test]
    fn every_type_of_the_exchange_is_taken_on_its_own_connection() {
        for kind in PUBLIC_TYPES {
            assert_eq!(refusals(Feed::Public, &[entry(kind, &["KRW-BTC"])]), []);
            assert!(only(Feed::Private, &[entry(kind, &["KRW-BTC"])]).2.contains("[[public.subscribe]]"));
        }
        for kind in PRIVATE_TYPES {
            assert_eq!(refusals(Feed::Private, &[entry(kind, &[])]), []);
            assert!(only(Feed::Public, &[entry(kind, &[])]).2.contains("[[private.subscribe]]"));
        }
    }

    #[test]
    fn an_unknown_type_is_answered_with_the_nearest() {
        assert_eq!(
            refused(entry("orderbok", &["KRW-BTC"])).1,
            "`orderbok` is no type of the exchange; did you mean `orderbook`?"
        );
        assert!(refused(entry("candle.2m", &["KRW-BTC"])).1.contains("did you mean `candle."));
        assert!(refused(entry("candle.1d", &["KRW-BTC"])).1.starts_with("`candle.1d` is no stream of the exchange"));
        assert!(refused(entry("liquidations", &["KRW-BTC"])).1.contains("known here: trade, "));
    }

    #[test]
    fn long_lists_are_looked_through_once() {
        let codes: Vec<String> = (0..80_000).map(|number| format!("KRW-E{number:06}")).collect();
        let mut named = Subscription { kind: "trade".into(), codes, ..Default::default() };
        named.codes.extend((0..20_000).map(|number| format!("!KRW-X{number:06}")));
        named.codes.push("BTC-*".into());
        assert_eq!(refusals(Feed::Public, &[named]), []);
        let entries = vec![entry("trade", &["KRW-BTC"]); MAX_ENTRIES + 1];
        let (entry, _, problem) = only(Feed::Public, &entries);
        assert!(entry.is_none() && problem.contains("1001 entries"), "{problem}");
    }

    #[test]
    fn patterns_are_taken_as_far_as_their_text_shows() {
        let wanted =
            [entry("trade", &["KRW-*", "!KRW-DOGE", "BTC-ETH"]), entry("ticker", &["XYZ-*"]), entry("myOrder", &[])];
        assert_eq!(refusals(Feed::Public, &wanted[..2]), []);
        assert!(refused(entry("trade", &["!KRW-DOGE"])).1.contains("out of nothing"));
        let leveled = |code: &str| Subscription { level: Some(0.into()), ..entry("orderbook", &["KRW-*", code]) };
        assert_eq!(refusals(Feed::Public, &[leveled("!BTC-*")]), []);
        assert_eq!(refused(leveled("BTC-*")).0, "level");
    }

    #[test]
    fn what_a_type_cannot_have_is_refused() {
        assert_eq!(refused(entry("trade", &[])).0, "codes");
        assert_eq!(refused(entry("myAsset", &["KRW-BTC"])).0, "codes");
        assert_eq!(refused(entry("announcement", &["KRW-BTC"])).0, "codes");
        assert_eq!(refused(Subscription { count: Some(5), ..entry("trade", &["KRW-BTC"]) }).0, "count");
        assert_eq!(refused(Subscription { level: Some(0.into()), ..entry("ticker", &["KRW-BTC"]) }).0, "level");
        assert_eq!(refused(Subscription { level: Some(0.into()), ..entry("orderbook", &["BTC-ETH"]) }).0, "level");
        assert_eq!(refused(Subscription { only_realtime: true, ..entry("myOrder", &[]) }).0, "only_realtime");
        let neither = Subscription { only_snapshot: true, only_realtime: true, ..entry("trade", &["KRW-BTC"]) };
        assert_eq!(refused(neither).0, "only_snapshot");
        assert_eq!(only(Feed::Public, &[]).0, None);
    }

    #[test]
    fn a_code_twice_in_a_type_with_other_options_is_refused() {
        let five = Subscription { count: Some(5), ..entry("orderbook", &["KRW-BTC", "KRW-ETH"]) };
        let one = Subscription { count: Some(1), ..entry("orderbook", &["KRW-XRP", "KRW-BTC"]) };
        let (index, key, problem) = only(Feed::Public, &[five.clone(), one]);
        assert_eq!((index, key), (Some(1), "codes"));
        assert!(problem.contains("`KRW-BTC`") && problem.contains("entry 0"), "{problem}");
        assert_eq!(refusals(Feed::Public, &[five.clone(), five.clone()]), []);
        let pattern = entry("orderbook", &["KRW-*", "!KRW-ETH"]);
        for entries in [[five.clone(), pattern.clone()], [pattern.clone(), five]] {
            let (_, key, problem) = only(Feed::Public, &entries);
            assert!(key == "codes" && problem.contains("`KRW-BTC`"), "{problem}");
        }
        let excluded = Subscription { count: Some(5), ..entry("orderbook", &["KRW-ETH"]) };
        assert_eq!(refusals(Feed::Public, &[pattern, excluded]), []);
    }

    fn with_option(key: &str, value: &str, base: Subscription) -> Subscription {
        let options = [(key.to_owned(), value.into())].into_iter().collect();
        Subscription { options, ..base }
    }

    #[test]
    fn entries_with_other_options_may_not_overlap() {
        let a = with_option("x", "1", entry("trade", &["KRW-BTC"]));
        let (index, key, problem) = only(Feed::Public, &[a.clone(), entry("trade", &["KRW-BTC"])]);
        assert!((index, key) == (Some(1), "codes") && problem.contains("in entry 0"), "{problem}");
        for pair in [
            [entry("announcement", &[]), with_option("categories", "general", entry("announcement", &[]))],
            [entry("myOrder", &["KRW-BTC"]), with_option("x", "1", entry("myOrder", &[]))],
        ] {
            let (index, key, problem) = only(Feed::Private, &pair);
            assert!((index, key) == (Some(1), "options") && problem.contains("in entry 0"), "{problem}");
        }
        let said = Subscription {
            options: [("include_body".to_owned(), true.into())].into_iter().collect(),
            ..entry("announcement", &[])
        };
        assert_eq!(refusals(Feed::Private, &[entry("announcement", &[]), said]), []);
    }
}
