//! The pairs known to be listed: a state machine that does not believe a single answer. Pure.
//!
//! ```text
//! answer ─┬ holds every known pair ──▶ confirmed; new pairs are known at once
//!         ├ lacks a tenth or less  ──▶ new pairs are known at once ┐ lacking pairs stay known, and the request is
//!         ├ lacks more             ──▶ nothing is taken over       ├ repeated, spaced; three answers in a row over ten
//!         │                                                        ┘ minutes that lack the same pairs are believed
//!         └ lists nothing          ──▶ repeated, never believed: an exchange without a pair is one in maintenance
//! ```
//!
//! The exchange delists a few pairs at a time: its largest wave, 24 assets in one day of June 2021, was a twentieth of
//! its pairs. An answer that lacks more than a tenth of the known pairs is therefore treated as incomplete. The very
//! first list contradicts nothing and is used at once; it counts as confirmed after three agreeing answers.

use crate::clock::Instant;
use crate::desired::Listed;
use crate::rest::markets::{MOST_PAIRS, Markets, Odd, Pair};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// An answer that lacks more than one known pair in this many is incomplete.
const SHORT: usize = 10;

/// Agreeing answers required in a row, and the least time between the first and the last.
const AGREE: u32 = 3;
const AGREE_OVER: Duration = Duration::from_secs(600);

/// The pause before the request is repeated. It doubles from the first value up to the longest; it starts short because
/// without a list the pairs of patterns are not recorded.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pause after an answer that left nothing open: a new pair is missed for as long, and its first minutes are those that
/// nobody can fetch as a whole. One request of the 600 that the exchange allows in this time.
const CONFIRMED_PAUSE: Duration = Duration::from_secs(60);

/// The least pause before a request that an announcement calls for: they come in bursts.
const LOOK_PAUSE: Duration = Duration::from_secs(10);

/// The wait for the first answer before it is reported, and the interval of further reports.
const PATIENCE: Duration = Duration::from_secs(5);
const REMIND_AFTER: Duration = Duration::from_secs(600);
const REMIND_EVERY: Duration = Duration::from_secs(3600);

/// Pairs named in a finding; the others are counted.
const NAMED: usize = 10;

/// An event to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// No usable answer so far.
    Waiting {
        /// The start of the wait.
        since: Instant,
        /// The number of pairs known from an earlier process.
        known: usize,
        /// Why the last request failed, if one has failed.
        cause: Option<String>,
    },
    /// An answer had entries that name no pair.
    Odd(Odd),
    /// An answer lacks known pairs; reported once for each set of pairs.
    Lacking {
        /// The number of pairs in the answer.
        listed: usize,
        /// The number of known pairs.
        known: usize,
        /// The first of the lacking pairs.
        lacking: Vec<String>,
        /// The answer is incomplete, and nothing is taken over from it.
        is_short: bool,
    },
    /// New pairs are known.
    New {
        /// Their number.
        count: usize,
        /// The first of them.
        first: Vec<String>,
    },
    /// Agreeing answers no longer list these pairs.
    Delisted(Vec<String>),
}

/// An open question: answers in a row that lack the same pairs.
#[derive(Debug)]
struct Doubt {
    lacking: BTreeSet<String>,
    /// The answers were empty.
    is_empty: bool,
    first: Instant,
    answers: u32,
}

/// The state machine.
#[derive(Debug)]
pub struct ListingEvidence {
    known: Markets,
    /// The known list was confirmed, by this process or an earlier one.
    is_confirmed: bool,
    confirmed_at: Option<Instant>,
    doubt: Option<Doubt>,
    /// The start of the time without an answer.
    unanswered_since: Instant,
    /// The time of the next request; `None` while one is in flight.
    ask_at: Option<Instant>,
    /// The time of the last request.
    asked_at: Option<Instant>,
    /// An announcement came while a request was in flight, and may be newer than its answer.
    is_look_due: bool,
    /// Counts the changes of the known pairs.
    revision: u64,
    pause: Duration,
    /// The time of the next report of a missing answer; `None` after an answer.
    report_at: Option<Instant>,
    has_reported: bool,
    cause: Option<String>,
    odd: Odd,
    findings: VecDeque<Finding>,
}

