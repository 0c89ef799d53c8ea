//! `ls`: what is recorded, stream by stream, or the sealed files by name.
//!
//! ```text
//! streams, span ──▶ listing: a row a stream ──▶ text, --coverage: a picture a day, --json: an object a line
//! --sealed ──▶ names of sealed files, by when they were sealed ──▶ lines, or --print0 for rsync and rclone
//! ```

use super::output::{Form, print};
use super::process::{GRACE, Host, serve};
use super::recording::{ReadError, SpanArgs, open};
use super::work::StopTerms;
use crate::clock::Stamp;
use crate::config::Sources;
use crate::exit::Exit;
use crate::files::IoError;
use crate::files::disk::Disk;
use crate::quantity::{rounded_duration, rounded_size};
use crate::reading::listing::{Request, Row, list};
use crate::reading::streams::{Choice, Named, Place};
use crate::reading::times::Time;
use crate::tape::paths;
use crate::tape::segment_name::{Archived, moment, parse_archived};
use crate::upbit::feed::Feed;
use clap::Args;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// What to list.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example:\n  upbit-recorder ls 'KRW-*_trade' --from 2026-11-01 --coverage")]
pub struct LsOptions {
    /// Streams: KRW-BTC_trade, patterns such as 'KRW-*' and '!*_ticker', private/*, rest/*. Without any: all.
    #[arg(value_name = "STREAM")]
    streams: Vec<String>,
    #[command(flatten)]
    span: SpanArgs,
    /// Shows times in this zone, such as Asia/Seoul, in place of UTC. Days and hours of --coverage stay those of UTC.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    tz: Option<TimeZone>,
    /// Shows the hours of each day, UTC: full, a gap, a suspected one, pruned, or nothing expected.
    #[arg(long)]
    coverage: bool,
    /// Lists sealed files, as paths below the data directory.
    #[arg(long, conflicts_with_all = ["coverage", "from", "to", "tz"])]
    sealed: bool,
    /// Of sealed files those that were sealed since; times as for --from.
    #[arg(long, value_name = "TIME", requires = "sealed", allow_hyphen_values = true)]
    since: Option<Time>,
    /// Ends each path with a zero byte, for `rsync --from0 --files-from=-`.
    #[arg(long, requires = "sealed", conflicts_with = "json")]
    print0: bool,
    /// Prints an object a line.
    #[arg(long)]
    json: bool,
}

/// The zone of a command line.
fn zone(text: &str) -> Result<TimeZone, String> {
    let wrong = |error| format!("{error}: name one as in Asia/Seoul");
    TimeZone::get(text).map_err(wrong)
}

/// Lists.
pub fn run(sources: Sources, options: LsOptions) -> Exit {
    serve(sources, StopTerms::PROMPT, async move |host| {
        let form = if options.print0 { Form::Verbatim } else { Form::of(options.json) };
        print(form, |out| {
            let mut out = io::BufWriter::with_capacity(1 << 16, out);
            let listed = match options.sealed {
                true => list_sealed(&host, &options, &mut out),
                false => list_streams(&host, &options, &mut out),
            };
            match listed.and_then(|()| Ok(out.flush()?)) {
                Ok(()) => Ok(Exit::Success),
                // A reader that has gone away is no failure, and `print` knows it.
                Err(ReadError::Output(error)) => Err(error),
                Err(error) => {
                    tracing::error!("{error}");
                    Ok(error.exit())
                }
            }
        })
    })
}

/// What is meant without a word: all trees.
fn patterns(options: &LsOptions) -> Vec<String> {
    let mut patterns = options.streams.clone();
    if patterns.iter().all(|pattern| pattern.starts_with('!')) {
        patterns.extend(Place::ALL.map(|place| format!("{}*", place.prefix())));
    }
    patterns
}

fn list_streams(host: &Host, options: &LsOptions, out: &mut dyn Write) -> Result<(), ReadError> {
    let span = options.span.stamps(host.clock.stamp())?;
    let tape = open(host, &host.config.data_dir)?;
    let choice = Choice::of(&patterns(options));
    let to = host.config.upload.identity();
    let uploaded_to = to.as_deref();
    let rows = list(&tape, &Request { choice: &choice, span, with_days: options.coverage, uploaded_to })?;
    if rows.is_empty() && !options.streams.is_empty() {
        let (directory, patterns) = (host.config.data_dir.clone(), options.streams.clone());
        return Err(ReadError::NoStream { directory, patterns });
    }
    if options.json {
        for (named, row) in &rows {
            write_json(out, named, row)?;
        }
        return Ok(());
    }
    let zone = options.tz.clone().unwrap_or(TimeZone::UTC);
    let width = rows.keys().map(|named| named.to_string().len()).max().unwrap_or_default().max(6);
    let title = format!("{:<width$}  {:<19}  {:<19}", "STREAM", "FIRST", "LAST");
    write!(out, "{title}  {:>12}  {:>10}  {:>10}", "LINES", "SIZE", "SEALED")?;
    if to.is_some() {
        write!(out, "  {:>13}", "UPLOADED")?;
    }
    writeln!(out, "  GAPS")?;
    for (named, row) in &rows {
        let form = RowForm { name: format!("{:<width$}", named.to_string()), zone: &zone, has_store: to.is_some() };
        write_row(out, &form, row)?;
    }
    if options.coverage {
        writeln!(out, "\n█ full  ▒ gap  ? suspected  x pruned  · nothing expected; hours of the day, UTC")?;
    }
    Ok(())
}

