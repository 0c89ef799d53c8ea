//! A session's commands and notices as text in a script: without tickets and jitter.

use crate::clock::{Instant, Moment};
use crate::connection::session::Outgoing;
use crate::connection::{Notice, Suspect};
use crate::upbit::subscription::{Format, Request, Subscription};

/// The clock of a script.
#[derive(Clone, Copy)]
pub(super) struct Timeline {
    /// Where it begins.
    pub(super) start: Instant,
    /// Its current time.
    pub(super) now: Instant,
}

impl Timeline {
    /// An instant, since the clock began.
    pub(super) fn time(self, at: Instant) -> String {
        let (sign, length) = match at < self.start {
            true => ("-", self.start - at),
            false => ("", at - self.start),
        };
        format!("{sign}{}s", (length.as_secs_f64() * 1e3).round() / 1e3)
    }

    /// Until an instant, without the jitter in it.
    fn within(self, at: Instant) -> String {
        let wait = at.saturating_duration_since(self.now);
        let seconds = wait.as_secs_f64();
        match seconds {
            300.0..=600.0 => "within 600s".to_owned(),
            _ if wait.subsec_nanos() == 0 => format!("in {seconds}s"),
            _ => format!("within {}s", seconds.log2().ceil().exp2()),
        }
    }

    /// What is delivered in a pause that is not told yet.
    pub(super) fn unsettled(self, from: Moment) -> String {
        format!(", unsettled since {}", self.time(from.at))
    }

    /// A notice in one line.
    pub(super) fn notice(self, notice: &Notice) -> String {
        match notice {
            Notice::Dialing { attempt } => format!("dialing, attempt {attempt}"),
            Notice::Connected { attempt, address } => format!("connected to {address}, attempt {attempt}"),
            Notice::Subscribed { standing, reason, .. } => format!("subscribed to {}, {reason}", asked(standing)),
            Notice::Live { attempt } => format!("live, attempt {attempt}"),
            Notice::Alive => "alive".to_owned(),
            Notice::Refused { objection, reason, .. } => format!("refused: {objection:?}, {reason}"),
            Notice::Silent { streams } => format!("silent: {}", streams.join(" ")),
            Notice::Mismatch { missing, unexpected } => {
                format!("mismatch: missing {missing:?}, unexpected {unexpected:?}")
            }
            Notice::Stale { streams } => {
                let since = |suspect: &Suspect| format!(" {} since {}", suspect.stream, self.time(suspect.since));
                format!("stale:{}", streams.iter().map(since).collect::<Vec<_>>().join(","))
            }
            Notice::Fresh { streams } => format!("fresh: {}", streams.join(" ")),
            Notice::Unreadable { since, frames } => format!("unreadable: {frames} frames since {}", self.time(*since)),
            Notice::Paused { from, to, cause } => {
                format!("paused from {} to {}: {}", self.time(from.at), self.time(to.at), cause.as_str())
            }
            Notice::GivenUp { attempts } => format!("given up after {attempts} attempts"),
            Notice::Lost { stage, cause, retry_at, .. } => {
                let retry = retry_at.map_or("never".to_owned(), |at| self.within(at));
                format!("lost at {stage}: {cause}; retry {retry}")
            }
        }
    }
}

/// The streams of a request.
fn asked(request: &Request) -> String {
    let of = |entry: &Subscription| [&[entry.kind.clone()][..], &entry.codes].concat().join(" ");
    request.subscriptions.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// A frame without its ticket.
pub(super) fn sent(frame: &Outgoing) -> String {
    match frame {
        Outgoing::Ping => "ping".to_owned(),
        Outgoing::Text(text) if text.contains("LIST_SUBSCRIPTIONS") => "LIST_SUBSCRIPTIONS".to_owned(),
        Outgoing::Text(text) if text.starts_with('[') => "request".to_owned(),
        Outgoing::Text(text) => text.clone(),
    }
}

/// The request for types separated by `/`, each with the same codes.
pub(super) fn request_of(kinds: Option<&str>, codes: &[String]) -> Request {
    let of = |kind: &str| Subscription { kind: kind.into(), codes: codes.to_vec(), ..Subscription::default() };
    let kinds = kinds.into_iter().flat_map(|kinds| kinds.split('/'));
    Request { subscriptions: kinds.map(of).collect(), format: Format::Default }
}
