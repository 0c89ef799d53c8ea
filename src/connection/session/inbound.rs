//! What it means that something came: the session is live, refused, or not what was asked for.
//!
//! ```text
//! first data of a subscribed stream, or a quiet request that stands ──▶ live: the attempts before are forgotten
//! error ──▶ what it objects to               ──▶ refused
//! data, list of subscriptions                ──▶ watch ──▶ ask, send the request again, make a new connection
//! ```

use super::pacing::Message;
use super::watch::Remedy;
use super::{Session, State};
use crate::batch::Batch;
use crate::clock::Instant;
use crate::connection::Notice;
use crate::tape::words::SubscribeReason;
use crate::upbit::refusal::{Objection, Redaction, Refusal};
use crate::upbit::types::PRIVATE_TYPES;
use std::collections::BTreeSet;

impl Session {
    /// Frames came.
    pub(super) fn handle_batch(&mut self, now: Instant, batch: &mut Batch) {
        let State::Open(open) = &mut self.state else { return };
        batch.mark_data(open.watch.handle_batch(batch));
        let first = batch.data().and_then(|data| batch.received(data.first));
        if let Some(first) = first {
            self.go_live(now, first);
            self.served.handle_served(now);
        }
        self.auxiliaries.handle_seen(batch.seen());
        if batch.seen().error {
            self.handle_errors(now, batch);
        }
        let words = self.words();
        if let State::Open(open) = &mut self.state {
            if first.is_some() && open.watch.take_question() {
                self.auxiliaries.want_listing();
            }
            if batch.seen().reply {
                let notices = batch.controls().filter_map(|object| open.watch.handle_reply(now, object));
                self.events.extend(notices.map(|notice| (now, withhold(notice, words))));
            }
            self.look_after_streams(now);
        }
    }

    /// Reports streams that are not what they should be, and does something about those that went mute.
    pub(super) fn look_after_streams(&mut self, now: Instant) {
        let State::Open(open) = &mut self.state else { return };
        while let Some(notice) = open.watch.poll_notice(now) {
            self.events.push_back((now, notice));
        }
        match open.watch.poll_remedy(now) {
            None => {}
            Some(Remedy::Ask) => self.auxiliaries.want_listing(),
            Some(Remedy::Resubscribe) => self.outbox.push(Message::Request(SubscribeReason::Stale)),
            Some(Remedy::Reconnect) if open.live => self.lose(now, "streams went mute and stayed so".to_owned()),
            Some(Remedy::Reconnect) => self.lose(now, "no data of any subscribed stream".to_owned()),
        }
    }

    fn handle_errors(&mut self, now: Instant, batch: &Batch) {
        let Some(object) = batch.controls().filter(|object| Refusal::is_error(object)).last() else { return };
        let mut refusal = Refusal::from_object(object, self.words());
        let signed = self.settings.credentials.is_some();
        refusal.kind = match refusal.kind {
            Objection::Request => self.auxiliaries.blame(now),
            Objection::Unclear => self.auxiliaries.suspect(),
            // Who shows no keys cannot be refused for them.
            Objection::Credentials if !signed => self.auxiliaries.suspect(),
            other => other,
        };
        let refusal = self.judged(refusal);
        let refused = match refusal.kind {
            Objection::Keepalive => Some("PING".to_owned()),
            Objection::Listing => Some("LIST_SUBSCRIPTIONS".to_owned()),
            _ => self.sent.clone(),
        };
        self.refusal = Some(refusal);
        if let State::Open(open) = &mut self.state {
            open.handle_refused(now);
        }
        self.report_refusal(now, refused);
    }

    /// A connection that may be quiet is live once its request is sure to stand.
    pub(super) fn look_for_life(&mut self, now: Instant) {
        if let State::Open(open) = &self.state
            && let Some(since) = open.stands_since(now)
        {
            self.go_live(now, since);
        }
    }

    /// The session is live `since` then, if it was not before.
    fn go_live(&mut self, now: Instant, since: Instant) {
        let State::Open(open) = &mut self.state else { return };
        if !open.live {
            open.live = true;
            self.backoff.reset();
            self.reported = None;
            self.auxiliaries.handle_live(now);
            self.served.handle_served(now);
            self.events.push_back((since, Notice::Live { attempt: self.attempt }));
        }
    }
}

/// What the exchange listed is received bytes: of the private connection only the types are shown that are known here.
fn withhold(notice: Notice, words: Redaction) -> Notice {
    match (notice, words) {
        (Notice::Mismatch { missing, unexpected }, Redaction::NamesOnly) => {
            let kind = |stream: &String| {
                let known = PRIVATE_TYPES.into_iter().find(|kind| stream.rsplit('_').next() == Some(*kind));
                known.unwrap_or("other").to_owned()
            };
            let kinds: BTreeSet<String> = unexpected.iter().map(kind).collect();
            Notice::Mismatch { missing, unexpected: kinds.into_iter().collect() }
        }
        (notice, _) => notice,
    }
}
