//! A pass over a data directory, to a store in memory.

use super::*;
use crate::clock::{self, Stamp};
use crate::files::disk::Disk;
use crate::tape::reader::uploaded::Uploaded;
use crate::tape::segment_name::{SegmentName, date};
use crate::tape::stream_key::StreamKey;
use crate::upload::http::{Line, Movement};
use crate::upload::pace::Pace;
use crate::upload::trouble::LastTrouble;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use std::fs;
use std::sync::atomic::AtomicBool;
use tokio_util::sync::CancellationToken;

/// 2026-11-22T05:12:04Z.
const FIRST: u64 = 1_795_324_324_000_000;

struct Scene {
    directory: tempfile::TempDir,
    remote: Arc<InMemory>,
    uploader: Uploader,
}

impl Scene {
    fn new(private: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (clock, remote) = (Clock::anchored(Stamp::from_micros(FIRST).unwrap()), Arc::new(InMemory::new()));
        let line = Line {
            clock,
            trouble: LastTrouble::default(),
            movement: Movement::new(clock),
            pace: Arc::new(Pace::new(1)),
            is_guarded: Arc::new(AtomicBool::new(true)),
        };
        let uploader = Uploader {
            files: Arc::new(Disk::existing(directory.path()).unwrap()),
            store: Store::new(remote.clone(), &line, None, CancellationToken::new()),
            layout: Layout { prefix: String::new(), host: "h".parse().unwrap() },
            to: "s3://t".to_owned(),
            venue: Venue::named_after("local"),
            clock,
            uploads: SharedUploads::default(),
            backlog: UploadBacklog::new("s3://t", private),
            told: BTreeSet::new(),
            known: BTreeMap::new(),
        };
        Self { directory, remote, uploader }
    }

    /// A sealed file of this content, and its line; returns its name.
    fn seal(&self, feed: Feed, stream: &str, content: &[u8]) -> String {
        let (stream, first) = (StreamKey::from_stem(stream).unwrap(), Stamp::from_micros(FIRST).unwrap());
        let name = SegmentName { feed, stream, epoch: 0, first };
        let directory = self.directory.path().join(name.directory());
        fs::create_dir_all(&directory).unwrap();
        fs::write(self.directory.path().join(name.sealed()), content).unwrap();
        let file = name.sealed().file_name().unwrap().to_str().unwrap().to_owned();
        let line = format!(
            "{{\"name\":\"{file}\",\"stream\":\"{}\",\"run\":1,\"version\":\"0\",\"format\":null,\"subscription\":null,\
             \"epoch\":0,\"first\":{FIRST},\"last\":{FIRST},\"lines\":1,\"bytes\":1,\"zst_bytes\":{},\"sha256\":\"{}\"}}\n",
            name.stream,
            content.len(),
            hex(&Sha256::digest(content)),
        );
        let manifest = directory.join("manifest.jsonl");
        let before = fs::read_to_string(&manifest).unwrap_or_default();
        fs::write(manifest, before + &line).unwrap();
        file
    }

    fn path(&self, feed: Feed, name: &str) -> Path {
        let place = Place { feed, venue: "local".to_owned(), date: date(Stamp::from_micros(FIRST).unwrap()) };
        self.uploader.layout.directory(&place).join(name)
    }

    async fn there(&self, feed: Feed, name: &str) -> Option<Vec<u8>> {
        let found = self.remote.get(&self.path(feed, name)).await.ok()?;
        Some(found.bytes().await.unwrap().to_vec())
    }

    async fn lines(&self, number: u32) -> usize {
        let part = self.there(Feed::Public, &part_name(number)).await.unwrap_or_default();
        part.iter().filter(|byte| **byte == b'\n').count()
    }

    /// What the account's tree and the other have of what is known here.
    fn uploaded(&self) -> usize {
        let day = |feed| paths::date_directory(feed, date(Stamp::from_micros(FIRST).unwrap()));
        let read = |feed| Uploaded::read(&*self.uploader.files, &day(feed), "s3://t").unwrap().count();
        Feed::ALL.map(read).into_iter().sum()
    }

    /// Forgets what is uploaded, as a kill does before it is written, and as another process would begin.
    fn forget(&mut self) {
        let day = paths::date_directory(Feed::Public, date(Stamp::from_micros(FIRST).unwrap()));
        fs::remove_file(self.directory.path().join(day).join(paths::UPLOADED)).unwrap();
        self.uploader.backlog = UploadBacklog::new("s3://t", false);
        self.uploader.known.clear();
    }
}

