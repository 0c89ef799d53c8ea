//! The end of the last process, and the interval in doubt, as the files show them.

use super::*;

#[test]
fn after_an_orderly_stop_files_and_time_are_continued() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    scene.write("recorder.jsonl", started(TODAY) + &stopped(TODAY + 9));
    scene.mark(TODAY + 9, 0);
    let recovered = scene.recover(TODAY + 50);
    assert_eq!((recovered.resumable.len(), recovered.backlog.len()), (2, 0));
    assert_eq!((recovered.last, recovered.reached[Feed::Public]), (Some(stamp(TODAY + 9)), Some(stamp(TODAY + 5))));
}

#[test]
fn healed_lines_do_not_tell_when_the_exchange_was_heard() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    scene.write("A-B_trade.healed.jsonl", line(TODAY + 7));
    scene.write("recorder.jsonl", started(TODAY));
    scene.mark(TODAY + 9, 0);
    let recovered = scene.recover(TODAY + 50);
    assert_eq!((recovered.last, recovered.reached[Feed::Public]), (Some(stamp(TODAY + 7)), Some(stamp(TODAY + 5))));
    let sealed = Scene::new();
    sealed.seal("A-B_trade", TODAY + 5 - DAY, &line(TODAY + 5 - DAY), 0);
    sealed.seal("A-B_trade.healed", TODAY + 7, &line(TODAY + 7), 0);
    sealed.mark(TODAY + 9, 0);
    assert_eq!(sealed.recover(TODAY + 50).reached[Feed::Public], Some(stamp(TODAY + 5 - DAY)));
}

#[test]
fn a_stop_whose_last_sync_never_ended_is_no_orderly_one() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    scene.write("recorder.jsonl", started(TODAY) + &stopped(TODAY + 9));
    scene.mark(TODAY + 3, 0);
    let recovered = scene.recover(TODAY + 50);
    assert_eq!((recovered.resumable.len(), recovered.reached[Feed::Public]), (0, Some(stamp(TODAY + 3))));
}

#[test]
fn what_another_stream_outlived_lies_in_the_gap() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 2));
    scene.write("C-D_trade.jsonl", line(TODAY + 90));
    scene.write("recorder.jsonl", started(TODAY));
    scene.mark(TODAY + 40, 0);
    assert_eq!(scene.recover(TODAY + 100).reached[Feed::Public], Some(stamp(TODAY + 40)));
}

#[test]
fn a_gap_that_lost_its_event_begins_at_the_loss() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 7) + &line(TODAY + 62));
    let lost = event(TODAY + 8, "lost", &format!(",\"connection\":\"public\",\"last\":{}", TODAY + 7));
    scene.write("recorder.jsonl", started(TODAY) + &lost);
    scene.mark(TODAY + 60, 0);
    assert_eq!(scene.recover(TODAY + 100).reached[Feed::Public], Some(stamp(TODAY + 7)));
}

#[test]
fn unsealed_events_are_no_newer_than_sealed_ones() {
    let scene = Scene::new();
    let gap = format!(",\"connection\":\"public\",\"from\":{TODAY},\"to\":{},\"kind\":\"killed\"", TODAY + 25);
    let begun =
        |micros| started(micros).replace("}\n", &format!(",\"epoch\":0,\"missing_since\":{{\"public\":{TODAY}}}}}\n"));
    scene.write(segment("recorder", TODAY + 10).plain(), begun(TODAY + 10));
    scene.seal("recorder", TODAY + 20, &(begun(TODAY + 20) + &event(TODAY + 26, "gap", &gap)), 0);
    scene.write("recorder.jsonl", stopped(TODAY + 30));
    scene.write("A-B_trade.jsonl", line(TODAY + 29));
    scene.mark(TODAY + 30, 0);
    let recovered = scene.recover(TODAY + 50);
    assert_eq!(
        (recovered.reached[Feed::Public], recovered.history.missing_since[Feed::Public]),
        (Some(stamp(TODAY + 29)), None)
    );
}

