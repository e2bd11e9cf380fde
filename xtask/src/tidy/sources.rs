//! What the sources must not say.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{ImplItemFn, ItemFn, ItemMod, ItemUse, UseTree};

use super::rust_file::{RustFile, RustFiles, is_for_tests};
use super::{Finding, TextFile};

/// Marks of work left for later, put together so that this file does not hold them.
const UNFINISHED: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];
/// What such marks may stand in.
const SEARCHED: &[&str] = &["rs", "toml", "md", "sh", "service"];

/// Crates whose code gets the time as an argument.
const WITHOUT_CLOCK: &[&str] = &["crates/smtp-proto/src/", "crates/smtp-mail/src/", "crates/smtp-policy/src/"];

/// Crates that know no operating system: they do no I/O of any kind.
const WITHOUT_SYSTEM: &[&str] = &["crates/smtp-proto/src/"];
/// What of the standard library they must not name; addresses of `std::net` are values, and may stand.
const SYSTEM: &[&str] = &["std::fs", "std::env", "std::io", "std::os", "std::process", "std::thread", "tokio"];
const SOCKETS: &[&str] = &["TcpListener", "TcpStream", "ToSocketAddrs", "UdpSocket", "UnixListener", "UnixStream"];

/// Every mark of unfinished work in a file.
pub(super) fn unfinished(file: &TextFile) -> Vec<Finding> {
    if !SEARCHED.contains(&file.extension()) {
        return Vec::new();
    }
    let marked = file.text.lines().enumerate().filter_map(|(index, line)| {
        let mark = UNFINISHED.iter().find(|mark| line.contains(**mark))?;
        Some(Finding::at(&file.path, index + 1, format!("{mark}: do it, or file it, and take the mark out")))
    });
    marked.collect()
}

/// Every call that a crate must not make, tests aside.
pub(super) fn check(rust: &RustFiles<'_>) -> Vec<Finding> {
    rust.files.iter().flat_map(check_file).collect()
}

fn check_file(file: &RustFile<'_>) -> Vec<Finding> {
    let mut paths = Paths {
        file: file.path,
        may_run_programs: file.path.starts_with("xtask/"),
        may_ask_the_clock: !WITHOUT_CLOCK.iter().any(|folder| file.path.starts_with(folder)),
        may_ask_the_system: !WITHOUT_SYSTEM.iter().any(|folder| file.path.starts_with(folder)),
        findings: Vec::new(),
    };
    paths.visit_file(&file.syntax);
    paths.findings
}

struct Paths<'a> {
    file: &'a str,
    may_run_programs: bool,
    may_ask_the_clock: bool,
    may_ask_the_system: bool,
    findings: Vec<Finding>,
}

impl Paths<'_> {
    fn judge(&mut self, path: &str, line: usize) {
        if !self.may_run_programs && path.contains("process::Command") {
            let text = "runs a program: the daemon and its tools start none";
            self.findings.push(Finding::at(self.file, line, text));
        }
        let asks = ["SystemTime::now", "Instant::now"].iter().any(|call| path.ends_with(call));
        if !self.may_ask_the_clock && asks {
            let text = "asks the clock: time enters this crate as an argument";
            self.findings.push(Finding::at(self.file, line, text));
        }
        if !self.may_ask_the_system && names_system(path) {
            let text = "names what an operating system must give: this crate does no I/O";
            self.findings.push(Finding::at(self.file, line, text));
        }
    }
}

fn names_system(path: &str) -> bool {
    let is_in = |module: &str| path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    SYSTEM.iter().any(|module| is_in(module)) || path.split("::").any(|name| SOCKETS.contains(&name))
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let line = item.span().start().line;
        for path in imported(&item.tree) {
            self.judge(&path, line);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.judge(&names.join("::"), path.span().start().line);
        visit::visit_path(self, path);
    }
}

/// The full paths that a `use` brings in.
fn imported(tree: &UseTree) -> Vec<String> {
    match tree {
        UseTree::Path(path) => {
            let below = imported(&path.tree).into_iter();
            below.map(|below| format!("{}::{below}", path.ident)).collect()
        }
        UseTree::Name(name) => vec![name.ident.to_string()],
        UseTree::Rename(rename) => vec![rename.ident.to_string()],
        UseTree::Glob(_) => vec!["*".to_owned()],
        UseTree::Group(group) => group.items.iter().flat_map(imported).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rust_file::tests::texts;
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let texts = texts(&[(path, text)]);
        let rust = RustFiles::parse(&texts).unwrap();
        check(&rust).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_program_that_is_run_is_found() {
        let server = "crates/smtp-server/src/a.rs";
        assert_eq!(findings(server, "use std::process::{Command, Stdio};").len(), 1);
        assert_eq!(findings(server, "fn a() { std::process::Command::new(\"sh\"); }").len(), 1);
        assert_eq!(findings(server, "type Program = tokio::process::Command;").len(), 1);
        assert_eq!(findings(server, "use smtp_proto::Command;").len(), 0);
        assert_eq!(findings("xtask/src/a.rs", "use std::process::Command;").len(), 0);
    }

    #[test]
    fn a_clock_in_a_pure_crate_is_found() {
        let text = "fn a() {\n    let now = SystemTime::now();\n}";
        let found = findings("crates/smtp-mail/src/a.rs", text);
        assert_eq!(found, ["crates/smtp-mail/src/a.rs:2: asks the clock: time enters this crate as an argument"]);
        assert_eq!(findings("crates/smtp-server/src/a.rs", text), [""; 0]);
    }

    #[test]
    fn a_system_in_the_protocol_crate_is_found() {
        let proto = "crates/smtp-proto/src/a.rs";
        assert_eq!(findings(proto, "use std::net::{IpAddr, TcpStream};").len(), 1);
        assert_eq!(findings(proto, "use std::{fmt, fs};").len(), 1);
        assert_eq!(findings(proto, "fn a() { std::env::var(\"A\"); }").len(), 1);
        assert_eq!(findings(proto, "use std::net::{IpAddr, Ipv4Addr};\nuse std::fmt;").len(), 0);
        assert_eq!(findings("crates/smtp-io/src/a.rs", "use std::net::TcpStream;").len(), 0);
    }

    #[test]
    fn a_test_may_do_both() {
        let text = "#[cfg(test)]\nmod tests {\n    use std::process::Command;\n    fn a() { Instant::now(); }\n}";
        assert_eq!(findings("crates/smtp-mail/src/a.rs", text), [""; 0]);
    }

    #[test]
    fn unfinished_work_is_found() {
        let mark = UNFINISHED[0];
        let files = texts(&[("docs/a.md", &format!("fine\n{mark} later\n")), ("a.png", mark)]);
        assert_eq!(unfinished(&files[0]).len(), 1);
        assert_eq!(unfinished(&files[0])[0].place, "docs/a.md:2");
        assert_eq!(unfinished(&files[1]), []);
    }
}
