//! The modules of a crate, read from its source: the file of each, the items it defines, what it imports and the
//! names its code uses. Code for tests (`#[cfg(test)]`) is left out.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Ident, ImplItem, Item, UseTree, Visibility};

/// Names of items that one file uses of another, by (user, used).
pub type Edges = BTreeMap<(String, String), BTreeSet<String>>;

/// Text of a source file by its path in the crate's folder; none where there is no such file.
type Sources<'a> = dyn Fn(&str) -> anyhow::Result<Option<String>> + 'a;

/// All modules of a crate; the first is its root.
pub struct Crate {
    modules: Vec<Module>,
}

/// A module: a file, or a part of one (`mod name { … }`).
#[derive(Default)]
struct Module {
    file: String,
    /// The module that declares it; none for the root.
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// Names of the items that it defines.
    definitions: BTreeSet<String>,
    imports: Vec<Import>,
    /// Paths of two or more names in its code, as written.
    paths: BTreeSet<Vec<String>>,
    /// Names in its code that are not part of a path.
    names: BTreeSet<String>,
}

/// One name of a `use` declaration.
struct Import {
    /// The name that it has here; `*` for all names of a module.
    name: String,
    path: Vec<String>,
    /// Whether the name can be imported from here in turn.
    public: bool,
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    /// An item: the module that defines it, and the index of its name in the path.
    Item(usize, usize),
}

impl Crate {
    /// Reads a crate from its root file on (`src/lib.rs` or `src/main.rs`).
    ///
    /// # Errors
    /// Where a file is missing or is not Rust.
    pub fn read(root: &str, sources: &Sources<'_>) -> anyhow::Result<Crate> {
        let mut found = Crate {
            modules: Vec::new(),
        };
        let text = sources(root)?.with_context(|| format!("no file {root}"))?;
        found.file(root, &text, None, sources)?;
        Ok(found)
    }

    fn file(
        &mut self,
        file: &str,
        text: &str,
        parent: Option<usize>,
        sources: &Sources<'_>,
    ) -> anyhow::Result<usize> {
        let parsed = syn::parse_file(text).with_context(|| file.to_owned())?;
        self.module(file, parsed.items, parent, sources)
    }

