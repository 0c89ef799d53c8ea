//! The configuration as a user meets it: the real program, its output and its exit codes.

use std::path::Path;
use std::process::{Command, Output};

/// The program in an empty environment of its own.
fn program(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.args(arguments).env_clear().current_dir(directory);
    command
}

fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    finish(program(directory, arguments).output().expect("cargo built the program"))
}

fn finish(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints text");
    (output.status.code().expect("no signal ended it"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_misspelt_key_is_named_beside_every_other_fault() {
    let directory = tempfile::tempdir().unwrap();
    let file = "
        [public]
        ping_intervall = '20s'
        pong_timeout = '10 seconds'
        [[public.subscribe]]
        type = 'orderbok'
        codes = ['krw-btc']
        [[public.subscribe]]
        type = 'trade'
        code = ['KRW-*']
        [storage]
        rotate_bytes = 5
        ";
    std::fs::write(directory.path().join("my.toml"), file).unwrap();
    let mut command = program(directory.path(), &["check", "--config", "my.toml", "--set", "log.level=inof"]);
    command.env("UPBIT_RECORDER_STORAGE__ZSTD_LEVEL", "99");
    let (code, out, err) = finish(command.output().unwrap());
    assert_eq!((code, out.as_str()), (78, ""));
    let expected = [
        "upbit-recorder: the configuration has 8 faults",
        "my.toml: public.ping_intervall: unknown key; did you mean `ping_interval`?",
        "my.toml: public.pong_timeout: `10 seconds` is no duration: write a whole number and one of the units ms, s, m, h, d, such as 30s",
        "my.toml: public.subscribe[1].code: unknown key; did you mean `codes`?",
        "my.toml: public.subscribe[0].type: `orderbok` is no type of the exchange; did you mean `orderbook`?",
        "my.toml: public.subscribe[0].codes: `krw-btc` is not upper case, and the exchange answers that with silence: write `KRW-BTC`",
        "my.toml: storage.rotate_bytes: `5` is out of bounds: from 1MiB to 1TiB",
        "UPBIT_RECORDER_STORAGE__ZSTD_LEVEL: storage.zstd_level: `99` is out of bounds: from 1 to 19",
        "--set: log.level: `inof` is no level (off, error, warn, info, debug, trace); did you mean `info`?",
    ];
    assert_eq!(err.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_printed_is_a_configuration_that_means_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let options = "{\"odd key\"=[1,{a=\"b\"}],x=true}";
    let entry = format!(
        "public.subscribe=[{{type=\"orderbook\",codes=[\"KRW-BTC\"],count=5,level=0,only_realtime=true,options={options}}}]"
    );
    let (code, first, err) =
        run(directory.path(), &["check", "--set", &entry, "--set", "data_dir=a \"b\"\u{202e}\u{e0041}"]);
    assert!(first.contains("\\u202e\\U000e0041") && !first.contains(['\u{202e}', '\u{e0041}']), "{first}");
    assert_eq!((code, err.as_str()), (0, ""));
    std::fs::write(directory.path().join("again.toml"), &first).unwrap();
    let (code, second, err) = run(directory.path(), &["check", "--config", "again.toml"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let without_origins = |text: &str| -> Vec<String> {
        let settings = text.lines().filter(|line| !line.starts_with('#'));
        settings.map(|line| line.split("  #").next().unwrap().split(" # ").next().unwrap().trim().to_owned()).collect()
    };
    assert_eq!(without_origins(&first), without_origins(&second));
    let frame = r#"{"type":"orderbook","codes":["KRW-BTC.5"],"level":0,"is_only_realtime":true,"odd key":[1,{"a":"b"}],"x":true},{"format":"DEFAULT"}]"#;
    assert!(first.contains(frame) && second.contains(frame), "{first}");
}

#[test]
fn without_a_file_check_shows_defaults_frames_and_needs() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, err) = run(directory.path(), &["check"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for line in [
        "data_dir = \"data\"                                # default",
        r#"#   [{"ticket":"00000000-0000-4000-8000-000000000000"},{"type":"trade","codes":["KRW-BTC","KRW-ETH","KRW-XRP"]},{"type":"orderbook","codes":["KRW-BTC","KRW-ETH","KRW-XRP"]},{"type":"ticker","codes":["KRW-BTC","KRW-ETH","KRW-XRP"]},{"format":"DEFAULT"}]"#,
        "# Streams: 9, a file each; storage.max_streams allows 10000.",
        "# The private connection is off (private.enabled).",
    ] {
        assert!(out.lines().any(|found| found == line), "{line}\n{out}");
    }
    assert!(out.contains("# Open files: up to 73; the limit here is ") && out.contains("This is an estimate"), "{out}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "check writes nothing");
}

#[test]
fn the_json_report_says_the_same_for_programs() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, _) = run(directory.path(), &["check", "--json", "--set", "log.level=debug"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["valid"], &report["streams"]), (0, &true.into(), &9.into()));
    let settings = report["settings"].as_array().unwrap();
    let level = settings.iter().find(|setting| setting["key"] == "log.level").unwrap();
    assert_eq!((&level["value"], &level["origin"]), (&"debug".into(), &"--set".into()));

    let (code, out, err) = run(directory.path(), &["check", "--json", "--set", "log.level=loud"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, err.as_str(), &report["valid"]), (78, "", &false.into()));
    assert_eq!(report["faults"][0]["key"], "log.level");
}

#[test]
fn nothing_from_the_secret_file_and_no_key_is_ever_printed() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("my.secret.toml");
    std::fs::write(directory.path().join("my.toml"), "[private]\nenabled = true").unwrap();
    std::fs::write(&secret, "data_dir = 'CANARY-directory'\n[public]\nurl = 'ws://CANARY-host/'\nformat = 'CANARY'")
        .unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let canary = |code: i32, arguments: &[&str]| {
        let mut command = program(directory.path(), arguments);
        command.env("UPBIT_ACCESS_KEY", "CANARY-access").env("UPBIT_SECRET_KEY", "CANARY-secret");
        let (found, out, err) = finish(command.output().unwrap());
        assert_eq!(found, code, "{out}{err}");
        assert!(!out.contains("CANARY") && !err.contains("CANARY"), "{out}{err}");
        out
    };
    canary(78, &["check", "--config", "my.toml"]);
    canary(78, &["check", "--config", "my.toml", "--json"]);
    let text = canary(0, &["check", "--config", "my.toml", "--set", "public.format=SIMPLE"]);
    assert!(text.contains("# data_dir is not shown: it is secret, from my.secret.toml"), "{text}");
    assert!(text.contains("keys in UPBIT_ACCESS_KEY and UPBIT_SECRET_KEY"), "{text}");
    canary(0, &["check", "--json", "--config", "my.toml", "--set", "public.format=SIMPLE"]);
}

#[test]
fn a_key_of_a_wrong_form_exits_78_and_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    for verb in ["check", "record"] {
        let arguments = [verb, "--set", "private.enabled=true", "--set", "public.enabled=false"];
        let mut command = program(directory.path(), &arguments);
        command.env("UPBIT_ACCESS_KEY", "\"CANARY\"").env("UPBIT_SECRET_KEY", "CANARY CANARY");
        let (code, out, err) = finish(command.output().unwrap());
        assert_eq!(code, 78, "{out}{err}");
        assert!(err.contains("UPBIT_ACCESS_KEY has quotes in it"), "{err}");
        assert!(err.contains("UPBIT_SECRET_KEY has white space inside the key"), "{err}");
        assert!(!out.contains("CANARY") && !err.contains("CANARY"), "{out}{err}");
    }
}

#[test]
fn what_is_wrong_in_the_secret_file_is_named_but_not_repeated() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("my.secret.toml");
    let file = "
        http = 'CANARY'
        [public]
        url = 'wss://CANARY@host/'
        subscribe = [{ type = 'CANARY', codes = ['CANARY-lower'] }, 'CANARY']
        [private]
        enabled = true
        access_key_file = 'CANARY'
        ";
    std::fs::write(directory.path().join("my.toml"), "").unwrap();
    std::fs::write(&secret, file).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, out, err) = run(directory.path(), &["check", "--config", "my.toml"]);
    assert!(code == 78 && !out.contains("CANARY") && !err.contains("CANARY"), "{out}{err}");
    for key in ["http", "public.url", "public.subscribe[1]", "private.access_key_file", "private.enabled"] {
        assert!(err.contains(&format!("my.secret.toml: {key}: the value cannot be used")), "{key}\n{err}");
    }
}

#[test]
fn the_account_is_not_sent_in_plain_text_to_another_machine() {
    let directory = tempfile::tempdir().unwrap();
    let check = |private: &str, verb: &str| {
        let url = format!("private.url={private}");
        let mut command = program(directory.path(), &[verb, "--set", "private.enabled=true", "--set", &url]);
        command.env("UPBIT_ACCESS_KEY", "a").env("UPBIT_SECRET_KEY", "b");
        finish(command.output().unwrap())
    };
    for verb in ["check", "record"] {
        let (code, _, err) = check("ws://api.upbit.com/websocket/v1/private", verb);
        assert!(code == 78 && err.contains("private.url: ws:// would send the token"), "{code} {err}");
    }
    assert_eq!(check("ws://127.0.0.1:8080/websocket/v1/private", "check").0, 0);
}

#[test]
fn rest_in_plain_text_over_a_network_is_a_warning() {
    let warning = "rest.url is http:// to another machine";
    for (url, is_told) in [("http://rest.invalid/v1", true), ("http://127.0.0.1:1/v1", false), ("https://x/v1", false)]
    {
        // A directory of its own: what is recorded is of another venue than the default.
        let directory = tempfile::tempdir().unwrap();
        let set = format!("rest.url={url}");
        let (code, out, _) = run(directory.path(), &["check", "--set", &set]);
        assert_eq!((code, out.contains(&format!("# WARNING: {warning}"))), (0, is_told), "{url}: {out}");
        if !url.starts_with("https") {
            let verb = ["record", "--for", "1s", "--set", &set, "--set", "public.url=ws://127.0.0.1:1/"];
            let (code, _, err) = run(directory.path(), &verb);
            let warned = err.lines().filter(|line| line.contains("WARN") && line.contains(warning)).count();
            assert_eq!((code, warned), (0, usize::from(is_told)), "{err}");
        }
    }
}

#[test]
fn a_name_in_the_secret_file_is_not_repeated_either() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("my.secret.toml");
    let file = "
        CANARY1 = 1
        [private]
        CANARY2 = 'x'
        acces_key_file = 'CANARY'
        [public]
        subscribe = [{ type = 'trade', codes = ['KRW-BTC'], CANARY3 = 1 }]
        [CANARY4.CANARY5]
        x = 1
        ";
    std::fs::write(directory.path().join("my.toml"), "").unwrap();
    std::fs::write(&secret, file).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    for json in [&[][..], &["--json"]] {
        let (code, out, err) = run(directory.path(), &[&["check", "--config", "my.toml"], json].concat());
        assert!(code == 78 && !out.contains("CANARY") && !err.contains("CANARY"), "{out}{err}");
    }
    let (_, _, err) = run(directory.path(), &["check", "--config", "my.toml"]);
    for told in [
        "my.secret.toml: unknown key; known here: ",
        "my.secret.toml: private: unknown key; did you mean `access_key_file`? (not shown, as it is secret)",
        "my.secret.toml: public.subscribe[0]: the value cannot be used",
    ] {
        assert!(err.contains(told), "{told}\n{err}");
    }
}

