//! `upload`, on a directory and on stores that misbehave: what is there is whole and listed last, nothing is replaced, and a
//! store that fails costs backlog and a line.

mod directory;
mod retention;
mod scene;
mod store;

use crate::support::json::{number, parse};
use crate::support::{Program, eventually};
use scene::{DAY, Scene, Uploaded, Verified, assert_committed};
use std::path::PathBuf;
use store::{Mood, Store};
use upbit_recorder::upbit::feed::Feed;

#[test]
fn what_is_sealed_is_there_once_and_listed() {
    let scene = Scene::new();
    let dry = scene.command("upload", &[]).args(["--dry-run", "--json"]).output().unwrap();
    assert_eq!(Uploaded::of(dry).waiting, 6);
    assert!(!scene.remote().exists(), "nothing is asked");
    let done = scene.upload(&[]);
    assert_eq!((done.code, done.files, done.waiting), (Some(0), 6, 0), "{}", done.told);
    let there = scene.there();
    assert_eq!((there.len(), assert_committed(&there)), (8, 6), "{:?}", there.keys());
    assert!(there.keys().all(|path| path.starts_with("venue=local/host=tape1/date=")), "{:?}", there.keys());

    let again = scene.upload(&[]);
    assert_eq!((again.code, again.files, scene.there() == there), (Some(0), 0, true));
    scene.seal(Feed::Public, "KRW-XRP_trade", scene.now);
    let more = scene.upload(&["upload.host="]);
    assert_eq!((more.code, more.files), (Some(0), 1), "it keeps its name there: {}", more.told);
    let there = scene.there();
    assert_eq!((there.len(), assert_committed(&there)), (10, 7), "a part of the manifest is added");
}

#[test]
fn what_the_account_received_goes_where_it_may() {
    let scene = Scene::new();
    scene.upload(&[]);
    assert!(!scene.there().keys().any(|path| path.contains("myOrder")));
    let done = scene.upload(&["upload.private=true"]);
    assert_eq!((done.code, done.files), (Some(0), 2), "{}", done.told);
    let there = scene.there();
    let private: Vec<&String> =
        there.keys().filter(|path| path.starts_with("private/venue=local/host=tape1/")).collect();
    assert_eq!((private.len(), assert_committed(&there)), (4, 8), "{private:?}");
}

#[test]
fn a_name_that_is_taken_is_told_and_stays() {
    let scene = Scene::new();
    let sealed = scene.seal(Feed::Public, "KRW-XRP_trade", scene.now);
    let date = sealed.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
    let taken = scene.remote().join("venue=local/host=tape1").join(&date).join(sealed.file_name().unwrap());
    std::fs::create_dir_all(taken.parent().unwrap()).unwrap();
    let length = std::fs::metadata(scene.data(&sealed)).unwrap().len();
    for (content, told) in
        [("x".repeat(usize::try_from(length).unwrap()), "another content"), ("y".to_owned(), "another length")]
    {
        std::fs::write(&taken, &content).unwrap();
        let done = scene.upload(&[]);
        assert_eq!((done.code, done.waiting), (Some(1), 1), "{}", done.told);
        assert!(done.told.contains(told) && done.told.contains("KRW-XRP_trade"), "{}", done.told);
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), content);
    }
    std::fs::remove_file(&taken).unwrap();
    assert_eq!(scene.upload(&[]).code, Some(0));
    assert_eq!(assert_committed(&scene.there()), 7);
}

