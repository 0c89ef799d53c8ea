//! What is lost, late or damaged on the tape or in the lake is neither left out of the rows nor told as there.

use super::super::job::{Job, LakeError};
use super::super::leftovers::remove_leftovers;
use super::super::table::Table;
use super::*;

const DAY: u64 = 86_400_000_000;
const YESTERDAY: u64 = MIDNIGHT - DAY;
const DATE: &str = "2026-11-22";

impl Scene {
    fn day(&self) -> Day {
        let selected = Selected { tables: Vec::new(), levels: None, venue: "local".to_owned() };
        Day::plan(&self.tape, &mut ToldGaps::default(), DATE.parse().unwrap(), &selected).unwrap()
    }

    fn run(&self, job: &Job) -> Result<Outcome, LakeError> {
        job.run(&self.lake, &|| false)
    }

    /// Changes the lines of a day's manifest.
    fn edit_manifest(&self, date: &str, edit: impl Fn(Vec<&str>) -> String) {
        let path = self.directory.path().join(format!("archive/date={date}/manifest.jsonl"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, edit(text.lines().collect())).unwrap();
    }

    fn sealed(&self, date: &str, time: &str) -> std::path::PathBuf {
        self.directory.path().join(format!("archive/date={date}/KRW-BTC_trade.{time}Z.jsonl.zst"))
    }

    fn gap(&self, from: u64, to: u64) {
        let gap = format!(
            "{{\"type\":\"recorder\",\"event\":\"gap\",\"id\":{to},\"connection\":\"public\",\"epoch\":0,\"from\":{from},\
             \"to\":{to},\"kind\":\"stopped\",\"cause\":\"x\",\"streams\":[\"KRW-BTC_trade\"]}}"
        );
        self.seal_since(to, "recorder", &[(1, gap)]);
    }

    /// What the first row says of gaps, exported anew.
    fn first_gap_before(&self) -> String {
        self.export(None);
        self.rows(TRADES)[0]["gap_before"].clone()
    }
}

fn one(at: u64, id: u64) -> (u64, String) {
    (at, trade(at, id, "1", "REALTIME"))
}

#[test]
fn a_sealed_file_that_no_line_lists_has_its_rows() {
    let scene = Scene::new();
    for at in [1_000_000, 5_000_000, 9_000_000] {
        scene.seal("KRW-BTC_trade", &[one(at, at), one(at + 1, at + 1)]);
    }
    scene.export(None);
    let whole = scene.bytes(TRADES);
    scene.edit_manifest(DATE, |lines| format!("{}\n{}\n{}\n", lines[0], &lines[1][..90], lines[2]));
    assert_eq!(scene.export(None), [(TRADES.to_owned(), Outcome::Current)], "what the line said is known of the file");
    fs::remove_file(scene.directory.path().join("lake").join(TRADES)).unwrap();
    scene.export(None);
    assert_eq!(scene.bytes(TRADES), whole);
    // A damaged one is told, and the file stays.
    let path = scene.sealed(DATE, "20261122T000005.000000");
    let mut damaged = fs::read(&path).unwrap();
    damaged[30] ^= 0x40;
    fs::write(path, damaged).unwrap();
    assert!(matches!(scene.run(&scene.day().jobs[0]), Err(LakeError::Tape(_))));
    assert_eq!(scene.bytes(TRADES), whole);
}

#[test]
fn streams_wait_whose_lines_are_active_or_not_listed() {
    let scene = Scene::new();
    let waiting = || scene.day().waiting.iter().map(ToString::to_string).collect::<Vec<_>>();
    scene.seal("KRW-BTC_trade", &[one(1_000_000, 1)]);
    assert_eq!(waiting(), Vec::<String>::new());
    let active = |code: &str, stamp: u64| {
        let path = scene.directory.path().join(format!("{code}_trade.jsonl"));
        fs::write(path, format!("{{\"ts_recv\":{stamp},\"x\":1}}\n")).unwrap();
    };
    // What a recorder that was killed at six has left, and what one has of another day.
    active("KRW-BTC", MIDNIGHT + 18 * 3_600_000_000);
    active("KRW-ETH", MIDNIGHT + DAY);
    assert_eq!(waiting(), ["KRW-BTC_trade"]);
    fs::remove_file(scene.directory.path().join("KRW-BTC_trade.jsonl")).unwrap();
    // Killed between the sealed file and its line: the plain one is there still.
    let sealed = scene.sealed(DATE, "20261122T000001.000000");
    fs::write(sealed.with_extension(""), "{\"ts_recv\":1795305601000000,\"x\":1}\n").unwrap();
    assert_eq!(waiting(), Vec::<String>::new(), "it is listed");
    scene.edit_manifest(DATE, |_| String::new());
    assert_eq!(waiting(), ["KRW-BTC_trade"]);
}

#[test]
fn a_file_is_kept_where_it_has_all_that_is_there() {
    let scene = Scene::new();
    for at in [1_000_000, 2_000_000] {
        scene.seal("KRW-BTC_trade", &[one(at, at)]);
    }
    scene.export(None);
    let whole = scene.bytes(TRADES);
    fs::remove_file(scene.sealed(DATE, "20261122T000001.000000")).unwrap();
    assert_eq!(scene.export(None), [(TRADES.to_owned(), Outcome::Kept)]);
    let path = scene.directory.path().join("lake").join(TRADES);
    fs::write(&path, &whole[..whole.len() - 9]).unwrap();
    assert!(matches!(scene.run(&scene.day().jobs[0]), Err(LakeError::Damaged { .. })));
    fs::write(&path, &whole).unwrap();
    scene.seal("KRW-BTC_trade", &[one(3_000_000, 3)]);
    let error = scene.run(&scene.day().jobs[0]).unwrap_err();
    assert!(error.to_string().contains(TRADES) && error.to_string().contains("move it away"), "{error}");
    assert_eq!(scene.bytes(TRADES), whole);
    fs::remove_file(path).unwrap();
    assert!(matches!(scene.export(None)[..], [(_, Outcome::Written(Written { rows: 2, .. }))]));
}

#[test]
fn what_is_in_the_making_is_hidden_and_removed() {
    let scene = Scene::new();
    scene.seal("KRW-BTC_trade", &[one(1, 1)]);
    let place = &scene.day().jobs[0].place;
    // Readers of a directory of the lake see nothing of it.
    assert!(!place.unfinished().starts_with("venue=local") && place.path().starts_with("venue=local"));
    let unfinished = scene.directory.path().join("lake/.unfinished");
    fs::create_dir(&unfinished).unwrap();
    for name in
        ["type=trade.date=2026-11-22.KRW-BTC.parquet.tmp", "type=book_snapshot_7.date=2026-10-01.KRW-BTC.parquet.tmp"]
    {
        fs::write(unfinished.join(name), "half").unwrap();
    }
    scene.export(None);
    assert_eq!(scene.rows(TRADES).len(), 1);
    remove_leftovers(&scene.lake).unwrap();
    assert_eq!((scene.names(TRADES).len(), fs::read_dir(unfinished).unwrap().count()), (1, 0));
}

#[test]
fn a_trade_before_its_own_time_has_one_row() {
    let scene = Scene::new();
    // A clock that is a second behind: the trade of 00:00:00.3 came at 23:59:59.4 by it.
    scene.seal_since(YESTERDAY, "KRW-BTC_trade", &[(DAY - 600_000, trade(300_000, 7, "1", "REALTIME"))]);
    scene.seal("KRW-BTC_trade", &[(180_000_000, trade(300_000, 7, "1", "SNAPSHOT")), one(190_000_000, 8)]);
    let [(_, Outcome::Written(Written { rows: 1, .. }))] = &scene.export(None)[..] else { panic!() };
}

#[test]
fn a_trade_healed_again_after_midnight_has_one_row() {
    let scene = Scene::new();
    let millis = MIDNIGHT / 1_000 - 60_000;
    let fetched = |id: u64| {
        format!(
            "{{\"gap\":9,\"market\":\"KRW-BTC\",\"timestamp\":{millis},\"sequential_id\":{id},\"trade_price\":7.0}}"
        )
    };
    scene.seal_since(YESTERDAY, "KRW-BTC_trade.healed", &[(DAY - 9_000_000, fetched(5))]);
    scene.seal("KRW-BTC_trade.healed", &[(9_000_000, fetched(5)), (9_000_001, fetched(6))]);
    let [(_, Outcome::Written(written))] = &scene.export(None)[..] else { panic!() };
    assert_eq!((written.rows, written.left_out), (1, LeftOut { repeats: 1, unreadable: 0 }));
}

#[test]
fn a_day_before_that_is_damaged_blocks_no_other() {
    let scene = Scene::new();
    scene.seal_since(YESTERDAY, "KRW-BTC_trade", &[one(DAY - 9_000_000, 1)]);
    let snapshot = trade(0, 1, "1", "SNAPSHOT").replace("1795305600000", "1795305591000");
    scene.seal("KRW-BTC_trade", &[(1_000, snapshot), one(2_000, 2)]);
    fs::write(scene.sealed("2026-11-21", "20261121T235951.000000"), "no zstd").unwrap();
    let [(_, Outcome::Written(Written { rows, .. }))] = &scene.export(None)[..] else { panic!() };
    assert_eq!(*rows, 2);
}

#[test]
fn lines_without_a_stamp_are_counted() {
    let scene = Scene::new();
    // Pages that a power cut took stand as NULs in front of a line.
    let lost = format!("\0\0\0\0{{\"ts_recv\":{},\"x\":1}}", MIDNIGHT + 2);
    scene.seal("KRW-BTC_trade", &[one(1, 1), (2, lost), one(3, 3)]);
    let [(_, Outcome::Written(written))] = &scene.export(None)[..] else { panic!() };
    assert_eq!((written.rows, written.left_out), (2, LeftOut { repeats: 0, unreadable: 1 }));
}

#[test]
fn a_gap_is_before_a_row_however_quiet_the_pair() {
    let scene = Scene::new();
    scene.seal_since(MIDNIGHT - 3 * DAY, "KRW-BTC_trade", &[one(9, 1)]);
    scene.gap(MIDNIGHT - 2 * DAY, MIDNIGHT - 2 * DAY + 9_000_000);
    scene.seal("KRW-BTC_trade", &[one(60_000_000, 2)]);
    assert_eq!(scene.first_gap_before(), "true", "it ended 48 hours before, and no row since");
    let first = scene.bytes(TRADES);
    // Lines of yesterday are sealed later: the row is another one's successor.
    scene.seal_since(YESTERDAY, "KRW-BTC_trade", &[one(9, 3)]);
    assert_eq!(scene.first_gap_before(), "false");
    let second = scene.bytes(TRADES);
    assert_ne!(first, second);
    // Of a file that was deleted it is known where it ended.
    let path = scene.sealed("2026-11-21", "20261121T000000.000009");
    fs::remove_file(&path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    scene.edit_manifest("2026-11-21", |lines| {
        format!("{}\n{{\"name\":\"{name}\",\"pruned\":1,\"reason\":\"keep_for\"}}\n", lines.join("\n"))
    });
    assert_eq!(scene.export(None), [(TRADES.to_owned(), Outcome::Current)]);
}

#[test]
fn flat_books_come_with_books_alone() {
    let scene = Scene::new();
    scene.seal("KRW-BTC_orderbook", &[(1, "{\"ty\":\"orderbook\"}".to_owned())]);
    let tables = |tables: &[Table]| {
        let selected = Selected { tables: tables.to_vec(), levels: Some(5), venue: "local".to_owned() };
        let day = Day::plan(&scene.tape, &mut ToldGaps::default(), DATE.parse().unwrap(), &selected).unwrap();
        day.jobs.iter().map(|job| job.place.table).collect::<Vec<_>>()
    };
    assert_eq!(tables(&[]), [Table::Books, Table::FlatBooks(5)]);
    assert_eq!(tables(&[Table::Books]), [Table::Books, Table::FlatBooks(5)]);
    assert_eq!(tables(&[Table::FlatBooks(3)]), [Table::FlatBooks(3)]);
    assert_eq!(tables(&[Table::Trades]), []);
}
