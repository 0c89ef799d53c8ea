//! From the entries of the configuration to the request that a connection should have standing, and why an entry
//! cannot be part of one.
//!
//! Pure. The exchange acknowledges nothing and answers a code that it does not know, or a level that a pair does not
//! have, with silence: what can be known to be wrong beforehand is refused here. Patterns are refused as far as their
//! text shows it: what they stand for is known later, and changes while the recorder runs (`resolve`).

mod candles;
mod resolve;

pub use resolve::{Listed, Resolution, Wanted, resolve};

use crate::config::{ConnectionConfig, nearest};
use crate::upbit::codes::{Meaning, is_pattern};
use crate::upbit::feed::Feed;
use crate::upbit::subscription::{Format, Request, Subscription};
use std::collections::BTreeMap;

/// The pairs of an order book that can be asked for; any other number silently gives 30.
pub const COUNTS: [u8; 4] = [1, 5, 15, 30];

/// The most entries of a list. There are 12 types, and few sets of options that make sense for one; entries are compared
/// with each other, which grows with the square.
pub const MOST_ENTRIES: usize = 1_000;

/// The types of the market data connection.
pub const PUBLIC_TYPES: [&str; 12] = [
    "trade",
    "orderbook",
    "ticker",
    "candle.1s",
    "candle.1m",
    "candle.3m",
    "candle.5m",
    "candle.10m",
    "candle.15m",
    "candle.30m",
    "candle.60m",
    "candle.240m",
];

/// The types of the account connection.
pub const PRIVATE_TYPES: [&str; 3] = ["myOrder", "myAsset", "announcement"];

/// Why something cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The entry, counted from 0; `None`: the list as a whole.
    pub entry: Option<usize>,
    /// The key of the entry.
    pub key: &'static str,
    /// What is wrong and the way out.
    pub problem: String,
}

/// The request for everything that is configured: entries with the same type and options become one, and a code stands
/// in it once.
pub fn request(connection: &ConnectionConfig) -> Request {
    merge(&connection.subscribe, connection.format)
}

fn merge(wanted: &[Subscription], format: Format) -> Request {
    let mut subscriptions: Vec<Subscription> = Vec::new();
    for wanted in wanted {
        let wanted = completed(wanted);
        let same = |known: &&mut Subscription| options(known) == options(&wanted);
        match subscriptions.iter_mut().find(same) {
            // No codes mean all of them.
            Some(known) if known.codes.is_empty() || wanted.codes.is_empty() => known.codes.clear(),
            Some(known) => known.codes.extend_from_slice(&wanted.codes),
            None => subscriptions.push(wanted),
        }
    }
    for subscription in &mut subscriptions {
        let mut seen = std::collections::BTreeSet::new();
        subscription.codes.retain(|code| seen.insert(code.clone()));
    }
    Request { subscriptions, format }
}

/// How many streams a request asks for. A type that was asked for without codes counts as one: how many codes it will
/// bring is not known beforehand.
pub fn streams(request: &Request) -> usize {
    request.subscriptions.iter().map(|subscription| subscription.codes.len().max(1)).sum()
}

/// Everything that cannot be asked for on this connection.
pub fn refusals(connection: Feed, subscriptions: &[Subscription]) -> Vec<Refusal> {
    let mut refused = Refused::default();
    if subscriptions.is_empty() {
        let problem = "nothing is subscribed: add an entry, or disable the connection";
        refused.0.push(Refusal { entry: None, key: "", problem: problem.to_owned() });
    }
    if subscriptions.len() > MOST_ENTRIES {
        let problem = format!(
            "has {} entries, and more than {MOST_ENTRIES} are not read: put codes with the same options into one",
            subscriptions.len()
        );
        refused.0.push(Refusal { entry: None, key: "", problem });
    }
    let subscriptions = &subscriptions[..subscriptions.len().min(MOST_ENTRIES)];
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

/// The entry with what is asked for unless it says otherwise: an announcement without its body cannot be completed later.
fn completed(subscription: &Subscription) -> Subscription {
    let mut completed = subscription.clone();
    if completed.kind == "announcement" {
        completed.options.entry("include_body").or_insert(true.into());
    }
    completed
}

/// Everything but the codes.
fn options(subscription: &Subscription) -> Subscription {
    subscription.without_codes()
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
    let way_out = if other.contains(&kind) {
        format!("belongs into [[{elsewhere}.subscribe]]")
    } else if let Some(way_out) = candles::way_out(kind) {
        way_out
    } else if let Some(near) = nearest(kind, own.iter().copied()) {
        format!("is no type of the exchange; did you mean `{near}`?")
    } else {
        format!("is no type of the exchange; known here: {}", own.join(", "))
    };
    refused.add(index, "type", format!("`{kind}` {way_out}"));
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
        if let Some(problem) = code_problem(code) {
            refused.add(index, "codes", format!("`{code}` {problem}"));
        }
    }
}

