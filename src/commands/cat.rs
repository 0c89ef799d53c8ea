//! `cat`: recorded lines of one or many streams, in the order in which they were written.
//!
//! ```text
//! streams, span ──▶ Merged, HealedTrades or Union ──▶ lines that are whole ──▶ as they are, raw, or CSV
//! ```

use super::output::{Form, print};
use super::process::{Host, serve};
use super::recording::{ReadError, SpanArgs, open, select};
use super::work::StopTerms;
use crate::clock::Stamp;
use crate::config::Sources;
use crate::exit::Exit;
use crate::reading::csv::Table;
use crate::reading::healed::HealedTrades;
use crate::reading::pairs::{PairLine, Pairs};
use crate::reading::raw;
use crate::reading::streams::{Choice, Named};
use crate::reading::union::Union;
use crate::tape::line::Line;
use crate::tape::reader::{Merged, Tape, TapeError};
use crate::tape::stream_key::StreamKey;
use clap::Args;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

/// What to print.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example:\n  upbit-recorder cat 'KRW-*_trade' --from 2026-11-22T05:00:00Z --to 2026-11-22T05:01:00Z"
)]
pub struct CatOptions {
    /// Streams: KRW-BTC_trade, patterns such as 'KRW-*_trade' and '!KRW-DOGE_*', private/myOrder, rest/KRW-BTC_candle.1m.
    #[arg(required = true, value_name = "STREAM")]
    streams: Vec<String>,
    #[command(flatten)]
    span: SpanArgs,
    /// Prints the bytes that were received, without the time.
    #[arg(long)]
    raw: bool,
    /// Trades alone, with those that were missed and fetched, in the order of their own time, each once; --from and --to
    /// are times of trades.
    #[arg(long)]
    healed: bool,
    /// Reads these directories in place of data_dir, of recorders of one venue, and prints once what several have: trades
    /// by their id, other frames by their bytes where they came within 5 s.
    #[arg(long, value_name = "DIR", num_args = 2..)]
    merge: Vec<PathBuf>,
    /// Prints a table, of trades or of tickers; numbers stand as they were received.
    #[arg(long, conflicts_with = "raw")]
    csv: bool,
}

/// Prints.
pub fn run(sources: Sources, options: CatOptions) -> Exit {
    serve(sources, StopTerms::PROMPT, async move |host| {
        print(Form::of_tape(!options.raw && !options.csv), |out| {
            let mut out = io::BufWriter::with_capacity(1 << 16, out);
            let done = cat(&host, &options, &mut out).and_then(|exit| Ok(out.flush().map(|()| exit)?));
            match done {
                // A reader that has gone away is no failure, and `print` knows it.
                Err(ReadError::Output(error)) => Err(error),
                Err(error) => {
                    tracing::error!("{error}");
                    Ok(error.exit())
                }
                Ok(exit) => Ok(exit),
            }
        })
    })
}

fn cat(host: &Host, options: &CatOptions, out: &mut dyn Write) -> Result<Exit, ReadError> {
    let span = options.span.stamps(host.clock.stamp())?;
    let own = [host.config.data_dir.clone()];
    let directories = if options.merge.is_empty() { &own[..] } else { &options.merge };
    let opened = directories.iter().map(|directory| Ok(Opened { tape: open(host, directory)?, directory }));
    let opened = opened.collect::<Result<Vec<_>, ReadError>>()?;
    check_venues(&opened)?;
    let shutdown = host.signals.shutdown.orderly.clone();
    let mut printer = Printer { options, out, table: None, left_out: 0, faults: 0, shutdown };
    match options.healed {
        true => healed(&opened, &span, &mut printer)?,
        false if options.merge.is_empty() => lines(&opened, &span, &mut printer)?,
        false => union(&opened, &span, &mut printer)?,
    }
    printer.finish()
}

/// Codes of two venues are not the same pairs.
fn check_venues(opened: &[Opened<'_>]) -> Result<(), ReadError> {
    let mut known = opened.iter().filter_map(|opened| Some((opened.directory, opened.tape.venue()?)));
    let Some((first, one)) = known.next() else { return Ok(()) };
    match known.find(|(_, venue)| *venue != one) {
        None => Ok(()),
        Some((directory, other)) => {
            Err(ReadError::TwoVenues { first: first.clone(), one, directory: directory.clone(), other })
        }
    }
}

struct Opened<'a> {
    tape: Tape,
    directory: &'a PathBuf,
}

