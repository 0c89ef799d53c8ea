//! Whether the wall clock is synchronised, and how wrong it may be, as the kernel has it from the program that sets it
//! (chrony, systemd-timesyncd, ntpd).
//!
//! ```text
//! ntp daemon ──adjtimex──▶ kernel: maximum error, grows by 500 ppm ──adjtimex──▶ ClockState
//! ```

use rustix::io::Errno;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The maximum error at which the kernel itself calls the clock unsynchronised, as it is from the boot on. Some daemons
/// leave its flag for that set, so that the error alone is asked, as `timedatectl` does.
const UNSYNCHRONISED: Duration = Duration::from_secs(16);

/// The state of the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// It is synchronised.
    Synchronised(ClockError),
    /// It is not, or was so long ago that it may be wrong by 16 s.
    Unsynchronised(ClockError),
    /// The kernel does not tell.
    Unknown {
        /// The system's error, for people.
        cause: String,
    },
}

/// How wrong the wall clock may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockError {
    /// As the daemon estimates it.
    pub estimated: Duration,
    /// At the most.
    pub maximum: Duration,
}

impl ClockState {
    /// Whether it is synchronised; `None`: not known.
    pub fn is_synchronised(&self) -> Option<bool> {
        match self {
            Self::Synchronised(_) => Some(true),
            Self::Unsynchronised(_) => Some(false),
            Self::Unknown { .. } => None,
        }
    }

    /// How wrong it may be; `None`: not known.
    pub fn error(&self) -> Option<ClockError> {
        match self {
            Self::Synchronised(error) | Self::Unsynchronised(error) => Some(*error),
            Self::Unknown { .. } => None,
        }
    }

    fn of(error: ClockError) -> Self {
        if error.maximum < UNSYNCHRONISED { Self::Synchronised(error) } else { Self::Unsynchronised(error) }
    }
}

/// Reads the state of the wall clock: the machine's, or one that a test sets.
#[derive(Clone)]
pub struct Discipline(Arc<dyn Fn() -> ClockState + Send + Sync>);

impl Discipline {
    /// The machine's.
    pub fn machine() -> Self {
        Self::new(|| match adjtimex() {
            Ok(error) => ClockState::of(error),
            Err(error) => ClockState::Unknown { cause: std::io::Error::from(error).to_string() },
        })
    }

    /// One that is whatever `read` says.
    pub fn new(read: impl Fn() -> ClockState + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The current state.
    pub fn read(&self) -> ClockState {
        (self.0)()
    }
}

impl fmt::Debug for Discipline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Discipline").field(&self.read()).finish()
    }
}

/// Asks the kernel, changing nothing, which needs no right. By its number, since a C library may make it
/// `clock_adjtime`, which containers forbid more often.
#[expect(unsafe_code, reason = "no safe crate has this call: it writes a struct that lives as long as the call")]
fn adjtimex() -> Result<ClockError, Errno> {
    let mut about = std::mem::MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: the kernel reads `modes` (0: change nothing) and writes the rest of one `timex`, which is valid for that.
    let result = unsafe { libc::syscall(libc::SYS_adjtimex, about.as_mut_ptr()) };
    if result < 0 {
        let code = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
        return Err(Errno::from_raw_os_error(code));
    }
    // SAFETY: a struct of numbers, of which zeroes are valid, filled by the kernel.
    let about = unsafe { about.assume_init() };
    let micros = |value| Duration::from_micros(u64::try_from(value).unwrap_or_default());
    Ok(ClockError { estimated: micros(about.esterror), maximum: micros(about.maxerror) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_sixteen_seconds_of_error_is_unsynchronised() {
        for (micros, expected) in [(0, true), (15_999_999, true), (16_000_000, false)] {
            let error = ClockError { estimated: Duration::ZERO, maximum: Duration::from_micros(micros) };
            assert_eq!(ClockState::of(error).is_synchronised(), Some(expected));
        }
        assert_eq!(ClockState::Unknown { cause: String::new() }.is_synchronised(), None);
    }

    #[test]
    fn the_machine_answers_and_is_left_as_it_was() {
        let read = || Discipline::machine().read();
        match (read(), read()) {
            (ClockState::Unknown { cause }, _) => assert!(!cause.is_empty()),
            (first, second) => {
                assert_eq!(first.is_synchronised(), second.is_synchronised());
                assert!(first.error().is_some_and(|error| error.maximum <= UNSYNCHRONISED));
            }
        }
    }
}
