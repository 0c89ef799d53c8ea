//! What the recorder's own events tell the healer, of this process and of earlier ones.

use super::Healer;
use super::look::LOOK_BACK;
use crate::clock::Stamp;
use crate::history::healing::plan::REACH;
use crate::history::healing::story::{self, Told as Event};
use crate::tape::stream_key::StreamKey;

impl Healer {
    pub(super) fn read_the_past(&mut self) {
        for (stamp, event) in self.events() {
            match event {
                Event::Healed(gap) => _ = self.done.insert(gap),
                Event::Started => self.starts.push(stamp),
                Event::Gap(_) | Event::WentBack(_) => {}
            }
        }
    }

    pub(super) fn read_gaps(&mut self) {
        let (now, latest) = (self.clock.stamp(), self.latest());
        let mut is_at_end = true;
        for (stamp, event) in self.events() {
            // What is ahead of the clock is of an older time line, and read once more the next time: it does no harm.
            if stamp <= latest {
                self.read_to = stamp;
            }
            match event {
                Event::Gap(mut gap) if !self.done.contains(&gap.id) => {
                    gap.streams.retain(|stream| !self.samples.contains(stream));
                    self.plan.add(&gap, now);
                }
                Event::WentBack(last) => self.plan.give_up(last.after(LOOK_BACK[0])),
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
        let is_unclear = self.overlap.contains(&self.clock.stamp());
        let read_to = if is_unclear { self.read_to.min(*self.overlap.start()) } else { self.read_to };
        let lines = self.tape.lines(&StreamKey::recorder(), read_to.next()..=Stamp::MAX);
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
