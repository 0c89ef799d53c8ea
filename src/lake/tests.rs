//! What is exported is what is on the tape: read back by the parquet crate's own reader, field by field.

use super::day::{Day, Selected};
use super::job::{Outcome, Written};
use super::metadata::LeftOut;
use crate::clock::Stamp;
use crate::files::Files;
use crate::files::disk::Disk;
use crate::recording::seal::{Provenance, Sealer};
use crate::recording::segment::Finished;
use crate::tape::reader::{Tape, ToldGaps};
use crate::tape::segment_name::SegmentName;
use crate::tape::stream_key::StreamKey;
use crate::upbit::feed::Feed;
use crate::upbit::names::short_of;
use crate::upbit::venue::Venue;
use bigdecimal::BigDecimal;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fs;
use std::str::FromStr;
use std::sync::Arc;

mod faults;

/// 2026-11-22T00:00:00Z.
const MIDNIGHT: u64 = 1_795_305_600_000_000;
const TRADES: &str = "venue=local/type=trade/date=2026-11-22/KRW-BTC.parquet";

/// A tape of which everything is sealed, and its lake.
struct Scene {
    directory: tempfile::TempDir,
    tape: Tape,
    lake: Disk,
}

/// The rows of a file: the text of each column that is not null.
type Rows = Vec<BTreeMap<String, String>>;

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(Disk::open(directory.path()).unwrap());
        let lake = Disk::open(&directory.path().join("lake")).unwrap();
        Self { tape: Tape::new(Some(disk), directory.path()), directory, lake }
    }

    /// Seals a segment of lines, each with its microsecond of the day.
    fn seal(&self, stream: &str, lines: &[(u64, String)]) {
        self.seal_since(MIDNIGHT, stream, lines);
    }

    /// The same of another day, or with what is no line.
    fn seal_since(&self, midnight: u64, stream: &str, lines: &[(u64, String)]) {
        let stamp = |micros: u64| Stamp::from_micros(midnight + micros).unwrap();
        let (first, last) = (stamp(lines[0].0), stamp(lines[lines.len() - 1].0));
        let name = SegmentName { feed: Feed::Public, stream: StreamKey::from_stem(stream).unwrap(), epoch: 0, first };
        let path = self.directory.path().join(name.plain());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = lines.iter().map(|(micros, object)| match object.strip_prefix('{') {
            Some(rest) => format!("{{\"ts_recv\":{},{rest}\n", stamp(*micros)),
            None => format!("{object}\n"),
        });
        fs::write(path, text.collect::<String>()).unwrap();
        let provenance = Provenance { run: Stamp::default(), venue: Venue::named_after("local") };
        let files: Arc<dyn Files> = Arc::new(Disk::open(self.directory.path()).unwrap());
        let sealer = Sealer::new(files, 1, provenance, Arc::default());
        sealer.step(&Finished { name, origin: None, last, bytes: None, torn: Vec::new() }).unwrap();
    }

    fn export(&self, levels: Option<u16>) -> Vec<(String, Outcome)> {
        let selected = Selected { tables: Vec::new(), levels, venue: "other".to_owned() };
        let day = Day::plan(&self.tape, &mut ToldGaps::default(), "2026-11-22".parse().unwrap(), &selected).unwrap();
        let run =
            |job: &super::job::Job| (job.place.path().display().to_string(), job.run(&self.lake, &|| false).unwrap());
        day.jobs.iter().map(run).collect()
    }

    fn rows(&self, path: &str) -> Rows {
        let file = fs::File::open(self.directory.path().join("lake").join(path)).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows = reader.get_row_iter(None).unwrap().map(|row| {
            let row = row.unwrap();
            let shown = |(name, field): (&String, &Field)| Some((name.clone(), shown(field)?));
            row.get_column_iter().filter_map(shown).collect()
        });
        rows.collect()
    }

    /// What is in the directory of a file.
    fn names(&self, path: &str) -> Vec<String> {
        let path = self.directory.path().join("lake").join(path);
        let entries = fs::read_dir(path.parent().unwrap()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn bytes(&self, path: &str) -> Vec<u8> {
        fs::read(self.directory.path().join("lake").join(path)).unwrap()
    }
}

fn shown(field: &Field) -> Option<String> {
    match field {
        Field::Null => None,
        Field::Str(text) => Some(text.clone()),
        Field::Long(number) | Field::TimestampMillis(number) | Field::TimestampMicros(number) => {
            Some(number.to_string())
        }
        Field::Bool(flag) => Some(flag.to_string()),
        Field::Decimal(number) => {
            let unscaled = i128::from_be_bytes(number.data().try_into().unwrap());
            Some(crate::tape::decimal::shown(&BigDecimal::new(unscaled.into(), number.scale().into())))
        }
        Field::ListInternal(list) => {
            Some(list.elements().iter().map(|element| shown(element).unwrap()).collect::<Vec<_>>().join(" "))
        }
        other => panic!("{other:?}"),
    }
}

/// The value of a JSON text as a column shows it.
fn plain(value: &str) -> String {
    match serde_json::from_str::<String>(value) {
        Ok(text) => text,
        Err(_) => {
            BigDecimal::from_str(value).map_or_else(|_| value.to_owned(), |number| crate::tape::decimal::shown(&number))
        }
    }
}

/// What a row says of a key, wherever it is kept: in its column, in the text beside it, or in `extra`.
fn told(row: &BTreeMap<String, String>, key: &str) -> Option<String> {
    let beside = || row.get(&format!("{key}_text")).map(|text| plain(text));
    let extra = || {
        let extra: BTreeMap<String, Box<RawValue>> = serde_json::from_str(row.get("extra")?).unwrap();
        extra.get(key).map(|value| plain(value.get()))
    };
    row.get(key).cloned().or_else(beside).or_else(extra)
}

fn trade(time: u64, id: u64, price: &str, kind: &str) -> String {
    let millis = (MIDNIGHT + time) / 1_000;
    format!(
        "{{\"type\":\"trade\",\"code\":\"KRW-BTC\",\"trade_timestamp\":{millis},\"sequential_id\":{id},\
         \"trade_price\":{price},\"trade_volume\":0.5,\"ask_bid\":\"BID\",\"stream_type\":\"{kind}\"}}"
    )
}

/// A number, in all of the spellings that JSON has.
fn numbers() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("1.16539E8".to_owned()),
        Just("6E-8".to_owned()),
        Just("1386929.37231066771348207123".to_owned()),
        "(0|[1-9][0-9]{0,11})(\\.[0-9]{1,9})?0{0,9}"
            .prop_filter("it is JSON", |text| serde_json::from_str::<f64>(text).is_ok()),
        "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn each_field_of_a_trade_is_in_its_row(
        prices in prop::collection::vec((numbers(), numbers(), "[ -~가-힣]{0,9}"), 1..40),
        is_short in any::<bool>(),
    ) {
        let key = |name: &'static str| if is_short { short_of("trade", name).unwrap_or(name) } else { name };
        let lines: Vec<(u64, String)> = prices.iter().enumerate().map(|(place, (price, size, text))| {
            let micros = 1_000_000 + place as u64 * 1_000;
            let fields = [
                ("type", "\"trade\"".to_owned()),
                ("code", "\"KRW-BTC\"".to_owned()),
                ("trade_timestamp", ((MIDNIGHT + micros) / 1_000).to_string()),
                ("sequential_id", (17_955_000_000_000_000 + place).to_string()),
                ("trade_price", price.clone()),
                ("trade_volume", size.clone()),
                ("best_ask_price", size.clone()),
                ("change", serde_json::to_string(text).unwrap()),
                ("new", serde_json::to_string(&[text]).unwrap()),
            ];
            let fields = fields.iter().map(|(name, value)| format!("\"{}\":{value}", key(name)));
            (micros, format!("{{{}}}", fields.collect::<Vec<_>>().join(",")))
        }).collect();
        let scene = Scene::new();
        scene.seal("KRW-BTC_trade", &lines);
        scene.export(None);
        let rows = scene.rows(TRADES);
        prop_assert_eq!(rows.len(), lines.len());
        for (row, (micros, line)) in rows.iter().zip(&lines) {
            prop_assert_eq!(&row["ts_recv"], &(MIDNIGHT + micros).to_string());
            let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
            for (name, value) in fields {
                let long = crate::upbit::names::long_of("trade", &name);
                if long != "type" {
                    let (found, wanted) = (told(row, long), plain(value.get()));
                    prop_assert_eq!(found.as_deref(), Some(&*wanted), "{} {}", name, value);
                }
            }
        }
    }
}

