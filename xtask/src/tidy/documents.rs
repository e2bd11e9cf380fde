//! What the documents claim about the code.

use super::{Finding, Repository, TextFile};
use crate::docs::{GENERATED, Generated};

/// Which RFC section lives in which module, and which test shows it.
const RFC_TABLE: &str = "docs/rfc.md";

/// Every document that names what is not there.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in repository.texts.iter().filter(|file| file.extension() == "md") {
        findings.extend(dead_links(document, repository));
    }
    if let Some(text) = repository.find(RFC_TABLE) {
        findings.extend(untrue_rows(text, repository));
    }
    findings
}

/// Documents that are not what the code makes.
pub(super) fn outdated(repository: &Repository) -> Vec<Finding> {
    GENERATED.iter().filter_map(|document| compare(document, repository)).collect()
}

fn compare(document: &Generated, repository: &Repository) -> Option<Finding> {
    let is_current = repository.find(document.path) == Some((document.text)().as_str());
    let text = "is not what the code makes: run `cargo xtask docs` and commit it";
    (!is_current).then(|| Finding::new(document.path, text))
}

/// Relative links that lead nowhere.
fn dead_links(document: &TextFile, repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    for (index, line) in document.text.lines().enumerate() {
        let links = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| is_relative(link)) {
            let target = link.split('#').next().unwrap_or_default();
            let path = resolve(folder, target);
            let is_there =
                repository.texts.iter().any(|file| file.path == path || file.path.starts_with(&format!("{path}/")));
            if !is_there {
                findings.push(Finding::at(&document.path, index + 1, format!("the link to {link} leads nowhere")));
            }
        }
    }
    findings
}

fn is_relative(link: &str) -> bool {
    !link.starts_with('#') && !link.contains("://") && !link.starts_with("mailto:")
}

fn resolve(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Rows of the RFC table whose module or test is not there.
///
/// In code marks stand paths below `crates/`; a test is its file, `::` and the name of the function.
fn untrue_rows(text: &str, repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    let rows = text.lines().enumerate().filter(|(_, line)| line.starts_with('|'));
    for (index, row) in rows {
        for claim in row.split('`').skip(1).step_by(2).filter(|claim| claim.contains('/')) {
            if let Err(reason) = prove(claim, repository) {
                findings.push(Finding::at(RFC_TABLE, index + 1, format!("`{claim}`: {reason}")));
            }
        }
    }
    findings
}

fn prove(claim: &str, repository: &Repository) -> Result<(), &'static str> {
    let (file, function) = match claim.split_once("::") {
        Some((file, function)) => (file, Some(function)),
        None => (claim, None),
    };
    let text = repository.find(&format!("crates/{file}")).ok_or("there is no such file")?;
    match function {
        Some(function) if !text.contains(&format!("fn {function}(")) => Err("there is no such function in it"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rust_file::tests::texts;
    use super::*;

    fn findings(files: &[(&str, &str)]) -> Vec<String> {
        let repository = Repository { texts: texts(files) };
        check(&repository).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_document_that_is_not_what_the_code_makes_is_found() {
        let document = Generated { path: "docs/a.md", text: || "new\n".to_owned() };
        let with = |text: &str| Repository { texts: texts(&[("docs/a.md", text)]) };
        assert_eq!(compare(&document, &with("new\n")), None);
        assert!(compare(&document, &with("old\n")).is_some());
        assert!(compare(&document, &Repository { texts: Vec::new() }).is_some());
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "[a](docs/a.md) [b](docs/a.md#part) [c](https://example.org) [d](#here) [e](docs)";
        assert_eq!(findings(&[("README.md", text), ("docs/a.md", "[up](../README.md)")]), [""; 0]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        let found = findings(&[("docs/a.md", "text\n[b](b.md)")]);
        assert_eq!(found, ["docs/a.md:2: the link to b.md leads nowhere"]);
    }

    #[test]
    fn a_row_of_the_rfc_table_without_its_module_or_test_is_found() {
        let source = ("crates/smtp-proto/src/path.rs", "fn a_test() {}");
        let row = |claim: &str| format!("`free text/`\n| 4.1 | `{claim}` |\n");
        for claim in ["smtp-proto/src/path.rs", "smtp-proto/src/path.rs::a_test"] {
            assert_eq!(findings(&[("docs/rfc.md", &row(claim)), source]), [""; 0]);
        }
        let found = findings(&[("docs/rfc.md", &row("smtp-proto/src/gone.rs")), source]);
        assert_eq!(found, ["docs/rfc.md:2: `smtp-proto/src/gone.rs`: there is no such file"]);
        let found = findings(&[("docs/rfc.md", &row("smtp-proto/src/path.rs::other")), source]);
        assert_eq!(found.len(), 1);
    }
}
