//! What every manifest must say.

use anyhow::{Context, Result};
use toml::Table;

use super::{Finding, TextFile};

/// Every manifest that leaves the workspace's lints, and a workspace that does not forbid unsafe code.
///
/// # Errors
/// When a manifest is not TOML.
pub(super) fn check(texts: &[TextFile]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in texts.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
        let manifest: Table = file.text.parse().with_context(|| format!("cannot parse {}", file.path))?;
        findings.extend(check_manifest(&file.path, &manifest));
    }
    Ok(findings)
}

fn check_manifest(path: &str, manifest: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    if path == "Cargo.toml" && string(manifest, &["workspace", "lints", "rust", "unsafe_code"]) != Some("forbid") {
        findings.push(Finding::new(path, "[workspace.lints.rust] unsafe_code = \"forbid\" is missing"));
    }
    let inherits = value(manifest, &["lints", "workspace"]).and_then(toml::Value::as_bool);
    // The fuzz targets are a workspace of their own, and libFuzzer's macro has an unsafe block.
    let must_inherit = manifest.contains_key("package") && !path.starts_with("fuzz/");
    if must_inherit && inherits != Some(true) {
        findings.push(Finding::new(path, "[lints] workspace = true is missing"));
    }
    findings
}

fn string<'a>(manifest: &'a Table, keys: &[&str]) -> Option<&'a str> {
    value(manifest, keys).and_then(toml::Value::as_str)
}

fn value<'a>(manifest: &'a Table, keys: &[&str]) -> Option<&'a toml::Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(manifest.get(*first)?, |value, key| value.get(*key))
}

#[cfg(test)]
mod tests {
    use super::super::rust_file::tests::texts;
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&texts(&[(path, text)])).unwrap().len()
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        let with = "[package]\nname = \"a\"\n[lints]\nworkspace = true\n";
        assert_eq!(findings("crates/a/Cargo.toml", with), 0);
        assert_eq!(findings("crates/a/Cargo.toml", "[package]\nname = \"a\"\n"), 1);
    }

    #[test]
    fn a_workspace_that_lets_unsafe_code_in_is_found() {
        assert_eq!(findings("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"), 0);
        assert_eq!(findings("Cargo.toml", "[workspace.lints.rust]\nunsafe_code = \"deny\"\n"), 1);
        assert_eq!(findings("Cargo.toml", "[workspace]\n"), 1);
    }
}
