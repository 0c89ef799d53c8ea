//! When the account's key expires: the exchange's keys do after a year, and then nothing of the account is recorded.
//!
//! ```text
//! GET /v1/api_keys, signed ──▶ [{"access_key":"…","expire_at":"2027-11-22T12:39:39+00:00"}] ──ours──▶ expires
//! ```
//!
//! Source: docs.upbit.com, "List API keys". Asked on a thread of its own, at the start and each day.

use super::FetchError;
use super::client::budget::Priority;
use super::client::request::Request;
use super::client::verdict::Page;
use crate::backoff::Backoff;
use crate::clock::{Clock, Stamp, sleep_until};
use crate::config::Config;
use crate::counters::requests::SharedRequests;
use crate::quantity::rounded_duration;
use crate::upbit::auth::Credentials;
use jiff::Timestamp;
use serde::Deserialize;
use std::io;
use std::time::Duration;
use tokio::sync::watch;

/// The interval of questions: a key that is replaced in time needs a restart, which asks.
const DAY: Duration = Duration::from_secs(86_400);

/// The intervals after questions without an answer: a machine that starts may have no network yet.
const UNANSWERED: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_secs(3_600) };

/// How long before its end a key is warned of, each day: enough for a holiday.
const WARNED: Duration = Duration::from_secs(14 * 86_400);

/// A key as the exchange lists it; the other fields are not used.
#[derive(Deserialize)]
struct Listed {
    access_key: String,
    expire_at: String,
}

/// Whether the exchange is asked: with an account, of the venue of its keys, and never in plain text over a network, since
/// the question is signed.
pub fn is_asked(config: &Config) -> bool {
    let is_guarded = config.rest.url.tls() || config.rest.url.is_loopback();
    config.private.enabled && config.is_one_venue() && is_guarded
}

/// Follows the expiry on a background thread that ends with the process or with the receiver of `expires`, µs.
///
/// # Errors
/// The thread cannot be spawned.
pub fn spawn(
    config: &Config,
    clock: Clock,
    credentials: Credentials,
    expires: watch::Sender<Option<Stamp>>,
    requests: SharedRequests,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let config = config.clone();
    let follow = async move {
        let mut failures = 0;
        while !expires.is_closed() {
            let asked = ask(&config, clock, &credentials, &requests).await;
            let again = match asked {
                Ok(found) => {
                    failures = 0;
                    expires.send_replace(found);
                    report(found, clock.stamp());
                    DAY
                }
                Err(error) => {
                    tracing::debug!(%error, "the exchange does not tell when the account's key expires");
                    failures += 1;
                    UNANSWERED.ceiling(failures)
                }
            };
            sleep_until(Some(clock.now() + again)).await;
        }
    };
    std::thread::Builder::new().name("key".to_owned()).spawn(move || runtime.block_on(follow)).map(drop)
}

async fn ask(
    config: &Config,
    clock: Clock,
    credentials: &Credentials,
    requests: &SharedRequests,
) -> Result<Option<Stamp>, FetchError> {
    let client = super::connect(config, clock, Priority::History)?;
    let mut client = client.signing(credentials.clone()).counting(requests.clone());
    let page = client.get(Request::new("api_keys")).await?;
    Ok(expiry(&page, credentials.access_key.expose()))
}

/// When the key expires; `None`: it is not in the list, or nobody can read when.
fn expiry(page: &Page, access_key: &str) -> Option<Stamp> {
    let listed = page.iter().filter_map(|object| serde_json::from_str::<Listed>(object.get()).ok());
    let own = listed.into_iter().find(|listed| listed.access_key == access_key)?;
    let at: Timestamp = own.expire_at.parse().ok()?;
    Stamp::from_micros(u64::try_from(at.as_microsecond()).ok()?)
}

fn report(expires: Option<Stamp>, now: Stamp) {
    let Some(expires) = expires else { return };
    let left = expires.since(now);
    if left < WARNED {
        let left = rounded_duration(left);
        tracing::warn!(left, "the account's key expires: make a new one at the exchange, and restart with it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_key_is_found_among_others() {
        let page = r#"[{"access_key":"other","expire_at":"2026-01-01T00:00:00+09:00"},{"x":1},
                       {"access_key":"own","expire_at":"2027-01-01T00:00:00+09:00"},{"access_key":"odd","expire_at":"?"}]"#;
        let page: Page = serde_json::from_str(page).unwrap();
        let micros = |key| expiry(&page, key).map(Stamp::as_micros);
        assert_eq!(micros("own"), Some(1_798_729_200_000_000));
        assert_eq!([micros("odd"), micros("none")], [None, None]);
    }
}
