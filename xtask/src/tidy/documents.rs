//! What the documents claim about the code.

use super::{Finding, Repository, TextFile};
use crate::docs::{GENERATED, Generated};

/// Links that lead nowhere.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in repository.texts.iter().filter(|file| file.extension() == "md") {
        findings.extend(dead_links(document, repository));
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
}