#[test]
fn what_a_kill_left_is_compared_and_listed() {
    let scene = Scene::new();
    scene.upload(&[]);
    let there = scene.there();
    // Objects without a line, as before the part was put; and a file in the making.
    for (path, _) in there.iter().filter(|(path, _)| path.contains("/manifest.")) {
        std::fs::remove_file(scene.remote().join(path)).unwrap();
    }
    let left = there.keys().find(|path| path.contains("KRW-BTC")).unwrap();
    std::fs::write(scene.remote().join(format!("{left}#1")), "half").unwrap();
    let dates: Vec<PathBuf> =
        std::fs::read_dir(scene.data("archive")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let forget = || dates.iter().for_each(|date| std::fs::remove_file(date.join("uploaded.jsonl")).unwrap());
    forget();
    let done = scene.upload(&[]);
    assert_eq!((done.code, done.files), (Some(0), 0), "{}", done.told);
    assert_eq!((scene.there().keys().eq(there.keys()), assert_committed(&scene.there())), (true, 6));
    // Lines there that are not known here, as before `uploaded.jsonl` was written; a torn line of it is no harm.
    forget();
    let torn = dates[0].join("uploaded.jsonl");
    std::fs::write(&torn, "{\"name\":\"KRW-B").unwrap();
    let done = scene.upload(&[]);
    assert_eq!((done.code, done.files), (Some(0), 0), "{}", done.told);
    assert_eq!(assert_committed(&scene.there()), 6);
    assert!(std::fs::read_to_string(&torn).unwrap().lines().count() > 1);
}

#[test]
fn a_file_that_is_damaged_here_does_not_go_there() {
    let scene = Scene::new();
    let sealed = scene.seal(Feed::Public, "KRW-XRP_trade", scene.now);
    let path = scene.data(&sealed);
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for content in [damaged, whole[1..].to_vec(), [whole.clone(), vec![0]].concat()] {
        std::fs::write(&path, content).unwrap();
        let done = scene.upload(&[]);
        assert_eq!((done.code, done.waiting), (Some(1), 1), "{}", done.told);
        assert!(done.told.contains("not what its manifest says"), "{}", done.told);
        assert!(!scene.there().keys().any(|path| path.contains("KRW-XRP")));
    }
    std::fs::write(&path, whole).unwrap();
    assert_eq!(scene.upload(&[]).code, Some(0));
}

#[test]
fn manifests_are_held_against_what_is_there() {
    let scene = Scene::new();
    let verify = |arguments: &[&str]| {
        let Verified { code, lines, sum, .. } = scene.verify(&[], arguments);
        (code, lines, sum)
    };
    scene.upload(&[]);
    scene.seal(Feed::Public, "KRW-XRP_trade", scene.now);
    let (code, lines, sum) = verify(&["--content"]);
    assert_eq!((code, lines.len(), number(&sum, "files"), number(&sum, "waiting")), (Some(0), 0, 6, 1), "{lines:?}");
    let output = scene.command("ls", &[]).args(["--json", "KRW-*_trade"]).output().unwrap();
    let rows: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().map(parse).collect();
    assert_eq!(rows.iter().map(|row| number(row, "uploaded")).collect::<Vec<_>>(), [2, 2, 0]);

    let there = scene.there();
    let mut files = there.keys().filter(|path| path.contains("KRW-BTC"));
    let (lost, other) = (files.next().unwrap(), files.next().unwrap());
    std::fs::remove_file(scene.remote().join(lost)).unwrap();
    let length = there[other].len();
    std::fs::write(scene.remote().join(other), "x".repeat(length)).unwrap();
    let (code, lines, _) = verify(&[]);
    assert_eq!((code, lines.len()), (Some(1), 1), "{lines:?}");
    assert!(lines[0].contains("it is not there"), "{lines:?}");
    let (code, lines, _) = verify(&["--content"]);
    assert_eq!((code, lines.len()), (Some(1), 2), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("its content is not")), "{lines:?}");
}

#[test]
fn dates_that_cannot_be_listed_at_once_are_asked_for_again() {
    let scene = Scene::new();
    let store = Store::start(Mood::Good);
    assert_eq!(scene.upload_to(&store).code, Some(0));
    let before = store.requests().len();
    store.set(Mood::Refusing(503, "SlowDown"));
    let mut verify = scene.s3("verify", store.port);
    let verifying = std::thread::spawn(move || verify.args(["--remote", "--json"]).output().unwrap());
    eventually("the dates are asked for", || store.requests().len() > before);
    store.set(Mood::Good);
    let verified = verifying.join().unwrap();
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}