#[test]
fn check_shows_the_proxy_on_each_way_and_not_what_lets_us_in() {
    let directory = tempfile::tempdir().unwrap();
    let check = |arguments: &[&str]| {
        let mut command = program(directory.path(), &[&["check"], arguments].concat());
        command.env("HTTPS_PROXY", "http://me:hunter2@proxy.local:3128").env("ALL_PROXY", "socks5://hunter2@x");
        let (code, out, err) = finish(command.output().unwrap());
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(!out.contains("hunter2") && !out.contains("aHVudGVyMg"), "{out}");
        out
    };
    let text = check(&["--set", "rest.url=http://127.0.0.1:8080/v1"]);
    let way = |to: &str| text.lines().skip_while(|line| !line.contains(to)).nth(1).unwrap().to_owned();
    assert_eq!(way("# The public connection goes to"), "# through the proxy http://proxy.local:3128 (HTTPS_PROXY)");
    assert_eq!(way("# The REST interface is asked at"), "# straight, without a proxy");
    let report: serde_json::Value = serde_json::from_str(&check(&["--json", "--set", "rest.url=http://x/v1"])).unwrap();
    assert_eq!(report["connections"][0]["proxy"], "http://proxy.local:3128 (HTTPS_PROXY)");
    assert_eq!(report["rest"]["proxy"], serde_json::Value::Null);
    assert!(report["rest"]["problem"].as_str().unwrap().contains("ALL_PROXY cannot be used"), "{report}");
}

