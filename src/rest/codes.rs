//! Checks the configured codes against the exchange's list of pairs.
//!
//! ```text
//! "KRW-*" ──▶ is there a list to resolve it by, and is it, with all else in use, of the recorded venue?
//! "KRW-NOPE" ──▶ one WARN that names all unlisted codes, once there is a list
//! ```
//!
//! The exchange silently ignores a code that it does not list, so the recorder reports it.

use super::markets::Markets;
use super::venue::{self, VenueError};
use crate::config::Config;
use crate::desired;
use crate::upbit::codes::is_pattern;

/// How a verb uses `rest.url`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestUse {
    /// It is about REST: `audit`, `backfill`, `markets`.
    Always,
    /// `record`: where patterns, codes or gaps call for it.
    AsConfigured,
}

/// Checks that the addresses in use are of one venue, and that fetched data, where it is used, is of that venue. It only
/// reads. Where a list may be another venue's, because one host is known and the other is not, that is a warning.
///
/// # Errors
/// They are of different venues, or the venue of the fetched data cannot be read.
pub fn check_venues(config: &Config, rest_use: RestUse) -> Result<(), VenueError> {
    let is_always = rest_use == RestUse::Always;
    let is_healing = config.public.enabled && config.rest.heal_max > 0;
    venue::check_addresses(config, is_always || has_patterns(config) || is_healing)?;
    let is_used = is_always || has_patterns(config) || is_checkable(config);
    if !is_always && has_patterns(config) && !config.is_one_venue() {
        let (recorded, asked) = (config.venue(), config.rest_venue());
        tracing::warn!(%recorded, %asked, "patterns are resolved by the list of rest.url: it should be of the recorded venue; say so with `venue`");
    }
    match super::existing(&config.data_dir) {
        Some(disk) if is_used => venue::check_directory(&disk, config).map(drop),
        _ => Ok(()),
    }
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
    config.public.enabled && config.is_one_venue()
}

