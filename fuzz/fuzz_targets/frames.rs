//! Frames: whatever comes, nothing of it is lost, invented or reordered, and every object can stand in a line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use std::ops::ControlFlow;
use upbit_recorder::clock::{Clock, Stamp};
use upbit_recorder::batch::{Batch, Entry};
use upbit_recorder::tape::line;
use upbit_recorder::upbit::message;
use upbit_recorder::upbit::refusal::{Refusal, Words};

fuzz_target!(|frame: &[u8]| {
    let mut batch = Batch::default();
    batch.push(frame, Clock::anchored(Stamp::MAX).now());
    let mut rest = frame;
    for (_, entry) in batch.entries() {
        let mut written = Vec::new();
        let bytes = match entry {
            Entry::Data { object, .. } | Entry::Control { object } => {
                let _ = Refusal::from_object(object, Words::Withheld);
                line::object(&mut written, Stamp::MAX, object);
                object
            }
            Entry::Unreadable { bytes } => {
                let mut from = line::raw(&mut written, Stamp::MAX, bytes, 0);
                while from < bytes.len() {
                    from = line::raw(&mut written, Stamp::MAX, bytes, from);
                }
                bytes
            }
        };
        // Each part is a piece of the frame, behind the one before it.
        let at = rest.windows(bytes.len().max(1)).position(|window| window == bytes).or(bytes.is_empty().then_some(0));
        rest = &rest[at.expect("a part was in the frame") + bytes.len()..];
        // Each line is one line of JSON with its stamp.
        assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1);
        let text = std::str::from_utf8(&written).expect("a line is text");
        assert!(serde_json::from_str::<&RawValue>(text.trim_end()).is_ok(), "{text}");
        assert_eq!(line::stamp(&written), Some(Stamp::MAX));
    }
    // What lies between the parts is punctuation of a list.
    let kept: usize = batch.entries().map(|(_, entry)| entry_len(entry)).sum();
    let between = frame.len() - kept;
    let punctuation = frame.iter().filter(|byte| b"[], \t\r\n".contains(byte)).count();
    assert!(between <= punctuation, "{between} bytes are lost");
    assert!(!batch.is_empty(), "a frame leaves a trace");
    assert_same_in_portions(frame, &batch);
});

/// However small the batches are, the parts are the same.
fn assert_same_in_portions(frame: &[u8], batch: &Batch) {
    let (mut from, mut parts) = (Some(0), 0);
    while let Some(at) = from {
        from = message::parse_from(frame, at, &mut |_| {
            parts += 1;
            ControlFlow::Break(())
        });
    }
    assert_eq!(parts, batch.entries().len());
}

fn entry_len(entry: Entry<'_>) -> usize {
    match entry {
        Entry::Data { object, .. } | Entry::Control { object } => object.len(),
        Entry::Unreadable { bytes } => bytes.len(),
    }
}
