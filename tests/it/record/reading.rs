//! Reading the tape beside a recorder that rotates and seals it.

use super::Scene;
use crate::support::eventually;
use crate::support::json::stamp_of;
use upbit_recorder::clock::{Position, Stamp};
use upbit_recorder::tape::stream_key::StreamKey;

#[test]
fn a_reader_beside_the_recorder_sees_each_line_once() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "6000"]);
    let recorder = scene.record(&exchange.url, &["storage.rotate_bytes=1MiB"]);
    let stream = StreamKey::from_stem("KRW-BTC_ticker").unwrap();
    let read = || -> Vec<u64> {
        let lines = scene.tape.reader().lines(&stream, Stamp::default()..=Stamp::MAX).unwrap();
        lines.map(|line| line.unwrap().stamp().as_micros()).collect()
    };
    // As many reads as it takes for four segments to be rotated and sealed between and during them.
    let mut reads = vec![read()];
    eventually("there were rotations", || {
        reads.push(read());
        scene.tape.archived(".zst").iter().filter(|path| path.to_str().unwrap().contains("BTC_ticker")).count() >= 4
    });
    assert!(recorder.terminate().success());
    let all: Vec<u64> = scene.tape.lines()["KRW-BTC_ticker"].iter().map(|line| stamp_of(line)).collect();
    assert!(reads.len() > 4, "{} reads", reads.len());
    reads.push(read());
    assert_eq!(reads.last(), Some(&all));
    for pair in reads.windows(2) {
        assert!(pair[0].len() <= pair[1].len() && pair[0] == all[..pair[0].len()], "a line is missing, or there twice");
    }
    let tape = scene.tape.reader();
    let middle = Position { epoch: 0, stamp: Stamp::from_micros(all[all.len() / 2]).unwrap() };
    let behind = tape.lines(&stream, middle..).unwrap().map(|line| line.unwrap().stamp().as_micros());
    assert_eq!(behind.collect::<Vec<_>>(), all[all.len() / 2..]);
    let names = tape.streams().unwrap();
    assert_eq!(
        names.iter().map(StreamKey::as_str).collect::<Vec<_>>(),
        scene.tape.lines().into_keys().collect::<Vec<_>>()
    );
}