impl ListingEvidence {
    /// Starts with the list kept by an earlier process.
    pub fn new(kept: Option<Markets>, now: Instant) -> Self {
        Self {
            is_confirmed: kept.is_some(),
            known: kept.unwrap_or_default(),
            confirmed_at: None,
            doubt: None,
            unanswered_since: now,
            ask_at: Some(now),
            asked_at: None,
            is_look_due: false,
            revision: 0,
            pause: FIRST_PAUSE,
            report_at: Some(now + PATIENCE),
            has_reported: false,
            cause: None,
            odd: Odd::default(),
            findings: VecDeque::new(),
        }
    }

    /// The known pairs.
    pub fn known(&self) -> &Markets {
        &self.known
    }

    /// The known pairs in the form used for subscriptions.
    pub fn listed(&self) -> Listed {
        let codes = (!self.known.pairs.is_empty()).then(|| self.known.codes().into());
        Listed { codes, complete_at: self.confirmed_at }
    }

    /// Counts the changes of the known pairs and of what is said of them.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether the last answer left nothing open.
    pub fn is_settled(&self) -> bool {
        self.is_confirmed && self.confirmed_at.is_some() && self.doubt.is_none()
    }

    /// Takes the due request; `true`: the caller sends it now.
    pub fn take_question(&mut self, now: Instant) -> bool {
        let is_due = self.ask_at.take_if(|ask_at| now >= *ask_at).is_some();
        if is_due {
            self.asked_at = Some(now);
        }
        is_due
    }

    /// Something calls for a look at once.
    pub fn handle_look(&mut self, now: Instant) {
        match self.ask_at {
            Some(ask_at) => self.ask_at = Some(ask_at.min(self.look_at(now))),
            None => self.is_look_due = true,
        }
    }

    /// Handles the instant of [`Self::poll_deadline`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.report_at.is_some_and(|report_at| now >= report_at) {
            let pause = if self.has_reported { REMIND_EVERY } else { REMIND_AFTER };
            (self.report_at, self.has_reported) = (Some(now + pause), true);
            let (known, cause) = (self.known.pairs.len(), self.cause.clone());
            self.findings.push_back(Finding::Waiting { since: self.unanswered_since, known, cause });
        }
    }

    /// Handles a failed request.
    pub fn handle_failure(&mut self, now: Instant, cause: String) {
        self.cause = Some(cause);
        if self.report_at.is_none() {
            (self.unanswered_since, self.report_at, self.has_reported) = (now, Some(now + REMIND_EVERY), true);
        }
        self.ask_later(now);
    }

    /// Handles an answer. Returns the known pairs if they have changed in any way.
    pub fn handle_answer(&mut self, now: Instant, mut answer: Markets) -> Option<&Markets> {
        let odd = std::mem::take(&mut answer.odd);
        if odd != self.odd && odd.count > 0 {
            self.findings.push_back(Finding::Odd(odd.clone()));
        }
        self.odd = odd;
        let codes: BTreeSet<&str> = answer.pairs.iter().map(|pair| pair.code.as_str()).collect();
        let known = self.known.pairs.iter().map(|pair| &pair.code);
        let lacking: BTreeSet<String> = known.filter(|code| !codes.contains(code.as_str())).cloned().collect();
        let is_empty = answer.pairs.is_empty();
        let is_short = is_empty || lacking.len() * SHORT > self.known.pairs.len();
        if is_empty {
            self.cause = Some("the answer lists no pair at all".to_owned());
        }
        if !is_empty || !self.known.pairs.is_empty() {
            // From the first answer on, open questions are reported on their own.
            self.report_at = None;
        }
        if lacking.is_empty() && !is_empty && self.is_confirmed {
            return self.confirm(now, answer);
        }
        self.weigh(now, answer.pairs.len(), lacking, is_short);
        let is_believed = self.doubt.as_ref().is_some_and(|doubt| doubt.is_believed(now));
        if is_believed {
            return self.believe(now, answer);
        }
        let grew = !is_short && self.merge(answer);
        if let (true, false, Some(doubt)) = (grew, self.is_confirmed, &mut self.doubt) {
            // The answers before it were incomplete, so counting restarts.
            (doubt.first, doubt.answers) = (now, 1);
        }
        self.ask_later(now);
        (!is_short).then_some(&self.known)
    }

    /// The next event to report.
    pub fn poll_finding(&mut self) -> Option<Finding> {
        self.findings.pop_front()
    }

    /// The time of the next [`Self::handle_timeout`] and [`Self::take_question`].
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.ask_at.into_iter().chain(self.report_at).min()
    }
}

