//! What the program tells about itself: log lines and, on a terminal, one status line below them.
//!
//! ```text
//! tracing ──▶ text or JSON ──┐
//!                            ├─▶ bounded queue ──▶ thread ──▶ Console ──▶ standard error
//! Screen::show, clear ───────┘   full: dropped and counted
//! ```
//!
//! Nothing here may hold the recording up. A terminal that was stopped with Ctrl-S, or a pipe that nobody reads, stops
//! the thread and nothing else; this is why the status line takes the same way as the log.

use crate::config::{LogConfig, LogFormat, nearest};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Write};
use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// Lines that may wait for a slow terminal: at some 250 bytes a line, a megabyte.
const WAITING_LINES: usize = 4096;

/// What the console's thread takes for a status line instead of a log line; no log line begins with it.
const STATUS_MARK: u8 = 0;

/// The levels, in the order in which they say more.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Logging as it stands; writes out what waits when it is dropped, for at most a second.
#[derive(Debug)]
pub struct Logging {
    /// The status line.
    pub screen: Screen,
    dropped: ErrorCounter,
    _guard: WorkerGuard,
}

impl Logging {
    /// Lines that were dropped because standard error did not take them.
    pub fn dropped_lines(&self) -> usize {
        self.dropped.dropped_lines()
    }
}

/// Sends everything that is logged from here on to standard error. Called once, by `main`.
pub fn init(config: &LogConfig) -> Logging {
    let is_terminal = io::stderr().is_terminal();
    let builder = NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).lossy(true).thread_name("log");
    let (writer, guard) = builder.finish(Console::new(is_terminal));
    let dropped = writer.error_counter();
    let text = match config.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber = subscriber(&config.level, text, colours, writer.clone());
    // Fails only where one is set already, which then does its work.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Logging { screen: Screen { writer: is_terminal.then_some(writer) }, dropped, _guard: guard }
}

/// Checks a filter as it stands in the configuration: levels, alone or behind a module and `=`.
///
/// # Errors
///
/// A sentence about what is wrong. A lone word that is no level is refused, although the filter's own grammar takes it
/// for a module: it is most likely a misspelt level.
pub fn check_filter(filter: &str) -> Result<(), String> {
    for directive in filter.split(',') {
        let level = directive.to_ascii_lowercase();
        if !directive.contains(['=', '[', ']']) && !LEVELS.contains(&level.as_str()) {
            let guess = nearest(&level, LEVELS).map(|level| format!("; did you mean `{level}`?"));
            let levels = LEVELS.join(", ");
            return Err(format!("`{directive}` is no level ({levels}){}", guess.unwrap_or_default()));
        }
    }
    EnvFilter::try_new(filter).map(drop).map_err(|error| format!("`{filter}` is no filter: {error}"))
}

/// The status line: what the program is doing right now, drawn over itself. Shown on a terminal only.
#[derive(Clone, Debug)]
pub struct Screen {
    writer: Option<NonBlocking>,
}

impl Screen {
    /// Whether anything is shown: on a terminal, and nowhere else.
    pub fn is_shown(&self) -> bool {
        self.writer.is_some()
    }

    /// Replaces the line; it is cut at the terminal's width.
    pub fn show(&mut self, text: &str) {
        let Some(writer) = &mut self.writer else { return };
        let mut line = vec![STATUS_MARK];
        line.extend(text.bytes().filter(|byte| !byte.is_ascii_control()));
        // A full queue drops the line, and the next one comes in a second.
        let _ = writer.write(&line);
    }

    /// Removes the line.
    pub fn clear(&mut self) {
        self.show("");
    }
}

fn subscriber(filter: &str, text: bool, colours: bool, writer: NonBlocking) -> Box<dyn Subscriber + Send + Sync> {
    let filter = EnvFilter::new(filter);
    let make_writer = move || writer.clone();
    if text {
        Box::new(fmt().with_env_filter(filter).with_ansi(colours).with_writer(make_writer).finish())
    } else {
        Box::new(fmt().json().flatten_event(true).with_env_filter(filter).with_writer(make_writer).finish())
    }
}

/// Standard error as the log's thread sees it.
struct Console {
    status: Option<ProgressBar>,
}

impl Console {
    fn new(is_terminal: bool) -> Self {
        Self { status: is_terminal.then(status_line) }
    }
}

fn status_line() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").expect("the template is a constant");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (bytes.split_first(), &self.status) {
            (Some((&STATUS_MARK, text)), Some(status)) => draw(status, text),
            (Some((&STATUS_MARK, _)), None) => {}
            (_, Some(status)) => status.suspend(|| io::stderr().write_all(bytes))?,
            (_, None) => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn draw(status: &ProgressBar, text: &[u8]) {
    status.set_message(String::from_utf8_lossy(text).into_owned());
    // `set_message` draws at most twenty times a second; a line that is cleared must go now.
    status.force_draw();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, text: bool) -> String {
        let memory = Memory::default();
        let (writer, guard) = tracing_appender::non_blocking(memory.clone());
        tracing::subscriber::with_default(subscriber(filter, text, false, writer), || {
            tracing::info!(streams = 9, "live");
            tracing::debug!("hidden");
        });
        drop(guard);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_hold_fields_not_sentences() {
        let line: serde_json::Value = serde_json::from_str(&logged("info", false)).unwrap();
        assert_eq!((&line["level"], &line["message"], &line["streams"]), (&"INFO".into(), &"live".into(), &9.into()));
    }

    #[test]
    fn text_is_one_line_an_event_and_the_filter_holds() {
        let text = logged("info", true);
        assert!(text.contains("INFO") && text.contains("live streams=9") && text.lines().count() == 1, "{text}");
        assert!(logged("off,upbit_recorder=debug", true).contains("hidden"));
    }

    #[test]
    fn filters_are_levels_alone_or_by_module() {
        for good in ["info", "WARN", "off,upbit_recorder::connection=trace", "warn,hyper=off"] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        assert!(check_filter("inof").unwrap_err().contains("did you mean `info`?"));
        assert!(check_filter("").unwrap_err().contains("is no level"));
        assert!(check_filter("info,a=loud").unwrap_err().contains("is no filter"));
    }

    #[test]
    fn without_a_terminal_a_status_line_goes_nowhere() {
        let mut screen = Screen { writer: None };
        screen.show("live");
        assert!(!screen.is_shown());
        let mut console = Console::new(false);
        assert_eq!(console.write(b"\0live").unwrap(), 5);
    }

    #[test]
    fn a_writer_that_is_stuck_costs_lines_and_nothing_else() {
        struct Stuck(std::sync::mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = std::sync::mpsc::sync_channel(0);
        let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(4).finish(Stuck(stuck));
        let dropped = writer.error_counter();
        tracing::subscriber::with_default(subscriber("info", true, false, writer), || {
            for _ in 0..100 {
                tracing::info!("line");
            }
        });
        assert!(dropped.dropped_lines() >= 95);
        drop(release);
        drop(guard);
    }
}
