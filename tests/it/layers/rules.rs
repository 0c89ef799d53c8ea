//! The rules: a room uses exactly the rooms that the table gives it, all below it; no circle of files.

use super::source::Names;
use super::tree::{Arrows, Tree};
use std::collections::BTreeSet;

/// A row of the table.
struct Row {
    room: String,
    may_use: Vec<String>,
}

/// The table `| room | owns | may use |`, from the top floor down.
pub(super) struct Table(Vec<Row>);

impl Table {
    /// Parses the table in a page of Markdown; names stand in backticks.
    pub(super) fn read(page: &str) -> Self {
        let rows = page.lines().skip_while(|line| *line != "| room | owns | may use |").skip(2);
        let quoted = |cell: &str| -> Vec<String> {
            let names = cell.split('`').skip(1).step_by(2);
            names.map(|name| name.trim_end_matches('/').trim_end_matches(".rs").to_owned()).collect()
        };
        let cells = rows.map_while(|row| row.strip_prefix('|')).map(|row| row.split('|').collect::<Vec<_>>());
        let rooms = cells.flat_map(|cells| {
            let may_use = quoted(cells[2]);
            quoted(cells[0]).into_iter().map(move |room| Row { room, may_use: may_use.clone() })
        });
        Self(rooms.collect())
    }

    /// The room of a module: the longest match, so that a room may have rooms inside.
    fn room(&self, module: &Names) -> Option<&Row> {
        let is_of =
            |row: &&Row| row.room.split('/').enumerate().all(|(n, name)| module.get(n).is_some_and(|m| m == name));
        self.0.iter().filter(is_of).max_by_key(|row| row.room.len())
    }

    /// Faults of the table by itself, and modules and rooms that lack each other.
    fn faults(&self, tree: &Tree) -> Vec<String> {
        let roomless = tree.modules().filter(|(module, _)| self.room(module).is_none());
        let mut faults: Vec<String> = roomless.map(|(_, file)| format!("{file}: in no room of the table")).collect();
        for (floor, row) in self.0.iter().enumerate() {
            let is_in_room = |(module, _): (&Names, _)| self.room(module).is_some_and(|room| room.room == row.room);
            if !tree.modules().any(is_in_room) {
                faults.push(format!("room `{}`: has no files", row.room));
            }
            let below = &self.0[floor + 1..];
            for used in row.may_use.iter().filter(|used| !below.iter().any(|row| row.room == **used)) {
                faults.push(format!("room `{}` may use `{used}`: not below it in the table", row.room));
            }
        }
        faults
    }
}

/// Every difference of sources and table: of a file's forbidden paths to one item, the first.
pub(super) fn violations(table: &Table, tree: &Tree) -> Vec<String> {
    let mut violations = table.faults(tree);
    let mut used = BTreeSet::new();
    let mut named = BTreeSet::new();
    for mention in &tree.mentions {
        let file = tree.file(&mention.module);
        let place = format!("{file}:{}: {}", mention.line, mention.path.join("::"));
        let Some(target) = tree.resolve(mention) else {
            if ["crate", "super", "self"].contains(&mention.path[0].as_str()) {
                violations.push(format!("{place}: leads nowhere"));
            }
            continue;
        };
        let Some(here) = table.room(&mention.module) else { continue };
        let modules = target.through.iter().chain([&target.module]);
        for there in modules.filter_map(|module| table.room(module)).filter(|there| there.room != here.room) {
            used.insert([&here.room, &there.room]);
            let mut is_first = || named.insert((file, &there.room, target.module.clone(), target.item.clone()));
            if !here.may_use.contains(&there.room) && is_first() {
                violations.push(format!("{place}: `{}` may not use `{}`", here.room, there.room));
            }
        }
    }
    let entries = table.0.iter().flat_map(|row| row.may_use.iter().map(|entry| [&row.room, entry]));
    let stale = entries.filter(|entry| !used.contains(entry));
    violations.extend(stale.map(|[room, entry]| format!("room `{room}` may use `{entry}`: no file does")));
    violations
}

/// Every circle of files, each as its arrows: `file -> file: names`.
pub(super) fn circles(tree: &Tree) -> Vec<String> {
    let arrows = tree.arrows();
    let circles: BTreeSet<BTreeSet<&str>> = arrows.keys().map(|file| circle(&arrows, file)).collect();
    let describe = |circle: &BTreeSet<&str>| {
        let within = |file: &&str| circle.contains(file);
        let lines = circle.iter().flat_map(|from| {
            let to = arrows[*from].iter().filter(|(to, _)| within(&to.as_str()));
            to.map(move |(to, names)| format!("{from} -> {to}: {}", Vec::from_iter(names.iter().cloned()).join(", ")))
        });
        Vec::from_iter(lines).join("\n")
    };
    circles.iter().filter(|circle| !circle.is_empty()).map(describe).collect()
}

/// The files that `file` leads to and that lead back to it.
fn circle<'a>(arrows: &'a Arrows, file: &'a str) -> BTreeSet<&'a str> {
    let ahead = reached(arrows, file);
    ahead.into_iter().filter(|other| reached(arrows, other).contains(file)).collect()
}

fn reached<'a>(arrows: &'a Arrows, file: &'a str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut due = vec![file];
    while let Some(next) = due.pop() {
        let onward = arrows.get(next).into_iter().flatten();
        due.extend(onward.map(|(to, _)| to.as_str()).filter(|to| reached.insert(*to)));
    }
    reached
}
