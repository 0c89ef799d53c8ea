//! The request that a connection should have standing. Pure.
//!
//! Entries with the same type and options are merged, with their codes deduplicated.

use super::resolve::{Listed, resolve};
use crate::config::ConnectionConfig;
use crate::upbit::subscription::{Format, Request, Subscription};
use std::collections::BTreeSet;

/// The subscriptions of a connection as configured, with patterns unresolved.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    subscribe: Vec<Subscription>,
    format: Format,
}

impl Wanted {
    /// The part of a connection's configuration that is about subscriptions.
    pub fn of(connection: &ConnectionConfig) -> Self {
        Self { subscribe: connection.subscribe.clone(), format: connection.format }
    }

    /// The entries, as configured.
    pub fn entries(&self) -> &[Subscription] {
        &self.subscribe
    }

    /// The request for its codes and the matches of its patterns; empty while every entry waits for a list.
    pub fn request(&self, listed: &Listed) -> Request {
        merge(&resolve(&self.subscribe, listed.codes.as_deref()).subscriptions, self.format)
    }

    /// The streams that wait for a list, each named by its pattern: `KRW-*_trade`.
    pub fn unresolved(&self, listed: &Listed) -> Vec<String> {
        resolve(&self.subscribe, listed.codes.as_deref()).unresolved
    }
}

/// The request for the whole configuration: entries with the same type and options are merged, with their codes
/// deduplicated.
pub fn request(connection: &ConnectionConfig) -> Request {
    merge(&connection.subscribe, connection.format)
}

fn merge(wanted: &[Subscription], format: Format) -> Request {
    let mut subscriptions: Vec<Subscription> = Vec::new();
    for wanted in wanted {
        let wanted = wanted.completed();
        let options = wanted.without_codes();
        let same = |known: &&mut Subscription| known.without_codes() == options;
        match subscriptions.iter_mut().find(same) {
            // No codes mean all of them.
            Some(known) if known.codes.is_empty() || wanted.codes.is_empty() => known.codes.clear(),
            Some(known) => known.codes.extend_from_slice(&wanted.codes),
            None => subscriptions.push(wanted),
        }
    }
    for subscription in &mut subscriptions {
        let mut seen = BTreeSet::new();
        subscription.codes.retain(|code| seen.insert(code.clone()));
    }
    Request { subscriptions, format }
}

/// The number of streams a request subscribes. A type without codes counts as one: its number of codes is unknown
/// beforehand.
pub fn streams(request: &Request) -> usize {
    request.subscriptions.iter().map(|subscription| subscription.codes.len().max(1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, codes: &[&str]) -> Subscription {
        Subscription { kind: kind.into(), codes: codes.iter().map(|&code| code.into()).collect(), ..Default::default() }
    }

    #[test]
    fn bodies_of_announcements_are_requested_by_default() {
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
    fn entries_with_other_options_stay_apart() {
        let mut config = crate::config::load(&Default::default()).unwrap().config.public;
        let with_option = |code: &str| {
            let options = [("x".to_owned(), "1".into())].into_iter().collect();
            Subscription { options, ..entry("trade", &[code]) }
        };
        let plain = entry("trade", &["KRW-ETH"]);
        config.subscribe = vec![with_option("KRW-BTC"), plain.clone(), with_option("KRW-XRP")];
        let both = Subscription { codes: ["KRW-BTC", "KRW-XRP"].map(str::to_owned).to_vec(), ..with_option("") };
        assert_eq!(request(&config).subscriptions, [both, plain]);
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
