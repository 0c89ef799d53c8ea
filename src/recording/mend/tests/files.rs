//! Files that are torn, foreign, unreadable, or obstacles.

use super::*;
use crate::recording::seal::torn;
use crate::tape::paths;

#[test]
fn the_copy_of_a_torn_line_bears_the_name_of_its_segment() {
    let scene = Scene::new();
    let (taken, torn) = (segment("A-B_trade", TODAY + 5), line(TODAY + 5) + "{\"ts_");
    scene.write(taken.sealed(), "taken");
    scene.write("A-B_trade.jsonl", &torn);
    let mended = scene.mend(TODAY + 50);
    let name = segment("A-B_trade", TODAY + 6);
    assert_eq!((&mended.backlog[1].name, &mended.torn[0].file), (&name, &name.plain()));
    let offset = line(TODAY + 5).len();
    let copy =
        paths::quarantine(name.feed).join(format!("{}.torn-{offset}", name.plain().file_name().unwrap().display()));
    assert_eq!((scene.read(name.plain()), scene.read(copy)), (torn + "\n", "{\"ts_".to_owned()));
}

#[test]
fn a_shorter_source_that_came_back_is_left_to_the_sealer() {
    let whole = line(TODAY + 5) + &line(TODAY + 6);
    for kept in [0, 10, line(TODAY + 5).len(), whole.len() - 3] {
        let scene = Scene::new();
        scene.seal("A-B_trade", TODAY + 5, &whole, 0);
        let name = segment("A-B_trade", TODAY + 5);
        scene.write(name.plain(), &whole[..kept]);
        let mended = scene.mend(TODAY + 50);
        assert_eq!((mended.torn.len(), &mended.backlog[0].name), (0, &name), "{kept}");
        assert_eq!(scene.read(name.plain()), whole[..kept]);
    }
}

#[test]
fn an_unlisted_sealed_file_goes_to_the_sealer_again() {
    let scene = Scene::new();
    scene.seal("A-B_trade", TODAY + 5, &line(TODAY + 5), 0);
    assert_eq!(scene.mend(TODAY + 50).backlog.len(), 0);
    scene.disk.remove(&segment("A-B_trade", TODAY + 5).manifest()).unwrap();
    assert_eq!(scene.mend(TODAY + 50).backlog[0].name, segment("A-B_trade", TODAY + 5));
}

#[test]
fn an_unreadable_file_waits_and_stops_no_recording() {
    for errno in [Errno::ACCESS, Errno::IO] {
        let scene = Scene::new();
        let waiting = segment("C-D_trade", TODAY + 1);
        scene.write(waiting.plain(), line(TODAY + 1));
        scene.write("A-B_trade.jsonl", line(TODAY + 5));
        let mended = scene.mend_without(waiting.plain(), errno).unwrap();
        assert_eq!(mended.backlog.len(), 1, "the others are put in order");
        assert_eq!(scene.read(waiting.plain()), line(TODAY + 1));
        assert_eq!(scene.mend(TODAY + 60).backlog.len(), 2);
    }
}

#[test]
fn an_active_file_that_cannot_be_read_makes_way() {
    for name in ["A-B_trade", "recorder", "misc"] {
        let scene = Scene::new();
        let content = line(TODAY + 5);
        scene.write(format!("{name}.jsonl"), &content);
        let mended = scene.mend_without(format!("{name}.jsonl"), Errno::IO).unwrap();
        let kept = segment(name, TODAY + 50).plain();
        assert_eq!((&mended.quarantined[0].kept, scene.read(&kept)), (&kept, content));
        assert_eq!(mended.backlog.len(), 0);
        assert_eq!(scene.mend(TODAY + 60).backlog.len(), 1);
    }
}

#[test]
fn what_says_nothing_of_the_file_ends_the_start() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    for errno in [Errno::MFILE, Errno::NOMEM] {
        scene.mend_without("A-B_trade.jsonl", errno).unwrap_err();
    }
    assert_eq!(scene.read("A-B_trade.jsonl"), line(TODAY + 5));
}

