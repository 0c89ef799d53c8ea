//! The verbs of the command line, a file each: what a verb prints, and which rooms it puts to work.

pub mod audit;
pub mod backfill;
pub mod check;
pub mod completions;
pub mod markets;
pub mod record;
pub mod replay;

mod work;

pub use work::{Host, Waiting};

use crate::cli::{Cli, Verb};
use crate::clock::Clock;
use crate::config::{self, Config, Faults, Sources};
use crate::exit::Exit;
use crate::logging::{self, Logging};
use crate::printable;
use crate::rest;
use crate::rest::markets::Markets;
use crate::signals::{self, Signals};
use std::io::{self, Write};
use std::time::Duration;
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use work::{End, Manner, Worker};

/// The stack of the thread that a verb works on: what the main thread has by default.
const STACK: usize = 8 << 20;

/// Runs what the command line asks for.
pub fn run(cli: &Cli) -> Exit {
    let sources = cli.config.sources();
    match &cli.verb {
        Verb::Record(options) => {
            let options = options.clone();
            ask(sources, Manner::ORDERLY, async move |config, signals, host| {
                record::run(&config, &options, signals, host).await
            })
        }
        Verb::Check(options) => {
            let options = options.clone();
            // What is looked at may hang as well: the configuration, the kept list of pairs, the data directory.
            attend(Manner::PROMPT, move |_, worker| {
                let check = || print(Form::of(options.json), |out| check::run(&sources, &options, out));
                let what = "the configuration and the data directory";
                worker.ended.with(worker.waiting.during(what, Duration::ZERO, check));
            })
        }
        Verb::Audit(options) => {
            let options = options.clone();
            ask(sources, Manner { unfinished: Exit::Wrong, ..Manner::ORDERLY }, async move |config, signals, host| {
                audit::run(&config, &options, signals, host).await
            })
        }
        Verb::Backfill(options) => {
            let options = options.clone();
            ask(sources, Manner::ORDERLY, async move |config, signals, host| {
                backfill::run(&config, &options, signals, host).await
            })
        }
        Verb::Markets(options) => {
            let options = options.clone();
            ask(sources, Manner { unfinished: Exit::Success, ..Manner::PROMPT }, async move |config, signals, host| {
                markets::run(&config, &options, signals, host).await
            })
        }
        Verb::Replay(args) => {
            let args = (**args).clone();
            serve(sources, Manner::ORDERLY, async move |_config, signals, _host| {
                match replay::run(args, signals.shutdown.orderly).await {
                    Ok(()) => Exit::Success,
                    Err(error) => {
                        complain(&error.to_string());
                        error.exit()
                    }
                }
            })
        }
        Verb::Completions(options) => print(Form::Verbatim, |out| completions::write_completions(options, out)),
        Verb::Man => print(Form::Verbatim, completions::write_manual),
    }
}

/// Runs a verb that goes on until it is told to stop: configuration, logging, runtime, in this order.
///
/// One thread is enough for the network side: all the work there is done between two reads of a socket. What blocks,
/// writing, syncing and compressing, has threads of its own.
fn serve(
    sources: Sources,
    manner: Manner,
    verb: impl AsyncFnOnce(Config, Signals, &Host) -> Exit + Send + 'static,
) -> Exit {
    attend(manner, move |signals, worker| {
        let Worker { waiting, logging, ended } = worker;
        let loaded = waiting.during("the configuration", Duration::ZERO, || load(&sources));
        let exit = match loaded.and_then(|config| Ok((prepare(&config, logging)?, config))) {
            Ok(((screen, runtime), config)) => {
                let host = Host { screen, waiting };
                let exit = runtime.block_on(verb(config, signals, &host));
                // A look-up of a host name that hangs must not keep the process from ending.
                runtime.shutdown_background();
                exit
            }
            Err(exit) => exit,
        };
        ended.with(exit);
    })
}

/// Runs a verb that asks the exchange over REST, and warns of a way that is in the clear.
fn ask(
    sources: Sources,
    manner: Manner,
    verb: impl AsyncFnOnce(Config, Signals, &Host) -> Exit + Send + 'static,
) -> Exit {
    serve(sources, manner, async move |config, signals, host| {
        if let Some(exposure) = rest::exposure(&config.rest.url) {
            tracing::warn!("{exposure}");
        }
        verb(config, signals, host).await
    })
}

