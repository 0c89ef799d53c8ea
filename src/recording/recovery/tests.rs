use super::*;
use crate::recording::files::disk::Disk;
use crate::recording::files::{AppendFile, ReadFile};
use crate::recording::seal::Sealer;
use rustix::io::Errno;
use std::io;

const DAY: u64 = 86_400_000_000;
/// A day's first microsecond, at which these tests play.
const TODAY: u64 = 1_795_305_600_000_000;

struct Scene {
    _directory: tempfile::TempDir,
    disk: std::sync::Arc<Disk>,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = std::sync::Arc::new(Disk::open(directory.path()).unwrap());
        Self { _directory: directory, disk }
    }

    fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.disk.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn read(&self, path: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.disk.path().join(path)).unwrap()
    }

    fn mark(&self, durable: u64, epoch: u64) {
        Mark { durable: stamp(durable), epoch }.write(&*self.disk).unwrap();
    }

    fn recover_without(&self, path: impl AsRef<Path>, errno: Errno) -> Result<Recovered, StorageError> {
        let rotation = Rotation { interval: Duration::from_secs(86_400), bytes: 1 << 30 };
        let files = Unreadable { disk: self.disk.clone(), path: path.as_ref().to_owned(), errno };
        recover(&files, rotation, stamp(TODAY + 50))
    }

    fn recover(&self, now: u64) -> Recovered {
        let rotation = Rotation { interval: Duration::from_secs(86_400), bytes: 1 << 30 };
        recover(&*self.disk, rotation, stamp(now)).unwrap()
    }

    /// A sealed segment of lines, as an earlier process left it.
    fn seal(&self, stream: &str, first: u64, lines: &str, epoch: u64) {
        let name = segment(stream, first);
        self.write(name.plain(), lines);
        let sealer = Sealer::new(self.disk.clone(), 1, Stamp::default(), std::sync::Arc::default());
        sealer.step(&Finished { name, origin: None, epoch }).unwrap();
    }
}

/// A disk on which one file cannot be read.
#[derive(Debug)]
struct Unreadable {
    disk: std::sync::Arc<Disk>,
    path: PathBuf,
    errno: Errno,
}

impl Files for Unreadable {
    fn create(&self, path: &Path) -> io::Result<std::sync::Arc<dyn AppendFile>> {
        self.disk.create(path)
    }
    fn append(&self, path: &Path) -> io::Result<std::sync::Arc<dyn AppendFile>> {
        self.disk.append(path)
    }
    fn read(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        if path == self.path { Err(self.errno.into()) } else { self.disk.read(path) }
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn make_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.make_directory(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        self.disk.list(path)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_directory(path)
    }
    fn sync_all(&self) -> io::Result<()> {
        self.disk.sync_all()
    }
}

fn stamp(micros: u64) -> Stamp {
    Stamp::from_micros(micros).unwrap()
}

fn segment(stream: &str, first: u64) -> SegmentName {
    SegmentName { tree: Tree::Public, stream: StreamKey::from_stem(stream).unwrap(), first: stamp(first) }
}

fn line(micros: u64) -> String {
    format!("{{\"ts_recv\":{micros},\"type\":\"trade\"}}\n")
}

fn event(micros: u64, event: &str, rest: &str) -> String {
    format!("{{\"ts_recv\":{micros},\"type\":\"recorder\",\"event\":\"{event}\"{rest}}}\n")
}

fn started(micros: u64) -> String {
    event(micros, "started", ",\"connections\":[\"public\"]")
}

fn stopped(micros: u64) -> String {
    event(micros, "stopped", ",\"requests\":{\"public\":\"[]\"}")
}

#[test]
fn after_an_orderly_stop_files_are_continued_and_the_gap_begins_at_the_last_line() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    scene.write("recorder.jsonl", started(TODAY) + &stopped(TODAY + 9));
    scene.mark(TODAY + 9, 0);
    let recovered = scene.recover(TODAY + 50);
    assert_eq!((recovered.resumable.len(), recovered.backlog.len()), (2, 0));
    assert_eq!((recovered.last, recovered.reached[0]), (Some(stamp(TODAY + 9)), Some(stamp(TODAY + 5))));
}