    fn module(
        &mut self,
        file: &str,
        items: Vec<Item>,
        parent: Option<usize>,
        sources: &Sources<'_>,
    ) -> anyhow::Result<usize> {
        let index = self.modules.len();
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            ..Module::default()
        });
        for item in items {
            let Item::Mod(of) = item else {
                self.modules[index].item(item);
                continue;
            };
            if for_tests(&of.attrs) {
                continue;
            }
            let name = of.ident.to_string();
            let child = match of.content {
                Some((_, items)) => self.module(file, items, Some(index), sources)?,
                None => {
                    let (child, text) = child_file(file, &name, sources)?;
                    self.file(&child, &text, Some(index), sources)?
                }
            };
            self.modules[index].children.insert(name, child);
        }
        Ok(index)
    }

    /// Which file uses which, and by which names. A private import is a use; a re-export (`pub use`) is one only
    /// where the code around it uses the name too. The used file is the one that defines the item, whichever
    /// re-exports the name came through.
    pub fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (index, module) in self.modules.iter().enumerate() {
            let names = module.names.iter().map(|name| vec![name.clone()]);
            let private = module.imports.iter().filter(|import| !import.public);
            let imported = private.map(|import| import.path.clone());
            for path in module.paths.iter().cloned().chain(names).chain(imported) {
                let found = self.resolve(index, &path, &mut Vec::new());
                let Some(Target::Item(definer, nth)) = found else {
                    continue;
                };
                let (user, used) = (&module.file, &self.modules[definer].file);
                if user != used {
                    let names = edges.entry((user.clone(), used.clone())).or_default();
                    names.insert(path[nth].clone());
                }
            }
        }
        edges
    }

    /// What a path in a module leads to, through all re-exports; none for items of other crates. `seen` holds the
    /// imports that are being followed.
    fn resolve(
        &self,
        module: usize,
        path: &[String],
        seen: &mut Vec<(usize, String)>,
    ) -> Option<Target> {
        let mut target = Target::Module(module);
        for (nth, name) in path.iter().enumerate() {
            let Target::Module(module) = target else {
                // The rest names a part of the item: a variant or a function.
                return Some(target);
            };
            target = match name.as_str() {
                "crate" if nth == 0 => Target::Module(0),
                "self" => target,
                "super" => Target::Module(self.modules[module].parent?),
                name => match self.look_up(module, name, seen)? {
                    Target::Item(definer, _) => Target::Item(definer, nth),
                    found => found,
                },
            };
        }
        Some(target)
    }

    /// What a name means in a module.
    fn look_up(&self, index: usize, name: &str, seen: &mut Vec<(usize, String)>) -> Option<Target> {
        let module = &self.modules[index];
        if let Some(child) = module.children.get(name) {
            return Some(Target::Module(*child));
        }
        if module.definitions.contains(name) {
            return Some(Target::Item(index, 0));
        }
        let key = (index, name.to_owned());
        if seen.contains(&key) {
            return None;
        }
        seen.push(key);
        for import in &module.imports {
            let found = match import.name.as_str() {
                "*" => match self.resolve(index, &import.path, seen) {
                    Some(Target::Module(other)) if other != index => {
                        self.look_up(other, name, seen)
                    }
                    _ => None,
                },
                own if own == name => self.resolve(index, &import.path, seen),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

impl Module {
    /// Takes an item: what it defines or imports, and the names in its code.
    fn item(&mut self, mut item: Item) {
        let defined: Option<(&Ident, &[Attribute])> = match &item {
            Item::Const(of) => Some((&of.ident, &of.attrs)),
            Item::Enum(of) => Some((&of.ident, &of.attrs)),
            Item::Fn(of) => Some((&of.sig.ident, &of.attrs)),
            Item::Macro(of) => of.ident.as_ref().map(|name| (name, &*of.attrs)),
            Item::Static(of) => Some((&of.ident, &of.attrs)),
            Item::Struct(of) => Some((&of.ident, &of.attrs)),
            Item::Trait(of) => Some((&of.ident, &of.attrs)),
            Item::Type(of) => Some((&of.ident, &of.attrs)),
            Item::Union(of) => Some((&of.ident, &of.attrs)),
            _ => None,
        };
        match defined {
            Some((_, attributes)) if for_tests(attributes) => return,
            Some((name, _)) => {
                self.definitions.insert(name.to_string());
            }
            None => {}
        }
        match &mut item {
            Item::Use(of) => {
                if !for_tests(&of.attrs) {
                    let public = !matches!(of.vis, Visibility::Inherited);
                    import(&of.tree, &mut Vec::new(), public, &mut self.imports);
                }
                return;
            }
            Item::Impl(of) if for_tests(&of.attrs) => return,
            Item::Impl(of) => of.items.retain(|item| match item {
                ImplItem::Const(of) => !for_tests(&of.attrs),
                ImplItem::Fn(of) => !for_tests(&of.attrs),
                _ => true,
            }),
            _ => {}
        }
        self.code(item.into_token_stream(), &[]);
    }

    /// Takes the paths and names of some code. `prefix` is the path before the braces in `prefix::{…}`.
    fn code(&mut self, tokens: TokenStream, prefix: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |index: usize, sign: char| matches!(tokens.get(index), Some(TokenTree::Punct(of)) if of.as_char() == sign);
        let mut index = 0;
        while let Some(token) = tokens.get(index) {
            let start = index;
            index += 1;
            let first = match token {
                TokenTree::Ident(first) => first.to_string(),
                TokenTree::Group(group) => {
                    self.code(group.stream(), &[]);
                    continue;
                }
                _ => continue,
            };
            if first == "use"
                && let Some((declared, length)) = declaration(&tokens[start..])
            {
                import(&declared.tree, &mut Vec::new(), false, &mut self.imports);
                index = start + length;
                continue;
            }
            let mut path = prefix.to_vec();
            path.push(first);
            while is(index, ':') && is(index + 1, ':') {
                match tokens.get(index + 2) {
                    Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                    Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                        self.code(group.stream(), &path);
                        break;
                    }
                    _ => break,
                }
                index += 3;
            }
            if path.len() > 1 {
                self.paths.insert(path);
                continue;
            }
            // What follows a dot is a field or a method; what follows `>::` belongs to a type.
            let before = |sign| start > 0 && is(start - 1, sign);
            let inside = before('.') || (before(':') && start > 1 && is(start - 2, ':'));
            // Lower-case names that are not called are mostly variables and fields.
            let called = matches!(tokens.get(index), Some(TokenTree::Group(of)) if of.delimiter() == Delimiter::Parenthesis);
            if !inside && (called || path[0].starts_with(char::is_uppercase)) {
                self.names.extend(path);
            }
        }
    }
}

/// The `use` declaration at the start of some code, and how many tokens it has.
fn declaration(tokens: &[TokenTree]) -> Option<(syn::ItemUse, usize)> {
    let end = |token: &TokenTree| matches!(token, TokenTree::Punct(of) if of.as_char() == ';');
    let length = tokens.iter().position(end)? + 1;
    let declared = syn::parse2(tokens[..length].iter().cloned().collect()).ok()?;
    Some((declared, length))
}

/// Whether an item is compiled for tests alone.
fn for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.to_token_stream().to_string().replace(' ', "");
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        attribute.path().is_ident("cfg")
            && words.any(|word| word == "test")
            && !text.contains("not(test")
    })
}

