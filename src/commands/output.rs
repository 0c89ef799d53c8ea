//! What a command prints: standard output in one of three forms, faults on standard error.

use crate::config::Faults;
use crate::exit::Exit;
use crate::printable;
use std::io::{self, Write};

/// What standard output gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines for people.
    Text,
    /// JSON of ours.
    Json,
    /// What must not be touched: a script, or objects as they were received.
    Verbatim,
}

impl Form {
    /// Text, or JSON of ours.
    pub(super) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }

    /// Text, or JSON as it was received or as it stands in a file.
    pub(super) fn text_or_verbatim(json: bool) -> Self {
        if json { Self::Verbatim } else { Self::Text }
    }
}

/// Gives a command standard output. A reader that has had enough (`| head`) is no failure.
pub(super) fn print(form: Form, write: impl FnOnce(&mut dyn Write) -> io::Result<Exit>) -> Exit {
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

/// Prints what is wrong with a configuration: a line per fault, each printable by itself, below one that counts them.
pub(super) fn complain_of(faults: &Faults) {
    let count = faults.0.len();
    let plural = if count == 1 { "" } else { "s" };
    write_to_stderr(&format!("the configuration has {count} fault{plural}\n{faults}"));
}

/// Prints one line to standard error, before, or without, logging.
pub(super) fn complain(text: &str) {
    write_to_stderr(&printable::whole(text));
}

fn write_to_stderr(text: &str) {
    // Ignored: standard error is closed, and there is no other channel.
    let _ = writeln!(io::stderr(), "upbit-recorder: {text}");
}