#[test]
fn what_was_healed_says_nothing_of_when_the_exchange_was_last_heard() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    scene.write("A-B_trade.healed.jsonl", line(TODAY + 7));
    scene.write("recorder.jsonl", started(TODAY));
    scene.mark(TODAY + 9, 0);
    let recovered = scene.recover(TODAY + 50);
    assert_eq!((recovered.last, recovered.reached[0]), (Some(stamp(TODAY + 7)), Some(stamp(TODAY + 5))));
    let sealed = Scene::new();
    sealed.seal("A-B_trade", TODAY + 5 - DAY, &line(TODAY + 5 - DAY), 0);
    sealed.seal("A-B_trade.healed", TODAY + 7, &line(TODAY + 7), 0);
    sealed.mark(TODAY + 9, 0);
    assert_eq!(sealed.recover(TODAY + 50).reached[0], Some(stamp(TODAY + 5 - DAY)));
}

#[test]
fn a_stop_whose_last_sync_never_ended_is_no_orderly_one() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    scene.write("recorder.jsonl", started(TODAY) + &stopped(TODAY + 9));
    scene.mark(TODAY + 3, 0);
    let recovered = scene.recover(TODAY + 50);
    assert_eq!((recovered.resumable.len(), recovered.reached[0]), (0, Some(stamp(TODAY + 3))));
}

#[test]
fn what_was_lost_behind_the_newest_line_of_another_stream_lies_in_the_gap() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 2));
    scene.write("C-D_trade.jsonl", line(TODAY + 90));
    scene.write("recorder.jsonl", started(TODAY));
    scene.mark(TODAY + 40, 0);
    assert_eq!(scene.recover(TODAY + 100).reached[0], Some(stamp(TODAY + 40)));
}

#[test]
fn a_gap_whose_event_was_lost_begins_where_the_connection_was_lost() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 7) + &line(TODAY + 62));
    let lost = event(TODAY + 8, "lost", &format!(",\"connection\":\"public\",\"last\":{}", TODAY + 7));
    scene.write("recorder.jsonl", started(TODAY) + &lost);
    scene.mark(TODAY + 60, 0);
    assert_eq!(scene.recover(TODAY + 100).reached[0], Some(stamp(TODAY + 7)));
}

#[test]
fn the_copy_of_a_torn_line_bears_the_name_of_its_segment_even_if_that_is_not_the_first_choice() {
    let scene = Scene::new();
    let (taken, torn) = (segment("A-B_trade", TODAY + 5), line(TODAY + 5) + "{\"ts_");
    scene.write(taken.sealed(), "taken");
    scene.write("A-B_trade.jsonl", &torn);
    let recovered = scene.recover(TODAY + 50);
    let name = segment("A-B_trade", TODAY + 6);
    assert_eq!((&recovered.backlog[1].name, &recovered.torn[0].file), (&name, &name.plain()));
    let offset = line(TODAY + 5).len();
    let copy = name.tree.quarantine().join(format!("{}.torn-{offset}", name.plain().file_name().unwrap().display()));
    assert_eq!((scene.read(name.plain()), scene.read(copy)), (torn + "\n", "{\"ts_".to_owned()));
}

#[test]
fn a_source_that_came_back_shorter_than_its_sealed_file_is_left_to_the_sealer() {
    let whole = line(TODAY + 5) + &line(TODAY + 6);
    for kept in [0, 10, line(TODAY + 5).len(), whole.len() - 3] {
        let scene = Scene::new();
        scene.seal("A-B_trade", TODAY + 5, &whole, 0);
        let name = segment("A-B_trade", TODAY + 5);
        scene.write(name.plain(), &whole[..kept]);
        let recovered = scene.recover(TODAY + 50);
        assert_eq!((recovered.torn.len(), &recovered.backlog[0].name), (0, &name), "{kept}");
        assert_eq!(scene.read(name.plain()), whole[..kept]);
    }
}

