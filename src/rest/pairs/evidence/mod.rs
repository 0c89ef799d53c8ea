//! Which pairs are known to be listed: one answer is not a fact. Pure.
//!
//! ```text
//! answer ─┬ holds every known pair ──▶ confirmed; new pairs are known at once
//!         ├ lacks a tenth or less  ──▶ new pairs are known at once ┐ what it lacks stays known, and the question is asked
//!         ├ lacks more             ──▶ nothing is taken over       ├ again, spaced; three answers in a row over ten minutes
//!         │                                                        ┘ that lack the same pairs are believed
//!         └ lists nothing          ──▶ asked again, never believed: an exchange without a pair is one in maintenance
//! ```
//!
//! The exchange takes pairs away a few at a time: its largest wave, 24 assets in one day of June 2021, was a twentieth of its
//! pairs. An answer that lacks more than a tenth of what is known is therefore rather part of a list than a list. The
//! first list of all contradicts nothing and is used at once; it counts as confirmed when three answers have agreed.

use crate::clock::Instant;
use crate::desired::Listed;
use crate::rest::markets::{MOST_PAIRS, Markets, Odd, Pair};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// An answer that lacks more than one known pair in this many is not taken for a list.
const SHORT: usize = 10;

/// How many answers in a row have to agree, and over what time at least.
const AGREE: u32 = 3;
const AGREE_OVER: Duration = Duration::from_secs(600);

/// The pause before the question is asked again. It doubles from the first up to one of the others: while there is no list
/// at all, what the patterns mean is not recorded.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const LONGEST_PAUSE_WITHOUT: Duration = Duration::from_secs(60);

/// The pause after an answer that left nothing open.
const CONFIRMED_PAUSE: Duration = Duration::from_secs(3600);

/// How long the first answer may take before the wait is reported, and the pauses until it is again.
const PATIENCE: Duration = Duration::from_secs(5);
const REMIND_AFTER: Duration = Duration::from_secs(600);
const REMIND_EVERY: Duration = Duration::from_secs(3600);

/// Pairs that are named in a finding; the others are counted.
const NAMED: usize = 10;

/// Something to report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// There is no answer that could be used.
    Waiting {
        /// Since when.
        since: Instant,
        /// How many pairs are known from an earlier process.
        known: usize,
        /// Why the last question was not answered, where it was asked to an end.
        cause: Option<String>,
    },
    /// An answer had entries that name no pair.
    Odd(Odd),
    /// An answer lacks what is known; reported once for each set of pairs.
    Lacking {
        /// Pairs in the answer.
        listed: usize,
        /// Pairs known.
        known: usize,
        /// The first of those that it lacks.
        lacking: Vec<String>,
        /// Nothing is taken over from it.
        is_short: bool,
    },
    /// New pairs are known.
    New {
        /// How many.
        count: usize,
        /// The first of them.
        first: Vec<String>,
    },
    /// Answers agreed that these pairs are not listed any more.
    Delisted(Vec<String>),
}

/// What is open: answers that lack the same pairs.
#[derive(Debug)]
struct Doubt {
    lacking: BTreeSet<String>,
    /// None of them listed anything.
    is_empty: bool,
    first: Instant,
    answers: u32,
}

/// See the module.
#[derive(Debug)]
pub struct ListingEvidence {
    known: Markets,
    /// What is known was confirmed, by this process or an earlier one.
    is_confirmed: bool,
    confirmed_at: Option<Instant>,
    doubt: Option<Doubt>,
    /// Since when there was no answer.
    unanswered_since: Instant,
    /// When to ask; `None` while the question is asked.
    ask_at: Option<Instant>,
    pause: Duration,
    /// When to report that there is no answer; `None` after there was one.
    report_at: Option<Instant>,
    has_reported: bool,
    cause: Option<String>,
    odd: Odd,
    findings: VecDeque<Finding>,
}

impl ListingEvidence {
    /// Begins with the list that an earlier process kept.
    pub fn new(kept: Option<Markets>, now: Instant) -> Self {
        Self {
            is_confirmed: kept.is_some(),
            known: kept.unwrap_or_default(),
            confirmed_at: None,
            doubt: None,
            unanswered_since: now,
            ask_at: Some(now),
            pause: FIRST_PAUSE,
            report_at: Some(now + PATIENCE),
            has_reported: false,
            cause: None,
            odd: Odd::default(),
            findings: VecDeque::new(),
        }
    }