/// Has something done on a thread of its own, and waits for it as long as nobody says otherwise.
fn attend(manner: Manner, work: impl FnOnce(Signals, Worker) + Send + 'static) -> Exit {
    let (worker, mut attendant) = work::connect();
    let begun = signals::listen().and_then(|signals| {
        let shutdown = signals.shutdown.clone();
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new().name("work".to_owned()).stack_size(STACK);
        Ok((runtime, shutdown, thread.spawn(move || work(signals, worker))?))
    });
    match begun {
        Ok((runtime, shutdown, thread)) => {
            let end = runtime.block_on(attendant.wait((&shutdown, manner.stop), Clock::start(), &mut say));
            // What was logged is written out whoever has ended.
            let logging = attendant.take_logging();
            match end {
                End::Verb(exit) => exit,
                End::Lost => thread.join().map_or_else(|panic| std::panic::resume_unwind(panic), |()| Exit::Io),
                End::Abandoned(what) => abandon(what, manner.unfinished, logging.as_ref()),
            }
        }
        Err(error) => unprepared(&error),
    }
}

/// Ends without the verb. One that is at work and did not stop in time has failed to read or write.
fn abandon(what: Option<String>, unfinished: Exit, logging: Option<&Logging>) -> Exit {
    let text = match &what {
        Some(what) => format!("stopped while waiting for {what}: nothing was begun that needs to be ended"),
        None => "stopped in the middle of reading or writing, which did not end".to_owned(),
    };
    match logging {
        Some(_) => tracing::warn!("{text}"),
        None => complain(&text),
    }
    if what.is_some() { unfinished } else { Exit::Io }
}

/// Says something by the log, or without it where there is none yet.
fn say(text: &str) {
    match tracing::dispatcher::has_been_set() {
        true => tracing::warn!("{text}"),
        false => complain(text),
    }
}

fn prepare(config: &Config, handed: oneshot::Sender<Logging>) -> Result<(logging::Screen, Runtime), Exit> {
    let prepared = logging::init(&config.log).and_then(|logging| {
        let screen = logging.screen.clone();
        // Kept by the main thread, which ends last. It is gone where the process ends already.
        let _ = handed.send(logging);
        Ok((screen, runtime::Builder::new_current_thread().enable_all().build()?))
    });
    prepared.map_err(|error| unprepared(&error))
}

fn unprepared(error: &io::Error) -> Exit {
    complain(&format!("the process cannot be set up: {error}"));
    Exit::Io
}

/// How long a step of the start may go on once the process is told to stop: the time that connections have to end.
const GRACE: Duration = Duration::from_secs(3);

/// The list of pairs that an earlier start kept.
fn kept_pairs(config: &Config, host: &Host) -> Option<Markets> {
    let what = format!("the list of pairs kept in {}", config.data_dir.display());
    host.waiting.during(what, GRACE, || Markets::kept(&config.data_dir))
}

/// What a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Lines for people.
    Text,
    /// JSON of ours.
    Json,
    /// What must not be touched: a script, or objects as they were received.
    Verbatim,
}

impl Form {
    fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }

    /// The same where JSON is handed on as it was received, or stands in a file.
    fn text_or_verbatim(json: bool) -> Self {
        if json { Self::Verbatim } else { Self::Text }
    }
}

/// Gives a command standard output. A reader that has had enough (`| head`) is no failure.
fn print(form: Form, write: impl FnOnce(&mut dyn Write) -> io::Result<Exit>) -> Exit {
    let out = io::BufWriter::new(io::stdout().lock());
    let mut out: Box<dyn Write> = match form {
        Form::Text => Box::new(printable::Writer::new(out)),
        Form::Json => Box::new(printable::Writer::new(out).json()),
        Form::Verbatim => Box::new(out),
    };
    match write(&mut *out).and_then(|exit| out.flush().map(|()| exit)) {
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
fn load(sources: &Sources) -> Result<Config, Exit> {
    let loaded = config::load(sources).map_err(|faults| {
        complain_of(&faults);
        Exit::Config
    })?;
    Ok(loaded.config)
}

/// Says what is wrong with a configuration: a line per fault, each printable by itself, below one that counts them.
fn complain_of(faults: &Faults) {
    let count = faults.0.len();
    let plural = if count == 1 { "" } else { "s" };
    write_to_stderr(&format!("the configuration has {count} fault{plural}\n{faults}"));
}

/// Says something in one line, before, or without, logging.
fn complain(text: &str) {
    write_to_stderr(&printable::whole(text));
}

fn write_to_stderr(text: &str) {
    // Fails where nobody listens, and then there is nobody to tell.
    let _ = writeln!(io::stderr(), "upbit-recorder: {text}");
}
