//! The inputs and outputs of a session.

use crate::batch::Batch;
use crate::clock::Instant;
use crate::config::ConnectionConfig;
use crate::connection::Notice;
use crate::upbit::auth::{Credentials, Secret};
use crate::upbit::feed::Feed;
use std::collections::VecDeque;

/// The settings of one connection, which do not change while it lives.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The feed that it carries.
    pub feed: Feed,
    /// Its part of the configuration.
    pub config: ConnectionConfig,
    /// The account's keys; `None`: the upgrade carries no `Authorization`.
    pub credentials: Option<Credentials>,
}

/// A command for the shell.
#[derive(Debug, PartialEq, Eq)]
pub enum SessionCommand {
    /// Begin an attempt.
    Dial {
        /// The `Authorization` header to send.
        authorization: Option<Secret>,
    },
    /// Hand this to the socket.
    Send(Outgoing),
    /// Send a close frame.
    Close,
    /// Drop the socket, or the attempt.
    Disconnect,
}

/// A frame to the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// A ping frame.
    Ping,
    /// A text frame.
    Text(String),
}

/// The result of one read and of the writes during it.
#[derive(Debug, Default)]
pub struct Inbound {
    /// The frames.
    pub batch: Batch,
    /// At least one byte came.
    pub heard: bool,
    /// At least one message or control frame was completed.
    pub whole: bool,
    /// Nothing more was waiting.
    pub drained: bool,
    /// Everything handed to the socket has left.
    pub sent: bool,
    /// The connection ended, and why.
    pub closed: Option<String>,
}

/// Queues that the shell has not drained yet, in order.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Commands for the shell.
    pub(super) commands: VecDeque<SessionCommand>,
    /// Notices, each with its instant.
    pub(super) events: VecDeque<(Instant, Notice)>,
}

impl Output {
    /// Adds a command.
    pub(super) fn command(&mut self, command: SessionCommand) {
        self.commands.push_back(command);
    }

    /// Adds a notice, if there is one.
    pub(super) fn report(&mut self, at: Instant, notice: impl Into<Option<Notice>>) {
        self.events.extend(notice.into().map(|notice| (at, notice)));
    }
}