#[test]
fn one_program_uploads_at_a_time() {
    let scene = Scene::new();
    let locked = std::fs::File::create(scene.data(".upload")).unwrap();
    rustix::fs::flock(&locked, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let done = scene.upload(&[]);
    assert_eq!(done.code, Some(75), "{}", done.told);
    drop(locked);
    assert_eq!(scene.upload(&[]).code, Some(0));
}

#[test]
fn a_store_that_fails_is_told_in_a_line_and_costs_nothing_else() {
    let scene = Scene::new();
    let store = Store::start(Mood::Good);
    for (mood, code, told) in [
        (Mood::Refusing(403, "AccessDenied"), 77, "the store forbids it: 403 AccessDenied"),
        (Mood::ReadOnly(403, "AccessDenied"), 77, "the store forbids it: 403 AccessDenied"),
        (Mood::Refusing(400, "InvalidAccessKeyId"), 77, "the store forbids it: 400 InvalidAccessKeyId"),
        (Mood::ReadOnly(507, "InsufficientStorage"), 74, "the store is full: 507 InsufficientStorage"),
        (Mood::ReadOnly(403, "QuotaExceeded"), 74, "the store is full: 403 QuotaExceeded"),
        (Mood::Refusing(404, "NoSuchBucket"), 74, "the store has no such place: 404 NoSuchBucket"),
        (Mood::Refusing(503, "SlowDown"), 69, "the store is down: 503 SlowDown"),
        (Mood::Refusing(301, "PermanentRedirect"), 74, "the store cannot be used: 301 PermanentRedirect"),
    ] {
        store.set(mood);
        let done = scene.upload_to(&store);
        assert_eq!(done.code, Some(code), "{mood:?}: {}", done.told);
        assert!(done.told.lines().count() == 1 && done.told.contains(told), "{mood:?}: {}", done.told);
        assert!(store.objects().is_empty(), "{mood:?}");
    }
    store.set(Mood::Good);
    let done = scene.upload_to(&store);
    assert_eq!((done.code, done.files), (Some(0), 6), "{}", done.told);
    assert_eq!(assert_committed(&store.objects()), 6);
    let puts: Vec<String> = store.requests().into_iter().filter(|request| request.starts_with("PUT")).collect();
    assert!(puts.iter().all(|put| put.ends_with(" if-none-match")), "{puts:?}");
    let last = puts.last().unwrap();
    assert!(last.contains("/manifest.000001.jsonl"), "the line goes last: {puts:?}");
}

#[test]
fn a_store_that_is_not_there_is_down() {
    let done = Scene::new().upload_to_port(crate::support::http::free_port());
    assert_eq!(done.code, Some(69), "{}", done.told);
    assert!(
        done.told.lines().count() == 1 && done.told.contains("the store is down: connection refused"),
        "{}",
        done.told
    );
}

#[test]
fn a_store_that_lies_about_lengths_is_not_believed() {
    let (scene, store) = (Scene::new(), Store::start(Mood::Lying));
    let done = scene.upload_to(&store);
    assert_eq!((done.code, done.waiting), (Some(1), 6), "{}", done.told);
    assert_eq!(done.told.matches("another length than what was sent").count(), 6, "{}", done.told);
    assert_eq!(assert_committed(&store.objects()), 0, "nothing is listed");
    store.set(Mood::Good);
    let done = scene.upload_to(&store);
    assert_eq!((done.code, done.files, assert_committed(&store.objects())), (Some(0), 0, 6), "{}", done.told);
}

#[test]
fn a_store_that_promises_too_much_is_believed_in_nothing() {
    let (scene, store) = (Scene::new(), Store::start(Mood::Boasting));
    let done = scene.upload_to(&store);
    assert_eq!(done.code, Some(69), "{}", done.told);
    store.set(Mood::Good);
    assert_eq!(scene.upload_to(&store).code, Some(0));
    store.set(Mood::Repeating);
    scene.seal(Feed::Public, "KRW-XRP_trade", scene.now);
    let done = scene.upload_to(&store);
    assert_eq!(done.code, Some(74), "{}", done.told);
    assert!(done.told.contains("it lists the same twice"), "{}", done.told);
}

#[test]
fn large_files_go_in_parts_and_long_lists_are_read_whole() {
    let (scene, store) = (Scene::new(), Store::start(Mood::Good));
    let sealed = scene.seal_large("KRW-XRP_trade");
    let done = scene.upload_to(&store);
    assert_eq!((done.code, done.files), (Some(0), 7), "{}", done.told);
    assert_eq!(assert_committed(&store.objects()), 7);
    let name = sealed.file_name().unwrap().to_str().unwrap();
    let of_it: Vec<String> = store.requests().into_iter().filter(|request| request.contains(name)).collect();
    let kinds: Vec<&str> = of_it.iter().map(|request| request.split_once(' ').unwrap().0).collect();
    assert_eq!(kinds, ["POST", "PUT", "PUT", "PUT", "HEAD", "POST", "HEAD"], "{of_it:?}");
    assert!(of_it[5].ends_with(" if-none-match"), "{of_it:?}");
    // Four objects of today, in two parts of a list: what is there is not sent again.
    let puts = || store.requests().iter().filter(|request| request.starts_with("PUT")).count();
    let before = puts();
    scene.forget_uploaded();
    let done = scene.upload_to(&store);
    assert_eq!((done.code, done.files, puts()), (Some(0), 0, before), "{}", done.told);
}

#[test]
fn variables_do_not_say_where_the_store_is() {
    let (scene, store, other) = (Scene::new(), Store::start(Mood::Good), Store::start(Mood::Good));
    let address = format!("http://127.0.0.1:{}", other.port);
    for variable in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"] {
        let output = scene.s3("upload", store.port).env(variable, &address).arg("--json").output().unwrap();
        let done = Uploaded::of(output);
        assert_eq!(done.code, Some(78), "{variable}: {}", done.told);
        assert!(done.told.contains(variable) && done.told.contains("upload.endpoint"), "{}", done.told);
    }
    assert!(other.requests().is_empty() && store.requests().is_empty());
    let own = format!("http://127.0.0.1:{}", store.port);
    let output = scene.s3("upload", store.port).env("AWS_ENDPOINT_URL_S3", own).arg("--json").output().unwrap();
    assert_eq!(Uploaded::of(output).code, Some(0), "the same address is no other");
    for (variable, value) in [("AZURE_STORAGE_USE_EMULATOR", "true"), ("AZURE_STORAGE_ENDPOINT", &address)] {
        let mut command = scene.command("upload", &["upload.url=az://tape"]);
        command.env("AZURE_STORAGE_ACCOUNT_NAME", "one").env("AZURE_STORAGE_ACCOUNT_KEY", "a2V5").env(variable, value);
        let done = Uploaded::of(command.output().unwrap());
        assert!(done.code == Some(78) && done.told.contains(variable), "{variable}: {}", done.told);
    }
}