#[test]
fn both_formats_make_the_same_rows() {
    let long = r#"{"type":"trade","code":"KRW-BTC","trade_timestamp":5,"sequential_id":7,"trade_price":1.16539E8,"trade_date":"2026-11-22","best_bid_size":6E-8}"#;
    let short = r#"{"ty":"trade","cd":"KRW-BTC","ttms":5,"sid":7,"tp":116539000.0,"td":"2026-11-22","bbs":0.00000006}"#;
    let rows = [long, short].map(|object| {
        let scene = Scene::new();
        scene.seal("KRW-BTC_trade", &[(9, object.to_owned())]);
        scene.export(None);
        scene.rows(TRADES)
    });
    assert_eq!(rows[0], rows[1]);
    assert_eq!((&*rows[0][0]["trade_price"], &*rows[0][0]["best_bid_size"]), ("116539000", "0.00000006"));
}

#[test]
fn repeats_have_no_row_and_gaps_are_marked() {
    let scene = Scene::new();
    let before = [(0_u64, trade(0, 1, "1", "REALTIME"))];
    scene.seal("KRW-BTC_trade", &before);
    // The last trade of the day before, as its own segment has it and as a snapshot brings it again.
    let yesterday = trade(0, 100, "9", "REALTIME")
        .replace("\"trade_timestamp\":1795305600000", "\"trade_timestamp\":1795305590000");
    let name = "KRW-BTC_trade.20261121T235950.000000Z.jsonl";
    fs::create_dir_all(scene.directory.path().join("archive/date=2026-11-21")).unwrap();
    let line = format!("{{\"ts_recv\":{},{}\n", MIDNIGHT - 10_000_000, &yesterday[1..]);
    fs::write(scene.directory.path().join("archive/date=2026-11-21").join(name), line).unwrap();
    scene.seal(
        "KRW-BTC_trade",
        &[
            (10, yesterday.replace("REALTIME", "SNAPSHOT")),
            (20, trade(20, 2, "2", "REALTIME")),
            (4_000_000, trade(20, 2, "2", "SNAPSHOT")),
            (5_000_000, trade(4_500_000, 3, "3", "REALTIME")),
            (6_000_000, trade(5_500_000, 4, "4", "REALTIME")),
        ],
    );
    let fetched = |time: u64, id: u64| {
        let millis = (MIDNIGHT + time) / 1_000;
        format!(
            "{{\"gap\":9,\"market\":\"KRW-BTC\",\"timestamp\":{millis},\"sequential_id\":{id},\"trade_price\":7.0}}"
        )
    };
    scene.seal("KRW-BTC_trade.healed", &[(5_500_000, fetched(2_000_000, 50)), (5_500_001, fetched(4_500_000, 3))]);
    let gap = format!(
        "{{\"type\":\"recorder\",\"event\":\"gap\",\"id\":{0},\"connection\":\"public\",\"epoch\":0,\"from\":{1},\"to\":{0},\
         \"kind\":\"disconnected\",\"cause\":\"x\",\"streams\":[\"KRW-BTC_trade\"]}}",
        MIDNIGHT + 4_000_000,
        MIDNIGHT + 20,
    );
    scene.seal("recorder", &[(4_000_001, gap)]);
    let [(_, Outcome::Written(written))] = &scene.export(None)[..] else { panic!() };
    assert_eq!((written.rows, written.left_out), (5, LeftOut { repeats: 3, unreadable: 0 }));
    let rows: Vec<_> = scene.rows(TRADES);
    let rows = rows.iter().map(|row| (&*row["sequential_id"], &*row["origin"], &*row["gap_before"]));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [
            ("1", "stream", "false"),
            ("2", "stream", "false"),
            ("3", "stream", "true"),
            ("50", "healed", "false"),
            ("4", "stream", "false")
        ]
    );
}