#[test]
fn events_are_read_in_the_order_of_their_epochs() {
    let scene = Scene::new();
    let rotated = |micros, reason, name: &SegmentName| {
        event(micros, "rotated", &format!(",\"reason\":\"{reason}\",\"segments\":[\"{}\"]", name.plain_name()))
    };
    let gap = |micros, to| {
        event(micros, "gap", &format!(",\"connection\":\"public\",\"from\":{TODAY},\"to\":{to},\"kind\":\"paused\""))
    };
    // Three segments, and a backward step after them.
    let [first, second, third] = [100, 200, 300].map(|at| segment("recorder", TODAY + at));
    scene.write(first.plain(), started(TODAY + 100).replace("}\n", ",\"epoch\":0}\n"));
    scene.write(second.plain(), rotated(TODAY + 200, "interval", &first) + &gap(TODAY + 201, TODAY + 199));
    scene.write(third.plain(), rotated(TODAY + 300, "interval", &second) + &gap(TODAY + 301, TODAY + 299));
    let step = format!(",\"before\":{},\"after\":{},\"epoch\":1", TODAY + 302, TODAY + 50);
    let fourth = SegmentName { epoch: 1, ..segment("recorder", TODAY + 50) };
    scene.write(fourth.plain(), event(TODAY + 50, "clock_step", &step) + &rotated(TODAY + 51, "clock", &third));
    scene.write("recorder.jsonl", rotated(TODAY + 60, "interval", &fourth) + &gap(TODAY + 61, TODAY + 59));
    scene.mark(TODAY + 61, 1);
    let recovered = scene.recover(TODAY + 400);
    assert_eq!((recovered.epoch, recovered.history.gaps_until[Feed::Public]), (1, Some(stamp(TODAY + 59))));
    let backlog: Vec<_> = recovered.backlog.iter().map(|finished| finished.name.clone()).collect();
    assert_eq!(backlog[..4], [first, second, third, fourth]);
}

#[test]
fn without_events_a_connection_is_missed_since_the_mark() {
    let scene = Scene::new();
    scene.write("recorder.jsonl", started(TODAY + 1));
    scene.write("A-B_trade.jsonl", line(TODAY + 9));
    scene.mark(TODAY + 10, 2);
    let recovered = scene.recover_without("recorder.jsonl", Errno::IO).unwrap();
    assert_eq!(recovered.reached, PerFeed { public: Some(stamp(TODAY + 9)), private: Some(stamp(TODAY + 10)) });
    assert_eq!((recovered.epoch, recovered.backlog[0].name.epoch), (2, 2), "the mark knows the time line");
}

#[test]
fn a_failed_sync_is_remembered_after_an_orderly_end() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 90));
    let failed = event(TODAY + 91, "sync_failed", &format!(",\"durable\":{}", TODAY + 30));
    scene.write("recorder.jsonl", started(TODAY) + &failed + &stopped(TODAY + 92));
    scene.mark(TODAY + 92, 0);
    let recovered = scene.recover(TODAY + 100);
    assert_eq!(recovered.history.end, End::SyncFailed(Some(stamp(TODAY + 30))));
    assert_eq!((recovered.reached[Feed::Public], recovered.resumable.len()), (Some(stamp(TODAY + 30)), 0));
}

#[test]
fn history_survives_the_rotation_of_its_own_file_sealed_or_not() {
    let gap = format!(",\"connection\":\"public\",\"from\":1,\"to\":{},\"kind\":\"disconnected\"", TODAY - 5);
    let yesterday = started(TODAY - 100) + &event(TODAY - 4, "gap", &gap);
    for is_sealed in [true, false] {
        let scene = Scene::new();
        let first = TODAY - 100;
        match is_sealed {
            true => scene.seal("recorder", first, &yesterday, 0),
            false => scene.write(segment("recorder", first).plain(), &yesterday),
        }
        scene.write("recorder.jsonl", event(TODAY + 1, "rotated", ",\"reason\":\"interval\",\"segments\":[]"));
        scene.mark(TODAY + 1, 0);
        let recovered = scene.recover(TODAY + 2);
        assert_eq!(recovered.history.gaps_until[Feed::Public], Some(stamp(TODAY - 5)), "sealed: {is_sealed}");
        assert_eq!(recovered.reached[Feed::Public], Some(stamp(TODAY - 5)));
    }
}

#[test]
fn the_last_line_is_found_in_older_days_too() {
    let scene = Scene::new();
    scene.seal("A-B_trade", TODAY - 3 * DAY, &line(TODAY - 3 * DAY), 0);
    scene.seal("recorder", TODAY - DAY, &started(TODAY - DAY), 0);
    scene.mark(TODAY, 0);
    assert_eq!(scene.recover(TODAY + 1).reached[Feed::Public], Some(stamp(TODAY - 3 * DAY)));
}

