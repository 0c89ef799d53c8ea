//! One source file: its modules, what they declare and import, and every path in it. Items under `#[cfg(test)]` are left out.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, ItemImpl, ItemMod, ItemUse, Macro, Meta, Type, UseTree, VisRestricted, Visibility};

/// The segments of a path; of a module, those behind `crate`.
pub(super) type Names = Vec<String>;

/// The names in the scope of a module.
#[derive(Default)]
pub(super) struct Module {
    pub(super) file: String,
    pub(super) modules: BTreeSet<String>,
    pub(super) items: BTreeSet<String>,
    /// Path by the name in scope.
    pub(super) imports: BTreeMap<String, Names>,
    pub(super) globs: Vec<Names>,
}

/// How a path uses its target.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Use,
    /// A glob, or serde's `with`: everything in a module.
    UseAll,
    /// A `pub use`: a dependency of the room, not of the file.
    Reexport,
    /// The type of an inherent `impl`.
    Impl,
}

/// A path in a file, as written.
pub(super) struct Mention {
    pub(super) module: Names,
    pub(super) path: Names,
    pub(super) line: usize,
    pub(super) role: Role,
}

/// The modules and paths of one file.
pub(super) struct Source {
    file: String,
    module: Names,
    pub(super) modules: BTreeMap<Names, Module>,
    pub(super) mentions: Vec<Mention>,
}

impl Source {
    /// Parses `file`, a path that begins with `src/` and from which the module follows.
    pub(super) fn read(file: &str, text: &str) -> Self {
        let stem = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
        let module = stem.split('/').filter(|name| *name != "lib").map(str::to_owned).collect();
        let mut source = Self { file: file.to_owned(), module, modules: BTreeMap::new(), mentions: Vec::new() };
        let tokens = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        let tree = syn::parse2(without_tests(tokens)).unwrap_or_else(|error| panic!("{file}: {error}"));
        source.scope();
        source.visit_file(&tree);
        source
    }

    /// The module that is being read.
    fn scope(&mut self) -> &mut Module {
        let module = self.modules.entry(self.module.clone()).or_default();
        module.file.clone_from(&self.file);
        module
    }

    fn mention(&mut self, path: Names, at: &Ident, role: Role) {
        let line = at.span().start().line;
        self.mentions.push(Mention { module: self.module.clone(), path, line, role });
    }

    fn import(&mut self, tree: &UseTree, prefix: &[String], role: Role) {
        let with = |last: &Ident| [prefix, &[last.to_string()]].concat();
        let (last, name) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident), role),
            UseTree::Group(group) => return group.items.iter().for_each(|tree| self.import(tree, prefix, role)),
            UseTree::Glob(glob) => {
                let role = if role == Role::Use { Role::UseAll } else { role };
                self.scope().globs.push(prefix.to_vec());
                return self.mention(prefix.to_vec(), &Ident::new("glob", glob.star_token.spans[0]), role);
            }
            UseTree::Name(name) if name.ident == "self" => (&name.ident, prefix.last().cloned().unwrap_or_default()),
            UseTree::Name(name) => (&name.ident, name.ident.to_string()),
            UseTree::Rename(rename) => (&rename.ident, rename.rename.to_string()),
        };
        self.scope().imports.insert(name, with(last));
        self.mention(with(last), last, role);
    }

    /// The paths in unparsed tokens: a macro's arguments, an attribute's.
    fn scan(&mut self, tokens: TokenStream, is_attribute: bool) {
        let trees: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = trees.as_slice();
        while let [tree, behind @ ..] = rest {
            rest = behind;
            match (tree, behind) {
                (TokenTree::Group(group), _) => self.scan(group.stream(), is_attribute),
                (TokenTree::Ident(key), [TokenTree::Punct(_), TokenTree::Literal(value), ..]) if is_attribute => {
                    self.quoted(key, &value.to_string());
                }
                (TokenTree::Ident(first), _) => {
                    let mut path = vec![first.to_string()];
                    while let [TokenTree::Punct(one), TokenTree::Punct(two), TokenTree::Ident(next), behind @ ..] = rest
                        && [one.as_char(), two.as_char()] == [':', ':']
                    {
                        path.push(next.to_string());
                        rest = behind;
                    }
                    self.mention(path, first, Role::Use);
                }
                _ => {}
            }
        }
    }

    /// A path in quotes, as serde has it: `with = "crate::a"`, `default = "super::b"`.
    fn quoted(&mut self, key: &Ident, value: &str) {
        let path: Names = value.trim_matches('"').split("::").map(str::to_owned).collect();
        if path.len() > 1 || key.to_string().ends_with("with") {
            self.mention(path, key, Role::UseAll);
        }
    }
}

/// The item that a macro of the sources makes, which names it in front of a block: `words! { Stage { … } }`.
fn made_by(tokens: &TokenStream) -> Option<String> {
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    tokens.windows(2).find_map(|pair| match pair {
        [TokenTree::Ident(name), TokenTree::Group(group)] if group.delimiter() == Delimiter::Brace => {
            Some(name.to_string())
        }
        _ => None,
    })
}

impl<'ast> Visit<'ast> for Source {
    fn visit_item(&mut self, item: &'ast Item) {
        let name = match item {
            Item::Const(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Macro(item) => item.ident.as_ref(),
            Item::Static(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            _ => None,
        };
        let made = match item {
            Item::Macro(item) if name.is_none() => made_by(&item.mac.tokens),
            _ => None,
        };
        self.scope().items.extend(name.map(Ident::to_string).or(made));
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.scope().modules.insert(item.ident.to_string());
        self.module.push(item.ident.to_string());
        if item.content.is_some() {
            self.scope();
        }
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let role = if matches!(item.vis, Visibility::Inherited) { Role::Use } else { Role::Reexport };
        self.import(&item.tree, &[], role);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let (None, Type::Path(of)) = (&item.trait_, &*item.self_ty) {
            self.mention(names(&of.path), &of.path.segments[0].ident, Role::Impl);
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.mention(names(path), &path.segments[0].ident, Role::Use);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        self.visit_path(&invoked.path);
        self.scan(invoked.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.scan(list.tokens.clone(), true);
        }
    }

    /// `pub(in crate::a)` names an ancestor and uses nothing of it.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}
}

fn names(path: &syn::Path) -> Names {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The tokens without the items under `#[cfg(test)]`, which end with the first block or semicolon.
fn without_tests(tokens: TokenStream) -> TokenStream {
    let is_block = |tree: &TokenTree| matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let is_end = |tree: &TokenTree| matches!(tree, TokenTree::Punct(mark) if mark.as_char() == ';');
    let mut tokens = tokens.into_iter().peekable();
    let mut kept = Vec::new();
    while let Some(tree) = tokens.next() {
        let is_test = |next: &TokenTree| next.to_string().replace(' ', "") == "[cfg(test)]";
        if tree.to_string() == "#" && tokens.next_if(is_test).is_some() {
            let last = tokens.find(|tree| is_block(tree) || is_end(tree));
            if last.is_some_and(|tree| is_block(&tree)) {
                tokens.next_if(is_end);
            }
            continue;
        }
        kept.push(match tree {
            TokenTree::Group(group) => {
                let mut cut = proc_macro2::Group::new(group.delimiter(), without_tests(group.stream()));
                cut.set_span(group.span());
                cut.into()
            }
            other => other,
        });
    }
    kept.into_iter().collect()
}