#[test]
fn books_are_lists_and_levels() {
    let scene = Scene::new();
    let book = |price: &str| {
        format!(
            "{{\"ty\":\"orderbook\",\"cd\":\"KRW-BTC\",\"tms\":5,\"tas\":1.5,\"lv\":0,\"obu\":[\
             {{\"ap\":{price},\"bp\":1,\"as\":5.0E-1,\"bs\":2}},{{\"ap\":3,\"bp\":0.5,\"as\":4,\"bs\":6E-8}}]}}"
        )
    };
    scene.seal("KRW-BTC_orderbook", &[(1, book("2.25")), (2, book("2.123456789"))]);
    let done = scene.export(Some(3));
    assert_eq!(done.len(), 2);
    let rows = scene.rows("venue=local/type=orderbook/date=2026-11-22/KRW-BTC.parquet");
    assert_eq!((&*rows[0]["ask_price"], &*rows[0]["bid_size"]), ("2.25 3", "2 0.00000006"));
    assert!(!rows[0].contains_key("orderbook_units_text") && !rows[1].contains_key("ask_price"));
    assert!(rows[1]["orderbook_units_text"].contains("2.123456789"));
    let rows = scene.rows("venue=local/type=book_snapshot_3/date=2026-11-22/KRW-BTC.parquet");
    let flat = ["exchange", "symbol", "asks[0].price", "asks[1].amount", "bids[1].amount", "local_timestamp"];
    let stamp = (MIDNIGHT + 1).to_string();
    assert_eq!(flat.map(|name| &*rows[0][name]), ["local", "KRW-BTC", "2.25", "4", "0.00000006", &stamp]);
    assert!(!rows[0].contains_key("asks[2].price") && rows[1].contains_key("orderbook_units_text"));
}

