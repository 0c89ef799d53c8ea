//! The verbs of the command line, a file each: what a verb prints, and which rooms it puts to work.

pub mod audit;
pub mod backfill;
pub mod check;
pub mod completions;
pub mod markets;
pub mod record;
pub mod replay;

use crate::cli::{Cli, Verb};
use crate::config::{self, Config, Faults, Loaded};
use crate::exit::Exit;
use crate::logging::{self, Logging};
use crate::rest;
use crate::signals::{self, Signals};
use std::io::{self, Write};
use tokio::runtime::{self, Runtime};

/// Runs what the command line asks for.
pub fn run(cli: &Cli) -> Exit {
    match &cli.verb {
        Verb::Record(options) => {
            serve(cli, async |config, signals, logging| record::run(&config, options, signals, logging).await)
        }
        Verb::Check(options) => print(|out| check::run(&cli.config.sources(), options, out)),
        Verb::Audit(options) => {
            serve(cli, async |config, signals, logging| audit::run(&config, options, signals, logging).await)
        }
        Verb::Backfill(options) => {
            serve(cli, async |config, signals, logging| backfill::run(&config, options, signals, logging).await)
        }
        Verb::Markets(options) => {
            serve(cli, async |config, signals, _logging| markets::run(&config, options, signals).await)
        }
        Verb::Replay(args) => serve(cli, async |_config, signals, _logging| {
            match replay::run((**args).clone(), signals.shutdown.orderly).await {
                Ok(()) => Exit::Success,
                Err(error) => {
                    complain(&error.to_string());
                    error.exit()
                }
            }
        }),
        Verb::Completions(options) => print(|out| completions::write_completions(options, out)),
        Verb::Man => print(completions::write_manual),
    }
}

/// Runs a verb that goes on until it is told to stop: configuration, logging, signals, runtime, in this order.
///
/// One thread is enough for the network side: all the work there is done between two reads of a socket. What blocks,
/// writing, syncing and compressing, has threads of its own.
pub fn serve(cli: &Cli, verb: impl AsyncFnOnce(Config, Signals, &Logging) -> Exit) -> Exit {
    let config = match load(cli) {
        Ok(loaded) => loaded.config,
        Err(exit) => return exit,
    };
    match prepare(&config) {
        Ok((logging, signals, runtime)) => {
            if let Some(exposure) = rest::exposure(&config.rest.url).filter(|_| !matches!(cli.verb, Verb::Replay(_))) {
                tracing::warn!("{exposure}");
            }
            let exit = runtime.block_on(verb(config, signals, &logging));
            // A look-up of a host name that hangs must not keep the process from ending.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            complain(&format!("the process cannot be set up: {error}"));
            Exit::Io
        }
    }
}

fn prepare(config: &Config) -> io::Result<(Logging, Signals, Runtime)> {
    let logging = logging::init(&config.log)?;
    let signals = signals::listen()?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    Ok((logging, signals, runtime))
}

/// Gives a command standard output. A reader that has had enough (`| head`) is no failure.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<Exit>) -> Exit {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match write(&mut out).and_then(|exit| out.flush().map(|()| exit)) {
        Ok(exit) => exit,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(error) => {
            complain(&format!("standard output: {error}"));
            Exit::Io
        }
    }
}

/// Reads the configuration; what is wrong with it goes to standard error, a line each.
///
/// # Errors
///
/// The exit code to end with.
pub fn load(cli: &Cli) -> Result<Loaded, Exit> {
    config::load(&cli.config.sources()).map_err(|faults| {
        complain(&describe(&faults));
        Exit::Config
    })
}

/// A line per fault below one that counts them.
pub(crate) fn describe(faults: &Faults) -> String {
    let count = faults.0.len();
    let plural = if count == 1 { "" } else { "s" };
    format!("the configuration has {count} fault{plural}\n{faults}")
}

/// Says something before, or without, logging.
pub(crate) fn complain(text: &str) {
    // Fails where nobody listens, and then there is nobody to tell.
    let _ = writeln!(io::stderr(), "upbit-recorder: {text}");
}
