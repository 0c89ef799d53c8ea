//! Signing, pacing and asking again, over real sockets.

use crate::support::Exchange;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};
use upbit_recorder::clock::Clock;
use upbit_recorder::config::TlsRoots;
use upbit_recorder::config::proxy::ProxyConfig;
use upbit_recorder::files::disk::Disk;
use upbit_recorder::net::{network::Network, tls};
use upbit_recorder::rest::client::budget::{Budget, Priority};
use upbit_recorder::rest::client::http::Http;
use upbit_recorder::rest::client::request::Request;
use upbit_recorder::rest::client::{Client, RestError};
use upbit_recorder::upbit::auth::{Credentials, JwtAlgorithm, Secret};
use upbit_recorder::upbit::url::Url;

const KEYS: [&str; 4] = ["--access-key", "visible", "--secret-key", "hidden"];

pub(super) fn client(exchange: &Exchange, directory: &Path, per_second: u32) -> Client {
    let url = Url::http(&format!("http://127.0.0.1:{}/v1", exchange.port())).unwrap();
    let budget = Budget::new(Disk::open(directory).unwrap(), per_second, Priority::History);
    let clock = Clock::start();
    let network = Network::new(clock, tls::client_config(TlsRoots::Bundled, None).unwrap(), &ProxyConfig::default());
    Client::new(Http::new(&url, network, clock), clock, budget, 1)
}

fn credentials(secret: &str) -> Credentials {
    let access_key = Secret::new("visible");
    let secret_key = Secret::new(secret);
    Credentials { access_key, secret_key, algorithm: JwtAlgorithm::Hs512 }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test of the binary runs in real time")]
    Instant::now()
}

#[test]
fn the_server_makes_the_same_hash_of_any_query() {
    let exchange = Exchange::start(0, &[&["--codes", "1", "--no-limits"][..], &KEYS].concat());
    let directory = tempfile::tempdir().unwrap();
    // The budget is not what is tested here.
    let client = RefCell::new(client(&exchange, directory.path(), 100_000).signing(credentials("hidden")));
    let runtime = runtime();
    let value = prop_oneof!["[a-z0-9:+,%&= \\[\\]가-힣.~*'\"/?#-]{0,24}", "\\PC{0,12}"];
    let queries = prop::collection::vec(("[a-z_]{1,8}(\\[\\])?", value), 1..5);
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&queries, |query| {
        let request =
            query.iter().fold(Request::new("accounts"), |request, (name, value)| request.with(name, value.clone()));
        let answer = runtime.block_on(client.borrow_mut().get(request));
        prop_assert!(answer.is_ok(), "{:?}", answer.err());
        Ok(())
    });
    checked.unwrap();
}

#[test]
fn a_wrong_signature_is_refused_at_once_and_by_name() {
    let exchange = Exchange::start(0, &[&["--codes", "1"][..], &KEYS].concat());
    let directory = tempfile::tempdir().unwrap();
    let mut client = client(&exchange, directory.path(), 8).signing(credentials("guessed"));
    let error = runtime().block_on(client.get(Request::new("accounts").with("market", "KRW-BTC"))).unwrap_err();
    assert!(matches!(error, RestError::Credentials(_)), "{error}");
    assert!(error.to_string().contains("jwt_verification"), "{error}");
    assert_eq!(client.tally().sent, 1);
}

#[test]
fn two_programs_share_the_rate_and_are_not_refused() {
    let exchange = Exchange::start(0, &["--codes", "1"]);
    let directory = tempfile::tempdir().unwrap();
    let mut clients = [(); 2].map(|()| client(&exchange, directory.path(), 8));
    for client in &mut clients {
        (0..28).for_each(|id| client.submit(id, Request::new("candles/days").with("market", "KRW-BTC")));
    }
    let begin = now();
    runtime().block_on(async {
        let [first, second] = &mut clients;
        tokio::join!(drain(first), drain(second));
    });
    // 56 requests are seven bursts of eight: six seconds lie between the first and the last.
    let allowed = Duration::from_secs(6).mul_f64(1.0 / 0.95);
    assert!(now() - begin < allowed, "{:?}", now() - begin);
    assert!(clients.iter().all(|client| client.tally().too_many == 0 && client.tally().sent == 28));
}

/// Takes all answers, which are good ones.
async fn drain(client: &mut Client) {
    while let Some(done) = client.next().await.unwrap() {
        assert_eq!(done.outcome.unwrap().len(), 1);
    }
}

#[test]
fn too_many_a_block_and_a_refused_connection_are_waited_out() {
    for (fault, is_failure) in [("429+500ms", false), ("418=1+500ms", false), ("refuse+500ms", true)] {
        let exchange = Exchange::start(0, &["--codes", "1", "--fault", fault]);
        let directory = tempfile::tempdir().unwrap();
        let mut client = client(&exchange, directory.path(), 8);
        client.submit(1, Request::new("market/all"));
        runtime().block_on(drain(&mut client));
        let tally = client.tally();
        assert!(tally.sent > 1, "{fault}: {tally:?}");
        assert_eq!((tally.too_many > 0, tally.failed > 0), (!is_failure, is_failure), "{fault}: {tally:?}");
    }
}

#[test]
fn what_does_not_exist_is_refused_with_the_exchanges_words() {
    let exchange = Exchange::start(0, &["--codes", "1"]);
    let directory = tempfile::tempdir().unwrap();
    let mut client = client(&exchange, directory.path(), 8);
    let error = runtime().block_on(client.get(Request::new("candles/days").with("market", "KRW-NOPE"))).unwrap_err();
    let expected = "the exchange refuses candles/days?market=KRW-NOPE: 404 Code not found";
    assert_eq!(error.to_string(), expected);
}