#[test]
fn the_last_line_of_an_epoch_is_found_behind_newer_days() {
    let scene = Scene::new();
    scene.seal("A-B_trade", TODAY, &line(TODAY), 0);
    let step = format!(",\"before\":{},\"after\":{},\"epoch\":1", TODAY + 10, TODAY - DAY);
    scene.write("recorder.jsonl", event(TODAY - DAY, "clock_step", &step) + &started(TODAY - DAY + 1));
    scene.seal("A-B_trade", TODAY - DAY + 5, &line(TODAY - DAY + 5), 1);
    scene.mark(TODAY - DAY + 9, 1);
    assert_eq!(scene.recover(TODAY + 20).reached[Feed::Public], Some(stamp(TODAY - DAY + 5)));
}

#[test]
fn a_mark_of_an_epoch_that_never_began_means_nothing() {
    let scene = Scene::new();
    scene.write("recorder.jsonl", started(TODAY + 1) + &stopped(TODAY + 9));
    scene.write("A-B_trade.jsonl", line(TODAY + 8));
    scene.mark(TODAY - DAY, 1);
    let recovered = scene.recover(TODAY + 20);
    assert_eq!(
        (recovered.epoch, recovered.reached[Feed::Public], recovered.is_clean),
        (0, Some(stamp(TODAY + 8)), false)
    );
}

#[test]
fn what_was_undurable_before_a_step_is_in_doubt_there() {
    let scene = Scene::new();
    let step = format!(",\"before\":{},\"after\":{},\"epoch\":1", TODAY + 90, TODAY + 50);
    let past = segment("recorder", TODAY + 10);
    scene.write(past.plain(), started(TODAY + 10).replace("}\n", ",\"epoch\":0}\n"));
    scene.write("recorder.jsonl", event(TODAY + 50, "clock_step", &step));
    scene.mark(TODAY + 80, 0);
    let untold = Untold { feed: Feed::Public, from: stamp(TODAY + 80), to: stamp(TODAY + 90) };
    assert_eq!(scene.recover(TODAY + 60).history.untold, [untold]);
    // A sync after the step has made all of it durable.
    scene.mark(TODAY + 51, 1);
    assert_eq!(scene.recover(TODAY + 60).history.untold, []);
}

#[test]
fn a_process_that_never_had_a_line_is_missed_since_it_began() {
    let scene = Scene::new();
    scene.write("recorder.jsonl", started(TODAY + 7));
    scene.mark(TODAY + 8, 0);
    let recovered = scene.recover(TODAY + 9);
    assert_eq!(recovered.reached, PerFeed { public: Some(stamp(TODAY + 7)), private: None });
}

#[test]
fn stamps_ahead_of_the_clock_begin_a_new_time_line() {
    let scene = Scene::new();
    let ahead = TODAY + DAY / 2;
    scene.write("A-B_trade.jsonl", line(ahead));
    scene.write("recorder.jsonl", started(ahead - 5) + &stopped(ahead + 5));
    scene.mark(ahead + 5, 0);
    let recovered = scene.recover(TODAY + 10);
    assert!(recovered.goes_back && recovered.resumable.is_empty());
    assert_eq!((recovered.epoch, recovered.backlog[0].name.epoch), (1, 0));
    // A second or so is waited out instead: stamps run ahead until the clock has caught up.
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 1_000_000));
    scene.write("recorder.jsonl", started(TODAY));
    assert!(!scene.recover(TODAY).goes_back);
}

#[test]
fn an_older_time_line_that_is_ahead_does_not_count() {
    let scene = Scene::new();
    scene.seal("A-B_trade", TODAY + 30 * DAY, &line(TODAY + 30 * DAY), 0);
    scene.seal("recorder", TODAY + 30 * DAY, &started(TODAY + 30 * DAY), 0);
    let step = event(
        TODAY + 5,
        "clock_step",
        &format!(",\"before\":{},\"after\":{},\"epoch\":1", TODAY + 31 * DAY, TODAY + 5),
    );
    scene.seal("recorder", TODAY + 5, &(step + &stopped(TODAY + 20)), 1);
    scene.seal("A-B_trade", TODAY + 10, &line(TODAY + 10), 1);
    scene.mark(TODAY + 20, 1);
    let recovered = scene.recover(TODAY + 60);
    assert!(!recovered.goes_back);
    assert_eq!((recovered.epoch, recovered.last), (1, Some(stamp(TODAY + 20))));
    assert_eq!(
        (recovered.history.end, recovered.reached[Feed::Public]),
        (End::Stopped(stamp(TODAY + 20)), Some(stamp(TODAY + 10)))
    );
}
