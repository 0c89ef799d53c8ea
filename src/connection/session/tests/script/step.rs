//! The commands of a script.

use std::str::FromStr;
use std::time::Duration;

/// An input of a session.
#[derive(goldenscript::Command)]
pub(super) enum Step {
    /// Begins anew: with the private feed, with keys, with another `max_retries`, with the exchange's limits of messages,
    /// which are left out of the other scripts.
    Start {
        #[arg(key, optional)]
        private: bool,
        #[arg(key, optional)]
        keys: bool,
        #[arg(key)]
        max_retries: Option<u32>,
        #[arg(key, optional)]
        limits: bool,
    },
    /// Begins anew with a live session, in silence: every stream of the request has brought data, `PING` is answered, and the
    /// list of subscriptions agrees.
    Live { kinds: String, codes: Vec<String> },
    /// The wanted request: types separated by `/`, and codes; nothing: no subscription.
    Subscribe {
        kinds: Option<String>,
        #[arg(optional, many)]
        codes: Vec<String>,
    },
    /// Lets time pass.
    Wait(Span),
    /// Lets time pass until the next attempt, where the clock of the script begins anew.
    Attempt,
    /// The WebSocket is open.
    Open,
    /// The attempt fails at a stage: `tcp`, `tls`.
    Fail { stage: String, cause: String },
    /// The exchange answers the upgrade with another status.
    Answer { status: u16, body: Option<String> },
    /// An object of a stream comes; with `every` and `for` again and again.
    Data {
        kind: String,
        code: Option<String>,
        #[arg(key)]
        every: Option<Span>,
        #[arg(key = "for")]
        length: Option<Span>,
        #[arg(key)]
        volume: Option<u32>,
    },
    /// The exchange's status comes.
    Status,
    /// An error comes.
    Error(String),
    /// The list of subscriptions comes: types separated by `/`, and the codes of each.
    List {
        kinds: Option<String>,
        #[arg(optional, many)]
        codes: Vec<String>,
    },
    /// Bytes come that are no JSON, again and again.
    Garbage {
        #[arg(key)]
        every: Span,
        #[arg(key = "for")]
        length: Span,
    },
    /// A part of a message comes.
    Part,
    /// The exchange closes the connection.
    Close(String),
    /// The other side's behaviour from now on: it `answers` pings, is `silent`, or is `stuck`, and nothing sent leaves.
    Peer(String),
    /// There is no room for a read.
    NoRoom,
    /// There is room again.
    Room,
    /// The process does not run for a while, perhaps because the machine is suspended.
    Freeze {
        length: Span,
        #[arg(key, optional)]
        suspended: bool,
    },
    /// The user wants it to end.
    Shutdown,
}

/// A length of time, spelt as in the configuration.
#[derive(Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        crate::quantity::parse_duration(text).map(Self).map_err(|error| error.to_string())
    }
}