/// How a row is shown.
struct RowForm<'a> {
    name: String,
    zone: &'a TimeZone,
    has_store: bool,
}

fn write_row(out: &mut dyn Write, form: &RowForm<'_>, row: &Row) -> io::Result<()> {
    let RowForm { name, zone, has_store } = form;
    let time = |stamp: Option<Stamp>| {
        stamp.map_or_else(
            || "-".to_owned(),
            |stamp| moment(stamp).to_zoned((*zone).clone()).strftime("%F %T").to_string(),
        )
    };
    write!(out, "{name}  {:<19}  {:<19}  {:>12}", time(row.first), time(row.last), row.lines)?;
    write!(out, "  {:>10}  {:>10}", rounded_size(row.bytes), rounded_size(row.zst_bytes))?;
    if *has_store {
        write!(out, "  {:>13}", format!("{} of {}", row.uploaded, row.files + row.pruned))?;
    }
    match row.gaps {
        0 => writeln!(out, "  -")?,
        gaps => writeln!(out, "  {gaps}, {}", rounded_duration(Duration::from_micros(row.gap_micros)))?,
    }
    for (date, hours) in &row.days {
        writeln!(out, "  {date}  {}", hours.chars().map(picture).collect::<String>())?;
    }
    Ok(())
}

/// A letter of an hour as it is shown.
fn picture(hour: char) -> char {
    match hour {
        'f' => '█',
        'g' => '▒',
        's' => '?',
        'p' => 'x',
        _ => '·',
    }
}

/// A stream, in the shape of the JSON output.
#[derive(Serialize)]
struct Shown<'a> {
    stream: String,
    first: Option<Stamp>,
    last: Option<Stamp>,
    lines: u64,
    bytes: u64,
    zst_bytes: u64,
    files: u64,
    pruned: u64,
    uploaded: u64,
    gaps: u64,
    gap_micros: u64,
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    days: &'a std::collections::BTreeMap<jiff::civil::Date, String>,
}

fn write_json(out: &mut dyn Write, named: &Named, row: &Row) -> io::Result<()> {
    let Row { first, last, lines, bytes, zst_bytes, files, pruned, uploaded, gaps, gap_micros, ref days } = *row;
    let stream = named.to_string();
    let shown = Shown { stream, first, last, lines, bytes, zst_bytes, files, pruned, uploaded, gaps, gap_micros, days };
    serde_json::to_writer(&mut *out, &shown)?;
    writeln!(out)
}

/// A sealed file, in the shape of the JSON output.
#[derive(Serialize)]
struct SealedFile {
    file: PathBuf,
    sealed: Stamp,
}

fn list_sealed(host: &Host, options: &LsOptions, out: &mut dyn Write) -> Result<(), ReadError> {
    let directory = &host.config.data_dir;
    let since = options.since.map_or(Stamp::default(), |time| time.stamp(host.clock.stamp()));
    let choice = Choice::of(&patterns(options));
    let what = format!("the data directory {}", directory.display());
    let disk = host.waiting.during(what, GRACE, || Disk::existing(directory));
    let disk = disk.map_err(IoError::at("open", directory))?;
    for place in choice.places() {
        for file in sealed_files(&disk, place, &choice, since)? {
            if options.json {
                serde_json::to_writer(&mut *out, &file).map_err(io::Error::from)?;
            } else {
                write!(out, "{}", file.file.display())?;
            }
            out.write_all(if options.print0 { b"\0" } else { b"\n" })?;
        }
    }
    Ok(())
}

/// The sealed files of a tree, by date and name. A file is sealed when it gets its content: its time of modification.
fn sealed_files(disk: &Disk, place: Place, choice: &Choice, since: Stamp) -> Result<Vec<SealedFile>, IoError> {
    use crate::files::Files;
    let archive = place.directory().join(paths::archive(Feed::Public));
    let mut files = Vec::new();
    for date in disk.list(&archive).map_err(IoError::at("list", &archive))? {
        let directory = archive.join(&date.name);
        let Some(name) = date.name.to_str().filter(|name| paths::is_date_directory(name)) else { continue };
        for entry in disk.list(&directory).map_err(IoError::at("list", &directory))? {
            let archived = entry.name.to_str().and_then(|file| parse_archived(Feed::Public, name, file));
            let Some(Archived::Sealed(segment)) = archived else { continue };
            if !entry.is_file() || !choice.holds(place, &segment.stream) {
                continue;
            }
            let file = directory.join(&entry.name);
            // One that was pruned meanwhile is not there.
            let Some(sealed) = disk.modified(&file).map_err(IoError::at("look at", &file))? else { continue };
            let sealed = Stamp::default().after(sealed);
            if since <= sealed {
                files.push(SealedFile { file, sealed });
            }
        }
    }
    Ok(files)
}
