//! What packages hold, and what the unit names, is there.

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const MANIFEST: &str = include_str!("../../Cargo.toml");
const UNIT: &str = include_str!("../../systemd/upbit-recorder.service");

#[derive(Deserialize)]
struct Asset {
    source: String,
    dest: String,
}

fn deb() -> Vec<Asset> {
    let assets: Vec<[String; 3]> =
        Figment::from(Toml::string(MANIFEST)).extract_inner("package.metadata.deb.assets").unwrap();
    let place = |[source, dest, _]: [String; 3]| {
        let name = if dest.ends_with('/') { source.rsplit('/').next().unwrap() } else { "" };
        Asset { dest: format!("/{dest}{name}"), source }
    };
    assets.into_iter().map(place).collect()
}

fn rpm() -> Vec<Asset> {
    Figment::from(Toml::string(MANIFEST)).extract_inner("package.metadata.generate-rpm.assets").unwrap()
}

fn dests(assets: &[Asset]) -> BTreeSet<&str> {
    assets.iter().map(|asset| asset.dest.as_str()).collect()
}

#[test]
fn packages_hold_the_same_files_and_all_of_them_are_there() {
    let (deb, rpm) = (deb(), rpm());
    for asset in deb.iter().chain(&rpm).filter(|asset| !asset.source.starts_with("target/")) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(&asset.source).is_file(), "{}", asset.source);
    }
    // `cargo deb` finds the unit and its user by itself.
    let by_place = ["/zsh/", "/LICENSE-", "/upbit-recorder.service", "/sysusers.d/"];
    let differs = |dest: &&&str| !by_place.iter().any(|part| dest.contains(part));
    let (in_deb, in_rpm) = (dests(&deb), dests(&rpm));
    let only = in_deb.symmetric_difference(&in_rpm).filter(differs).collect::<Vec<_>>();
    assert!(only.is_empty(), "{only:?}");
    for setting in ["ExecStart=", "ExecReload="] {
        let line = UNIT.lines().find_map(|line| line.strip_prefix(setting)).unwrap();
        let ours = line.split(' ').filter(|word| word.contains("upbit-recorder"));
        ours.for_each(|path| assert!(in_deb.contains(path), "{path}"));
    }
}

#[test]
fn the_packaged_configuration_records_where_the_unit_allows_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_upbit-recorder"));
    command.env_clear().args(["check", "--json", "--config"]).arg(root.join("systemd/recorder.toml"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let state = UNIT.lines().find_map(|line| line.strip_prefix("StateDirectory=")).unwrap();
    assert!(text.contains(&format!("\"/var/lib/{state}\"")), "{text}");
}
