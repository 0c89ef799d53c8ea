//! After `kill -9`: every earlier line is there once, and what is missing lies in a gap.

use super::Scene;
use crate::support::{eventually, sent};

#[test]
fn after_a_kill_each_line_is_there_once_and_the_gap_recorded() {
    let scene = Scene::new();
    let exchange = scene.exchange(&["--codes", "3", "--rate", "3000"]);
    for _ in 1..=3 {
        let recorder = scene.record(&exchange.url, &["storage.rotate_bytes=1MiB"]);
        scene.await_event(&recorder, "gap", 1);
        recorder.kill();
    }
    let recorder = scene.record(&exchange.url, &["storage.rotate_bytes=1MiB"]);
    scene.await_event(&recorder, "gap", 1);
    exchange.terminate();
    eventually("everything is sealed", || scene.tape.unsealed().is_empty());
    assert!(recorder.terminate().success());
    scene.tape.assert_stamps_increase();
    scene.tape.assert_sealed();
    let kinds: Vec<_> = scene.tape.events("gap").iter().map(|gap| gap["kind"].as_str().unwrap().to_owned()).collect();
    // The last one is the exchange's own end.
    assert_eq!(kinds, ["disconnected", "killed", "killed", "killed", "disconnected"]);
    // Frames of each stream are recorded in the order they were sent, and none twice.
    let recorded = scene.tape.frames();
    for (stream, sent) in sent(&scene.directory.path().join("sent")) {
        let mut rest = sent.iter();
        for frame in recorded.get(&stream).into_iter().flatten() {
            assert!(rest.any(|sent| sent == frame), "{stream} holds a frame twice or out of order: {frame}");
        }
    }
}

#[test]
fn a_torn_line_is_ended_kept_told_and_not_sealed() {
    let scene = Scene::new();
    std::fs::create_dir(&scene.tape.path).unwrap();
    let torn = r#"{"ts_recv":1795324324113205,"type":"tra"#;
    let whole = r#"{"ts_recv":1795324324113204,"type":"trade","code":"KRW-XRP"}"#;
    std::fs::write(scene.tape.path.join("KRW-XRP_trade.jsonl"), format!("{whole}\n{torn}")).unwrap();
    let exchange = scene.exchange(&["--codes", "1"]);
    let recorder = scene.record(&exchange.url, &[]);
    scene.await_event(&recorder, "sealed", 1);
    assert!(recorder.terminate().success());
    let event = &scene.tape.events("recovered")[0];
    assert_eq!(
        (event["offset"].as_u64(), event["length"].as_u64()),
        (Some(whole.len() as u64 + 1), Some(torn.len() as u64))
    );
    assert!(!event.to_string().contains("ts_recv\\\":1795324324113205"), "an event never holds what was in the line");
    let kept = std::fs::read_dir(scene.tape.path.join("quarantine")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read_to_string(kept).unwrap(), torn);
    let sealed = scene.tape.archived(".zst").into_iter().find(|path| path.to_str().unwrap().contains("KRW-XRP_trade"));
    let text = zstd::stream::decode_all(&*std::fs::read(sealed.unwrap()).unwrap()).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), format!("{whole}\n"), "a sealed file has whole lines alone");
}

#[test]
fn a_start_without_a_network_leaves_everything_as_it_was() {
    let scene = Scene::new();
    std::fs::create_dir(&scene.tape.path).unwrap();
    let torn = "{\"ts_recv\":1795324324113204,\"type\":\"trade\"}\n{\"ts_recv\":17953";
    let file = scene.tape.path.join("KRW-XRP_trade.jsonl");
    std::fs::write(&file, torn).unwrap();
    let ca = scene.path("ca.pem");
    std::fs::write(&ca, "no certificate\n").unwrap();
    let mut recorder = scene.record("wss://127.0.0.1:9/", &[&format!("public.tls_ca_file={ca}")]);
    assert_eq!(recorder.wait().code(), Some(78));
    assert_eq!(std::fs::read_to_string(file).unwrap(), torn);
    assert!(!scene.tape.path.join("recorder.jsonl").exists());
}
