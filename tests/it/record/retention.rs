//! Old files are deleted by the limits, by a run on the real disk and by the verb `prune`.

use super::Scene;
use crate::support::eventually;
use crate::support::json::parse;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;
use upbit_recorder::clock::discipline::Discipline;
use upbit_recorder::clock::{Clock, Stamp};
use upbit_recorder::files::Files;
use upbit_recorder::files::disk::Disk;
use upbit_recorder::recording::retention::plan::KeepLimits;
use upbit_recorder::recording::retention::run::Run;
use upbit_recorder::recording::seal::{Provenance, Sealer};
use upbit_recorder::recording::segment::Finished;
use upbit_recorder::tape::durable::DurableMark;
use upbit_recorder::tape::reader::Tape as Reader;
use upbit_recorder::tape::reader::manifest::{Listing, Manifest};
use upbit_recorder::tape::segment_name::SegmentName;
use upbit_recorder::tape::stream_key::StreamKey;
use upbit_recorder::upbit::feed::{Feed, PerFeed};
use upbit_recorder::upbit::venue::Venue;

const DAY: Duration = Duration::from_secs(86_400);

/// A data directory with two streams, an account and events of some days, sealed, and data of just now.
struct Archive {
    scene: Scene,
    files: Arc<dyn Files>,
    now: Stamp,
}

impl Archive {
    fn new(days: &[u32]) -> Self {
        let scene = Scene::new();
        std::fs::create_dir_all(&scene.tape.path).unwrap();
        let files: Arc<dyn Files> = Arc::new(Disk::existing(&scene.tape.path).unwrap());
        let archive = Self { scene, files, now: Clock::start().stamp() };
        for day in days {
            for (feed, stream) in [
                (Feed::Public, "KRW-BTC_trade"),
                (Feed::Public, "KRW-ETH_trade"),
                (Feed::Private, "KRW-BTC_myOrder"),
                (Feed::Public, "recorder"),
            ] {
                archive.seal(feed, stream, archive.now.before(*day * DAY));
            }
        }
        let heard = PerFeed { public: Some(archive.now), private: None };
        let mark = DurableMark { durable: archive.now, epoch: 0, heard, generation: 0 };
        std::fs::write(archive.path(".durable"), mark.to_text()).unwrap();
        archive
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.scene.tape.path.join(name)
    }

    fn seal(&self, feed: Feed, stream: &str, first: Stamp) {
        let name = SegmentName { feed, stream: StreamKey::from_stem(stream).unwrap(), epoch: 0, first };
        let line = format!("{{\"ts_recv\":{first},\"type\":\"trade\",\"n\":1}}\n");
        std::fs::create_dir_all(self.path(name.directory())).unwrap();
        std::fs::write(self.path(name.plain()), line).unwrap();
        let provenance = Provenance { run: first, venue: Venue::named_after("local") };
        let sealer = Sealer::new(self.files.clone(), 1, provenance, Arc::default());
        let finished = Finished { name, origin: None, last: first, bytes: None, torn: Vec::new() };
        sealer.step(&finished).unwrap();
    }

    /// The sealed files of both trees.
    fn sealed(&self) -> BTreeSet<PathBuf> {
        let names = |directory: &Path| -> Vec<PathBuf> {
            std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
        };
        let dates = ["archive", "private/archive"].map(|archive| names(&self.path(archive))).concat();
        let files = dates.iter().flat_map(|date| names(date));
        files.filter(|path| path.extension().is_some_and(|ending| ending == "zst")).collect()
    }

    /// Every file is listed or pruned, and every listed one is there.
    fn assert_listed(&self) {
        let mut listed = BTreeSet::new();
        for manifest in self.manifests() {
            let relative = manifest.strip_prefix(&self.scene.tape.path).unwrap();
            let Listing { sealed, pruned } = Manifest::open(&*self.files, relative).unwrap().unwrap().read().unwrap();
            listed.extend(sealed.iter().map(|entry| manifest.with_file_name(&entry.name)));
            assert!(pruned.values().all(Option::is_some), "what is pruned was listed");
        }
        assert_eq!(self.sealed(), listed);
    }