/// Whether an enabled connection needs the list.
pub fn has_patterns(config: &Config) -> bool {
    let subscriptions = config.enabled().flat_map(|(_, connection)| &connection.subscribe);
    subscriptions.flat_map(|entry| &entry.codes).any(|code| is_pattern(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};
    use crate::rest::venue::{FILE, claim};
    use std::path::Path;

    fn config(settings: &[&str]) -> Config {
        let assignments = settings.iter().map(|&setting| setting.to_owned()).collect();
        load(&Sources { assignments, ..Sources::default() }).unwrap().config
    }

    fn refusal(settings: &[&str], rest_use: RestUse) -> String {
        let checked = check_venues(&config(&[settings, &["data_dir=/no/such"]].concat()), rest_use);
        checked.map_or_else(|error| error.to_string(), |()| String::new())
    }

    const SINGAPORE: &str = "public.url=wss://sg-api.upbit.com/websocket/v1";
    const NAMED: &str = "public.subscribe=[{type=\"trade\",codes=[\"SGD-BTC\"]}]";
    const PATTERN: &str = "public.subscribe=[{type=\"trade\",codes=[\"SGD-*\"]}]";
    const UNHEALED: &str = "rest.heal_max=0";

    #[test]
    fn addresses_in_use_are_of_one_venue() {
        use RestUse::{Always, AsConfigured};
        for (settings, rest_use) in [
            (&[SINGAPORE, NAMED][..], AsConfigured),
            (&[SINGAPORE, PATTERN, UNHEALED], AsConfigured),
            (&[SINGAPORE, NAMED, UNHEALED], Always),
            (&["rest.url=https://sg-api.upbit.com/v1"], Always),
            (&["venue=upbit-sg"], AsConfigured),
        ] {
            let text = refusal(settings, rest_use);
            assert!(text.contains("upbit-sg") && text.contains("upbit-kr"), "{settings:?}: {text}");
        }
        for (settings, rest_use) in [
            (&[][..], Always),
            (&[SINGAPORE, NAMED, UNHEALED], AsConfigured),
            (&[SINGAPORE, PATTERN, "rest.url=https://SG-api.upbit.com/v1"], AsConfigured),
            (&["public.url=ws://127.0.0.1:9/", "rest.url=http://localhost:8/", PATTERN], AsConfigured),
            (&["rest.url=http://127.0.0.1:8/", PATTERN], AsConfigured),
            (&["rest.url=http://127.0.0.1:8/"], Always),
            (&["rest.url=http://my-proxy/v1", "venue=upbit-kr"], Always),
        ] {
            assert_eq!(refusal(settings, rest_use), "", "{settings:?}");
        }
    }

    #[test]
    fn hosts_that_are_not_known_are_one_venue() {
        let venues = |settings: &[&str]| {
            let config = config(settings);
            (config.venue().to_string(), config.rest_venue().to_string(), config.is_one_venue())
        };
        let both = |recorded: &str, asked: &str| (recorded.to_owned(), asked.to_owned(), recorded == asked);
        let [public, rest] = ["public.url=ws://127.0.0.1:9/", "rest.url=http://localhost:8/"];
        assert_eq!(venues(&[]), both("upbit-kr", "upbit-kr"));
        assert_eq!(venues(&[public, rest]), both("127.0.0.1", "127.0.0.1"));
        assert_eq!(venues(&[rest]), both("upbit-kr", "localhost"));
        assert_eq!(venues(&[public]), both("127.0.0.1", "upbit-kr"));
        assert_eq!(venues(&[public, "venue=upbit-kr"]), both("upbit-kr", "upbit-kr"));
        assert_eq!(venues(&[public, rest, "venue=paper"]), both("paper", "paper"));
        assert_eq!(venues(&["public.url=ws://[::1]:9/", rest]), both("::1", "::1"));
    }

    #[test]
    fn fetched_data_of_another_venue_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let data_dir = format!("data_dir={}", directory.path().display());
        let [here, there] = ["rest.url=http://127.0.0.1:8/", "rest.url=http://localhost:8/"]
            .map(|url| config(&[&data_dir, "public.url=ws://127.0.0.1:9/", url]));
        let other = config(&[&data_dir, "public.url=ws://127.0.0.1:9/", "rest.url=http://127.0.0.1:8/", "venue=paper"]);
        let file = directory.path().join("rest").join(FILE);
        check_venues(&here, RestUse::Always).unwrap();
        assert!(!directory.path().join("rest").exists(), "to look is not to touch");
        let disk = crate::rest::open(directory.path()).unwrap();
        claim(&disk, &here).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"venue\":\"127.0.0.1\"}\n");
        claim(&disk, &there).unwrap();
        check_venues(&there, RestUse::AsConfigured).unwrap();
        for refused in [check_venues(&other, RestUse::Always), claim(&disk, &other)] {
            let text = refused.unwrap_err().to_string();
            assert!(text.contains("127.0.0.1") && text.contains("paper") && text.contains("rest has"), "{text}");
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"venue\":\"127.0.0.1\"}\n");
    }

    #[test]
    fn what_names_no_venue_is_quarantined_and_the_directory_adopted() {
        let directory = tempfile::tempdir().unwrap();
        let config = config(&[&format!("data_dir={}", directory.path().display())]);
        let disk = crate::rest::open(directory.path()).unwrap();
        let rest = directory.path().join("rest");
        for make in [
            |path: &Path| std::fs::write(path, "").unwrap(),
            |path: &Path| std::fs::write(path, "{\"venue\":\"No name\"}").unwrap(),
            |path: &Path| std::fs::write(path, [b' '; 5000]).unwrap(),
            |path: &Path| std::fs::create_dir(path).unwrap(),
            |path: &Path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap(),
        ] {
            let _ = std::fs::remove_file(rest.join(FILE));
            make(&rest.join(FILE));
            check_venues(&config, RestUse::Always).unwrap();
            claim(&disk, &config).unwrap();
            assert_eq!(std::fs::read_to_string(rest.join(FILE)).unwrap(), "{\"venue\":\"upbit-kr\"}\n");
        }
        assert_eq!(std::fs::read_dir(rest.join("quarantine")).unwrap().count(), 5);
    }

    #[test]
    fn codes_are_checked_by_the_list_of_their_own_venue() {
        let [local, other] = ["127.0.0.1:9", "th-api.upbit.com"].map(|host| format!("public.url=wss://{host}/"));
        assert!(is_checkable(&config(&[&local, "rest.url=http://localhost:8/"])));
        assert!(!is_checkable(&config(&[&local])) && !is_checkable(&config(&[&other])));
    }
}
