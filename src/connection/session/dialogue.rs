//! The messages to the exchange, and its objections to them; it outlives the socket.
//!
//! ```text
//! request, pings, auxiliary messages ──▶ outbox ──budget──▶ frame
//! error ──attributed to the last message without an answer──▶ refusals
//! ```

use super::auxiliary::Auxiliaries;
use super::budget::MessageBudget;
use super::interface::{Outgoing, Output, Settings};
use super::outbox::{Message, Outbox};
use super::refusals::Refusals;
use super::timer::{Timer, TimerTable};
use crate::batch::Seen;
use crate::clock::Instant;
use crate::connection::Notice;
use crate::tape::words::SubscribeReason;
use crate::upbit::auth::{Credentials, Secret};
use crate::upbit::listing;
use crate::upbit::subscription::Request;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use uuid::Uuid;

/// The messages of one connection.
#[derive(Debug)]
pub(super) struct Dialogue {
    /// The wanted request.
    request: Request,
    outbox: Outbox,
    auxiliaries: Auxiliaries,
    pub(super) refusals: Refusals,
    rng: StdRng,
}

impl Dialogue {
    /// A connection without a request; `seed` feeds tickets, nonces and jitter.
    pub(super) fn new(settings: &Settings, seed: u64, now: Instant) -> Self {
        let config = &settings.config;
        let budget = MessageBudget::new(config.messages_per_second, config.messages_per_minute, now);
        Self {
            request: Request::default(),
            outbox: Outbox::new(budget),
            auxiliaries: Auxiliaries::default(),
            refusals: Refusals::new(settings),
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// The wanted request.
    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    /// Randomness for jitter.
    pub(super) fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    /// A fresh token for the upgrade: a nonce cannot be used twice.
    ///
    /// # Errors
    /// Why the keys make no token.
    pub(super) fn authorization(&mut self, credentials: Option<&Credentials>) -> Result<Option<Secret>, String> {
        let nonce = self.uuid();
        credentials.map(|keys| keys.authorization(nonce).map_err(|error| error.to_string())).transpose()
    }

    /// Another request should stand.
    pub(super) fn handle_request(&mut self, request: Request) {
        self.request = request;
        self.refusals.handle_change();
    }

    /// A socket was opened, and its first ping is due at `ping_at`.
    pub(super) fn handle_opened(&mut self, ping_at: Instant) {
        self.auxiliaries.handle_opened(ping_at);
        self.outbox.clear();
        self.outbox.push(Message::Request(SubscribeReason::Connected));
    }

    /// The socket is live, so the request was taken.
    pub(super) fn handle_live(&mut self, now: Instant) {
        self.refusals.handle_change();
        self.refusals.handle_served(now);
        self.auxiliaries.handle_live(now);
    }

    /// Frames came, with or without data of subscribed streams.
    pub(super) fn handle_frames(&mut self, now: Instant, seen: Seen, has_data: bool) {
        if has_data {
            self.refusals.handle_served(now);
        }
        self.auxiliaries.handle_seen(seen);
    }

    /// An error object came.
    pub(super) fn handle_error(&mut self, now: Instant, object: &[u8]) -> Option<Notice> {
        self.refusals.handle_error(now, object, &mut self.auxiliaries)
    }

    /// Wants a message sent.
    pub(super) fn push(&mut self, message: Message) {
        match message {
            Message::Listing => self.auxiliaries.want_listing(),
            _ => self.outbox.push(message),
        }
    }

    /// The next message that may be sent now.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Message> {
        if let Some(message) = self.auxiliaries.poll(now) {
            self.outbox.push(message);
        }
        self.outbox.poll(now)
    }

    /// Arms when to poll again.
    pub(super) fn arm(&self, timers: &mut TimerTable) {
        timers.set(Timer::Budget, self.outbox.deadline());
        timers.set(Timer::Auxiliary, self.auxiliaries.deadline());
    }

    /// The frame of a message that is handed to the socket now; a request is reported.
    pub(super) fn frame(&mut self, now: Instant, message: Message, output: &mut Output) -> Outgoing {
        self.auxiliaries.handle_sending(now, message);
        match message {
            Message::Ping => Outgoing::Ping,
            Message::Keepalive => Outgoing::Text("PING".to_owned()),
            Message::Listing => Outgoing::Text(listing::to_frame(&self.uuid().to_string(), self.request.format)),
            Message::Request(reason) => {
                let ticket = self.uuid().to_string();
                let frame = self.request.to_frame(&ticket);
                self.refusals.handle_requested(now, &self.request, &frame, reason != SubscribeReason::Connected);
                let standing = Arc::new(self.request.clone());
                output.report(now, Notice::Subscribed { request: frame.clone(), standing, reason });
                Outgoing::Text(frame)
            }
        }
    }

    fn uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }
}