#[test]
fn names_that_recording_needs_are_freed() {
    let scene = Scene::new();
    let notes = ["misc.jsonl", "recorder.jsonl", "private/misc.jsonl"];
    notes.iter().for_each(|name| scene.write(name, "my notes\n"));
    scene.write("A-B_trade.jsonl", "my notes\n");
    let mended = scene.mend(TODAY + 50);
    let moved: Vec<_> = mended.quarantined.iter().map(|moved| moved.file.to_str().unwrap()).collect();
    assert_eq!((moved, mended.foreign), (notes.to_vec(), vec![PathBuf::from("A-B_trade.jsonl")]));
    for kept in ["quarantine/misc.jsonl", "quarantine/recorder.jsonl", "private/quarantine/misc.jsonl"] {
        assert_eq!(scene.read(kept), "my notes\n");
    }
    std::fs::create_dir(scene.disk.path().join("misc.jsonl")).unwrap();
    assert_eq!(scene.mend(TODAY + 60).quarantined[0].reason, "it is no file");
}

#[test]
fn a_name_that_is_taken_is_not_used_again() {
    let scene = Scene::new();
    scene.seal("A-B_trade", TODAY + 5, &line(TODAY + 5), 0);
    scene.write(segment("A-B_trade", TODAY + 6).plain(), line(TODAY + 6));
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    let backlog = scene.mend(TODAY + DAY).backlog;
    assert_eq!(backlog.iter().map(|left| left.name.first).collect::<Vec<_>>(), [stamp(TODAY + 6), stamp(TODAY + 7)]);
}

#[test]
fn torn_empty_foreign_and_unfinished_files_each_go_their_way() {
    let scene = Scene::new();
    let name = |stream: &str| segment(stream, TODAY + 5);
    scene.write(name("A-B_trade").plain(), line(TODAY + 5) + "{\"ts_re");
    scene.write(name("C-D_trade").plain(), "");
    scene.write(name("E-F_trade").plain(), [0; 100]);
    scene.write(name("A-B_trade").unfinished(), "half");
    scene.write(name("G-H_trade").unfinished(), "all there is");
    scene.write("I-J_trade.jsonl", "");
    scene.write("K-L_trade.jsonl", "my notes\n");
    std::fs::create_dir(scene.disk.path().join("M-N_trade.jsonl")).unwrap();
    std::fs::create_dir(scene.disk.path().join(name("O-P_trade").plain())).unwrap();
    let mended = scene.mend(TODAY + 100);
    assert_eq!(mended.backlog.len(), 1);
    assert_eq!(scene.read(name("A-B_trade").plain()), line(TODAY + 5) + "{\"ts_re\n");
    assert_eq!((mended.torn.len(), mended.torn[0].line.length), (1, 7));
    let mut moved: Vec<_> = mended.quarantined.iter().map(|moved| moved.file.clone()).collect();
    moved.sort();
    assert_eq!(moved, [name("E-F_trade").plain(), name("G-H_trade").unfinished(), name("O-P_trade").plain()]);
    let foreign = ["K-L_trade.jsonl", "M-N_trade.jsonl"].map(PathBuf::from);
    assert_eq!(mended.foreign.iter().filter(|path| foreign.contains(path)).count(), 2);
    for gone in [name("C-D_trade").plain(), name("A-B_trade").unfinished(), PathBuf::from("I-J_trade.jsonl")] {
        assert!(!scene.disk.path().join(gone).exists());
    }
    // Another start finds nothing more to do.
    let again = scene.mend(TODAY + 200);
    assert_eq!((again.quarantined.len(), again.backlog.len()), (0, 1));
    // The torn line is reported until its segment is sealed.
    assert_eq!((&again.torn[0].line, &again.backlog[0].torn[0]), (&mended.torn[0].line, &mended.torn[0].line));
}