    fn manifests(&self) -> Vec<PathBuf> {
        let dates = ["archive", "private/archive"].map(|archive| std::fs::read_dir(self.path(archive)).unwrap());
        dates.into_iter().flatten().map(|date| date.unwrap().path().join("manifest.jsonl")).collect()
    }

    fn prune(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
        command.arg("prune").env_clear().arg("--set").arg(format!("data_dir={}", self.scene.tape.path.display()));
        command.args(arguments).output().unwrap()
    }
}

fn run_whole(archive: &Archive, limits: KeepLimits) -> u64 {
    let mut run = Run::begin(archive.files.clone(), limits, archive.now).unwrap();
    loop {
        let batch = run.next_batch().unwrap();
        if batch.is_empty() {
            return run.pruned().files;
        }
        run.execute(&batch).unwrap();
    }
}

fn for_days(days: u32) -> KeepLimits {
    KeepLimits { keep_for: Some(days * DAY), keep_bytes: None }
}

#[test]
fn a_run_deletes_what_is_old_and_lists_the_rest() {
    let archive = Archive::new(&[9, 8, 3, 0]);
    assert_eq!(archive.sealed().len(), 16);
    assert_eq!(run_whole(&archive, for_days(30)), 0);
    assert_eq!(run_whole(&archive, for_days(5)), 8);
    assert_eq!(archive.sealed().len(), 8);
    archive.assert_listed();
    let tape = Reader::new(Some(archive.files.clone()), Path::new(""));
    let stream = StreamKey::from_stem("KRW-BTC_trade").unwrap();
    assert_eq!(tape.lines(&stream, Stamp::default()..=Stamp::MAX).unwrap().count(), 2);
    let of_day = |day: u32| archive.now.before(day * DAY);
    assert!(tape.is_pruned(&stream, of_day(8)..=of_day(8)).unwrap());
    assert!(!tape.is_pruned(&stream, of_day(3)..=of_day(3)).unwrap());
    let size = std::fs::metadata(archive.sealed().first().unwrap()).unwrap().len();
    assert!(run_whole(&archive, KeepLimits { keep_for: None, keep_bytes: Some(4 * size) }) >= 3);
    archive.assert_listed();
}

#[test]
fn what_was_announced_and_is_there_goes_with_the_next_run() {
    let archive = Archive::new(&[9, 0]);
    let before: BTreeSet<PathBuf> = archive.sealed();
    let contents: Vec<Vec<u8>> = before.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(run_whole(&archive, for_days(5)), 4);
    let lines = |manifest: &PathBuf| std::fs::read_to_string(manifest).unwrap().lines().count();
    let told: usize = archive.manifests().iter().map(lines).sum();
    // As a kill leaves it between the lines and the removal.
    before.iter().zip(contents).for_each(|(path, content)| std::fs::write(path, content).unwrap());
    assert_eq!(run_whole(&archive, for_days(5)), 4);
    archive.assert_listed();
    // The first lines may have been lost while they could be read still.
    assert_eq!(archive.manifests().iter().map(lines).sum::<usize>(), told + 4, "they are told again");
}

#[test]
fn what_is_not_as_listed_stays_and_so_do_its_events() {
    let archive = Archive::new(&[9, 8]);
    let changed = archive.sealed().into_iter().find(|path| path.to_str().unwrap().contains("KRW-ETH")).unwrap();
    let mut content = std::fs::read(&changed).unwrap();
    content.push(0);
    std::fs::write(&changed, content).unwrap();
    assert_eq!(run_whole(&archive, for_days(5)), 5);
    let left: Vec<_> = archive.sealed().into_iter().collect();
    assert_eq!(left.len(), 3, "it, and the events of its day and of the next: {left:?}");
}

