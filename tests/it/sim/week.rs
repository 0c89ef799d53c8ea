//! A virtual week: the configuration is read again every hour, a pair is delisted and listed again, and the process is
//! stopped, killed and loses its power in between. It takes a minute or two:
//!
//! ```text
//! cargo test --test it sim::week -- --ignored --nocapture
//! ```

use super::disk::Crash;
use super::exchange::Mood;
use super::life::{End, Life};
use super::listing::Listing;
use super::plan::Plan;
use super::reloads::Reloading;
use super::world;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::BTreeSet;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: u32 = 24;

/// One answer in so many is wrong in each of four ways.
const WRONG: u32 = 200;

fn life(days: u32, end: End, rng: &mut StdRng) -> Life {
    let length = HOUR * DAY * days;
    let reloads = (1..DAY * days).map(|hour| Reloading::hourly(HOUR * hour, rng)).collect();
    Life { mood: Mood::Calm, length, end, reloads, heals: true, ..Life::quiet(0) }
}

#[test]
#[ignore = "a virtual week takes a minute or two"]
fn a_week_of_reloads_and_listings_is_whole() {
    let seed = std::env::var("SEED").ok().map_or(1, |seed| seed.parse().unwrap());
    let rng = &mut StdRng::seed_from_u64(seed);
    let ends = [(2, End::Stop), (1, End::Crash(Crash::Kill)), (2, End::Crash(Crash::PowerCut)), (2, End::Stop)];
    let mut lives: Vec<Life> = ends.map(|(days, end)| life(days, end, rng)).into();
    lives.push(Life::healing());
    let absent = [20..50, 90..100, 130..131].map(|hours| HOUR * hours.start..HOUR * hours.end);
    let listing = Listing::absent_at(seed, WRONG, absent.to_vec());
    let outcome = world::run_with(&Plan { seed, lives }, listing);
    let of = |name: &'static str| outcome.events.iter().filter(move |event| event["event"] == name);
    let codes = |name: &'static str| of(name).map(|event| event["codes"].to_string()).collect::<Vec<_>>();
    let changed = of("subscribed").filter(|event| event["reason"] == "changed").count();
    let counts = ["reloaded", "reload_failed", "gap", "first_message", "lost"].map(|name| of(name).count());
    println!("{} of {} objects, {counts:?}, {changed} requests", outcome.recorded, outcome.sent);
    assert_eq!(outcome.violations, [""; 0]);
    assert_eq!(counts[0] + counts[1], 7 * 24 - ends.len());
    assert!(changed > 50 && counts[3] >= 2, "{changed}, {counts:?}");
    for name in ["listed", "delisted"] {
        assert_eq!(codes(name), vec![r#"["KRW-XRP"]"#; absent.len()], "no wrong answer delists anything");
    }
    // Whatever stopped, no connection was lost but at the end of a life.
    let causes: BTreeSet<&str> = of("lost").map(|event| event["cause"].as_str().unwrap()).collect();
    assert!(causes.len() <= 2, "{causes:?}");
}
