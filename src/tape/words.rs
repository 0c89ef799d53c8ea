//! The vocabularies of the on-disk format: each word once, in both directions.
//!
//! ```text
//! Stage::Tcp ──write──▶ "tcp" ──read──▶ Word::Known(Stage::Tcp)
//!                       "quic" ──────▶ Word::Other("quic")      of a later version: the rest of its line is read
//! ```

use serde::{Deserialize, Serialize};

/// A word of a vocabulary, or one that this version does not know: it leaves the rest of its line readable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word<T> {
    /// One that this version writes.
    Known(T),
    /// Another one, as it stands.
    Other(String),
}

impl<T> Word<T> {
    /// The word; `None` where it is not known.
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(word) => Some(word),
            Self::Other(_) => None,
        }
    }
}

impl<T> From<T> for Word<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

impl<T: std::fmt::Display> std::fmt::Display for Word<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Known(word) => word.fmt(f),
            Self::Other(word) => word.fmt(f),
        }
    }
}

/// Declares an enum of words and how each is spelt.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$word_doc])* #[serde(rename = $text)] $word,)+
        }

        impl $name {
            /// Every word.
            pub const ALL: &[Self] = &[$(Self::$word),+];

            /// As it is spelt.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use vocabulary;

vocabulary! {
    /// How far a connection had come when it failed.
    Stage {
        /// Looking the host's addresses up.
        Resolve = "resolve",
        /// Opening the TCP connection.
        Tcp = "tcp",
        /// The proxy: reaching it, and its answer.
        Proxy = "proxy",
        /// The TLS handshake.
        Tls = "tls",
        /// The HTTP upgrade to WebSocket.
        Upgrade = "upgrade",
        /// Connected, but no data yet.
        Subscribing = "subscribing",
        /// Data had come.
        Live = "live",
    }
}

vocabulary! {
    /// Which limit of the retention a file was beyond.
    PruneReason {
        /// Its last line was older than `storage.keep_for`.
        Age = "keep_for",
        /// It was the oldest of more bytes than `storage.keep_bytes`.
        Bytes = "keep_bytes",
    }
}

vocabulary! {
    /// Why a request was sent.
    SubscribeReason {
        /// The connection is new.
        Connected = "connected",
        /// The wanted request changed.
        Changed = "changed",
        /// Streams went mute.
        Stale = "stale",
    }
}

vocabulary! {
    /// The part that the exchange refuses.
    Refused {
        /// The account's keys.
        Credentials = "credentials",
        /// The request.
        Request = "request",
        /// How often it was asked.
        Rate = "rate",
        /// The text `PING`.
        Keepalive = "keepalive",
        /// The text `LIST_SUBSCRIPTIONS`.
        Listing = "listing",
        /// Nothing that was said.
        Unclear = "unclear",
    }
}

vocabulary! {
    /// Why nothing was read for a while. Where there is more than one reason, the later one in this list counts.
    PauseCause {
        /// There was no room for a read: backpressure from the disk.
        Disk = "the disk did not keep up, and reading paused",
        /// The process was not scheduled: stopped by a signal, frozen, or starved.
        Process = "the process did not run",
        /// As for the process, most of the time because the machine was suspended.
        Machine = "the process did not run, since the machine was suspended",
    }
}

vocabulary! {
    /// Why a segment ended.
    RotationReason {
        /// It reached `rotate_bytes`.
        Size = "size",
        /// A UTC boundary of `rotate_interval` passed.
        Interval = "interval",
        /// Format, count or level of the subscription changed.
        Subscription = "subscription",
        /// The user asked for it.
        Requested = "requested",
        /// A clock step: stamps go on from another time.
        Clock = "clock",
        /// Its file was taken away or changed by another program, and was saved.
        Displaced = "displaced",
        /// A sync of it had found no room: what the kernel may have dropped is written once more, as it is sealed.
        Unsynced = "unsynced",
        /// An earlier process left it behind and it could not be continued.
        Recovered = "recovered",
    }
}

vocabulary! {
    /// Why a start began another epoch.
    EpochReason {
        /// Stamps were ahead of the clock.
        Clock = "clock",
        /// A step of the clock had been decided, and the process died before its first line.
        Step = "step",
        /// There was no usable state: a backup, or a version without one.
        State = "state",
        /// An active file could not be read.
        Unreadable = "unreadable",
    }
}

vocabulary! {
    /// A change by another program to a file that is being written.
    Displacement {
        /// Nothing has its name, and the file none.
        Removed = "removed",
        /// Nothing has its name, and the file another one.
        Renamed = "renamed",
        /// Another file has its name.
        Replaced = "replaced",
        /// It is shorter than the bytes written.
        Truncated = "truncated",
        /// It is longer than the bytes written.
        Grown = "grown",
    }
}

vocabulary! {
    /// Why the process ended in order.
    StopReason {
        /// SIGTERM or SIGINT.
        Signal = "signal",
        /// The time given on the command line was over.
        Elapsed = "--for",
        /// It could not go on.
        Failure = "failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for stage in Stage::ALL {
            let written = serde_json::to_string(&Word::Known(*stage)).unwrap();
            assert_eq!(written, format!("\"{stage}\""));
            assert_eq!(serde_json::from_str::<Word<Stage>>(&written).unwrap(), Word::Known(*stage));
        }
        let other: Word<Stage> = serde_json::from_str("\"quic\"").unwrap();
        assert_eq!(serde_json::to_string(&other).unwrap(), "\"quic\"");
        assert_eq!(other.known(), None);
    }
}
