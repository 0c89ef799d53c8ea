//! The result of `check`, in the shape of its JSON output. Pure.

use super::estimate::{self, PerDay, SEALED_SHARE};
use super::machine::Machine;
use super::start::ShownStart;
use crate::commands::descriptors;
use crate::config::proxy::{Proxy, ProxyConfig};
use crate::config::{Config, ConnectionConfig, Fault, Faults, KeySource, Loaded, Setting};
use crate::desired;
use crate::net::proxy::Proxies;
use crate::rest;
use crate::upbit::feed::Feed;
use crate::upbit::url::Url;
use figment::value::Value;
use serde::Serialize;

/// Placeholder for the UUID that each connect generates.
const TICKET: &str = "00000000-0000-4000-8000-000000000000";

/// Everything derived from a configuration, in the shape of the JSON output.
#[derive(Serialize)]
pub(super) struct CheckReport {
    pub(super) valid: bool,
    pub(super) settings: Vec<ShownSetting>,
    /// The venue that is recorded; `None` if an address is secret that it could be the host of.
    pub(super) venue: Option<String>,
    pub(super) connections: Vec<ShownConnection>,
    pub(super) rest: ShownRest,
    pub(super) streams: usize,
    /// Files that will be open at once.
    pub(super) open_files: usize,
    pub(super) bytes_per_day: PerDay,
    pub(super) sealed_share: f64,
    pub(super) machine: Machine,
    pub(super) start: ShownStart,
}

/// A key in force.
#[derive(Serialize)]
pub(super) struct ShownSetting {
    key: String,
    /// `None` if secret.
    value: Option<Value>,
    origin: String,
}

/// A connection that will be made.
#[derive(Serialize)]
pub(super) struct ShownConnection {
    pub(super) connection: String,
    /// `None` if secret.
    pub(super) url: Option<String>,
    #[serde(flatten)]
    pub(super) route: Route,
    /// `None` if the subscriptions are secret.
    pub(super) frame: Option<String>,
    /// Where the keys are, and how the token is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
}

/// The REST interface.
#[derive(Serialize)]
pub(super) struct ShownRest {
    /// `None` if secret.
    pub(super) url: Option<String>,
    #[serde(flatten)]
    pub(super) route: Route,
    /// Why the route is not safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) warning: Option<&'static str>,
}

/// The route of a connection to its address.
#[derive(Serialize)]
pub(super) struct Route {
    /// The proxy and the variable that names it; `None`: a direct connection.
    pub(super) proxy: Option<String>,
    /// Why the proxy that is named cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
}

/// All faults of a configuration.
#[derive(Serialize)]
pub(super) struct FaultReport {
    pub(super) valid: bool,
    faults: Vec<ShownFault>,
}

#[derive(Serialize)]
pub(super) struct ShownFault {
    origin: String,
    key: String,
    problem: String,
}

impl CheckReport {
    pub(super) fn of(loaded: &Loaded, machine: Machine, start: ShownStart) -> Self {
        let config = &loaded.config;
        let addresses = ["venue", "public.url", "private.url", "rest.url"];
        let has_secret_address = addresses.into_iter().any(|key| is_secret(&loaded.settings, key));
        let mut report = Self {
            valid: true,
            settings: loaded.settings.iter().map(ShownSetting::of).collect(),
            venue: (!has_secret_address).then(|| config.venue().to_string()),
            connections: Vec::new(),
            rest: ShownRest {
                url: (!is_secret(&loaded.settings, "rest.url")).then(|| config.rest.url.to_string()),
                route: Route::to(&config.rest.url, &config.proxies),
                warning: rest::exposure(&config.rest.url),
            },
            streams: 0,
            open_files: 0,
            bytes_per_day: PerDay::default(),
            sealed_share: SEALED_SHARE,
            machine,
            start,
        };
        for (connection, settings) in connections(config).into_iter().filter(|(_, settings)| settings.enabled) {
            let request = desired::request(settings);
            let per_day = estimate::per_day(&request);
            report.streams += desired::streams(&request);
            report.bytes_per_day.low += per_day.low;
            report.bytes_per_day.high += per_day.high;
            let secret = |key: &str| is_secret(&loaded.settings, &format!("{connection}.{key}"));
            report.connections.push(ShownConnection {
                connection: connection.to_string(),
                url: (!secret("url")).then(|| settings.url.to_string()),
                route: Route::to(&settings.url, &config.proxies),
                frame: (!secret("subscribe")).then(|| request.to_frame(TICKET)),
                token: token(loaded, connection),
            });
        }
        report.open_files = descriptors::needed(report.streams.min(config.storage.max_streams));
        report
    }
}

impl Route {
    fn to(url: &Url, proxies: &ProxyConfig) -> Self {
        match Proxies::new(proxies).between(url) {
            Ok(proxy) => Self { proxy: proxy.map(Proxy::to_string), problem: None },
            Err(unusable) => Self { proxy: None, problem: Some(unusable.to_string()) },
        }
    }
}

impl ShownSetting {
    pub(super) fn of(setting: &Setting) -> Self {
        let value = (!setting.origin.is_secret()).then(|| setting.value.clone());
        Self { key: setting.key.clone(), value, origin: setting.origin.to_string() }
    }
}

impl FaultReport {
    pub(super) fn of(faults: &Faults) -> Self {
        let shown = |fault: &Fault| ShownFault {
            origin: fault.origin.to_string(),
            key: fault.key.clone(),
            problem: fault.problem.clone(),
        };
        Self { valid: false, faults: faults.0.iter().map(shown).collect() }
    }
}

/// Both connections, enabled or not.
pub(super) fn connections(config: &Config) -> [(Feed, &ConnectionConfig); 2] {
    [(Feed::Public, &config.public), (Feed::Private, &config.private)]
}

fn is_secret(settings: &[Setting], key: &str) -> bool {
    settings.iter().any(|setting| setting.key == key && setting.origin.is_secret())
}

fn token(loaded: &Loaded, connection: Feed) -> Option<String> {
    let keys = loaded.config.credentials.as_ref().filter(|_| connection == Feed::Private)?;
    let place = |key: &str, place: &KeySource| match is_secret(&loaded.settings, key) {
        true => "a file that is not shown".to_owned(),
        false => place.to_string(),
    };
    let access = place("private.access_key_file", &keys.access_key);
    let secret = place("private.secret_key_file", &keys.secret_key);
    Some(format!("signed by {} (keys in {access} and {secret})", keys.jwt_algorithm.as_str()))
}
