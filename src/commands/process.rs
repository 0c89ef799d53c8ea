//! The process around a verb: signals, the verb's thread, the configuration, logging and the runtime, in this order.

use super::output::{complain, complain_of};
use super::work::{self, Outcome, StopTerms, Waiting, Worker};
use crate::clock::Clock;
use crate::config::{self, Config, Loaded, Setting, Sources};
use crate::exit::Exit;
use crate::logging::{self, Level, Logging, Screen};
use crate::rest;
use crate::rest::codes::{RestUse, check_venues};
use crate::signals::{self, Signals};
use std::io;
use std::time::Duration;
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

/// The stack of a verb's thread: that of the main thread by default.
const STACK: usize = 8 << 20;

/// Timeout of a start step after a signal: the same as for connections to close.
pub(super) const GRACE: Duration = Duration::from_secs(3);

/// The process's services for a verb.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) config: Config,
    /// The keys of the configuration, and where they were read: it can be read again.
    pub(super) settings: Vec<Setting>,
    pub(super) sources: Sources,
    pub(super) clock: Clock,
    pub(super) signals: Signals,
    /// The status line.
    pub(super) screen: Screen,
    /// The level of the log.
    pub(super) level: Level,
    pub(super) waiting: Waiting,
}

/// Runs a verb that uses REST, once everything that it uses is of one venue, and warns if the address is unencrypted.
pub(super) fn serve_and_ask(
    sources: Sources,
    terms: StopTerms,
    rest_use: RestUse,
    verb: impl AsyncFnOnce(Host) -> Exit + Send + 'static,
) -> Exit {
    serve(sources, terms, async move |host| {
        if let Some(exposure) = rest::exposure(&host.config.rest.url) {
            tracing::warn!("{exposure}");
        }
        let what = format!("the venue of what was fetched into {}", host.config.data_dir.display());
        if let Err(error) = host.waiting.during(what, GRACE, || check_venues(&host.config, rest_use)) {
            tracing::error!("{error}");
            return error.exit();
        }
        verb(host).await
    })
}

/// Runs a verb on the async runtime until it returns or a signal stops it.
///
/// One thread is enough for the network: its work is short and runs between two reads of a socket. Blocking work
/// (write, sync, compress) has its own threads.
pub(super) fn serve(sources: Sources, terms: StopTerms, verb: impl AsyncFnOnce(Host) -> Exit + Send + 'static) -> Exit {
    attend(terms, move |signals, worker| {
        let Worker { waiting, logging, ended } = worker;
        let loaded = waiting.during("the configuration", Duration::ZERO, || load(&sources));
        let exit = match loaded.and_then(|loaded| Ok((prepare(&loaded.config, logging)?, loaded))) {
            Ok((Prepared { screen, level, runtime }, Loaded { config, settings })) => {
                let host = Host { config, settings, sources, clock: Clock::start(), signals, screen, level, waiting };
                let exit = runtime.block_on(verb(host));
                // A DNS lookup that hangs must not delay the exit.
                runtime.shutdown_background();
                exit
            }
            Err(exit) => exit,
        };
        ended.with(exit);
    })
}

/// Runs `work` on its own thread, and waits for it within `terms`.
pub(super) fn attend(terms: StopTerms, work: impl FnOnce(Signals, Worker) + Send + 'static) -> Exit {
    let (worker, mut monitor) = work::connect();
    let begun = signals::listen().and_then(|signals| {
        let shutdown = signals.shutdown.clone();
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        let thread = std::thread::Builder::new().name("work".to_owned()).stack_size(STACK);
        Ok((runtime, shutdown, thread.spawn(move || work(signals, worker))?))
    });
    match begun {
        Ok((runtime, shutdown, thread)) => {
            let outcome = runtime.block_on(monitor.wait(&shutdown, terms, Clock::start(), &mut report));
            // Dropped last: the drop flushes the log.
            let logging = monitor.take_logging();
            match outcome {
                Outcome::Ended(exit) => exit,
                Outcome::Panicked => thread.join().map_or_else(|panic| std::panic::resume_unwind(panic), |()| Exit::Io),
                Outcome::Abandoned(step) => abandon(step, terms.unfinished, logging.as_ref()),
            }
        }
        Err(error) => unprepared(&error),
    }
}

/// Exits without the verb. A verb that misses its timeout outside of a step is blocked in I/O.
fn abandon(step: Option<String>, unfinished: Exit, logging: Option<&Logging>) -> Exit {
    let text = match &step {
        Some(step) => format!("stopped while waiting for {step}: nothing was begun that needs to be ended"),
        None => "stopped in the middle of reading or writing, which did not end".to_owned(),
    };
    match logging {
        Some(_) => tracing::warn!("{text}"),
        None => complain(&text),
    }
    if step.is_some() { unfinished } else { Exit::Io }
}

/// Warns through the log, or on standard error before logging is set up.
fn report(text: &str) {
    match tracing::dispatcher::has_been_set() {
        true => tracing::warn!("{text}"),
        false => complain(text),
    }
}

/// Loads the configuration; its faults go to standard error, a line each.
///
/// # Errors
///
/// The exit code to end with.
fn load(sources: &Sources) -> Result<Loaded, Exit> {
    config::load(sources).map_err(|faults| {
        complain_of(&faults);
        Exit::Config
    })
}

/// What a verb needs beside its configuration.
struct Prepared {
    screen: Screen,
    level: Level,
    runtime: Runtime,
}

fn prepare(config: &Config, handed: oneshot::Sender<Logging>) -> Result<Prepared, Exit> {
    let prepared = logging::init(&config.log).and_then(|logging| {
        let (screen, level) = (logging.screen.clone(), logging.level.clone());
        // The main thread keeps it, since it ends last. Ignored: that thread is gone where the process ends already.
        let _ = handed.send(logging);
        Ok(Prepared { screen, level, runtime: runtime::Builder::new_current_thread().enable_all().build()? })
    });
    prepared.map_err(|error| unprepared(&error))
}

fn unprepared(error: &io::Error) -> Exit {
    complain(&format!("the process cannot be set up: {error}"));
    Exit::Io
}
