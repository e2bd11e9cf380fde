//! How long a file and a function may be.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, ItemMod, Signature, TraitItemFn};

use super::Finding;
use super::rust_file::{RustFile, RustFiles, is_for_tests};

/// The most lines of a file, its tests aside.
const FILE_LINES_MAX: usize = 500;
/// The most lines of a function from its name to its closing brace.
const FUNCTION_LINES_MAX: usize = 60;

/// Every file and function that is too long.
pub(super) fn check(rust: &RustFiles<'_>) -> Vec<Finding> {
    rust.files.iter().flat_map(check_file).collect()
}

fn check_file(file: &RustFile<'_>) -> Vec<Finding> {
    let mut functions = Functions { path: file.path, findings: Vec::new() };
    if file.lines > FILE_LINES_MAX {
        let text = format!("{} lines without tests; at most {FILE_LINES_MAX}: cut it by what it does", file.lines);
        functions.findings.push(Finding::new(file.path, text));
    }
    functions.visit_file(&file.syntax);
    functions.findings
}

struct Functions<'a> {
    path: &'a str,
    findings: Vec<Finding>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &Signature, block: &Block) {
        let first = signature.fn_token.span().start().line;
        let lines = block.span().end().line - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let text = format!("fn {} has {lines} lines; at most {FUNCTION_LINES_MAX}", signature.ident);
            self.findings.push(Finding::at(self.path, first, text));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !is_for_tests(&function.attrs) {
            self.measure(&function.sig, &function.block);
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::super::rust_file::tests::texts;
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let texts = texts(&[("c/src/a.rs", text)]);
        let rust = RustFiles::parse(&texts).unwrap();
        check(&rust).iter().map(ToString::to_string).collect()
    }

    fn function(statements: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    call();\n".repeat(statements))
    }

    #[test]
    fn a_function_at_the_limit_passes() {
        assert_eq!(findings(&function(FUNCTION_LINES_MAX - 2)), [""; 0]);
    }

    #[test]
    fn a_function_over_the_limit_is_found() {
        let found = findings(&function(FUNCTION_LINES_MAX - 1));
        assert_eq!(found, ["c/src/a.rs:1: fn long has 61 lines; at most 60"]);
        let method = format!("struct A;\nimpl A {{\n{}}}\n", function(FUNCTION_LINES_MAX));
        assert_eq!(findings(&method), ["c/src/a.rs:3: fn long has 62 lines; at most 60"]);
    }

    #[test]
    fn a_long_test_passes() {
        let text = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(600));
        assert_eq!(findings(&text), [""; 0]);
    }

    #[test]
    fn a_file_over_the_limit_is_found() {
        assert_eq!(findings(&"// line\n".repeat(FILE_LINES_MAX)), [""; 0]);
        assert_eq!(findings(&"// line\n".repeat(FILE_LINES_MAX + 1)).len(), 1);
    }
}