#[test]
fn a_torn_line_is_left_out_also_by_a_start_that_did_not_end_it() {
    let scene = Scene::new();
    let (name, torn) = (segment("A-B_trade", TODAY + 5), "{\"ts_recv\":17");
    scene.write("A-B_trade.jsonl", line(TODAY + 5) + torn);
    // The first start dies before anything is sealed or recorded; a later one writes nothing to it.
    for now in [50, 60] {
        let mended = scene.mend(TODAY + now);
        let [told] = &mended.torn[..] else { panic!("{:?}", mended.torn) };
        let offset = line(TODAY + 5).len() as u64;
        assert_eq!((&told.file, told.line.offset, told.line.length), (&name.plain(), offset, torn.len() as u64));
        assert_eq!(mended.backlog[0].torn, std::slice::from_ref(&told.line));
    }
    // A foreign file at the name of a copy is ignored.
    scene.write(torn::copy_path(&name, 3), "something else");
    assert_eq!(scene.mend(TODAY + 70).torn.len(), 1);
    let provenance = Provenance { run: Stamp::default(), venue: Venue::named_after("local") };
    let sealer = Sealer::new(scene.disk.clone(), 1, provenance, Arc::default());
    sealer.step(&scene.mend(TODAY + 80).backlog[0]).unwrap();
    assert_eq!(scene.mend(TODAY + 90).torn.len(), 0);
}

#[test]
fn a_line_ended_by_a_start_that_moved_no_file_is_left_out() {
    let scene = Scene::new();
    let (name, torn) = (segment("A-B_trade", TODAY + 5), "{\"ts_recv\":17");
    scene.write("A-B_trade.jsonl", line(TODAY + 5) + torn + "\n");
    let offset = line(TODAY + 5).len() as u64;
    scene.write(torn::copy_path(&name, offset), torn);
    let mended = scene.mend(TODAY + 50);
    assert_eq!((mended.torn.len(), mended.backlog[0].torn.len()), (1, 1));
    assert_eq!(mended.backlog[0].torn[0], mended.torn[0].line);
    assert_eq!((mended.torn[0].line.offset, mended.torn[0].line.length), (offset, torn.len() as u64));
}

#[test]
fn a_line_that_lacks_only_its_line_break_is_whole() {
    let scene = Scene::new();
    let last = line(TODAY + 6);
    scene.write("A-B_trade.jsonl", line(TODAY + 5) + last.trim_end());
    let mended = scene.mend(TODAY + 50);
    assert_eq!((mended.torn.len(), mended.backlog[0].torn.len()), (0, 0));
    assert_eq!(scene.read(segment("A-B_trade", TODAY + 5).plain()), line(TODAY + 5) + &last);
    assert!(!scene.disk.path().join("quarantine").exists());
}

#[test]
fn a_whole_segment_goes_on_while_its_period_runs() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    scene.write("C-D_trade.jsonl", line(TODAY + 5) + "{\"ts_re");
    let mended = scene.resume(TODAY + 50);
    let names: Vec<_> = mended.resumable.iter().map(|segment| segment.name().clone()).collect();
    assert_eq!((names, mended.backlog.len()), (vec![segment("A-B_trade", TODAY + 5)], 1));
    let mended = scene.resume(TODAY + DAY);
    assert_eq!((mended.resumable.len(), mended.backlog.len()), (0, 2));
}

#[test]
fn a_line_torn_within_its_stamp_takes_no_name() {
    let scene = Scene::new();
    let (archived, torn) = (segment("A-B_trade", TODAY + 5), "{\"ts_recv\":17");
    scene.write("recorder.jsonl", torn);
    scene.write(archived.plain(), torn);
    let sealed = segment("C-D_trade", TODAY + 5);
    scene.write(sealed.plain(), torn);
    scene.write(sealed.sealed(), "");
    let mended = scene.resume(TODAY + 50);
    let moved: Vec<_> = mended.quarantined.iter().map(|moved| moved.file.clone()).collect();
    assert_eq!(moved, [archived.plain(), PathBuf::from("recorder.jsonl")]);
    assert_eq!(scene.read("quarantine/recorder.jsonl"), torn);
    // The first line of this start may bear the name that a file without a time would have got, and its copies with it.
    assert_eq!(mended.torn.iter().filter(|torn| torn.file != sealed.plain()).count(), 0);
    assert_eq!(mended.backlog.iter().map(|ended| &ended.name).collect::<Vec<_>>(), [&sealed]);
}
