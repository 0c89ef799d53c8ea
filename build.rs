//! What `--version` tells beside the number: the commit, the target, the features. Refuses systems that it cannot run on.
//!
//! ```text
//! commit   $UPBIT_RECORDER_COMMIT ─▶ .commit, filled in by `git archive` ─▶ git, if this is its work tree ─▶ "unknown"
//! ```

use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    // Here, and not by `compile_error!`: that one comes last, among what nobody else could compile either.
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        println!(
            "cargo::error=upbit-recorder runs on Linux alone (x86-64 and arm64), on whose file systems its promises rest"
        );
        return;
    }
    let features: Vec<String> = std::env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase().replace('_', "-")))
        .filter(|name| name != "default")
        .collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(" ") };
    // Commits must not make what is tested be built anew.
    let commit = if variable("PROFILE") == "release" { commit() } else { "unknown".to_owned() };
    println!("cargo::rustc-env=UPBIT_RECORDER_BUILD=commit {commit}, {}, features: {features}", variable("TARGET"));
}

fn commit() -> String {
    println!("cargo::rerun-if-env-changed=UPBIT_RECORDER_COMMIT");
    println!("cargo::rerun-if-changed=.commit");
    let named = std::env::var("UPBIT_RECORDER_COMMIT").ok();
    let archived = || fs::read_to_string(".commit").ok().filter(|text| !text.starts_with('$'));
    let is_hash =
        |text: &String| (7..=64).contains(&text.len()) && text.chars().all(|char| char.is_ascii_alphanumeric());
    let told = named.or_else(archived).map(|text| text.trim().to_owned()).filter(is_hash);
    told.or_else(of_work_tree).unwrap_or_else(|| "unknown".to_owned())
}

/// What is checked out here, and not in a repository that these sources were copied into.
fn of_work_tree() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let is_ours = Path::new(&top).canonicalize().ok()? == Path::new(".").canonicalize().ok()?;
    println!("cargo::rerun-if-changed={}", git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    git(&["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]).filter(|_| is_ours)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
