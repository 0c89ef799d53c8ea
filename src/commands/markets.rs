//! `markets`: the pairs that the exchange has.

use crate::clock::Clock;
use crate::config::Config;
use crate::exit::Exit;
use crate::rest::markets::{Markets, Pair};
use crate::signals::Signals;
use crate::upbit::codes::select;
use clap::Args;
use std::io::{self, Write};

/// Shown below the help.
pub const EXAMPLE: &str = "Example:\n  upbit-recorder markets 'KRW-*' '!KRW-DOGE'";

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
pub async fn run(config: &Config, options: &Options, signals: Signals) -> Exit {
    let fetched = Markets::fetch_and_keep(config, Clock::start());
    let Some(fetched) = signals.shutdown.orderly.run_until_cancelled(fetched).await else { return Exit::Success };
    match fetched {
        Ok(markets) => super::print(|out| write(out, &markets, options)),
        Err(error) => {
            super::complain(&error.to_string());
            error.exit()
        }
    }
}

fn write(out: &mut dyn Write, markets: &Markets, options: &Options) -> io::Result<Exit> {
    let mut wanted = options.codes.clone();
    if wanted.iter().all(|code| code.starts_with('!')) {
        wanted.push("*".to_owned());
    }
    let codes = select(&wanted, &markets.codes());
    for code in codes {
        let Some(pair) = markets.pairs.iter().find(|pair| pair.code == code) else { continue };
        let Pair { code, korean_name, english_name, object } = pair;
        match options.json {
            true => writeln!(out, "{object}")?,
            false => writeln!(out, "{code:<12} {english_name} · {korean_name}")?,
        }
    }
    Ok(Exit::Success)
}
