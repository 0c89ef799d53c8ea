//! Tells when the wall clock is no longer synchronised, and when it is again. Pure.

use crate::clock::discipline::{ClockError, ClockState};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct DisciplineWatch {
    state: Option<ClockState>,
}

impl DisciplineWatch {
    /// The newest state; `None`: not asked yet.
    pub(super) fn state(&self) -> Option<&ClockState> {
        self.state.as_ref()
    }

    /// Takes the newest state, and logs it where it is another one; returns whether it did.
    pub(super) fn handle(&mut self, state: ClockState) -> bool {
        let before = self.state.replace(state.clone());
        let was = before.as_ref().map(ClockState::is_synchronised);
        if was == Some(state.is_synchronised()) {
            return false;
        }
        match state {
            ClockState::Unsynchronised(ClockError { maximum, .. }) => {
                let max_error_s = maximum.as_secs();
                tracing::warn!(max_error_s, "the clock is not synchronised: ts_recv may be wrong by this, or by more");
            }
            // A clock that is right from the start on is no news.
            ClockState::Synchronised(_) if was.is_none() => return false,
            ClockState::Synchronised(_) => tracing::warn!("the clock is synchronised again"),
            ClockState::Unknown { cause } => {
                tracing::warn!(cause, "the kernel does not tell whether the clock is synchronised");
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_change_is_told_once() {
        let error = |seconds| ClockError { estimated: Duration::ZERO, maximum: Duration::from_secs(seconds) };
        let synchronised = |seconds| ClockState::Synchronised(error(seconds));
        let unknown = || ClockState::Unknown { cause: "Operation not permitted".to_owned() };
        let mut watch = DisciplineWatch::default();
        for (state, is_told) in [
            (synchronised(0), false),
            (synchronised(1), false),
            (ClockState::Unsynchronised(error(16)), true),
            (ClockState::Unsynchronised(error(17)), false),
            (synchronised(0), true),
            (synchronised(0), false),
            (unknown(), true),
            (unknown(), false),
        ] {
            assert_eq!(watch.handle(state.clone()), is_told, "{state:?}");
            assert_eq!(watch.state(), Some(&state));
        }
        for (state, is_told) in [(ClockState::Unsynchronised(error(16)), true), (synchronised(0), false)] {
            assert_eq!(DisciplineWatch::default().handle(state), is_told);
        }
    }
}