#[test]
fn what_cannot_be_read_here_holds_up_nothing_else() {
    let scene = Scene::new();
    let sealed = scene.seal(Feed::Public, "KRW-AAA_trade", scene.now.before(2 * DAY));
    let manifest = scene.data(&sealed).with_file_name("manifest.jsonl");
    std::fs::rename(&manifest, scene.data("elsewhere")).unwrap();
    std::os::unix::fs::symlink(scene.data("elsewhere"), &manifest).unwrap();
    let done = scene.upload(&[]);
    assert_eq!(done.code, Some(74), "{}", done.told);
    assert!(done.told.contains("manifest.jsonl"), "{}", done.told);
    assert_eq!(assert_committed(&scene.there()), 6, "the other days are there");
    std::fs::remove_file(&manifest).unwrap();
    std::fs::rename(scene.data("elsewhere"), &manifest).unwrap();
    // A file that is none is one that is damaged.
    std::fs::remove_file(scene.data(&sealed)).unwrap();
    std::fs::create_dir(scene.data(&sealed)).unwrap();
    scene.seal(Feed::Public, "KRW-ZZZ_trade", scene.now.before(2 * DAY));
    let done = scene.upload(&[]);
    assert_eq!((done.code, done.files, done.waiting), (Some(1), 1, 1), "{}", done.told);
    assert_eq!(assert_committed(&scene.there()), 7);
}