#[tokio::test(start_paused = true)]
async fn files_are_there_and_each_has_one_line() {
    let mut scene = Scene::new(false);
    let name = scene.seal(Feed::Public, "KRW-BTC_trade", b"content");
    scene.uploader.pass().await.unwrap();
    assert_eq!(scene.there(Feed::Public, &name).await.as_deref(), Some(&b"content"[..]));
    assert_eq!((scene.lines(1).await, scene.lines(2).await, scene.uploaded()), (1, 0, 1));
    scene.seal(Feed::Public, "KRW-ETH_trade", b"other");
    scene.uploader.pass().await.unwrap();
    assert_eq!((scene.lines(1).await, scene.lines(2).await, scene.uploaded()), (1, 1, 2));
    scene.forget();
    scene.seal(Feed::Public, "KRW-XRP_trade", b"third");
    scene.uploader.pass().await.unwrap();
    assert_eq!(
        (scene.lines(2).await, scene.lines(3).await, scene.uploaded()),
        (1, 1, 3),
        "what is listed is not again"
    );
    let counted = scene.uploader.uploads.read();
    assert_eq!((counted.files, counted.backlog_files), (3, Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_taken_name_is_refused_and_what_has_it_stays() {
    for (other, refusal) in [(&b"CONTENT"[..], 1), (b"short", 1), (b"content", 0)] {
        let mut scene = Scene::new(false);
        let name = scene.seal(Feed::Public, "KRW-BTC_trade", b"content");
        scene.remote.put(&scene.path(Feed::Public, &name), other.to_vec().into()).await.unwrap();
        scene.uploader.pass().await.unwrap();
        assert_eq!(scene.there(Feed::Public, &name).await.as_deref(), Some(other));
        let counted = scene.uploader.uploads.read();
        assert_eq!((counted.refused_files, counted.backlog_files), (refusal, Some(refusal)));
        assert_eq!((scene.lines(1).await, scene.uploaded()), (usize::from(refusal == 0), usize::from(refusal == 0)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_waits_for_its_hour_while_the_day_grows() {
    let mut scene = Scene::new(false);
    let name = scene.seal(Feed::Public, "KRW-BTC_trade", b"content");
    scene.remote.put(&scene.path(Feed::Public, &name), b"other".to_vec().into()).await.unwrap();
    scene.uploader.pass().await.unwrap();
    scene.remote.delete(&scene.path(Feed::Public, &name)).await.unwrap();
    scene.seal(Feed::Public, "KRW-ETH_trade", b"grows");
    scene.uploader.pass().await.unwrap();
    let counted = scene.uploader.uploads.read();
    assert_eq!((counted.files, counted.refused_files, counted.backlog_files), (1, 1, Some(1)));
    clock::sleep_until(Some(scene.uploader.clock.now() + REFUSED_AGAIN)).await;
    scene.uploader.pass().await.unwrap();
    let counted = scene.uploader.uploads.read();
    assert_eq!((counted.files, counted.refused_files, counted.backlog_files), (2, 0, Some(0)));
}

#[tokio::test(start_paused = true)]
async fn a_put_never_replaces() {
    let scene = Scene::new(false);
    let path = scene.path(Feed::Public, "x");
    assert_eq!(scene.uploader.store.put_text(&path, "one").await, Ok(Put::New));
    assert_eq!(scene.uploader.store.put_text(&path, "two").await, Ok(Put::Taken));
    assert_eq!(scene.there(Feed::Public, "x").await.as_deref(), Some(&b"one"[..]));
}

#[tokio::test(start_paused = true)]
async fn what_is_damaged_here_stays_here() {
    for (length, at) in [(7, 3), (17 << 20, 9 << 20)] {
        let mut scene = Scene::new(false);
        let mut content = vec![7; length];
        let name = scene.seal(Feed::Public, "KRW-BTC_trade", &content);
        let day = paths::date_directory(Feed::Public, date(Stamp::from_micros(FIRST).unwrap()));
        content[at] ^= 1;
        fs::write(scene.directory.path().join(day).join(&name), &content).unwrap();
        scene.uploader.pass().await.unwrap();
        assert_eq!((scene.there(Feed::Public, &name).await, scene.uploaded()), (None, 0));
        assert_eq!(scene.uploader.uploads.read().refused_files, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn large_files_go_in_parts() {
    let mut scene = Scene::new(false);
    let content: Vec<u8> = (0..17_u32 << 20).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let name = scene.seal(Feed::Public, "KRW-BTC_trade", &content);
    scene.uploader.pass().await.unwrap();
    assert!(scene.there(Feed::Public, &name).await.is_some_and(|there| there == content));
    assert_eq!((scene.lines(1).await, scene.uploaded()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_account_goes_where_it_may_alone() {
    for private in [false, true] {
        let mut scene = Scene::new(private);
        let name = scene.seal(Feed::Private, "KRW-BTC_myOrder", b"mine");
        scene.uploader.pass().await.unwrap();
        assert_eq!(scene.there(Feed::Private, &name).await.is_some(), private);
        assert_eq!(scene.uploaded(), usize::from(private));
        let listed = scene.remote.list_with_delimiter(None).await.unwrap();
        let begin: Vec<&str> = listed.common_prefixes.iter().map(|path| path.as_ref()).collect();
        assert_eq!(begin, if private { vec!["private"] } else { vec![] });
    }
}
