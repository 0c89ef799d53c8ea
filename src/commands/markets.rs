//! `markets`: the pairs that the exchange has.

use super::{Form, Host};
use crate::clock::{Clock, sleep_until};
use crate::config::Config;
use crate::exit::Exit;
use crate::printable;
use crate::quantity::rounded_duration;
use crate::rest::FetchError;
use crate::rest::markets::{Markets, Pair};
use crate::rest::pairs::{self, ListingAnswer};
use crate::signals::Signals;
use crate::upbit::codes::select;
use clap::Args;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;

/// Shown below the help.
pub const EXAMPLE: &str = "Example:\n  upbit-recorder markets 'KRW-*' '!KRW-DOGE'";

/// How long an answer may take before it is said what is waited for, and how often it is said again.
const PATIENCE: Duration = Duration::from_secs(3);
const REMIND_EVERY: Duration = Duration::from_secs(30);

/// How much of a name is shown; the longest of the exchange's have a third of it.
const NAME_LENGTH: usize = 100;

/// Which, and how to show them.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Codes or patterns: KRW-BTC, 'KRW-*', '!KRW-DOGE'; without any, all pairs.
    #[arg(value_name = "CODE")]
    codes: Vec<String>,

    /// Prints each pair's object as the exchange sent it, one a line.
    #[arg(long)]
    json: bool,
}

/// Asks the exchange and prints.
pub async fn run(config: &Config, options: &Options, signals: Signals, host: &Host) -> Exit {
    let asked = patiently(config, Clock::start(), super::kept_pairs(config, host));
    let Some(asked) = signals.shutdown.orderly.run_until_cancelled(asked).await else { return Exit::Success };
    match asked {
        Ok(asked) => super::print(Form::text_or_verbatim(options.json), |out| write(out, &asked, options)),
        Err(error) => {
            super::complain(&error.to_string());
            error.exit()
        }
    }
}

/// Says what is waited for while it is.
async fn patiently(config: &Config, clock: Clock, kept: Option<Markets>) -> Result<ListingAnswer, FetchError> {
    let begin = clock.now();
    let mut asked = pin!(pairs::ask_once(config, clock, kept));
    let mut remind_at = begin + PATIENCE;
    loop {
        tokio::select! {
            biased;
            asked = &mut asked => return asked,
            () = sleep_until(Some(remind_at)) => {}
        }
        let waited = rounded_duration(clock.now() - begin);
        super::complain(&format!("waiting for the list of pairs from {} for {waited}", config.rest.url));
        remind_at += REMIND_EVERY;
    }
}

fn write(out: &mut dyn Write, asked: &ListingAnswer, options: &Options) -> io::Result<Exit> {
    let mut wanted = options.codes.clone();
    if wanted.iter().all(|code| code.starts_with('!')) {
        wanted.push("*".to_owned());
    }
    let pairs: BTreeMap<&str, &Pair> = asked.markets.pairs.iter().map(|pair| (pair.code.as_str(), pair)).collect();
    let codes = select(&wanted, &asked.markets.codes());
    let mut found = false;
    for code in codes {
        let Some(pair) = pairs.get(code.as_str()) else { continue };
        found = true;
        let Pair { code, korean_name, english_name, object } = pair;
        match options.json {
            // Line breaks stand between the parts of an object and mean nothing: within text they are escaped.
            true => writeln!(out, "{}", object.get().replace(['\n', '\r'], " "))?,
            false => {
                let [english, korean] = [english_name, korean_name].map(|name| printable::line(name, NAME_LENGTH));
                writeln!(out, "{code:<12} {english} · {korean}")?;
            }
        }
    }
    if !found {
        super::complain("no pair of the exchange is meant by these codes");
    }
    if asked.is_short {
        super::complain("the exchange's list is empty or much shorter than known: these are the pairs known before");
    }
    Ok(if found && !asked.is_short { Exit::Success } else { Exit::Wrong })
}
