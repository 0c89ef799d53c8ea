//! Reloads in the simulated world: what is subscribed and how large a segment may be changes while the recorder runs, or a
//! configuration is wrong and changes nothing.

use rand::RngExt;
use rand::rngs::StdRng;
use std::time::Duration;
use tokio::sync::mpsc;
use upbit_recorder::clock::{Clock, sleep_until};
use upbit_recorder::config::Config;
use upbit_recorder::daemon::supervisor::{OperatorRequest, Reload};
use upbit_recorder::desired::Wanted;
use upbit_recorder::recording::retention::plan::KeepLimits;
use upbit_recorder::recording::rotation::Rotation;
use upbit_recorder::upbit::feed::PerFeed;

/// The pairs whose order books come and go; trades stay, since they are healed by what was wanted when a gap ended.
const BOOKS: [&str; 3] = ["KRW-BTC", "KRW-ETH", "KRW-XRP"];

/// A reload, and when it comes.
#[derive(Clone, Debug)]
pub(crate) struct Reloading {
    pub(crate) after: Duration,
    /// `None`: it is wrong.
    pub(crate) change: Option<Change>,
}

/// What is in force from then on.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The codes of the order books, or patterns.
    books: Vec<String>,
    only_realtime: bool,
    rotate_bytes: u64,
    rotate_interval: Duration,
}

impl Reloading {
    /// One at any time before `end`, between two milliseconds: frames come at whole ones.
    pub(crate) fn draw(rng: &mut StdRng, end: Duration) -> Self {
        let end = u64::try_from(end.as_millis()).unwrap().max(1);
        let after = Duration::from_millis(rng.random_range(0..end)) + Duration::from_micros(333);
        let change = rng.random_ratio(4, 5).then(|| Change::draw(rng));
        Self { after, change }
    }

    /// One at this time: patterns, and files as large as a day needs.
    pub(crate) fn hourly(after: Duration, rng: &mut StdRng) -> Self {
        let books = [&["KRW-*"][..], &["KRW-*", "!KRW-ETH"], &["KRW-BTC", "KRW-X*"], &["KRW-ETH"]];
        let books = books[rng.random_range(0..books.len())].iter().map(|&code| code.to_owned()).collect();
        let change = Change {
            books,
            only_realtime: rng.random_ratio(1, 8),
            rotate_bytes: rng.random_range(100_000..2_000_000),
            rotate_interval: Duration::from_secs([3_600, 21_600, 86_400][rng.random_range(0..3)]),
        };
        Self { after: after + Duration::from_micros(333), change: rng.random_ratio(9, 10).then_some(change) }
    }

    fn request(&self, config: &Config) -> OperatorRequest {
        OperatorRequest::Reload(match &self.change {
            Some(change) => Ok(Box::new(change.reload(config))),
            None => Err("recorder.toml: it is wrong".to_owned()),
        })
    }
}

impl Change {
    fn draw(rng: &mut StdRng) -> Self {
        let books = BOOKS.into_iter().filter(|_| rng.random_ratio(2, 3)).map(str::to_owned).collect();
        Self {
            books,
            only_realtime: rng.random_ratio(1, 4),
            rotate_bytes: rng.random_range(5_000..60_000),
            rotate_interval: Duration::from_secs([20, 60, 120][rng.random_range(0..3)]),
        }
    }

    /// The configuration with the change in it.
    fn reload(&self, config: &Config) -> Reload {
        let Self { books, only_realtime, rotate_bytes, rotate_interval } = self;
        let mut config = config.clone();
        config.public.subscribe[1].codes.clone_from(books);
        config.public.subscribe[1].only_realtime = *only_realtime;
        if books.is_empty() {
            config.public.subscribe.truncate(1);
        }
        let wanted = PerFeed { public: Wanted::of(&config.public), private: Wanted::of(&config.private) };
        let rotation = Rotation { interval: *rotate_interval, bytes: *rotate_bytes };
        let limits = KeepLimits { keep_for: config.storage.keep_for, keep_bytes: config.storage.keep_bytes };
        Reload { wanted, rotation, limits, changed: vec!["public.subscribe".to_owned()], restart: Vec::new() }
    }
}

/// Lets them come at their times; never ends.
pub(crate) async fn come(
    reloads: &[Reloading],
    config: &Config,
    clock: Clock,
    requests: &mpsc::Sender<OperatorRequest>,
) -> std::convert::Infallible {
    let start = clock.now();
    for reloading in reloads {
        sleep_until(Some(start + reloading.after)).await;
        // A recorder that has ended takes no more.
        let _ = requests.send(OperatorRequest::Reloading).await;
        let _ = requests.send(reloading.request(config)).await;
    }
    std::future::pending().await
}