/// What keeps a code from being one; the exchange would not say, it answers with silence.
fn code_problem(code: &str) -> Option<String> {
    let is_part =
        |part: &str| !part.is_empty() && part.len() <= 32 && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let meant = code.strip_prefix('!').unwrap_or(code);
    if meant.contains(['*', '?']) {
        return pattern_problem(meant);
    }
    if meant != code {
        return code_problem(meant);
    }
    if let Some((code, count)) = code.rsplit_once('.').filter(|(_, count)| count.parse::<u8>().is_ok()) {
        return Some(format!("has the count in it: write codes = [\"{code}\"] and count = {count}"));
    }
    match code.split_once('-') {
        Some((quote, base)) if is_part(quote) && is_part(base) => {
            let upper = code.to_ascii_uppercase();
            (upper != code)
                .then(|| format!("is not upper case, and the exchange answers that with silence: write `{upper}`"))
        }
        _ => Some("is no market code: write currency and asset, such as KRW-BTC".into()),
    }
}

/// What keeps a pattern from matching any code.
fn pattern_problem(pattern: &str) -> Option<String> {
    let upper = pattern.to_ascii_uppercase();
    if upper != pattern {
        return Some(format!("is not upper case and matches no code: write `{upper}`"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"*?-".contains(&byte);
    (pattern.len() > 65 || !pattern.bytes().all(fits))
        .then(|| "is no pattern: write currency and asset with * for any characters, such as KRW-*".into())
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

/// The same code twice in a type with different options, or everything and something of it: the answers do not say which
/// request they belong to. A pattern that means a code which another entry names is such a case whatever is listed; where
/// two patterns meet, the list decides, and the first entry has the code.
fn check_overlaps(refused: &mut Refused, subscriptions: &[Subscription]) {
    let options: Vec<Subscription> = subscriptions.iter().map(|entry| options(&completed(entry))).collect();
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
        let entries = vec![entry("trade", &["KRW-BTC"]); MOST_ENTRIES + 1];
        let (entry, _, problem) = only(Feed::Public, &entries);
        assert!(entry.is_none() && problem.contains("1001 entries"), "{problem}");
    }

    #[test]
    fn codes_that_would_be_met_with_silence_are_refused() {
        for (code, problem) in [
            ("krw-btc", "write `KRW-BTC`"),
            ("krw-*", "write `KRW-*`"),
            ("KRW-[AB]*", "is no pattern"),
            ("KRW-BTC.15", "count = 15"),
            ("BTC", "is no market code"),
            ("KRW-", "is no market code"),
            ("KRW-BTC-X", "is no market code"),
            ("", "is no market code"),
            ("KRW-../../x", "is no market code"),
        ] {
            let (key, text) = refused(entry("trade", &[code]));
            assert!(key == "codes" && text.contains(problem) && text.contains(code), "{text}");
        }
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
    fn bodies_of_announcements_are_asked_for_unless_it_is_said_otherwise() {
        let mut config = crate::config::load(&Default::default()).unwrap().config.private;
        let mut wire = |options: &[(&str, bool)]| {
            let options = options.iter().map(|&(key, value)| (key.to_owned(), value.into())).collect();
            config.subscribe = vec![Subscription { options, ..entry("announcement", &[]) }];
            request(&config).subscriptions.iter().map(Subscription::to_json).collect::<Vec<_>>()
        };
        assert_eq!(wire(&[]), [r#"{"type":"announcement","include_body":true}"#]);
        assert_eq!(wire(&[("include_body", false)]), [r#"{"type":"announcement","include_body":false}"#]);
        assert_eq!(wire(&[("x", false)]), [r#"{"type":"announcement","include_body":true,"x":false}"#]);
        config.subscribe = vec![entry("myOrder", &[])];
        assert_eq!(request(&config).subscriptions, [entry("myOrder", &[])]);
    }

    #[test]
    fn entries_with_other_options_stay_apart_or_are_refused_where_they_overlap() {
        let mut config = crate::config::load(&Default::default()).unwrap().config.public;
        let (a, b) = (with_option("x", "1", entry("trade", &["KRW-BTC"])), entry("trade", &["KRW-ETH"]));
        config.subscribe = vec![a.clone(), b.clone(), with_option("x", "1", entry("trade", &["KRW-XRP"]))];
        let both = Subscription { codes: ["KRW-BTC", "KRW-XRP"].map(str::to_owned).to_vec(), ..a.clone() };
        assert_eq!(request(&config).subscriptions, [both, b]);
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

    #[test]
    fn everything_and_one_code_is_everything() {
        let mut config = crate::config::load(&Default::default()).unwrap().config.private;
        let (all, one) = (entry("myOrder", &[]), entry("myOrder", &["KRW-BTC"]));
        for entries in [[all.clone(), one.clone()], [one, all.clone()]] {
            config.subscribe = entries.to_vec();
            assert_eq!(request(&config).subscriptions, std::slice::from_ref(&all));
        }
    }

    #[test]
    fn entries_with_the_same_options_become_one() {
        let mut config = crate::config::load(&Default::default()).unwrap().config.public;
        let books = Subscription { count: Some(5), ..entry("orderbook", &["KRW-BTC"]) };
        config.subscribe = vec![
            entry("trade", &["KRW-BTC", "KRW-ETH", "KRW-BTC"]),
            books.clone(),
            entry("trade", &["KRW-ETH", "KRW-XRP"]),
        ];
        let request = request(&config);
        assert_eq!(request.subscriptions, [entry("trade", &["KRW-BTC", "KRW-ETH", "KRW-XRP"]), books]);
        assert_eq!(streams(&request), 4);
    }
}
