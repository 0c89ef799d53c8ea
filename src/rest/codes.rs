//! Checks the configured codes against the exchange's list of pairs.
//!
//! ```text
//! "KRW-*" ──▶ is there a list to resolve it by, and is it of the recorded venue?
//! "KRW-NOPE" ──▶ one WARN that names all unlisted codes, once there is a list
//! ```
//!
//! The exchange silently ignores a code that it does not list, so the recorder reports it.

use super::markets::Markets;
use crate::config::{Config, ConnectionConfig};
use crate::desired;
use crate::upbit::codes::is_pattern;
use crate::upbit::feed::Feed;
use crate::upbit::venue::{Agreement, Venue};

/// Patterns cannot be resolved: the list is of another venue.
#[derive(Debug, thiserror::Error)]
#[error(
    "{connection}.subscribe has patterns such as KRW-*, which rest.url resolves, and that is {asked} while {connection}.url is {recorded}: set both to one venue, or name the pairs"
)]
pub struct VenueError {
    connection: Feed,
    recorded: Venue,
    asked: Venue,
}

/// Checks that patterns are resolved by the list of the recorded venue. An unknown host, such as a proxy's, is only
/// warned about.
///
/// # Errors
/// Both venues are known, and differ.
pub fn check_venues(config: &Config) -> Result<(), VenueError> {
    for (connection, settings) in enabled(config).filter(|(_, settings)| needs_list(settings)) {
        match Agreement::of(settings.url.host(), config.rest.url.host()) {
            Agreement::Same => {}
            Agreement::Different(recorded, asked) => return Err(VenueError { connection, recorded, asked }),
            Agreement::Unknown => {
                let (recorded, asked) = (settings.url.host(), config.rest.url.host());
                tracing::warn!(%connection, recorded, asked, "patterns are resolved by the list of rest.url: it should be the same venue's");
            }
        }
    }
    Ok(())
}

/// The configuration with its patterns resolved by the kept list, if there is one.
pub fn resolve_kept(config: &Config) -> Config {
    let mut resolved = config.clone();
    let Some(markets) = Markets::kept(&config.data_dir).filter(|_| has_patterns(config)) else {
        return resolved;
    };
    let listed = markets.codes();
    for connection in [&mut resolved.public, &mut resolved.private] {
        let subscriptions = desired::resolve(&connection.subscribe, Some(&listed)).subscriptions;
        if !subscriptions.is_empty() {
            connection.subscribe = subscriptions;
        }
    }
    resolved
}

/// Whether the list applies to the recorded codes: the list of another venue does not.
pub fn is_checkable(config: &Config) -> bool {
    config.public.enabled && Agreement::of(config.public.url.host(), config.rest.url.host()) == Agreement::Same
}

/// Whether an enabled connection needs the list.
pub fn has_patterns(config: &Config) -> bool {
    enabled(config).any(|(_, connection)| needs_list(connection))
}

fn enabled(config: &Config) -> impl Iterator<Item = (Feed, &ConnectionConfig)> {
    let all = [(Feed::Public, &config.public), (Feed::Private, &config.private)];
    all.into_iter().filter(|(_, connection)| connection.enabled)
}

fn needs_list(connection: &ConnectionConfig) -> bool {
    connection.subscribe.iter().flat_map(|entry| &entry.codes).any(|code| is_pattern(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    fn config(recorded: &str, asked: &str, codes: &str) -> Config {
        let assignments = [
            format!("public.url=wss://{recorded}/websocket/v1"),
            format!("rest.url=https://{asked}/v1"),
            format!("public.subscribe=[{{type=\"trade\",codes=[{codes}]}}]"),
        ];
        load(&Sources { assignments: assignments.into(), ..Sources::default() }).unwrap().config
    }

    #[test]
    fn patterns_are_not_resolved_by_another_venues_list() {
        let refused =
            |recorded, asked, codes| check_venues(&config(recorded, asked, codes)).map_err(|error| error.to_string());
        let text = refused("sg-api.upbit.com", "api.upbit.com", "\"SGD-*\"").unwrap_err();
        assert!(text.contains("upbit-sg") && text.contains("upbit-kr") && text.contains("rest.url"), "{text}");
        assert_eq!(refused("sg-api.upbit.com", "api.upbit.com", "\"SGD-BTC\""), Ok(()));
        assert_eq!(refused("sg-api.upbit.com", "SG-api.upbit.com", "\"SGD-*\""), Ok(()));
        assert_eq!(refused("127.0.0.1:9", "localhost:8", "\"SGD-*\""), Ok(()));
        assert_eq!(refused("api.upbit.com", "127.0.0.1:8", "\"KRW-*\""), Ok(()));
    }

    #[test]
    fn codes_are_checked_by_the_list_of_their_own_venue() {
        assert!(is_checkable(&config("127.0.0.1:9", "localhost:8", "\"KRW-BTC\"")));
        assert!(!is_checkable(&config("127.0.0.1:9", "api.upbit.com", "\"KRW-BTC\"")));
        assert!(!is_checkable(&config("th-api.upbit.com", "api.upbit.com", "\"KRW-BTC\"")));
    }
}
