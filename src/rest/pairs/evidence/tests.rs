//! Answers during maintenance, from caches, and from an exchange that delists pairs.

use super::*;
use crate::clock::{Clock, Stamp};
use proptest::prelude::*;

const KNOWN: [&str; 20] =
    ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T"];

fn markets(assets: &[&str]) -> Markets {
    let objects: Vec<String> = assets.iter().map(|asset| format!(r#"{{"market":"KRW-{asset}"}}"#)).collect();
    Markets::of(serde_json::from_str(&format!("[{}]", objects.join(","))).unwrap())
}

/// A simulated exchange with its own time.
struct Scene {
    evidence: ListingEvidence,
    start: Instant,
    now: Instant,
}

impl Scene {
    fn new(kept: &[&str]) -> Self {
        let now = Clock::anchored(Stamp::default()).now();
        let kept = Some(markets(kept)).filter(|kept| !kept.pairs.is_empty());
        Self { evidence: ListingEvidence::new(kept, now), start: now, now }
    }

    /// Answers the next request; returns whether the known pairs have changed.
    fn answer(&mut self, assets: &[&str]) -> bool {
        while !self.evidence.take_question(self.now) {
            self.now = self.now.max(self.evidence.poll_deadline().unwrap());
            self.evidence.handle_timeout(self.now);
        }
        self.evidence.handle_answer(self.now, markets(assets)).is_some()
    }

    /// Answers every request identically for this long.
    fn answer_for(&mut self, length: Duration, assets: &[&str]) {
        let end = self.now + length;
        while self.now < end {
            self.answer(assets);
        }
    }

    fn known(&self) -> String {
        self.evidence.known().codes().join(" ").replace("KRW-", "")
    }

    fn findings(&mut self) -> Vec<Finding> {
        std::iter::from_fn(|| self.evidence.poll_finding()).collect()
    }

    fn seconds(&self) -> u64 {
        (self.now - self.start).as_secs()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn an_answer_with_all_known_pairs_is_believed() {
    let mut scene = Scene::new(&KNOWN);
    let more = [&["NEW"], &KNOWN[..]].concat();
    assert!(scene.answer(&more) && scene.evidence.is_settled());
    assert_eq!(scene.known(), format!("{} NEW", KNOWN.join(" ")), "the order of what was known lasts");
    assert_eq!(scene.findings(), [Finding::New { count: 1, first: vec!["KRW-NEW".into()] }]);
    scene.answer(&more);
    assert_eq!(scene.seconds(), 60, "a minute later it is asked for again");
    let revision = scene.evidence.revision();
    scene.answer(&more);
    assert_eq!(scene.evidence.revision(), revision, "nothing has changed");
}

#[test]
fn an_empty_answer_is_never_believed_nor_kept() {
    let mut scene = Scene::new(&KNOWN);
    for _ in 0..500 {
        assert!(!scene.answer(&[]));
    }
    assert!(scene.seconds() > 7 * 3600 && !scene.evidence.is_settled());
    assert_eq!(scene.known(), KNOWN.join(" "));
    let lacking = KNOWN[..NAMED].iter().map(|asset| format!("KRW-{asset}")).collect();
    assert_eq!(scene.findings(), [Finding::Lacking { listed: 0, known: 20, lacking, is_short: true }]);
    assert!(scene.answer(&KNOWN) && scene.evidence.is_settled());
}

#[test]
fn a_short_answer_is_believed_when_three_agree() {
    let mut scene = Scene::new(&KNOWN);
    let short = [&KNOWN[..5], &["NEW"]].concat();
    while scene.seconds() < 300 {
        assert!(!scene.answer(&short), "after {} s", scene.seconds());
    }
    assert_eq!(scene.known(), KNOWN.join(" "), "new pairs of a short answer are not taken either");
    while !scene.answer(&short) {}
    assert!((600..=660).contains(&scene.seconds()), "after {} s", scene.seconds());
    assert_eq!(scene.known(), "A B C D E NEW");
    let gone = KNOWN[5..].iter().map(|asset| format!("KRW-{asset}")).collect();
    assert!(scene.findings().contains(&Finding::Delisted(gone)));
}

#[test]
fn answers_that_do_not_agree_are_never_believed() {
    let mut scene = Scene::new(&KNOWN);
    for round in 0..80 {
        scene.answer(&KNOWN[..5 + round % 2]);
    }
    assert!(scene.seconds() > 3600);
    assert_eq!(scene.known(), KNOWN.join(" "));
}

#[test]
fn one_right_answer_ends_the_doubt() {
    let mut scene = Scene::new(&KNOWN);
    for _ in 0..30 {
        scene.answer(&KNOWN[1..]);
        scene.answer(&KNOWN[1..]);
        scene.answer(&KNOWN);
    }
    assert_eq!(scene.known(), KNOWN.join(" "));
}

#[test]
fn a_pair_is_delisted_by_answers_that_agree() {
    let mut scene = Scene::new(&KNOWN);
    let answer = [&KNOWN[1..], &["NEW"]].concat();
    assert!(scene.answer(&answer));
    assert_eq!(scene.known(), format!("{} NEW", KNOWN.join(" ")));
    scene.answer_for(Duration::from_secs(700), &answer);
    assert_eq!(scene.known(), format!("{} NEW", KNOWN[1..].join(" ")));
    let delisted = Finding::Delisted(vec!["KRW-A".into()]);
    assert_eq!(scene.findings().iter().filter(|finding| **finding == delisted).count(), 1);
}

#[test]
fn the_first_list_is_used_at_once_and_asked_for_again() {
    let mut scene = Scene::new(&[]);
    assert!(scene.answer(&KNOWN[..1]) && !scene.evidence.is_settled());
    assert_eq!(scene.known(), "A");
    // The earlier answers were incomplete.
    scene.answer(&KNOWN);
    assert_eq!(scene.known(), KNOWN.join(" "));
    let grown = scene.seconds();
    while !scene.evidence.is_settled() {
        scene.answer(&KNOWN);
    }
    assert!(scene.seconds() >= grown + 600, "after {} s", scene.seconds());
}

#[test]
fn without_a_list_the_question_comes_every_minute() {
    let mut scene = Scene::new(&[]);
    let (mut asked, mut reported) = (0, 0);
    while scene.now < scene.start + HOUR * 3 {
        if scene.evidence.take_question(scene.now) {
            scene.evidence.handle_failure(scene.now, "503".to_owned());
            asked += 1;
        }
        reported += scene.findings().len();
        scene.now = scene.evidence.poll_deadline().unwrap();
        scene.evidence.handle_timeout(scene.now);
    }
    assert!((170..200).contains(&asked), "{asked}");
    assert_eq!(reported, 4, "at 5 s, 10 min, and each hour from there");
}

#[test]
fn an_exchange_that_falls_silent_later_is_reported_too() {
    let mut scene = Scene::new(&KNOWN);
    scene.answer(&KNOWN);
    let silent_since = scene.start + CONFIRMED_PAUSE;
    while scene.now < silent_since + HOUR {
        if scene.evidence.take_question(scene.now) {
            scene.evidence.handle_failure(scene.now, "503".to_owned());
        }
        scene.now = scene.evidence.poll_deadline().unwrap();
        scene.evidence.handle_timeout(scene.now);
    }
    let waiting = Finding::Waiting { since: silent_since, known: 20, cause: Some("503".to_owned()) };
    assert_eq!(scene.findings(), [waiting]);
    scene.answer(&KNOWN);
    assert_eq!(scene.evidence.poll_deadline(), Some(scene.now + CONFIRMED_PAUSE));
}

#[test]
fn an_announcement_brings_the_next_question_forward() {
    let mut scene = Scene::new(&KNOWN);
    scene.answer(&KNOWN);
    let asked_at = scene.now;
    scene.evidence.handle_look(asked_at + Duration::from_secs(3));
    assert_eq!(scene.evidence.poll_deadline(), Some(asked_at + LOOK_PAUSE), "they come in bursts");
    scene.answer(&KNOWN);
    let now = scene.now + Duration::from_secs(30);
    scene.evidence.handle_look(now);
    assert!(scene.evidence.take_question(now));
    // Another one while the answer is on its way.
    scene.evidence.handle_look(now);
    scene.evidence.handle_failure(now + Duration::from_secs(2), "503".to_owned());
    let again = now + Duration::from_secs(2) + FIRST_PAUSE;
    assert_eq!(scene.evidence.poll_deadline(), Some(again), "it comes sooner anyway");
    assert!(scene.evidence.take_question(again));
    scene.evidence.handle_look(again);
    scene.evidence.handle_answer(again, markets(&KNOWN));
    assert_eq!(scene.evidence.poll_deadline(), Some(again + LOOK_PAUSE));
}

#[test]
fn who_has_no_list_says_why() {
    let mut scene = Scene::new(&[]);
    assert!(!scene.answer(&[]));
    scene.evidence.handle_timeout(scene.start + PATIENCE);
    let cause = Some("the answer lists no pair at all".to_owned());
    assert_eq!(scene.findings(), [Finding::Waiting { since: scene.start, known: 0, cause }]);
    assert_eq!(scene.evidence.listed(), Listed::default());
}

proptest! {
    /// No known pair is dropped by any answers of less than ten minutes.
    #[test]
    fn wrong_answers_of_ten_minutes_take_nothing_away(answers in prop::collection::vec(0..=20usize, 1..40)) {
        let mut scene = Scene::new(&KNOWN);
        for listed in answers {
            if scene.seconds() >= 600 {
                break;
            }
            scene.answer(&KNOWN[..listed]);
            if scene.seconds() < 600 {
                prop_assert_eq!(scene.known(), KNOWN.join(" "));
            }
        }
    }
}
