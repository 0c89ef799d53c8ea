//! All source files together: paths resolved to the module that declares their item.

use super::source::{Mention, Module, Names, Role, Source};
use std::collections::{BTreeMap, BTreeSet};

/// The names used, by using file and by declaring file.
pub(super) type Arrows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Every module of the program, and every path in them.
pub(super) struct Tree {
    modules: BTreeMap<Names, Module>,
    pub(super) mentions: Vec<Mention>,
}

/// What a path resolves to.
pub(super) struct Target {
    /// The module that declares the item, or the module itself.
    pub(super) module: Names,
    /// None for a module.
    pub(super) item: Option<String>,
    /// The modules whose imports and re-exports the path runs through.
    pub(super) through: Vec<Names>,
}

/// The longest chain of imports that is followed, so that one which imports itself ends.
const DEEPEST: usize = 16;

impl Tree {
    /// Parses the texts, by file. Modules that only tests declare are dropped.
    pub(super) fn read(texts: &BTreeMap<String, String>) -> Self {
        let mut tree = Self { modules: BTreeMap::new(), mentions: Vec::new() };
        for (file, text) in texts {
            let source = Source::read(file, text);
            tree.modules.extend(source.modules);
            tree.mentions.extend(source.mentions);
        }
        let is_declared = |tree: &Self, module: &[String]| {
            module == ["main"]
                || (0..module.len()).all(|depth| {
                    tree.modules.get(&module[..depth]).is_some_and(|parent| parent.modules.contains(&module[depth]))
                })
        };
        let of_tests: BTreeSet<Names> = tree.modules.keys().filter(|name| !is_declared(&tree, name)).cloned().collect();
        tree.modules.retain(|name, _| !of_tests.contains(name));
        tree.mentions.retain(|mention| !of_tests.contains(&mention.module));
        tree
    }

    /// Every module that does more than declare others, with its file.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&Names, &str)> {
        let has_content =
            |module: &Module| !(module.items.is_empty() && module.imports.is_empty() && module.globs.is_empty());
        let modules = self.modules.iter().filter(move |(_, module)| has_content(module));
        modules.map(|(name, module)| (name, module.file.as_str()))
    }

    pub(super) fn file(&self, module: &Names) -> &str {
        &self.modules[module].file
    }

    /// What the path means where it stands; none for a local name and for what is outside the program.
    pub(super) fn resolve(&self, mention: &Mention) -> Option<Target> {
        self.resolve_from(&mention.module, &mention.path, 0)
    }

    fn resolve_from(&self, module: &Names, path: &[String], depth: usize) -> Option<Target> {
        match path.split_first() {
            Some((first, rest)) if first == "crate" || first == "upbit_recorder" => {
                self.walk(Names::new(), rest, depth)
            }
            _ => self.walk(module.clone(), path, depth),
        }
    }

    fn walk(&self, mut at: Names, path: &[String], depth: usize) -> Option<Target> {
        let module = self.modules.get(&at).filter(|_| depth < DEEPEST)?;
        let Some((name, rest)) = path.split_first() else {
            return Some(Target { module: at, item: None, through: Vec::new() });
        };
        if name == "super" || name == "self" {
            at.truncate(at.len() - usize::from(name == "super"));
            return self.walk(at, rest, depth);
        }
        let is_item = module.items.contains(name);
        if module.modules.contains(name) && !(is_item && rest.is_empty()) {
            at.push(name.clone());
            return self.walk(at, rest, depth);
        }
        if is_item {
            return Some(Target { module: at, item: Some(name.clone()), through: Vec::new() });
        }
        let import = module.imports.get(name).map(|import| [import.as_slice(), rest].concat());
        let globs = module.globs.iter().map(|glob| [glob.as_slice(), path].concat());
        let onward = import.iter().cloned().chain(globs).find_map(|path| self.resolve_from(&at, &path, depth + 1));
        let Some(mut target) = onward else {
            // An import from outside the program counts as an item of the importing module.
            return import.map(|_| Target { module: at, item: Some(name.clone()), through: Vec::new() });
        };
        target.through.push(at);
        Some(target)
    }

    /// Which file uses which names of which other. A module alone is no use, a re-export ties to the declaring file alone,
    /// and a type needs every file with an inherent `impl` of it.
    pub(super) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for mention in self.mentions.iter().filter(|mention| mention.role != Role::Reexport) {
            let Some(target) = self.resolve(mention) else { continue };
            let here = self.file(&mention.module);
            let there = self.file(&target.module);
            let (from, to, name) = match (mention.role, target.item) {
                (Role::Impl, Some(item)) => (there, here, format!("impl {item}")),
                (Role::UseAll, None) => (here, there, "*".to_owned()),
                (_, Some(item)) => (here, there, item),
                (_, None) => continue,
            };
            if from != to {
                arrows.entry(from.to_owned()).or_default().entry(to.to_owned()).or_default().insert(name);
            }
        }
        arrows
    }
}