#[test]
fn a_day_of_which_lines_were_deleted_is_not_audited() {
    let archive = Archive::new(&[9, 0]);
    let exchange = archive.scene.exchange(&["--codes", "2", "--no-limits"]);
    let rest = format!("rest.url=http://127.0.0.1:{}/v1", exchange.port());
    let changed = archive.sealed().into_iter().find(|path| path.to_str().unwrap().contains("KRW-ETH_trade")).unwrap();
    let directory = changed.parent().unwrap();
    let date = directory.file_name().unwrap().to_str().unwrap().replace("date=", "");
    let audit = || {
        let mut command = archive.scene.command("audit", &exchange.url, &[&rest]);
        command.args(["--date", &date, "--json"]).output().unwrap()
    };
    let content = std::fs::read(&changed).unwrap();
    // What is not as it was listed is kept.
    std::fs::write(&changed, [&content[..], b"x"].concat()).unwrap();
    assert_eq!(run_whole(&archive, for_days(5)), 2);
    std::fs::write(&changed, content).unwrap();
    let found = audit();
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let certificate = parse(&String::from_utf8(found.stdout).unwrap());
    let streams = |name: &str| -> Vec<String> {
        let entries = certificate[name].as_array().unwrap().iter();
        entries.map(|entry| entry["stream"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        (streams("streams"), streams("unaudited")),
        (vec!["KRW-ETH_trade".into()], vec!["KRW-BTC_trade".into()])
    );
    assert!(certificate["unaudited"][0]["reason"].as_str().unwrap().contains("deleted by the retention"));

    // With the last of its lines gone, what was found before stays.
    let kept = directory.join("audit.json");
    let before = std::fs::read(&kept).unwrap();
    assert_eq!(run_whole(&archive, for_days(5)), 2);
    let refused = audit();
    assert_eq!((refused.status.code(), std::fs::read(&kept).unwrap()), (Some(1), before));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("there is nothing left to audit"));
}

#[test]
fn prune_shows_the_plan_and_keeps_to_the_clock() {
    let archive = Archive::new(&[9, 3, 0]);
    let before = archive.sealed();
    let shown = archive.prune(&["--dry-run", "--json", "--set", "storage.keep_for=5d"]);
    assert_eq!((shown.status.code(), archive.sealed()), (Some(0), before.clone()), "{shown:?}");
    let lines: Vec<_> = String::from_utf8(shown.stdout).unwrap().lines().map(parse).collect();
    let (sum, files) = lines.split_last().unwrap();
    assert_eq!((files.len(), &sum["files"], &sum["deleted"]), (4, &4.into(), &false.into()));
    assert!(files.iter().all(|file| before.contains(&archive.path(file["file"].as_str().unwrap()))));
    assert!(files.iter().all(|file| file["reason"] == "keep_for"));
    let is_synchronised = Discipline::machine().read().is_synchronised() != Some(false);
    assert_eq!(sum["hindrance"].is_string(), !is_synchronised);
    let pruned = archive.prune(&["--set", "storage.keep_for=5d"]);
    let told = String::from_utf8(pruned.stdout).unwrap();
    if is_synchronised {
        assert_eq!((pruned.status.code(), archive.sealed().len()), (Some(0), 8), "{told}");
    } else {
        assert_eq!((pruned.status.code(), archive.sealed()), (Some(1), before), "{told}");
        assert!(told.contains("nothing may be deleted now, since the clock is not synchronised"), "{told}");
    }
    archive.assert_listed();
    let all_kept = archive.prune(&["--dry-run"]);
    assert_eq!(String::from_utf8(all_kept.stdout).unwrap(), "0 files, 0 B: nothing was deleted.\n");
}

#[test]
fn prune_leaves_a_running_recorder_alone() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "100"]);
    let recorder = scene.record(&exchange.url, &["storage.keep_for=1h"]);
    scene.await_event(&recorder, "live", 1);
    let prune = |arguments: &[&str]| {
        let mut command = scene.command("prune", &exchange.url, &["storage.keep_for=1h"]);
        command.args(arguments).output().unwrap()
    };
    let refused = prune(&[]);
    assert_eq!(refused.status.code(), Some(75));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("a running recorder deletes old files by itself"));
    assert_eq!(prune(&["--dry-run"]).status.code(), Some(0));
    eventually("it goes on", || scene.recorded() > 10);
    assert!(recorder.terminate().success());
}
