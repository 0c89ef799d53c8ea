//! What the recorder's own events tell the healer, of this process and of earlier ones.

use super::Healer;
use crate::clock::Stamp;
use crate::recording::naming::stream_key::StreamKey;
use crate::rest::healing::plan::REACH;
use crate::rest::healing::story::{self, Told as Event};

impl Healer {
    pub(super) fn read_the_past(&mut self) {
        for (stamp, event) in self.events() {
            match event {
                Event::Healed(gap) => _ = self.done.insert(gap),
                Event::Started => self.starts.push(stamp),
                Event::Gap(_) | Event::WentBack => {}
            }
        }
    }

    pub(super) fn read_gaps(&mut self) {
        let now = self.clock.stamp();
        let mut events = self.events();
        let mut is_at_end = true;
        for (stamp, event) in events.by_ref() {
            self.read_to = stamp;
            match event {
                Event::Gap(mut gap) if !self.done.contains(&gap.id) => {
                    gap.streams.retain(|stream| !self.samples.contains(stream));
                    self.plan.add(&gap, now);
                }
                Event::WentBack => self.plan.give_up(),
                Event::Gap(_) | Event::Healed(_) | Event::Started => {}
            }
            if !self.plan.has_room() {
                is_at_end = false;
                break;
            }
        }
        self.has_unread = !is_at_end;
    }

    /// The events that were not read yet, with their stamps.
    fn events(&self) -> impl Iterator<Item = (Stamp, Event)> + use<> {
        let lines = self.tape.lines(&StreamKey::recorder(), self.read_to.next()..=Stamp::MAX);
        if let Err(error) = &lines {
            tracing::warn!(%error, "the recorder's events cannot be read, and gaps in them are not healed");
        }
        let readable = lines.into_iter().flatten().filter_map(|line| match line {
            Ok(line) => Some(line),
            Err(error) => {
                tracing::warn!(%error, "some of the recorder's events cannot be read, and gaps in them are not healed");
                None
            }
        });
        readable.filter_map(|line| Some((line.stamp(), story::parse(line.text())?)))
    }

    pub(super) fn note_done(&mut self, gap: u64) {
        self.done.insert(gap);
        // Older ones are not read again.
        self.done = self.done.split_off(&self.clock.stamp().before(REACH * 2).as_micros());
    }
}
