//! Distinguishes the failure of one pair from an outage of the exchange. Pure.

use crate::rest::client::RestError;
use std::collections::BTreeSet;

/// Pairs without an answer in a row that count as an outage: each took about two minutes.
const MOST_UNANSWERED: usize = 3;

/// The pairs that failed since the last answer.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// Pairs without an answer since the last answer.
    unanswered: BTreeSet<String>,
}

impl Outage {
    /// An answer arrived.
    pub(super) fn ends(&mut self) {
        self.unanswered.clear();
    }

    /// Counts a pair's failure and returns its reason.
    ///
    /// # Errors
    /// The failure is not specific to the pair: every other request would fail too.
    pub(super) fn note(&mut self, market: Option<&str>, error: RestError) -> Result<String, RestError> {
        match &error {
            RestError::Refused(denial) => {
                self.ends();
                Ok(denial.to_string())
            }
            RestError::Unavailable { .. } => {
                self.unanswered.extend(market.map(str::to_owned));
                if self.unanswered.len() < MOST_UNANSWERED { Ok(error.to_string()) } else { Err(error) }
            }
            RestError::Credentials(_) | RestError::Signing(_) | RestError::Budget(_) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::client::Denial;

    fn denial() -> Denial {
        Denial { what: "candles".into(), reason: "status 500".into() }
    }

    #[test]
    fn one_pair_without_an_answer_is_no_outage_and_three_are() {
        let unavailable = || RestError::Unavailable { attempts: 9, denial: denial() };
        let mut outage = Outage::default();
        assert!(outage.note(Some("KRW-A"), unavailable()).is_ok());
        assert!(outage.note(Some("KRW-A"), unavailable()).is_ok());
        assert!(outage.note(Some("KRW-B"), unavailable()).is_ok());
        assert!(outage.note(None, unavailable()).is_ok());
        outage.ends();
        assert!(outage.note(Some("KRW-C"), unavailable()).is_ok());
        assert!(outage.note(Some("KRW-D"), RestError::Refused(denial())).is_ok());
        assert!(["KRW-A", "KRW-B"].map(|market| outage.note(Some(market), unavailable()).is_ok()) == [true; 2]);
        assert!(outage.note(Some("KRW-C"), unavailable()).is_err());
        assert!(outage.note(Some("KRW-D"), RestError::Credentials(denial())).is_err());
    }
}