#[test]
fn a_sealed_file_that_lost_its_listing_goes_to_the_sealer_again() {
    let scene = Scene::new();
    scene.seal("A-B_trade", TODAY + 5, &line(TODAY + 5), 0);
    assert_eq!(scene.recover(TODAY + 50).backlog.len(), 0);
    scene.disk.remove(&segment("A-B_trade", TODAY + 5).manifest()).unwrap();
    assert_eq!(scene.recover(TODAY + 50).backlog[0].name, segment("A-B_trade", TODAY + 5));
}

#[test]
fn a_file_that_cannot_be_read_is_left_for_the_next_start_and_keeps_nobody_from_recording() {
    for errno in [Errno::ACCESS, Errno::IO] {
        let scene = Scene::new();
        let waiting = segment("C-D_trade", TODAY + 1);
        scene.write(waiting.plain(), line(TODAY + 1));
        scene.write("A-B_trade.jsonl", line(TODAY + 5));
        scene.write("recorder.jsonl", started(TODAY) + &stopped(TODAY + 9));
        scene.mark(TODAY + 9, 0);
        let recovered = scene.recover_without(waiting.plain(), errno).unwrap();
        assert_eq!((recovered.backlog.len(), recovered.is_clean), (2, false), "the others are put in order");
        assert_eq!(scene.read(waiting.plain()), line(TODAY + 1));
        assert_eq!(scene.recover(TODAY + 60).backlog.len(), 3);
    }
}

#[test]
fn an_active_file_that_cannot_be_read_makes_way() {
    for name in ["A-B_trade", "recorder", "misc"] {
        let scene = Scene::new();
        let content = line(TODAY + 5);
        scene.write(format!("{name}.jsonl"), &content);
        scene.mark(TODAY + 9, 0);
        let recovered = scene.recover_without(format!("{name}.jsonl"), Errno::IO).unwrap();
        let kept = segment(name, TODAY + 50).plain();
        assert_eq!((&recovered.quarantined[0].kept, scene.read(&kept)), (&kept, content));
        assert_eq!(recovered.backlog.len(), 0);
        assert_eq!(scene.recover(TODAY + 60).backlog.len(), 1);
    }
}

#[test]
fn what_says_nothing_of_the_file_ends_the_start() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    for errno in [Errno::MFILE, Errno::NOMEM] {
        scene.recover_without("A-B_trade.jsonl", errno).unwrap_err();
    }
    assert_eq!(scene.read("A-B_trade.jsonl"), line(TODAY + 5));
}

#[test]
fn names_without_which_nothing_can_be_recorded_are_taken_from_whoever_has_them() {
    let scene = Scene::new();
    let notes = ["misc.jsonl", "recorder.jsonl", "private/misc.jsonl"];
    notes.iter().for_each(|name| scene.write(name, "my notes\n"));
    scene.write("A-B_trade.jsonl", "my notes\n");
    let recovered = scene.recover(TODAY + 50);
    let moved: Vec<_> = recovered.quarantined.iter().map(|moved| moved.file.to_str().unwrap()).collect();
    assert_eq!((moved, recovered.foreign), (notes.to_vec(), vec![PathBuf::from("A-B_trade.jsonl")]));
    for kept in ["quarantine/misc.jsonl", "quarantine/recorder.jsonl", "private/quarantine/misc.jsonl"] {
        assert_eq!(scene.read(kept), "my notes\n");
    }
    std::fs::create_dir(scene.disk.path().join("misc.jsonl")).unwrap();
    assert_eq!(scene.recover(TODAY + 60).quarantined[0].reason, "it is no file");
}

