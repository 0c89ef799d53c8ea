//! Rules of the house that neither the compiler nor clippy sees: read off the sources.

use std::collections::BTreeMap;
use std::path::Path;

/// Every source file of the program by its path, which begins with `src/`.
pub(crate) fn texts() -> BTreeMap<String, String> {
    fn walk(directory: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                found.insert(name.to_owned(), std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    walk(&root.join("src"), root, &mut found);
    found
}

/// Words that only the files below some paths may have.
struct Absence {
    rule: &'static str,
    words: &'static [&'static str],
    except: &'static [&'static str],
}

const ABSENCES: [Absence; 8] = [
    Absence { rule: "one call is unsafe", words: &["unsafe_code", "unsafe {"], except: &["src/clock/discipline.rs"] },
    Absence {
        rule: "files are opened in one way",
        words: &[
            "File::open",
            "File::create",
            "OpenOptions",
            "File::options",
            "fs::read",
            "fs::write",
            "create_dir",
            "openat",
            "fs::rename",
            "remove_file",
        ],
        // The first two open; `replay` reads and writes what the command line names.
        except: &["src/files/", "src/config/files.rs", "src/replay/"],
    },
    Absence {
        rule: "only the clock reads time and sleeps",
        words: &["disallowed_methods", "clock_gettime", ".elapsed()", "tokio::time", "adjtimex("],
        except: &["src/clock.rs", "src/clock/discipline.rs"],
    },
    Absence {
        rule: "WebSocket is spoken in two rooms",
        words: &["tungstenite"],
        except: &["src/connection/transport/", "src/replay/"],
    },
    Absence {
        rule: "one file has the HTTP client",
        words: &["client::legacy", "hyper::client", "reqwest"],
        except: &["src/net/pool.rs"],
    },
    Absence { rule: "every queue is bounded", words: &["unbounded", "Unbounded"], except: &[] },
    Absence {
        rule: "tasks are spawned into a JoinSet",
        words: &["JoinSet", "task::spawn", "tokio::spawn", "spawn_blocking", "spawn_local"],
        except: &["src/daemon/supervisor/", "src/ops/http/", "src/replay/server/"],
    },
    Absence {
        rule: "threads have a name",
        words: &["thread::Builder", "thread::spawn", "thread::scope"],
        except: &[
            "src/commands/",
            "src/logging/",
            "src/ops/http/",
            "src/recording/threads/",
            "src/history/healing/",
            "src/rest/keys.rs",
            "src/rest/pairs/",
            "src/signals.rs",
            "src/upload/host.rs",
        ],
    },
];

impl Absence {
    /// The first word of the rule that the code has: the text up to its tests, without comments.
    fn word(&self, text: &str) -> Option<&'static str> {
        let code = text.split("#[cfg(test)]\nmod tests {").next()?;
        let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        self.words.iter().copied().find(|word| lines.iter().any(|line| line.contains(word)))
    }

    fn is_exempt(&self, file: &str) -> bool {
        self.except.iter().any(|prefix| file.starts_with(prefix))
    }
}

/// The sequencer is handed readings and deliveries; its driver reads the clocks, and holds channels and tasks.
#[test]
fn the_sequencer_is_pure() {
    let words = &["tokio", "clock.now()", "clock.stamp()", "Wall", "Boot", "Progress", "async "];
    let impurity = Absence { rule: "the sequencer is pure", words, except: &[] };
    let texts = texts();
    let room = "src/daemon/supervisor/sequencer/";
    let sources = texts.iter().filter(|(file, _)| file.starts_with(room) && !file.ends_with("/tests.rs"));
    for (file, text) in sources {
        assert_eq!(impurity.word(text), None, "{file}: {}", impurity.rule);
    }
    assert!(impurity.word(&texts["src/daemon/supervisor/mod.rs"]).is_some(), "it is the driver that has them");
}

/// It is no part of a start, and reads the events of one hour.
const RETENTION: &str = "src/recording/retention/circumstances.rs";

/// What a start knows is in the state. One event is read, the first of the active file, and of it the epoch alone.
#[test]
fn no_start_reads_old_events() {
    let words = &["Record::", "GapRecord", "record::parse", "parse_if", "from_slice::<Event", "tape::record"];
    let reading =
        Absence { rule: "no start reads old events", words, except: &["src/recording/mend/tails.rs", RETENTION] };
    let texts = texts();
    let writes = |file: &str| file.starts_with("src/recording/") || file.starts_with("src/daemon/");
    let own = texts.iter().filter(|(file, _)| writes(file) && !file.contains("/tests"));
    for (file, text) in own.filter(|(file, _)| !reading.is_exempt(file)) {
        assert_eq!(reading.word(text), None, "{file}: {}", reading.rule);
    }
    assert_eq!(texts["src/recording/mend/tails.rs"].matches("record::").count(), 1, "the epoch of the first event");
    assert!(reading.word(&texts["src/history/healing/story.rs"]).is_some(), "a reader of events has these words");
}

#[test]
fn what_is_absent_stays_absent() {
    let texts = texts();
    let is_test = |file: &str| file.contains("/tests/") || file.ends_with("/tests.rs");
    for absence in &ABSENCES {
        let mut files = texts.iter().filter(|(file, _)| !is_test(file) && !absence.is_exempt(file));
        let found = files.find_map(|(file, text)| Some(format!("{file} has `{}`", absence.word(text)?)));
        assert_eq!(found, None, "{}", absence.rule);
        for prefix in absence.except {
            let mut exempt = texts.iter().filter(|(file, _)| file.starts_with(prefix));
            let has_word = exempt.any(|(_, text)| absence.word(text).is_some());
            assert!(has_word, "{}: {prefix} needs no exception", absence.rule);
        }
    }
}
