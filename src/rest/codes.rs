//! The codes of the configuration, held against the pairs that the exchange has.
//!
//! ```text
//! "KRW-*" ──resolve, before the start──▶ KRW-BTC, KRW-ETH, …
//! "KRW-NOPE" ──────────────────────────▶ one WARN that names all such codes
//! ```
//!
//! A code that the exchange does not know is met with silence, which is why it is said here.

use super::FetchError;
use super::markets::Markets;
use crate::clock::{Clock, sleep_until};
use crate::config::Config;
use crate::connection::ConnectionId;
use crate::desired;
use crate::upbit::codes::{is_pattern, unlisted};
use crate::upbit::subscription::Subscription;
use std::time::Duration;

/// How long a start waits for an answer while it has an earlier one: what is not recorded meanwhile is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why it is not known what to record.
#[derive(Debug, thiserror::Error)]
pub enum CodesError {
    /// There is neither an answer nor an earlier one.
    #[error("patterns such as KRW-* need the exchange's list of pairs: {0}")]
    NoList(#[from] FetchError),
    /// No pattern of a connection matches anything, and it has no other codes.
    #[error("no pair of the exchange is meant by the codes in {0}.subscribe")]
    Nothing(ConnectionId),
    /// What the patterns stand for cannot be asked for together.
    #[error("{connection}.subscribe, with its patterns resolved: {problems}")]
    Contradiction {
        /// The connection.
        connection: ConnectionId,
        /// A sentence for each problem.
        problems: String,
    },
}

/// The configuration with every pattern replaced by the pairs that it matches now.
///
/// # Errors
/// It is not known what to record.
pub async fn resolve(config: &Config, clock: Clock) -> Result<Config, CodesError> {
    let mut resolved = config.clone();
    if !has_patterns(config) {
        return Ok(resolved);
    }
    let markets = newest(config, clock).await?;
    resolve_with(&mut resolved, &markets)?;
    warn_of(&resolved, &markets);
    Ok(resolved)
}

/// The configuration with its patterns resolved by the answer that an earlier start kept, where there is one.
///
/// # Errors
/// It is not known what to record.
pub fn resolve_kept(config: &Config) -> Result<Config, CodesError> {
    let mut resolved = config.clone();
    if let Some(markets) = Markets::kept(&super::directory(&config.data_dir)).filter(|_| has_patterns(config)) {
        resolve_with(&mut resolved, &markets)?;
    }
    Ok(resolved)
}

/// Names the codes that the exchange does not list, where the start did not have to ask. The list of another venue says
/// nothing: the stream and the REST interface must be those of one host. Never ends, so that it can stand in a `select`.
pub async fn watch(config: &Config, clock: Clock) {
    if !has_patterns(config) && config.public.enabled && config.public.url.host == config.rest.url.host {
        match Markets::fetch_and_keep(config, clock).await {
            Ok(markets) => warn_of(config, &markets),
            Err(error) => tracing::info!(%error, "the codes are not checked: the list of pairs cannot be read"),
        }
    }
    std::future::pending().await
}

/// Whether anything that is enabled needs the list.
pub fn has_patterns(config: &Config) -> bool {
    let enabled = [&config.public, &config.private].into_iter().filter(|connection| connection.enabled);
    enabled.flat_map(|connection| &connection.subscribe).flat_map(|entry| &entry.codes).any(|code| is_pattern(code))
}

/// A new answer, or the kept one where that takes too long.
async fn newest(config: &Config, clock: Clock) -> Result<Markets, CodesError> {
    let kept = Markets::kept(&super::directory(&config.data_dir));
    let deadline = kept.is_some().then(|| clock.now() + PATIENCE);
    let cause = tokio::select! {
        biased;
        fetched = Markets::fetch_and_keep(config, clock) => match fetched {
            Ok(markets) => return Ok(markets),
            Err(error) => error,
        },
        () = sleep_until(deadline) => FetchError::Slow,
    };
    let markets = kept.ok_or(cause)?;
    tracing::warn!("the exchange does not say which pairs it has: patterns are resolved by its last answer");
    Ok(markets)
}

fn resolve_with(config: &mut Config, markets: &Markets) -> Result<(), CodesError> {
    let listed = markets.codes();
    let connections = [(ConnectionId::Public, &mut config.public), (ConnectionId::Private, &mut config.private)];
    for (id, connection) in connections.into_iter().filter(|(_, connection)| connection.enabled) {
        let resolved = desired::resolve(&connection.subscribe, &listed);
        if resolved.len() < connection.subscribe.len() {
            tracing::warn!(connection = %id, "entries whose patterns match no pair of the exchange are left out");
        }
        connection.subscribe = resolved;
        if connection.subscribe.is_empty() {
            return Err(CodesError::Nothing(id));
        }
        let refused = desired::refusals(id, &connection.subscribe);
        if !refused.is_empty() {
            let problems: Vec<String> = refused.into_iter().map(|refusal| refusal.problem).collect();
            return Err(CodesError::Contradiction { connection: id, problems: problems.join("; ") });
        }
    }
    Ok(())
}

fn warn_of(config: &Config, markets: &Markets) {
    let subscriptions: &[Subscription] = if config.public.enabled { &config.public.subscribe } else { &[] };
    let listed = markets.codes();
    let codes = unlisted(subscriptions.iter().flat_map(|entry| &entry.codes), &listed);
    if !codes.is_empty() {
        tracing::warn!(?codes, "the exchange does not list these pairs, and will be silent about them");
    }
}
