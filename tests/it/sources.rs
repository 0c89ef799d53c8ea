//! Rules of the house that neither the compiler nor clippy sees: read off the sources.

use std::path::{Path, PathBuf};

/// Every source file of the program, with its text up to the tests in it.
fn sources() -> Vec<(PathBuf, String)> {
    fn walk(directory: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                found.push((path, code.to_owned()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort();
    found
}

#[test]
fn files_are_opened_in_one_place() {
    // The first two open; `replay` reads and writes what the command line names.
    let openers = ["files/", "config/files.rs", "replay/", "/tests/"];
    let calls = [
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
    ];
    let is_opener = |path: &Path| openers.iter().any(|opener| path.to_str().unwrap().contains(opener));
    let sources = sources();
    assert!(sources.iter().any(|(path, text)| is_opener(path) && text.contains("openat2")));
    for (path, text) in sources.iter().filter(|(path, _)| !is_opener(path)) {
        for call in calls {
            assert!(!text.contains(call), "{} opens a file by itself: {call}", path.display());
        }
    }
}