/// The names of a `use` declaration, added to `all`; `path` is what comes before them.
fn import(tree: &UseTree, path: &mut Vec<String>, public: bool, all: &mut Vec<Import>) {
    let mut add = |name: String, last: Option<String>| {
        let path = path.iter().cloned().chain(last).collect();
        all.push(Import { name, path, public });
    };
    match tree {
        UseTree::Path(of) => {
            path.push(of.ident.to_string());
            import(&of.tree, path, public, all);
            path.pop();
        }
        UseTree::Group(of) => {
            for tree in &of.items {
                import(tree, path, public, all);
            }
        }
        UseTree::Name(of) if of.ident == "self" => {
            add(path.last().cloned().unwrap_or_default(), None);
        }
        UseTree::Name(of) => add(of.ident.to_string(), Some(of.ident.to_string())),
        UseTree::Rename(of) if of.ident == "self" => add(of.rename.to_string(), None),
        UseTree::Rename(of) => add(of.rename.to_string(), Some(of.ident.to_string())),
        UseTree::Glob(_) => add("*".into(), None),
    }
}

/// Path and text of the file of `mod name;` in `file`.
fn child_file(file: &str, name: &str, sources: &Sources<'_>) -> anyhow::Result<(String, String)> {
    let (folder, own) = file.rsplit_once('/').unwrap_or((".", file));
    let inside = match own {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_owned(),
        own => format!("{folder}/{}", own.trim_end_matches(".rs")),
    };
    for path in [
        format!("{inside}/{name}.rs"),
        format!("{inside}/{name}/mod.rs"),
    ] {
        if let Some(text) = sources(&path)? {
            return Ok((path, text));
        }
    }
    anyhow::bail!("{file}: no file for `mod {name};`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let sources = |path: &str| {
            let found = files.iter().find(|(file, _)| *file == path);
            Ok(found.map(|(_, text)| (*text).to_owned()))
        };
        let read = Crate::read("src/lib.rs", &sources).unwrap();
        let all = read.edges().into_iter();
        all.map(|((user, used), names)| {
            let names: Vec<String> = names.into_iter().collect();
            format!("{user} -> {used}: {}", names.join(" "))
        })
        .collect()
    }

    #[test]
    fn a_re_export_is_followed_to_the_file_that_defines_the_name_and_is_no_use_itself() {
        let found = edges(&[
            ("src/lib.rs", "mod a; mod b; pub use a::A;"),
            ("src/a.rs", "pub struct A;"),
            ("src/b.rs", "use crate::A; fn f(_: A) {}"),
        ]);
        assert_eq!(found, ["src/b.rs -> src/a.rs: A"]);
        let found = edges(&[
            ("src/lib.rs", "mod a; pub use a::A; pub fn f(_: A) {}"),
            ("src/a.rs", "pub struct A;"),
        ]);
        assert_eq!(found, ["src/lib.rs -> src/a.rs: A"]);
    }

    #[test]
    fn paths_in_code_in_macros_and_in_functions_imports_are_uses() {
        let found = edges(&[
            ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
            ("src/a.rs", "pub fn f() -> u8 { 1 } pub enum E { One }"),
            ("src/b.rs", "fn g() { println!(\"{}\", super::a::f()); }"),
            ("src/c.rs", "use crate::a; fn g() -> a::E { a::E::One }"),
            (
                "src/d.rs",
                "fn g() { use crate::a::{self, E}; a::f(); let _ = E::One; }",
            ),
        ]);
        let expected = [
            "src/b.rs -> src/a.rs: f",
            "src/c.rs -> src/a.rs: E",
            "src/d.rs -> src/a.rs: E f",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn tests_are_left_out() {
        let found = edges(&[
            ("src/lib.rs", "mod a; mod b; #[cfg(test)] mod tests;"),
            ("src/a.rs", "pub struct A;"),
            (
                "src/b.rs",
                "#[cfg(test)] use crate::a::A; #[cfg(all(test, unix))] mod tests { use crate::a::A; }",
            ),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn files_of_modules_are_found_in_both_layouts() {
        let found = edges(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "mod x;"),
            ("src/a/x.rs", "use crate::b::y::Y;"),
            ("src/b/mod.rs", "pub mod y;"),
            ("src/b/y.rs", "pub struct Y;"),
        ]);
        assert_eq!(found, ["src/a/x.rs -> src/b/y.rs: Y"]);
    }
}
