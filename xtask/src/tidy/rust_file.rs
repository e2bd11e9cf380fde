//! The Rust sources, parsed, with what belongs to tests known.

use std::collections::HashSet;

use anyhow::{Context, Result};
use syn::spanned::Spanned;
use syn::{Attribute, Item, ItemMod, Meta};

use super::TextFile;

/// Lines `first..=last`, from 1.
pub(super) type Lines = std::ops::RangeInclusive<usize>;

/// A parsed source file that is not a test itself.
pub(super) struct RustFile<'a> {
    pub(super) path: &'a str,
    pub(super) syntax: syn::File,
    /// How many lines the file has without its `#[cfg(test)]` items.
    pub(super) lines: usize,
}

/// All sources but tests and benches.
pub(super) struct RustFiles<'a> {
    pub(super) files: Vec<RustFile<'a>>,
}

impl<'a> RustFiles<'a> {
    /// Parses every `.rs` file and leaves out what is a test by its folder or by its `#[cfg(test)] mod`.
    ///
    /// # Errors
    /// When a file is not Rust.
    pub(super) fn parse(texts: &'a [TextFile]) -> Result<Self> {
        let mut files = Vec::new();
        let mut test_modules = HashSet::new();
        for file in texts.iter().filter(|file| is_source(file)) {
            let syntax = syn::parse_file(&file.text).with_context(|| format!("cannot parse {}", file.path))?;
            test_modules.extend(test_modules_of(&file.path, &syntax));
            let lines = lines_without_tests(&file.text, &syntax);
            files.push(RustFile { path: &file.path, syntax, lines });
        }
        files.retain(|file| !belongs_to(file.path, &test_modules));
        Ok(Self { files })
    }
}

/// Whether these attributes say that the item is compiled for tests only.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let tokens = list.tokens.to_string();
            tokens == "test" || tokens.starts_with("all (test")
        }
        Meta::Path(path) => path.is_ident("test"),
        _ => false,
    })
}

/// The lines of an item with its attributes and documentation.
fn lines_of(item: &impl Spanned) -> Lines {
    item.span().start().line..=item.span().end().line
}

fn is_source(file: &TextFile) -> bool {
    let not_shipped = ["/tests/", "/benches/", "/examples/"];
    file.extension() == "rs" && !not_shipped.iter().any(|folder| file.path.contains(folder))
}

/// The paths, without `.rs`, of the modules that `#[cfg(test)] mod name;` declares in this file.
fn test_modules_of(path: &str, syntax: &syn::File) -> Vec<String> {
    let stem = path.trim_end_matches(".rs");
    let folder = match stem.rsplit_once('/') {
        Some((folder, "lib" | "main" | "mod")) => folder,
        _ => stem,
    };
    let modules = syntax.items.iter().filter_map(|item| match item {
        Item::Mod(ItemMod { attrs, content: None, ident, .. }) if is_for_tests(attrs) => {
            Some(format!("{folder}/{ident}"))
        }
        _ => None,
    });
    modules.collect()
}

fn belongs_to(path: &str, modules: &HashSet<String>) -> bool {
    let mut stem = path.trim_end_matches(".rs");
    loop {
        if modules.contains(stem) {
            return true;
        }
        match stem.rsplit_once('/') {
            Some((folder, _)) => stem = folder,
            None => return false,
        }
    }
}

fn lines_without_tests(text: &str, syntax: &syn::File) -> usize {
    let tests = syntax.items.iter().filter(|item| is_for_tests(attributes_of(item)));
    let test_lines: usize = tests.map(|item| lines_of(item).count()).sum();
    text.lines().count().saturating_sub(test_lines)
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn texts(files: &[(&str, &str)]) -> Vec<TextFile> {
        let texts = files.iter().map(|(path, text)| TextFile { path: (*path).to_owned(), text: (*text).to_owned() });
        texts.collect()
    }

    fn kept(files: &[(&str, &str)]) -> Vec<(String, usize)> {
        let texts = texts(files);
        let rust = RustFiles::parse(&texts).unwrap();
        rust.files.iter().map(|file| (file.path.to_owned(), file.lines)).collect()
    }

    #[test]
    fn a_test_module_in_the_file_does_not_count() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        assert_eq!(kept(&[("c/src/a.rs", text)]), [("c/src/a.rs".to_owned(), 2)]);
    }

    #[test]
    fn a_test_module_of_its_own_file_is_left_out_with_all_below_it() {
        let files = [
            ("c/src/a.rs", "#[cfg(test)]\nmod tests;\n"),
            ("c/src/a/tests.rs", "mod more;\n"),
            ("c/src/a/tests/more.rs", "\n"),
            ("c/src/lib.rs", "mod a;\n#[cfg(test)]\nmod checks;\n"),
            ("c/src/checks.rs", "\n"),
            ("c/tests/whole.rs", "\n"),
        ];
        let paths: Vec<_> = kept(&files).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["c/src/a.rs", "c/src/lib.rs"]);
    }

    #[test]
    fn a_module_named_tests_that_ships_counts() {
        let files = [("c/src/lib.rs", "mod tests;\n"), ("c/src/tests.rs", "\n")];
        assert_eq!(kept(&files).len(), 2);
    }
}