#[test]
fn keys_need_not_reach_what_is_not_uploaded() {
    let (scene, store) = (Scene::new(), Store::start(Mood::Good));
    assert_eq!(scene.upload_to(&store).code, Some(0));
    store.set(Mood::Discreet);
    for (private, code) in [("false", 0), ("true", 77)] {
        let mut verify = scene.s3("verify", store.port);
        verify.args(["--set", &format!("upload.private={private}"), "--remote", "--json"]);
        let output = verify.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn without_conditions_each_name_is_looked_up_first() {
    let (scene, store) = (Scene::new(), Store::start(Mood::Unconditional));
    let done = scene.upload_to(&store);
    assert_eq!((done.code, done.files), (Some(0), 6), "{}", done.told);
    assert!(done.told.contains("does not know If-None-Match"), "{}", done.told);
    let requests = store.requests();
    for (at, put) in
        requests.iter().enumerate().filter(|(_, request)| request.starts_with("PUT") && !request.ends_with("match"))
    {
        assert_eq!(requests[at - 1], put.replace("PUT", "HEAD"), "{requests:?}");
    }
    let content = b"somebody else's";
    let sealed = scene.seal(Feed::Public, "KRW-XRP_trade", scene.now);
    let date = sealed.parent().unwrap().file_name().unwrap().to_str().unwrap();
    let key = format!("a/venue=local/host=tape1/{date}/{}", sealed.file_name().unwrap().to_str().unwrap());
    store.put(&key, content);
    assert_eq!((scene.upload_to(&store).code, &*store.objects()[&key]), (Some(1), &content[..]));
}

#[test]
fn an_answer_that_is_lost_leads_to_no_second_object() {
    let (scene, store) = (Scene::new(), Store::start(Mood::HangingUp));
    let done = scene.upload_to(&store);
    assert_eq!((done.code, done.waiting), (Some(0), 0), "{}", done.told);
    assert_eq!((store.objects().len(), assert_committed(&store.objects())), (8, 6));
}

#[test]
#[ignore = "waits for a minute"]
fn a_store_that_says_nothing_is_slow() {
    let (scene, store) = (Scene::new(), Store::start(Mood::Mute));
    let done = scene.upload_to(&store);
    assert_eq!(done.code, Some(69), "{}", done.told);
    assert!(done.told.contains("the store is too slow: nothing came or went for 60 s"), "{}", done.told);
}

#[test]
fn a_recorder_uploads_by_itself_and_survives_its_store() {
    let (scene, store) = (Scene::new(), Store::start(Mood::Refusing(503, "SlowDown")));
    let exchange = crate::support::Exchange::start(0, &["--rate", "50", "--codes", "2"]);
    let port = crate::support::http::free_port();
    let settings = [
        format!("upload.endpoint=http://127.0.0.1:{}", store.port),
        format!("public.url={}", exchange.url),
        "upload.url=s3://tape/a".to_owned(),
        "upload.enabled=true".to_owned(),
        "upload.private=true".to_owned(),
        "venue=local".to_owned(),
        "rest.heal_max=0".to_owned(),
        format!("http.listen=127.0.0.1:{port}"),
    ];
    let mut command = scene.command("record", &settings.each_ref().map(String::as_str));
    command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "SECRETTEST");
    let recorder = Program::spawn(&mut command);
    let status = || crate::support::http::get(port, "/status").map(|answer| parse(&answer.body));
    let uploads = || status().map(|status| status["uploads"].clone()).filter(|uploads| uploads.is_object());
    eventually("the store is told to be down", || {
        uploads().is_some_and(|uploads| uploads["cause"].as_str().is_some_and(|cause| cause.contains("503 SlowDown")))
    });
    let shown = uploads().unwrap();
    assert_eq!((number(&shown, "backlog_files"), number(&shown, "files")), (8, 0), "{shown}");
    assert!(status().unwrap()["ready"].as_bool().unwrap(), "it records");
    let metrics = crate::support::http::get(port, "/metrics").unwrap().body;
    assert!(metrics.contains("upbit_recorder_upload_backlog_files 8.0\n"), "{metrics}");
    store.set(Mood::Good);
    eventually("all is there", || uploads().is_some_and(|uploads| number(&uploads, "backlog_files") == 0));
    assert_eq!(assert_committed(&store.objects()), 8);
    let niceness: Vec<String> = std::fs::read_dir(format!("/proc/{}/task", recorder.pid()))
        .unwrap()
        .map(|task| task.unwrap().path())
        .filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "uploader"))
        .map(|task| std::fs::read_to_string(task.join("stat")).unwrap().split_whitespace().nth(18).unwrap().to_owned())
        .collect();
    assert_eq!(niceness, ["19"]);
    assert!(recorder.terminate().success());
}
