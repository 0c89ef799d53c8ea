//! `markets`: the pairs that the exchange has.

use super::output::{Form, complain, print};
use super::pairs as known_pairs;
use super::process::{Host, serve_and_ask};
use super::work::{StopTerms, WARN_AFTER, WARN_EVERY};
use crate::clock::sleep_until;
use crate::config::Sources;
use crate::exit::Exit;
use crate::printable;
use crate::quantity::rounded_duration;
use crate::rest::FetchError;
use crate::rest::codes::RestUse;
use crate::rest::markets::Pair;
use crate::rest::pairs::{self, ListingAnswer};
use clap::Args;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::pin::pin;

/// How much of a name is shown; the longest of the exchange's have a third of it.
const NAME_LENGTH: usize = 100;

/// Which, and how to show them.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder markets 'KRW-*' '!KRW-DOGE'")]
pub struct MarketsOptions {
    /// Codes or patterns: KRW-BTC, 'KRW-*', '!KRW-DOGE'; without any, all pairs.
    #[arg(value_name = "CODE")]
    codes: Vec<String>,

    /// Prints each pair's object as the exchange sent it, one a line.
    #[arg(long)]
    json: bool,
}

/// Fetches the list and prints it.
pub fn run(sources: Sources, options: MarketsOptions) -> Exit {
    let terms = StopTerms { unfinished: Exit::Success, ..StopTerms::PROMPT };
    serve_and_ask(sources, terms, RestUse::Always, async move |host| markets(&host, &options).await)
}

async fn markets(host: &Host, options: &MarketsOptions) -> Exit {
    let asked = host.signals.shutdown.orderly.run_until_cancelled(ask(host)).await;
    match asked {
        None => Exit::Success,
        Some(Ok(asked)) => print(Form::text_or_verbatim(options.json), |out| write(out, &asked, options)),
        Some(Err(error)) => {
            complain(&error.to_string());
            error.exit()
        }
    }
}

/// Fetches the list, with a warning while the request blocks.
async fn ask(host: &Host) -> Result<ListingAnswer, FetchError> {
    let kept = known_pairs::kept(host);
    let begin = host.clock.now();
    let mut asked = pin!(pairs::ask_once(&host.config, host.clock, kept));
    let mut warn_at = begin + WARN_AFTER;
    loop {
        tokio::select! {
            biased;
            asked = &mut asked => return asked,
            () = sleep_until(Some(warn_at)) => {}
        }
        let waited = rounded_duration(host.clock.now() - begin);
        complain(&format!("waiting for the list of pairs from {} for {waited}", host.config.rest.url));
        warn_at += WARN_EVERY;
    }
}

fn write(out: &mut dyn Write, asked: &ListingAnswer, options: &MarketsOptions) -> io::Result<Exit> {
    let pairs: BTreeMap<&str, &Pair> = asked.markets.pairs.iter().map(|pair| (pair.code.as_str(), pair)).collect();
    let codes = known_pairs::select_of_all(&options.codes, &asked.markets.codes());
    let mut found = false;
    for code in codes {
        let Some(pair) = pairs.get(code.as_str()) else { continue };
        found = true;
        let Pair { code, korean_name, english_name, object } = pair;
        match options.json {
            // Line breaks here are insignificant white space: within strings they are escaped.
            true => writeln!(out, "{}", object.get().replace(['\n', '\r'], " "))?,
            false => {
                let [english, korean] = [english_name, korean_name].map(|name| printable::line(name, NAME_LENGTH));
                writeln!(out, "{code:<12} {english} · {korean}")?;
            }
        }
    }
    if !found {
        complain("no pair of the exchange is meant by these codes");
    }
    if asked.is_short {
        complain("the exchange's list is empty or much shorter than known: these are the pairs known before");
    }
    Ok(if found && !asked.is_short { Exit::Success } else { Exit::Wrong })
}
