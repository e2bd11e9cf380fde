//! What may stand in Cargo.lock: one crypto backend, once, and no stranger under our names.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Finding;
use crate::process;

const LOCKFILE: &str = "Cargo.lock";

/// Libraries that may stand in the lockfile as somebody's option, and must not be built.
const NOT_IN_USE: &[(&str, &str)] =
    &[("ring", "the one crypto backend is aws-lc-rs"), ("openssl-sys", "the one crypto backend is aws-lc-rs")];

/// Names that the registry must not fill.
const NOT_FROM_A_REGISTRY: &[(&str, &str)] = &[
    ("smtp-proto", "ours has this name; the registry's is another crate"),
    ("mail-send", "it depends on the registry's smtp-proto"),
];

#[derive(Debug, Deserialize)]
struct Lockfile {
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    source: Option<String>,
}

/// What the text of Cargo.lock shows.
///
/// # Errors
/// When it is not a lockfile.
pub(super) fn check(text: &str) -> Result<Vec<Finding>> {
    let lockfile: Lockfile = toml::from_str(text).context("cannot parse Cargo.lock")?;
    let mut findings = Vec::new();
    let copies = lockfile.package.iter().filter(|package| package.name == "aws-lc-sys").count();
    if copies != 1 {
        let text = format!("aws-lc-sys stands {copies} times; once: two copies of a C library do not link");
        findings.push(Finding::new(LOCKFILE, text));
    }
    for (name, reason) in NOT_FROM_A_REGISTRY {
        if lockfile.package.iter().any(|package| package.name == *name && package.source.is_some()) {
            findings.push(Finding::new(LOCKFILE, format!("{name} of a registry: {reason}")));
        }
    }
    Ok(findings)
}

/// What `cargo tree` finds to be built, dev-dependencies aside.
///
/// # Errors
/// When cargo cannot be run.
pub(super) fn unwanted_in_use() -> Result<Vec<Finding>> {
    let mut tree = process::cargo(["tree", "--workspace", "--locked", "--edges", "normal,build"]);
    tree.args(["--prefix", "none", "--format", "{p}"]);
    Ok(unwanted(&process::output(&mut tree)?))
}

fn unwanted(tree: &str) -> Vec<Finding> {
    let in_use = |name: &str| tree.lines().any(|line| line.split(' ').next() == Some(name));
    let found = NOT_IN_USE.iter().filter(|(name, _)| in_use(name));
    found
        .map(|(name, reason)| {
            Finding::new(LOCKFILE, format!("{name} is in use: {reason}; `cargo tree --invert {name}` shows how"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lockfile(packages: &[(&str, bool)]) -> String {
        let packages = packages.iter().map(|(name, from_registry)| {
            let source = if *from_registry { "source = \"registry+https://example.org\"\n" } else { "" };
            format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{source}")
        });
        format!("version = 4\n{}", packages.collect::<String>())
    }

    #[test]
    fn our_own_lockfile_shape_passes() {
        let text = lockfile(&[("aws-lc-sys", true), ("smtp-proto", false)]);
        assert_eq!(check(&text).unwrap(), []);
    }

    #[test]
    fn two_copies_of_the_c_library_are_found() {
        let text = lockfile(&[("aws-lc-sys", true), ("aws-lc-sys", true)]);
        assert_eq!(check(&text).unwrap().len(), 1);
        assert_eq!(check(&lockfile(&[("other", true)])).unwrap().len(), 1);
    }

    #[test]
    fn the_registry_crate_of_our_name_is_found() {
        let text = lockfile(&[("aws-lc-sys", true), ("smtp-proto", true), ("mail-send", true)]);
        assert_eq!(check(&text).unwrap().len(), 2);
    }

    #[test]
    fn a_second_crypto_backend_in_use_is_found() {
        let tree = "smtp-server v0.1.0\nring v0.17.14\nstring-ring v1.0.0\n";
        let found = unwanted(tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].text.starts_with("ring is in use"), "{found:?}");
        assert_eq!(unwanted("aws-lc-rs v1.19.0\n"), []);
    }
}