#[test]
fn check_shows_the_venue_that_stands_on_record() {
    let directory = tempfile::tempdir().unwrap();
    let local = ["--set", "public.url=ws://127.0.0.1:1/", "--set", "rest.url=http://localhost:2/"];
    let check = |arguments: &[&str]| {
        let (code, out, err) = finish(program(directory.path(), &[&["check"], arguments].concat()).output().unwrap());
        assert_eq!((code, err.as_str()), (0, ""));
        out
    };
    let shown = |arguments: &[&str]| {
        let report: serde_json::Value = serde_json::from_str(&check(&[&["--json"], arguments].concat())).unwrap();
        report["venue"].as_str().unwrap().to_owned()
    };
    assert_eq!((shown(&[]), shown(&local)), ("upbit-kr".to_owned(), "127.0.0.1".to_owned()));
    let text = check(&[&local[..], &["--set", "venue=paper"]].concat());
    let setting = text.lines().find(|line| line.starts_with("venue = ")).unwrap();
    assert!(setting.starts_with("venue = \"paper\" ") && setting.ends_with("# --set"), "{setting}");
    assert!(text.contains("# The venue that stands on record is paper."), "{text}");
}

#[test]
fn where_rights_are_missing_it_says_whose_it_is_and_who_we_are() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let directory = tempfile::tempdir().unwrap();
    let ours = directory.path().join("ours");
    std::fs::create_dir(&ours).unwrap();
    for (path, mode) in [(directory.path(), 0o755), (&ours, 0o555)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let owner = ours.metadata().unwrap();
    // Root may write anywhere, so then it is run by somebody else.
    let (user, group) = if owner.uid() == 0 { (65_534, 65_534) } else { (owner.uid(), owner.gid()) };
    let expected = format!(
        "{} belongs to user {} and group {} (mode 0555), and this is user {user} of group {group}",
        ours.display(),
        owner.uid(),
        owner.gid()
    );
    for data_dir in [&ours, &ours.join("tape")] {
        for (verb, code) in [(&["record", "--for", "1s"][..], 74), (&["markets"], 74), (&["check"], 0)] {
            let mut command = program(Path::new("/"), verb);
            command.args(["--set", &format!("data_dir={}", data_dir.display())]);
            command.args(["--set", "public.url=ws://127.0.0.1:1/", "--set", "rest.url=http://127.0.0.1:1/"]);
            if owner.uid() == 0 {
                command.uid(user).gid(group);
            }
            let (found, out, err) = finish(command.output().unwrap());
            assert!(found == code && (out + &err).contains(&expected), "{verb:?} {found}: {err}\n{expected}");
        }
    }
}

