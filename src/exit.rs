//! How the process ends: every exit code, in one place. The numbers above 1 are those of `sysexits.h`.

use std::process::ExitCode;

/// The outcome of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The command succeeded.
    Success = 0,
    /// The command found faults, or could not finish.
    Wrong = 1,
    /// The command line cannot be understood.
    Usage = 64,
    /// The exchange cannot be reached, and the configuration says to give up.
    Unavailable = 69,
    /// Reading or writing failed.
    Io = 74,
    /// Another recorder holds the data directory.
    Locked = 75,
    /// The exchange refused the credentials (one-shot commands; the daemon goes on trying).
    Refused = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl Exit {
    /// The number that the process ends with.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
