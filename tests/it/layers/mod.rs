//! The floors of `ARCHITECTURE.md` are held against the sources: a room uses what the table lets it use, and no files
//! need each other. `faults.txt` shows that each rule fails.

mod rules;
mod source;
mod tree;

use crate::sources::texts;
use rules::{Table, circles, violations};
use std::collections::BTreeMap;
use tree::Tree;

const PAGE: &str = include_str!("../../../ARCHITECTURE.md");
const FAULTS: &str = include_str!("faults.txt");

#[test]
fn each_room_uses_what_the_table_allows() {
    let violations = violations(&Table::read(PAGE), &Tree::read(&texts()));
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn no_files_need_each_other() {
    let circles = circles(&Tree::read(&texts()));
    assert!(circles.is_empty(), "{} circles:\n\n{}\n", circles.len(), circles.join("\n\n"));
}

#[test]
fn each_fault_is_found() {
    let mut first = None;
    for script in FAULTS.split("\n# ").skip(1) {
        let (program, expected): (Vec<&str>, Vec<&str>) = script.lines().partition(|line| !line.starts_with("=> "));
        let program = program.join("\n");
        let parts = program.split("\n-- ").skip(1).filter_map(|part| part.split_once('\n'));
        let mut files: BTreeMap<String, String> = first.clone().unwrap_or_default();
        files.extend(parts.map(|(name, text)| (name.to_owned(), text.to_owned())));
        first.get_or_insert_with(|| files.clone());

        let rows = files.remove("rooms").unwrap();
        let table = Table::read(&format!("Text.\n\n| room | owns | may use |\n|---|---|---|\n{rows}\n\nText.\n"));
        let tree = Tree::read(&files);
        let found = Some(violations(&table, &tree)).filter(|found| !found.is_empty());
        let found = found.unwrap_or_else(|| circles(&tree)).join("\n");
        assert_eq!(found, expected.join("\n").replace("=> ", ""), "{script}");
    }
}
