//! Binary search for a stamp in a plain segment, since stamps increase: nothing before it is read in full.
//!
//! ```text
//! ├──────────── earlier ────────────┤▼├────── later ──────┤
//! 1 ─────────────────────▶ probe: the first stamp behind the middle
//!                         2 ─────────────▶
//! ```

use crate::clock::Stamp;
use crate::tape::line;
use std::io::{self, Read, Seek, SeekFrom};

/// A span that is as cheap to read as to probe.
const NEAR: u64 = 256 * 1024;

/// Bytes read by a probe to find the beginning of a line: most lines are a tenth as long. Where one is longer, reading
/// goes on from there.
const LOOK: usize = 32 * 1024;

/// Leaves the file at the beginning of a line, behind which are all lines stamped `stamp` or later.
pub(super) fn before(file: &mut (impl Read + Seek), stamp: Stamp) -> io::Result<()> {
    let (mut begin, mut end) = (0, file.seek(SeekFrom::End(0))?);
    while end - begin > NEAR {
        let middle = begin + (end - begin) / 2;
        match first_line_behind(file, middle)? {
            Some((at, found)) if found < stamp => begin = at,
            Some(_) => end = middle,
            None => break,
        }
    }
    file.seek(SeekFrom::Start(begin))?;
    Ok(())
}

/// The first stamp behind a line break in `bytes`.
pub(super) fn first_stamp(bytes: &[u8]) -> Option<Stamp> {
    Some(first_line(bytes)?.1)
}

/// Where the first line begins that has a stamp and begins behind `offset`, if it does so soon; and the stamp.
fn first_line_behind(file: &mut (impl Read + Seek), offset: u64) -> io::Result<Option<(u64, Stamp)>> {
    let mut bytes = Vec::with_capacity(LOOK);
    file.seek(SeekFrom::Start(offset))?;
    file.take(LOOK as u64).read_to_end(&mut bytes)?;
    Ok(first_line(&bytes).map(|(at, stamp)| (offset + at as u64, stamp)))
}

/// The first line behind a line break that has a stamp: where it begins, and the stamp.
fn first_line(bytes: &[u8]) -> Option<(usize, Stamp)> {
    let mut starts = memchr::memchr_iter(b'\n', bytes).map(|line_break| line_break + 1);
    starts.find_map(|at| Some((at, line::stamp(&bytes[at..])?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_line_from_the_stamp_on_is_behind(lengths in prop::collection::vec(0..9_000usize, 0..400), wanted in 0..500u64, torn in 0..400usize) {
            let mut file = tempfile::tempfile().unwrap();
            let mut offsets = Vec::new();
            let mut offset = 0;
            for (stamp, length) in lengths.iter().enumerate() {
                let begin = if stamp == torn { "{\"ts".to_owned() } else { format!("{{\"ts_recv\":{stamp},") };
                let text = format!("{begin}{}\n", "x".repeat(*length));
                file.write_all(text.as_bytes()).unwrap();
                offsets.push(offset);
                offset += text.len() as u64;
            }
            before(&mut file, Stamp::from_micros(wanted).unwrap()).unwrap();
            let at = file.stream_position().unwrap();
            prop_assert!(at == 0 || offsets.contains(&at));
            let first = offsets.get(wanted as usize).copied().unwrap_or(offset);
            prop_assert!(at <= first, "{at} is behind {first}");
            prop_assert!(first - at <= NEAR + 18_000, "{at} is far before {first}");
        }
    }

    #[test]
    fn lines_longer_than_a_look_are_read_through() {
        let mut file = tempfile::tempfile().unwrap();
        for stamp in 0..9 {
            file.write_all(format!("{{\"ts_recv\":{stamp},{}\n", "x".repeat(200_000)).as_bytes()).unwrap();
        }
        before(&mut file, Stamp::from_micros(7).unwrap()).unwrap();
        assert!(file.stream_position().unwrap() <= 7 * 200_015);
    }
}
