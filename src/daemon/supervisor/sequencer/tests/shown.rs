//! Commands and actions as the scripts show them.

use crate::clock::{Instant, Position};
use crate::daemon::supervisor::Sequencer;
use crate::daemon::supervisor::interface::Action;
use crate::ops::status::LastReload;
use crate::recording::journal::{BeginEpoch, EventObject, JournalCommand};
use crate::recording::retention::plan::KeepLimits;

/// A command; `None`: it is not shown.
pub(super) fn command(command: JournalCommand) -> Option<String> {
    Some(match command {
        JournalCommand::Tick { sync: None, .. } | JournalCommand::Open(_) => return None,
        JournalCommand::Tick { stamp, sync: Some(point) } => {
            format!("{stamp} sync, certain up to {}", point.up_to.stamp)
        }
        JournalCommand::Lines(routed) => format!("{} data", routed.lines[0].0),
        JournalCommand::Event(_, stamp, EventObject::Text(text)) => format!("{stamp} {text}"),
        JournalCommand::Event(_, stamp, EventObject::Ended(reason, _)) => format!("{stamp} rotated: {reason:?}"),
        JournalCommand::Missed(_, objects) => format!("{} missed: {}", objects[0].0, objects[0].1),
        JournalCommand::Describe(feed, origins) => format!("describe {feed}: {}", origins.names().join(" ")),
        JournalCommand::Rotate(reason) => format!("rotate: {}", reason.as_str()),
        JournalCommand::SetRotation(rotation) => format!("rotate at {} bytes", rotation.bytes),
        JournalCommand::CheckNames => "check names".to_owned(),
        JournalCommand::Step(step) => format!("{} {}, then {}", step.first, step.event, step.second),
        JournalCommand::BeginEpoch(begin) => {
            let BeginEpoch { begun, step, .. } = *begin;
            let epoch = begun.state.map_or(0, |state| state.epoch);
            format!("epoch {epoch}: {} {}, then {}", step.first, step.event, step.second)
        }
        JournalCommand::Stop(state) => format!("{:?}", state.ended),
    })
}

/// An action of `sequencer`, at `now`.
pub(super) fn action(action: &Action, sequencer: Option<&Sequencer>, now: Instant) -> String {
    match action {
        Action::CloseConnections => "close the connections".to_owned(),
        Action::SealTheRest => "seal the rest".to_owned(),
        Action::Request(feed, request) => format!("request on {feed}: {}", request.subscriptions[0].codes.join(" ")),
        Action::Keep(KeepLimits { keep_bytes, .. }) => format!("keep {keep_bytes:?} bytes of sealed files"),
        Action::LookAtPairs => "look at the pairs".to_owned(),
        Action::Publish => {
            let status = sequencer.map(Sequencer::status).unwrap_or_default();
            let LastReload { succeeded, at, is_running, .. } = status.reload;
            format!("publish: reload succeeded {succeeded} at {at}, is running {is_running}")
        }
        Action::TellHealer(input) => {
            let clock = input.clock.stamp_at(now);
            let Position { epoch, stamp } = input.last;
            let entries = input.entries.as_ref().map(|entries| format!(", entries {}", entries.len()));
            let entries = entries.unwrap_or_default();
            format!("tell the healer: clock at {clock}, last {stamp} of epoch {epoch}{entries}")
        }
    }
}