    /// What is known now.
    pub fn known(&self) -> &Markets {
        &self.known
    }

    /// The same, as requests are made of it.
    pub fn listed(&self) -> Listed {
        let codes = (!self.known.pairs.is_empty()).then(|| self.known.codes().into());
        Listed { codes, complete_at: self.confirmed_at }
    }

    /// Whether the last answer left nothing open.
    pub fn is_settled(&self) -> bool {
        self.is_confirmed && self.confirmed_at.is_some() && self.doubt.is_none()
    }

    /// Takes the question that is due, if it is: it is to be asked now.
    pub fn take_question(&mut self, now: Instant) -> bool {
        self.ask_at.take_if(|ask_at| now >= *ask_at).is_some()
    }

    /// The instant named by [`Self::poll_deadline`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.report_at.is_some_and(|report_at| now >= report_at) {
            let pause = if self.has_reported { REMIND_EVERY } else { REMIND_AFTER };
            (self.report_at, self.has_reported) = (Some(now + pause), true);
            let (known, cause) = (self.known.pairs.len(), self.cause.clone());
            self.findings.push_back(Finding::Waiting { since: self.unanswered_since, known, cause });
        }
    }

    /// There was no answer, and why not.
    pub fn handle_failure(&mut self, now: Instant, cause: String) {
        self.cause = Some(cause);
        if self.report_at.is_none() {
            (self.unanswered_since, self.report_at, self.has_reported) = (now, Some(now + REMIND_EVERY), true);
        }
        self.ask_later(now);
    }

    /// An answer came. Returns what is known, where it has changed in any way.
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
            // From here on what is open is reported as such.
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
            // The answers before it were part of a list.
            (doubt.first, doubt.answers) = (now, 1);
        }
        self.ask_later(now);
        (!is_short).then_some(&self.known)
    }

    /// The next thing to report.
    pub fn poll_finding(&mut self) -> Option<Finding> {
        self.findings.pop_front()
    }

    /// When to call [`Self::handle_timeout`] and [`Self::take_question`].
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.ask_at.into_iter().chain(self.report_at).min()
    }
}

impl ListingEvidence {
    /// The answer holds everything that is known.
    fn confirm(&mut self, now: Instant, answer: Markets) -> Option<&Markets> {
        self.merge(answer);
        (self.doubt, self.confirmed_at, self.is_confirmed) = (None, Some(now), true);
        (self.pause, self.ask_at) = (FIRST_PAUSE, Some(now + CONFIRMED_PAUSE));
        Some(&self.known)
    }

    /// Answers have agreed for long enough: what they lack is not listed any more.
    fn believe(&mut self, now: Instant, answer: Markets) -> Option<&Markets> {
        if let Some(doubt) = self.doubt.take().filter(|doubt| !doubt.lacking.is_empty()) {
            self.known.pairs.retain(|pair| !doubt.lacking.contains(&pair.code));
            self.findings.push_back(Finding::Delisted(doubt.lacking.into_iter().collect()));
        }
        self.confirm(now, answer)
    }

    /// Compares an answer with those before it.
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

    /// Takes new pairs, and what the answer says of those that are known; returns whether there are new ones. The order of
    /// those that are known lasts, so that the same pairs make the same request.
    fn merge(&mut self, answer: Markets) -> bool {
        let mut newer: BTreeMap<String, Pair> =
            answer.pairs.iter().map(|pair| (pair.code.clone(), pair.clone())).collect();
        for pair in &mut self.known.pairs {
            if let Some(newer) = newer.remove(&pair.code) {
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
        count > 0
    }

    fn ask_later(&mut self, now: Instant) {
        let longest = if self.known.pairs.is_empty() { LONGEST_PAUSE_WITHOUT } else { LONGEST_PAUSE };
        self.ask_at = Some(now + self.pause);
        self.pause = (self.pause * 2).min(longest);
    }
}

impl Doubt {
    fn is_believed(&self, now: Instant) -> bool {
        !self.is_empty && self.answers >= AGREE && now >= self.first + AGREE_OVER
    }
}

#[cfg(test)]
mod tests;