#[test]
fn what_is_told_is_printable_whatever_it_quotes() {
    let directory = tempfile::tempdir().unwrap();
    let hostile = "x\nupbit-recorder: all is well\u{1b}[2J\r\u{202e}\u{200b}";
    for arguments in [
        &["check", "--config", hostile][..],
        &["check", "--set", &format!("public.format={hostile}")],
        &["check", "--set", &format!("public.{hostile}=1")],
        &["check", "--set", &format!("public.subscribe=[{{type='trade',codes=['{hostile}']}}]")],
        &["record", "--for", "1s", "--set", &format!("data_dir=/proc/{hostile}")],
        &["markets", "--set", "rest.url=http://127.0.0.1:1", "--set", &format!("data_dir=/proc/{hostile}")],
        &["replay", "--frames", hostile],
    ] {
        let (code, out, err) = run(directory.path(), arguments);
        assert!(code != 0 && out.is_empty(), "{arguments:?}: {code} {out}{err}");
        let hidden = |char: char| char != '\n' && upbit_recorder::printable::is_hidden(char);
        assert!(!err.contains(hidden) && !err.contains("\nupbit-recorder: all is well"), "{arguments:?}: {err:?}");
        assert!(err.contains(r"\n") && err.contains("u202e"), "{arguments:?}: {err}");
    }
}

#[test]
fn misuse_of_the_command_line_exits_64() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["chekc"], &["check", "--nonsense"], &["check", "--config"]] {
        let (code, out, err) = run(directory.path(), arguments);
        assert_eq!((code, out.as_str()), (64, ""), "{arguments:?}");
        assert!(err.contains("Usage") || err.contains("try '--help'"), "{err}");
    }
}

#[test]
fn a_configuration_file_that_is_missing_exits_78() {
    let directory = tempfile::tempdir().unwrap();
    let (code, _, err) = run(directory.path(), &["check", "--config", "none.toml"]);
    assert_eq!(code, 78);
    assert!(err.contains("none.toml: cannot be read: No such file"), "{err}");
}

#[test]
fn the_shipped_file_is_sound_when_it_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/recorder.toml");
    let (code, out, err) = run(directory.path(), &["check", "--config", shipped]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(!out.contains("# default"), "every key is in the file: {out}");
}

#[test]
fn completions_and_the_manual_name_every_verb() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [&["completions", "bash"][..], &["completions", "zsh"], &["completions", "fish"], &["man"]] {
        let (code, out, err) = run(directory.path(), arguments);
        assert_eq!((code, err.as_str()), (0, ""));
        for verb in ["record", "check", "backfill", "markets", "replay", "completions", "man"] {
            assert!(out.to_lowercase().contains(verb), "{arguments:?} {verb}");
        }
    }
}
