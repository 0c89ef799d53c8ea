//! Lines out of chunks that end anywhere. Pure.

/// Chunks in, lines out.
#[derive(Debug)]
pub(super) struct Splitter {
    /// The longest that a line may be, without its line break.
    longest: usize,
    /// The beginning of a line of which the end has not come.
    begun: Vec<u8>,
    /// Where it begins.
    offset: u64,
    /// Whether it is longer than it may be, and dropped.
    is_dropped: bool,
}

/// A line without its line break, or what is there instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A line.
    Line(&'a [u8]),
    /// It is longer than any line of its stream.
    TooLong,
    /// The end of the content, without a line break.
    Unended(&'a [u8]),
}

impl Splitter {
    pub(super) fn new(longest: usize) -> Self {
        Self { longest, begun: Vec::new(), offset: 0, is_dropped: false }
    }

    /// Hands out the lines that end in `chunk`, each with its offset.
    pub(super) fn feed(&mut self, chunk: &[u8], each: &mut dyn FnMut(u64, Piece<'_>)) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (part, behind) = (&rest[..end], &rest[end + 1..]);
            let length = self.begun.len() + part.len();
            if self.is_dropped {
                // Told when it was dropped; `offset` is behind what was dropped so far.
                self.offset += part.len() as u64 + 1;
            } else {
                if length > self.longest {
                    each(self.offset, Piece::TooLong);
                } else if self.begun.is_empty() {
                    each(self.offset, Piece::Line(part));
                } else {
                    self.begun.extend_from_slice(part);
                    each(self.offset, Piece::Line(&self.begun));
                }
                self.offset += length as u64 + 1;
            }
            self.is_dropped = false;
            self.begun.clear();
            rest = behind;
        }
        self.begin(rest, each);
    }

    /// The end of the content.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(u64, Piece<'_>)) {
        if !self.begun.is_empty() {
            each(self.offset, Piece::Unended(&self.begun));
        }
    }

    fn begin(&mut self, part: &[u8], each: &mut dyn FnMut(u64, Piece<'_>)) {
        if self.is_dropped {
            self.offset += part.len() as u64;
        } else if self.begun.len() + part.len() > self.longest {
            each(self.offset, Piece::TooLong);
            self.offset += (self.begun.len() + part.len()) as u64;
            self.begun = Vec::new();
            self.is_dropped = true;
        } else {
            self.begun.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_are_cut(lengths in prop::collection::vec(0usize..12, 0..20), is_ended: bool, size in 1usize..30) {
            let mut text: Vec<u8> = lengths.iter().flat_map(|length| [vec![b'x'; *length], vec![b'\n']].concat()).collect();
            if !is_ended {
                text.pop();
            }
            let (mut wanted, mut offset) = (Vec::new(), 0);
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                let content = line.strip_suffix(b"\n");
                wanted.push((offset, match content {
                    _ if content.unwrap_or(line).len() > 8 => "long".to_owned(),
                    Some(content) => format!("line {}", content.len()),
                    None => format!("unended {}", line.len()),
                }));
                offset += line.len() as u64;
            }
            let (mut splitter, mut found) = (Splitter::new(8), Vec::new());
            let mut each = |offset, piece: Piece<'_>| found.push((offset, match piece {
                Piece::TooLong => "long".to_owned(),
                Piece::Line(line) => format!("line {}", line.len()),
                Piece::Unended(line) => format!("unended {}", line.len()),
            }));
            text.chunks(size).for_each(|chunk| splitter.feed(chunk, &mut each));
            splitter.finish(&mut each);
            prop_assert_eq!(found, wanted);
        }
    }
}