fn lines(opened: &[Opened<'_>], span: &RangeInclusive<Stamp>, printer: &mut Printer<'_>) -> Result<(), ReadError> {
    for Opened { tape, directory } in opened {
        let selected = select(tape, directory, &printer.options.streams, &span.clone().into())?;
        let (named, lines): (Vec<Named>, Vec<_>) = selected.into_iter().unzip();
        printer.begin(&named)?;
        for item in Merged::new(lines) {
            let item = item.map(|item| Item { stream: Cow::Borrowed(&named[item.place].stream), line: item.line });
            if !printer.print(item)? {
                break;
            }
        }
    }
    Ok(())
}

fn union(opened: &[Opened<'_>], span: &RangeInclusive<Stamp>, printer: &mut Printer<'_>) -> Result<(), ReadError> {
    let select = |it: &Opened<'_>| select(&it.tape, it.directory, &printer.options.streams, &span.clone().into());
    let union = Union::new(opened.iter().map(select).collect::<Result<_, _>>()?);
    let streams = union.streams().to_vec();
    printer.begin(&streams)?;
    for item in union {
        let item = item.map(|item| Item { stream: Cow::Borrowed(&streams[item.place].stream), line: item.line });
        if !printer.print(item)? {
            break;
        }
    }
    Ok(())
}

/// The trades of all pairs that are meant, merged by their time.
fn healed(opened: &[Opened<'_>], span: &RangeInclusive<Stamp>, printer: &mut Printer<'_>) -> Result<(), ReadError> {
    let choice = Choice::of(&printer.options.streams);
    let mut named = BTreeSet::new();
    for Opened { tape, .. } in opened {
        for place in choice.places() {
            let streams = place.of(tape).streams()?.into_iter();
            let meant = streams.filter(|stream| stream.kind() == "trade" && choice.holds(place, stream));
            named.extend(meant.map(|stream| Named { place, stream }));
        }
    }
    if let Some(Opened { directory, .. }) = opened.first().filter(|_| named.is_empty()) {
        let patterns = printer.options.streams.clone();
        return Err(ReadError::NoStream { directory: (*directory).clone(), patterns });
    }
    let pairs = named.iter().map(|named| {
        let tapes: Vec<Tape> = opened.iter().map(|opened| named.place.of(&opened.tape)).collect();
        Ok(HealedTrades::new(&tapes, &named.stream, span)?)
    });
    let pairs = pairs.collect::<Result<Vec<_>, ReadError>>()?;
    let named: Vec<Named> = named.into_iter().collect();
    printer.begin(&named)?;
    for item in Pairs::new(pairs) {
        let item = item.map(|PairLine { place, trade }| {
            let stream = if trade.is_fetched { named[place].stream.healed() } else { None };
            let stream = stream.map_or_else(|| Cow::Borrowed(&named[place].stream), Cow::Owned);
            Item { stream, line: trade.line }
        });
        if !printer.print(item)? {
            break;
        }
    }
    Ok(())
}

/// A line on its way out.
struct Item<'a> {
    stream: Cow<'a, StreamKey>,
    line: Line,
}

struct Printer<'a> {
    options: &'a CatOptions,
    out: &'a mut dyn Write,
    /// The table that is written.
    table: Option<Table>,
    /// Lines that are no JSON, and parts that could not be read.
    left_out: u64,
    faults: u64,
    shutdown: CancellationToken,
}

impl Printer<'_> {
    /// Prints a line, or tells what cannot be read; `false`: it is to stop.
    fn print(&mut self, item: Result<Item<'_>, TapeError>) -> Result<bool, ReadError> {
        match item {
            Err(fault) => {
                self.faults += 1;
                tracing::warn!("{fault}");
            }
            // A line that a crash tore; its sealed file will be without it.
            Ok(Item { line, .. }) if serde_json::from_slice::<IgnoredAny>(line.text()).is_err() => self.left_out += 1,
            Ok(Item { stream, line }) if self.options.csv => self.print_row(&stream, &line)?,
            Ok(Item { stream, line }) => {
                match self.options.raw {
                    true => raw::write(self.out, &stream, &line)?,
                    false => self.out.write_all(line.text())?,
                }
                self.out.write_all(b"\n")?;
            }
        }
        Ok(!self.shutdown.is_cancelled())
    }

    /// Of a table, its header: the streams have to be of one.
    fn begin(&mut self, streams: &[Named]) -> Result<(), ReadError> {
        if !self.options.csv {
            return Ok(());
        }
        for Named { stream, .. } in streams {
            let table = Table::of(stream).ok_or_else(|| ReadError::NoTable(stream.clone()))?;
            if self.table.is_some_and(|other| other != table) {
                return Err(ReadError::TwoTables);
            }
            self.table = Some(table);
        }
        Ok(self.table.map_or(Ok(()), |table| table.write_header(self.out))?)
    }

    fn print_row(&mut self, stream: &StreamKey, line: &Line) -> Result<(), ReadError> {
        if let Some(table) = self.table
            && !table.write_row(self.out, line.text(), stream.is_healed())?
        {
            self.left_out += 1;
        }
        Ok(())
    }

    fn finish(self) -> Result<Exit, ReadError> {
        if self.left_out > 0 {
            tracing::warn!(lines = self.left_out, "lines that are no JSON, as a crash leaves them, were left out");
        }
        Ok(if self.faults > 0 { Exit::Io } else { Exit::Success })
    }
}
