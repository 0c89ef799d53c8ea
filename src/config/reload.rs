//! What a running recorder takes over of a configuration that was read again. Pure.
//!
//! ```text
//! in force + read again ──▶ in force from now on: the keys of RELOADED
//!                       └─▶ keys that need a restart: all others that differ
//! ```

use super::model::Config;
use super::reader::Setting;
use crate::upbit::feed::Feed;

/// The keys that a reload brings into force.
pub const RELOADED: [&str; 9] = [
    "public.format",
    "public.subscribe",
    "private.format",
    "private.subscribe",
    "storage.rotate_interval",
    "storage.rotate_bytes",
    "storage.keep_for",
    "storage.keep_bytes",
    "log.level",
];

/// A configuration, with the origin of each value.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The effective configuration.
    pub config: Config,
    /// Every key, in the order of the shipped file.
    pub settings: Vec<Setting>,
}

/// What becomes of a configuration that was read again.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// What is in force from now on.
    pub loaded: Loaded,
    /// The keys that have another value from now on.
    pub changed: Vec<String>,
    /// The keys that differ and need a restart.
    pub restart: Vec<String>,
}

impl Loaded {
    /// Takes over of `newer` what needs no restart.
    pub fn reload(&self, newer: &Self) -> Reloaded {
        let (mut changed, mut restart) = (Vec::new(), Vec::new());
        let mut loaded = self.clone();
        // Both are read by one reader, key after key.
        for (own, newer_one) in loaded.settings.iter_mut().zip(&newer.settings) {
            let is_taken = RELOADED.contains(&own.key.as_str()) && !self.is_of_a_switched_feed(newer, &own.key);
            if own.value != newer_one.value {
                if is_taken { &mut changed } else { &mut restart }.push(own.key.clone());
            }
            if is_taken {
                own.clone_from(newer_one);
            }
        }
        loaded.config = self.taken_over(&newer.config);
        Reloaded { loaded, changed, restart }
    }

    /// Whether a key is of a connection that was switched on or off, which needs a restart: what is subscribed on one that
    /// is off was not checked as a whole.
    fn is_of_a_switched_feed(&self, newer: &Self, key: &str) -> bool {
        let feed = Feed::ALL.into_iter().find(|feed| key.split('.').next() == Some(feed.as_str()));
        feed.is_some_and(|feed| is_switched(&self.config, &newer.config, feed))
    }

    fn taken_over(&self, newer: &Config) -> Config {
        let mut config = self.config.clone();
        for feed in Feed::ALL {
            if !is_switched(&config, newer, feed) {
                let (own, newer) = match feed {
                    Feed::Public => (&mut config.public, &newer.public),
                    Feed::Private => (&mut config.private, &newer.private),
                };
                own.format = newer.format;
                own.subscribe.clone_from(&newer.subscribe);
            }
        }
        config.storage.rotate_interval = newer.storage.rotate_interval;
        config.storage.rotate_bytes = newer.storage.rotate_bytes;
        config.storage.keep_for = newer.storage.keep_for;
        config.storage.keep_bytes = newer.storage.keep_bytes;
        config.log.level.clone_from(&newer.log.level);
        config
    }
}

fn is_switched(own: &Config, newer: &Config, feed: Feed) -> bool {
    let enabled = |config: &Config| match feed {
        Feed::Public => config.public.enabled,
        Feed::Private => config.private.enabled,
    };
    enabled(own) != enabled(newer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    fn loaded(assignments: &[&str]) -> Loaded {
        let assignments = assignments.iter().map(|&text| text.to_owned()).collect();
        let keys = ["UPBIT_ACCESS_KEY", "UPBIT_SECRET_KEY"];
        let environment = keys.map(|name| (name.to_owned(), "key".to_owned())).into();
        load(&Sources { assignments, environment, ..Sources::default() }).unwrap()
    }

    #[test]
    fn every_key_is_taken_over_or_named() {
        let others = [
            ("data_dir", "data_dir=elsewhere"),
            ("public.url", "public.url=wss://sg-api.upbit.com/websocket/v1"),
            ("rest.heal_max", "rest.heal_max=1"),
            ("storage.sync_interval", "storage.sync_interval=2s"),
            ("http.listen", "http.listen="),
            ("log.format", "log.format=json"),
        ];
        let taken = [
            ("public.format", "public.format=SIMPLE"),
            ("public.subscribe", "public.subscribe=[{type=\"trade\",codes=[\"KRW-*\"]}]"),
            ("private.format", "private.format=SIMPLE"),
            ("private.subscribe", "private.subscribe=[{type=\"myAsset\"}]"),
            ("storage.rotate_interval", "storage.rotate_interval=1h"),
            ("storage.rotate_bytes", "storage.rotate_bytes=1MiB"),
            ("storage.keep_for", "storage.keep_for=90d"),
            ("storage.keep_bytes", "storage.keep_bytes=1GiB"),
            ("log.level", "log.level=debug"),
        ];
        assert_eq!(taken.map(|(key, _)| key), RELOADED);
        let all: Vec<&str> = others.iter().chain(&taken).map(|(_, assignment)| *assignment).collect();
        let newer = loaded(&all);
        let Reloaded { loaded: in_force, changed, restart } = loaded(&[]).reload(&newer);
        let by_name = |mut keys: Vec<String>| {
            keys.sort();
            keys
        };
        let names = |pairs: &[(&str, &str)]| by_name(pairs.iter().map(|(key, _)| (*key).to_owned()).collect());
        assert_eq!((by_name(changed), by_name(restart)), (names(&taken), names(&others)));
        // What is in force is what a reader of the taken keys alone would read.
        let alone = loaded(&taken.map(|(_, assignment)| assignment));
        assert_eq!(format!("{:?}", in_force.config), format!("{:?}", alone.config));
        let values = |loaded: &Loaded| -> Vec<_> {
            loaded.settings.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect()
        };
        assert_eq!(values(&in_force), values(&alone));
        let again = in_force.reload(&newer);
        assert_eq!((again.changed, by_name(again.restart)), (Vec::new(), names(&others)), "it is named each time");
    }

    #[test]
    fn what_a_switched_connection_subscribes_needs_a_restart_too() {
        let without = loaded(&["public.enabled=false", "private.enabled=true"]);
        let with = loaded(&["public.subscribe=[{type=\"trade\",codes=[\"KRW-ADA\"]}]", "private.enabled=true"]);
        let Reloaded { loaded, changed, restart } = without.reload(&with);
        assert_eq!((changed, restart), (vec![], vec!["public.enabled".to_owned(), "public.subscribe".to_owned()]));
        assert_eq!(loaded.config.public.subscribe, without.config.public.subscribe);
    }
}
