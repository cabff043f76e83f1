//! Reading Rust source: which paths a file names, and which text its strings have.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// The names that a file uses outside of its tests.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Each path by its segments, with its line. `self` and `super` are resolved to `crate`.
    pub(super) paths: Vec<(usize, Vec<String>)>,
    /// Each string literal, with its line.
    pub(super) texts: Vec<(usize, String)>,
}

/// Every file with this extension below a folder, or the file of that name: a module can be either,
/// or both. Test modules are left out.
pub(super) fn files(place: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let as_file = place.with_extension(extension);
    if as_file.is_file() {
        found.push(as_file);
    }
    let mut folders = vec![place.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|own| own == extension)
                && !path.ends_with("tests.rs")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The names that the source of a module uses. `module` is the file's own path in its crate, without `crate`.
pub(super) fn names(text: &str, module: &[String]) -> Result<Names> {
    let file = syn::parse_file(text)?;
    let mut reader = Reader {
        module: module.to_vec(),
        names: Names::default(),
    };
    reader.visit_file(&file);
    Ok(reader.names)
}

/// The path of a file's module in its crate: `store/worker.rs` and `store/worker/mod.rs` are both
/// `store::worker`.
pub(super) fn module_of(src: &Path, file: &Path) -> Result<Vec<String>> {
    let Ok(inner) = file.strip_prefix(src) else {
        bail!("{} lies outside of {}", file.display(), src.display());
    };
    let inner = inner.with_extension("");
    let mut parts: Vec<_> = inner
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(
        parts.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        parts.pop();
    }
    Ok(parts)
}

struct Reader {
    /// The module that is being read.
    module: Vec<String>,
    names: Names,
}

impl Reader {
    fn note(&mut self, line: usize, segments: Vec<String>) {
        let path = match segments.first().map(String::as_str) {
            Some("self") => self.below(0, &segments[1..]),
            Some("super") => {
                let ups = segments.iter().take_while(|part| *part == "super").count();
                self.below(ups, &segments[ups..])
            }
            _ => segments,
        };
        self.names.paths.push((line, path));
    }

    /// A path from `ups` modules above this one.
    fn below(&self, ups: usize, rest: &[String]) -> Vec<String> {
        let kept = self.module.len().saturating_sub(ups);
        let mut path = vec!["crate".to_owned()];
        path.extend_from_slice(&self.module[..kept]);
        path.extend_from_slice(rest);
        path
    }

    fn note_tree(&mut self, tree: &syn::UseTree, mut before: Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.note_tree(&path.tree, before);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_tree(tree, before.clone());
                }
            }
            syn::UseTree::Name(name) => {
                if name.ident != "self" {
                    before.push(name.ident.to_string());
                }
                self.note(name.span().start().line, before);
            }
            syn::UseTree::Rename(rename) => {
                before.push(rename.ident.to_string());
                self.note(rename.span().start().line, before);
            }
            syn::UseTree::Glob(glob) => self.note(glob.span().start().line, before),
        }
    }
}

/// Whether an item is compiled for tests only.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|condition| condition == "test")
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_test(&item.attrs) {
            return;
        }
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.note_tree(&item.tree, Vec::new());
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.note(path.span().start().line, segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        // The arguments of a macro are no syntax of Rust's own: their strings and paths are found
        // by their tokens.
        self.note_tokens(mac.tokens.clone());
        visit::visit_macro(self, mac);
    }

    fn visit_lit_str(&mut self, text: &'ast syn::LitStr) {
        let line = text.span().start().line;
        self.names.texts.push((line, text.value()));
    }
}

impl Reader {
    fn note_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        use proc_macro2::TokenTree;
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        let mut line = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.note_path(line, &mut path);
                        line = ident.span().start().line;
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.note_path(line, &mut path);
                    colons = 0;
                    self.note_tokens(group.stream());
                }
                TokenTree::Literal(literal) => {
                    self.note_path(line, &mut path);
                    colons = 0;
                    let line = literal.span().start().line;
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        self.names.texts.push((line, text.value()));
                    }
                }
                TokenTree::Punct(_) => {
                    self.note_path(line, &mut path);
                    colons = 0;
                }
            }
        }
        self.note_path(line, &mut path);
    }

    fn note_path(&mut self, line: usize, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.note(line, path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let module = ["store".to_owned(), "queue".to_owned()];
        let names = names(text, &module).expect("Rust");
        let paths = names.paths.into_iter();
        paths.map(|(_, path)| path.join("::")).collect()
    }

    #[test]
    fn groups_renames_and_globs_are_read_as_paths() {
        let found = paths("use crate::{api::Bookings, sales::{self, Sales as S}, verbs::*};");
        let expected = [
            "crate::api::Bookings",
            "crate::sales",
            "crate::sales::Sales",
            "crate::verbs",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn self_and_super_are_resolved() {
        assert_eq!(
            paths("use super::worker::Worker;"),
            ["crate::store::worker::Worker"]
        );
        assert_eq!(paths("use super::super::sales::X;"), ["crate::sales::X"]);
        assert_eq!(
            paths("use self::inner::X;"),
            ["crate::store::queue::inner::X"]
        );
        assert_eq!(
            paths("mod inner { use super::X; }"),
            ["crate::store::queue::X"]
        );
    }

    #[test]
    fn tests_and_comments_do_not_count_and_macros_do() {
        let tests = "#[cfg(test)] mod tests { use crate::api::A; }\n// crate::api::B\n";
        assert_eq!(paths(tests), [""; 0]);
        let found = paths("fn f() { let x: crate::api::A = y!(crate::sales::z(1), \"t\"); }");
        assert_eq!(found, ["crate::api::A", "crate::sales::z"]);
    }

    #[test]
    fn strings_are_read_in_macros_too() {
        let text = "fn f() { g(\"a\"); h!(i, \"b\\\"c\"); }";
        let names = names(text, &[]).expect("Rust");
        let texts: Vec<_> = names.texts.into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["a", "b\"c"]);
    }

    #[test]
    fn a_module_is_named_by_its_file() {
        let module = |file: &str| {
            let parts = module_of(Path::new("/x/src"), &Path::new("/x/src").join(file));
            parts.expect("inside").join("::")
        };
        assert_eq!(module("lib.rs"), "");
        assert_eq!(module("store/mod.rs"), "store");
        assert_eq!(module("store/worker.rs"), "store::worker");
    }
}
