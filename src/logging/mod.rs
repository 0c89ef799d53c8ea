//! Log lines and, on a terminal, one status line below them.
//!
//! Logging must not block the recording. A terminal stopped with Ctrl-S, or a pipe without a reader, blocks the
//! console's thread and no other; therefore the status line goes through the same queue as the log.

mod console;
pub mod journal;

use crate::config::{LogConfig, LogFormat};
use crate::printable;
use console::Console;
use journal::Prioritised;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use tracing::Subscriber;
use tracing_subscriber::{self as subscribe, EnvFilter, reload};

/// The installed logging; when dropped it flushes its queue, for at most a second.
#[derive(Debug)]
pub struct Logging {
    /// The status line.
    pub screen: Screen,
    /// The filter of the lines.
    pub level: Level,
    console: Console,
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.console.finish();
    }
}

/// Sends all log lines from here on to standard error. Called once, by `main`.
///
/// # Errors
///
/// The console's thread cannot be started.
pub fn init(config: &LogConfig) -> io::Result<Logging> {
    let is_terminal = io::stderr().is_terminal();
    let console = Console::start(io::stderr(), is_terminal, |lines| {
        tracing::warn!(lines, "log lines were dropped: standard error did not take them in time");
    })?;
    let has_colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let form = match config.format {
        LogFormat::Auto if journal::is_stderr() => Form::Journal,
        LogFormat::Auto if !is_terminal => Form::Json,
        LogFormat::Auto | LogFormat::Text => Form::Text { has_colours },
        LogFormat::Json => Form::Json,
    };
    let (subscriber, level) = subscriber(&config.level, form, console.clone());
    // Fails only where one is set already, which then stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(Logging { screen: Screen { console: is_terminal.then(|| console.clone()) }, level, console })
}

/// The filter of the log lines, which a reload replaces.
#[derive(Clone)]
pub struct Level(Arc<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>);

impl Level {
    fn of<S: 'static>(handle: reload::Handle<EnvFilter, S>) -> Self {
        Self(Arc::new(move |filter| handle.reload(filter)))
    }

    /// Of lines that nobody sees.
    #[cfg(test)]
    pub fn none() -> Self {
        Self(Arc::new(|_| Ok(())))
    }

    /// Lets pass what the filter `level` lets pass, from the next line on.
    pub fn set(&self, level: &str) {
        // Fails only where the subscriber is gone, with which every line is.
        let _ = (self.0)(EnvFilter::new(level));
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Level")
    }
}

/// The status line, redrawn in place. Shown on a terminal only.
#[derive(Clone, Debug)]
pub struct Screen {
    console: Option<Console>,
}

impl Screen {
    /// Whether anything is shown: on a terminal, and nowhere else.
    pub fn is_shown(&self) -> bool {
        self.console.is_some()
    }

    /// Replaces the line; it is cut at the terminal's width.
    pub fn show(&self, text: &str) {
        if let Some(console) = &self.console {
            console.show(printable::whole(text));
        }
    }

    /// Removes the line.
    pub fn clear(&self) {
        self.show("");
    }
}

/// How an event is written: one line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// For people.
    Text { has_colours: bool },
    /// For systemd's journal.
    Journal,
    /// For programs.
    Json,
}

