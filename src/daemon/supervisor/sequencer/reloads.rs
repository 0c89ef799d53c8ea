//! Reloads: what a configuration that was read again brings into force, and what came of the last one. Pure.

use super::feeds::Feeds;
use super::sequence::Sequence;
use crate::clock::Stamp;
use crate::daemon::supervisor::interface::{Action, Reload};
use crate::ops::status::LastReload;
use crate::recording::journal::JournalCommand;
use crate::recording::rotation::Rotation;
use crate::tape::event::Event;

/// See the module.
#[derive(Debug)]
pub(super) struct Reloads {
    /// The last reload; the start counts as one.
    pub(super) last: LastReload,
    /// The rotation in force.
    rotation: Rotation,
}

impl Reloads {
    /// Begins with what the start has read.
    pub(super) fn new(rotation: Rotation, started: Stamp) -> Self {
        Self { last: LastReload::started(started), rotation }
    }

    /// The configuration is being read again.
    pub(super) fn handle_begun(&mut self, sequence: &mut Sequence) {
        self.last.is_running = true;
        sequence.actions.push_back(Action::Publish);
    }

    /// It was read; an error says why the earlier one stays in force.
    pub(super) fn handle_ended(
        &mut self,
        sequence: &mut Sequence,
        feeds: &mut Feeds,
        outcome: Result<Box<Reload>, String>,
    ) {
        let succeeded = outcome.is_ok();
        match outcome {
            Ok(reload) => self.bring_into_force(sequence, feeds, *reload),
            Err(cause) => sequence.event(&Event::ReloadFailed { cause }),
        }
        let (at, ended) = (sequence.time.last(), self.last.ended + 1);
        let in_force_since = if succeeded { at } else { self.last.in_force_since };
        self.last = LastReload { succeeded, at, in_force_since, is_running: false, ended };
        sequence.actions.push_back(Action::Publish);
    }

    /// Brings what was read again into force, from the `reloaded` event on.
    fn bring_into_force(&mut self, sequence: &mut Sequence, feeds: &mut Feeds, reload: Reload) {
        let Reload { wanted, rotation, limits, changed, restart } = reload;
        sequence.event(&Event::Reloaded { changed, restart });
        if rotation != std::mem::replace(&mut self.rotation, rotation) {
            sequence.commands.push_back(JournalCommand::SetRotation(rotation));
        }
        sequence.actions.push_back(Action::Keep(limits));
        feeds.handle_reload(sequence, wanted);
    }
}