#[test]
fn candles_have_their_period_and_what_was_healed() {
    let scene = Scene::new();
    let candle = |time: &str| {
        format!(
            "{{\"ty\":\"candle.1m\",\"cd\":\"KRW-BTC\",\"cdttmu\":\"{time}\",\"op\":91133000.00000000,\"catp\":72957159.3459600000000000,\"tms\":7}}"
        )
    };
    scene.seal("KRW-BTC_candle.1m", &[(1, candle("2026-11-22T00:00:00")), (3, candle("2026-11-22 00:01"))]);
    let fetched = r#"{"gap":9,"gap_epoch":0,"market":"KRW-BTC","candle_date_time_utc":"2026-11-21T23:59:00","opening_price":5.0,"unit":1,"timestamp":8}"#;
    scene.seal("KRW-BTC_candle.1m.healed", &[(2, fetched.to_owned())]);
    scene.export(None);
    let rows = scene.rows("venue=local/type=candle.1m/date=2026-11-22/KRW-BTC.parquet");
    let of = |row: usize, name: &str| rows[row].get(name).map(String::as_str);
    let minute = (MIDNIGHT / 1_000).to_string();
    assert_eq!((of(0, "candle_date_time_utc"), of(0, "opening_price")), (Some(&*minute), Some("91133000")));
    assert_eq!(of(0, "candle_acc_trade_price"), Some("72957159.34596"));
    let before = (MIDNIGHT / 1_000 - 60_000).to_string();
    assert_eq!((of(1, "origin"), of(1, "candle_date_time_utc")), (Some("healed"), Some(&*before)));
    assert_eq!((of(1, "gap"), of(1, "gap_epoch"), of(1, "unit")), (Some("9"), Some("0"), Some("1")));
    assert_eq!(
        (of(2, "candle_date_time_utc"), of(2, "extra")),
        (None, Some(r#"{"candle_date_time_utc":"2026-11-22 00:01"}"#))
    );
}

#[test]
fn the_same_tape_is_the_same_bytes_and_written_once() {
    let scene = Scene::new();
    let lines: Vec<_> = (0..100_000).map(|at| (at + 1, trade(at, at + 1, &format!("{at}.5"), "REALTIME"))).collect();
    scene.seal("KRW-BTC_trade", &lines);
    let [(path, Outcome::Written(Written { rows: 100_000, .. }))] = &scene.export(None)[..] else { panic!() };
    let first = scene.bytes(path);
    let groups = SerializedFileReader::new(bytes::Bytes::from(first.clone())).unwrap().num_row_groups();
    assert!(groups > 1, "row groups are bounded");
    assert_eq!(scene.export(None), [(path.clone(), Outcome::Current)]);
    // A damaged one is written anew.
    fs::write(scene.directory.path().join("lake").join(path), &first[..first.len() / 2]).unwrap();
    assert!(matches!(scene.export(None)[..], [(_, Outcome::Written(_))]));
    assert_eq!(scene.bytes(path), first);
    // More is sealed.
    scene.seal("KRW-BTC_trade", &[(9_000_000, trade(9_000_000, 200_000, "1", "REALTIME"))]);
    let [(_, Outcome::Written(Written { rows: 100_001, .. }))] = &scene.export(None)[..] else { panic!() };
    // A part of the sources is deleted: the whole stays.
    let archive = scene.directory.path().join("archive/date=2026-11-22");
    let oldest = archive.join("KRW-BTC_trade.20261122T000000.000001Z.jsonl.zst");
    fs::remove_file(oldest).unwrap();
    assert_eq!(scene.export(None), [(path.clone(), Outcome::Kept)]);
    assert_eq!(scene.rows(path).len(), 100_001);
    assert_eq!(scene.names(path), ["KRW-BTC.parquet"], "nothing is left of what was in the making");
}