impl ListingEvidence {
    /// Handles an answer with every known pair.
    fn confirm(&mut self, now: Instant, answer: Markets) -> Option<&Markets> {
        self.merge(answer);
        (self.doubt, self.confirmed_at, self.is_confirmed) = (None, Some(now), true);
        self.pause = FIRST_PAUSE;
        self.schedule(now, CONFIRMED_PAUSE);
        Some(&self.known)
    }

    /// Drops the pairs that agreeing answers have lacked for long enough.
    fn believe(&mut self, now: Instant, answer: Markets) -> Option<&Markets> {
        if let Some(doubt) = self.doubt.take().filter(|doubt| !doubt.lacking.is_empty()) {
            self.known.pairs.retain(|pair| !doubt.lacking.contains(&pair.code));
            self.revision += 1;
            self.findings.push_back(Finding::Delisted(doubt.lacking.into_iter().collect()));
        }
        self.confirm(now, answer)
    }

    /// Compares an answer with the ones before it.
    fn weigh(&mut self, now: Instant, listed: usize, lacking: BTreeSet<String>, is_short: bool) {
        let is_empty = listed == 0;
        let same = |doubt: &&mut Doubt| doubt.lacking == lacking && doubt.is_empty == is_empty;
        if let Some(doubt) = self.doubt.as_mut().filter(same) {
            doubt.answers = doubt.answers.saturating_add(1);
            return;
        }
        let known = self.known.pairs.len();
        if known > 0 && !lacking.is_empty() {
            let lacking = lacking.iter().take(NAMED).cloned().collect();
            self.findings.push_back(Finding::Lacking { listed, known, lacking, is_short });
        }
        self.doubt = Some(Doubt { lacking, is_empty, first: now, answers: 1 });
    }

    /// Adds new pairs and updates the known ones from the answer; returns whether there are new ones. Known pairs keep
    /// their order, so that the same pairs make the same subscription request.
    fn merge(&mut self, answer: Markets) -> bool {
        let mut newer: BTreeMap<String, Pair> =
            answer.pairs.iter().map(|pair| (pair.code.clone(), pair.clone())).collect();
        for pair in &mut self.known.pairs {
            if let Some(newer) = newer.remove(&pair.code) {
                self.revision += u64::from(newer.object.get() != pair.object.get());
                *pair = newer;
            }
        }
        let was_first = self.known.pairs.is_empty();
        let room = MOST_PAIRS.saturating_sub(self.known.pairs.len());
        let fresh: Vec<Pair> =
            answer.pairs.into_iter().filter(|pair| newer.contains_key(&pair.code)).take(room).collect();
        let count = fresh.len();
        if count > 0 && !was_first {
            let first = fresh.iter().take(NAMED).map(|pair| pair.code.clone()).collect();
            self.findings.push_back(Finding::New { count, first });
        }
        self.known.pairs.extend(fresh);
        self.revision += count as u64;
        count > 0
    }

    fn ask_later(&mut self, now: Instant) {
        self.schedule(now, self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The next request is due in a while, or as soon as an announcement calls for it.
    fn schedule(&mut self, now: Instant, pause: Duration) {
        let later = now + pause;
        let is_look_due = std::mem::take(&mut self.is_look_due);
        self.ask_at = Some(if is_look_due { later.min(self.look_at(now)) } else { later });
    }

    fn look_at(&self, now: Instant) -> Instant {
        self.asked_at.map_or(now, |asked_at| now.max(asked_at + LOOK_PAUSE))
    }
}

impl Doubt {
    fn is_believed(&self, now: Instant) -> bool {
        !self.is_empty && self.answers >= AGREE && now >= self.first + AGREE_OVER
    }
}

#[cfg(test)]
mod tests;