#[test]
fn events_that_could_not_be_sealed_are_no_newer_than_those_that_could() {
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
    assert_eq!((recovered.reached[0], recovered.history.missing_since[0]), (Some(stamp(TODAY + 29)), None));
}

#[test]
fn a_failed_sync_is_remembered_even_if_the_process_ended_in_order() {
    let scene = Scene::new();
    scene.write("A-B_trade.jsonl", line(TODAY + 90));
    let failed = event(TODAY + 91, "sync_failed", &format!(",\"durable\":{}", TODAY + 30));
    scene.write("recorder.jsonl", started(TODAY) + &failed + &stopped(TODAY + 92));
    scene.mark(TODAY + 92, 0);
    let recovered = scene.recover(TODAY + 100);
    assert_eq!(recovered.history.end, End::SyncFailed(Some(stamp(TODAY + 30))));
    assert_eq!((recovered.reached[0], recovered.resumable.len()), (Some(stamp(TODAY + 30)), 0));
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
        assert_eq!(recovered.history.gaps_until[0], Some(stamp(TODAY - 5)), "sealed: {is_sealed}");
        assert_eq!(recovered.reached[0], Some(stamp(TODAY - 5)));
    }
}

#[test]
fn the_last_line_is_found_in_older_days_too() {
    let scene = Scene::new();
    scene.seal("A-B_trade", TODAY - 3 * DAY, &line(TODAY - 3 * DAY), 0);
    scene.seal("recorder", TODAY - DAY, &started(TODAY - DAY), 0);
    scene.mark(TODAY, 0);
    assert_eq!(scene.recover(TODAY + 1).reached[0], Some(stamp(TODAY - 3 * DAY)));
}

#[test]
fn a_process_that_never_had_a_line_is_missed_since_it_began() {
    let scene = Scene::new();
    scene.write("recorder.jsonl", started(TODAY + 7));
    scene.mark(TODAY + 8, 0);
    let recovered = scene.recover(TODAY + 9);
    assert_eq!(recovered.reached, [Some(stamp(TODAY + 7)), None]);
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
    assert_eq!((recovered.epoch, recovered.backlog[0].epoch), (1, 0));
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
        (recovered.history.end, recovered.reached[0]),
        (End::Stopped(stamp(TODAY + 20)), Some(stamp(TODAY + 10)))
    );
}

#[test]
fn a_name_that_is_taken_is_not_used_again() {
    let scene = Scene::new();
    scene.seal("A-B_trade", TODAY + 5, &line(TODAY + 5), 0);
    scene.write(segment("A-B_trade", TODAY + 6).plain(), line(TODAY + 6));
    scene.write("A-B_trade.jsonl", line(TODAY + 5));
    let backlog = scene.recover(TODAY + DAY).backlog;
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
    let recovered = scene.recover(TODAY + 100);
    assert_eq!(recovered.backlog.len(), 1);
    assert_eq!(scene.read(name("A-B_trade").plain()), line(TODAY + 5) + "{\"ts_re\n");
    assert_eq!((recovered.torn.len(), recovered.torn[0].length), (1, 7));
    let mut moved: Vec<_> = recovered.quarantined.iter().map(|moved| moved.file.clone()).collect();
    moved.sort();
    assert_eq!(moved, [name("E-F_trade").plain(), name("G-H_trade").unfinished()]);
    let foreign = ["K-L_trade.jsonl", "M-N_trade.jsonl"].map(PathBuf::from);
    assert_eq!(recovered.foreign.iter().filter(|path| foreign.contains(path)).count(), 2);
    assert!(recovered.foreign.contains(&name("O-P_trade").plain()));
    for gone in [name("C-D_trade").plain(), name("A-B_trade").unfinished(), PathBuf::from("I-J_trade.jsonl")] {
        assert!(!scene.disk.path().join(gone).exists());
    }
    // Starting again finds nothing more to do.
    let again = scene.recover(TODAY + 200);
    assert_eq!((again.torn.len(), again.quarantined.len(), again.backlog.len()), (0, 0, 1));
}