fn subscriber<W: Write + Clone + Send + Sync + 'static>(
    filter: &str,
    form: Form,
    writer: W,
) -> (Box<dyn Subscriber + Send + Sync>, Level) {
    // An event is written at once.
    let make_writer = move || {
        let writer = printable::Writer::new(writer.clone()).by_line();
        match form {
            Form::Text { has_colours } => writer.coloured(has_colours),
            Form::Journal => writer,
            Form::Json => writer.json(),
        }
    };
    let builder = subscribe::fmt().with_env_filter(EnvFilter::new(filter)).with_writer(make_writer);
    match form {
        Form::Text { has_colours } => {
            let lines = builder.with_ansi(has_colours).with_target(false).with_filter_reloading();
            let level = Level::of(lines.reload_handle());
            (Box::new(lines.finish()), level)
        }
        Form::Journal => {
            let lines = builder.with_ansi(false).event_format(Prioritised::new()).with_filter_reloading();
            let level = Level::of(lines.reload_handle());
            (Box::new(lines.finish()), level)
        }
        Form::Json => {
            let lines = builder.json().flatten_event(true).with_filter_reloading();
            let level = Level::of(lines.reload_handle());
            (Box::new(lines.finish()), level)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

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

    const TEXT: Form = Form::Text { has_colours: false };

    fn logged(filter: &str, form: Form) -> String {
        let memory = Memory::default();
        tracing::subscriber::with_default(subscriber(filter, form, memory.clone()).0, || {
            tracing::info!(streams = 9, "live");
            tracing::debug!("hidden");
        });
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_hold_fields_not_sentences() {
        let line: serde_json::Value = serde_json::from_str(&logged("info", Form::Json)).unwrap();
        assert_eq!((&line["level"], &line["message"], &line["streams"]), (&"INFO".into(), &"live".into(), &9.into()));
    }

    #[test]
    fn text_is_one_line_an_event_and_the_filter_holds() {
        let text = logged("info", TEXT);
        assert!(text.contains("INFO") && text.contains("live streams=9") && text.lines().count() == 1, "{text}");
        assert!(logged("off,upbit_recorder=debug", TEXT).contains("hidden"));
    }

    #[test]
    fn the_journal_gets_the_priority_and_not_what_it_knows() {
        assert_eq!(logged("debug", Form::Journal), "<6>live streams=9\n<7>hidden\n");
        let memory = Memory::default();
        tracing::subscriber::with_default(subscriber("info", Form::Journal, memory.clone()).0, || {
            tracing::warn!(cause = "a\n<0>forged", "lost");
            tracing::error!("stopped");
        });
        let written = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written, "<4>lost cause=\"a\\n<0>forged\"\n<3>stopped\n");
    }

    #[test]
    fn another_level_holds_from_the_next_line_on() {
        for form in [TEXT, Form::Journal, Form::Json] {
            let memory = Memory::default();
            let (lines, level) = subscriber("warn", form, memory.clone());
            tracing::subscriber::with_default(lines, || {
                for filter in ["debug", "off,upbit_recorder=warn"] {
                    tracing::debug!("by the one before");
                    level.set(filter);
                    tracing::debug!("shown by {filter}");
                }
            });
            let written = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
            let shown: Vec<bool> =
                ["by the one before", "by debug", "by off"].map(|text| written.contains(text)).into();
            assert_eq!((shown, written.lines().count()), (vec![true, true, false], 2), "{written}");
        }
    }

    #[test]
    fn untrusted_text_neither_forges_a_line_nor_moves_the_cursor() {
        let hostile = "x\nERROR forged\u{1b}[2J\u{9b}\r\u{202e}y\u{200b}\u{e0041}";
        for form in [TEXT, Form::Text { has_colours: true }, Form::Journal, Form::Json] {
            let memory = Memory::default();
            tracing::subscriber::with_default(subscriber("info", form, memory.clone()).0, || {
                tracing::warn!(cause = hostile, path = %hostile, list = ?[hostile], "told: {hostile}");
            });
            let written = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
            assert_eq!(written.lines().count(), 1, "{written:?}");
            let line = written.trim_end_matches('\n');
            let is_ours = |char: char| form == Form::Text { has_colours: true } && char == '\u{1b}';
            assert!(!line.contains(|char| printable::is_hidden(char) && !is_ours(char)), "{line:?}");
            assert!(!line.contains("\u{1b}[2J"), "{line:?}");
            if form == Form::Json {
                let object: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!((&object["cause"], &object["path"]), (&hostile.into(), &hostile.into()));
            }
        }
    }

    #[test]
    fn a_status_line_is_not_shown_without_a_terminal() {
        let screen = Screen { console: None };
        screen.show("live");
        assert!(!screen.is_shown());
    }
}
