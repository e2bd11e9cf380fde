//! Which crate may depend on which.

use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::Finding;

/// The crates by layer, and what each may depend on besides smtp-proto.
///
/// A crate depends only on crates of lower layers, never on one of its own.
const LAYERS: &[Layer] = &[
    layer(0, "smtp-proto", &[]),
    layer(0, "smtp-config", &[]),
    layer(1, "smtp-mail", &[]),
    layer(1, "smtp-io", &[]),
    layer(1, "smtp-sasl", &[]),
    layer(2, "smtp-queue", &["smtp-mail"]),
    layer(2, "smtp-client", &["smtp-io", "smtp-mail", "smtp-sasl"]),
    layer(2, "smtp-testkit", &["smtp-io"]),
    // Translates what the queue shows into the types of the admin API, for the server and for smtpctl alike.
    layer(3, "smtp-admin", &["smtp-mail", "smtp-queue"]),
    layer(3, "smtp-policy", &["smtp-mail"]),
    layer(3, "smtp-delivery", &["smtp-client", "smtp-mail"]),
    layer(
        4,
        "smtp-server",
        &[
            "smtp-admin",
            "smtp-client",
            "smtp-config",
            "smtp-delivery",
            "smtp-io",
            "smtp-mail",
            "smtp-policy",
            "smtp-queue",
            "smtp-sasl",
        ],
    ),
    // smtp-mail because the queue speaks in its values.
    layer(4, "smtpctl", &["smtp-admin", "smtp-config", "smtp-mail", "smtp-queue", "smtp-sasl"]),
    // The build needs the configuration's reference, and smtp-proto for its load client.
    layer(4, "xtask", &["smtp-config"]),
];

/// The crates that stay without smtp-proto.
const WITHOUT_PROTO: &[&str] = &["smtp-admin", "smtp-config"];

/// Protocol and decision code is pure: neither a runtime nor TLS nor a store gets in.
const PURE: &[&str] = &["smtp-proto", "smtp-config", "smtp-mail", "smtp-policy", "smtp-sasl"];
const IMPURE_LIBRARIES: &[&str] = &["axum", "hyper", "rustls", "sled", "socket2", "tokio", "tokio-rustls", "tracing"];

/// Only for tests: nothing that ships depends on it.
const TESTS_ONLY: &str = "smtp-testkit";

struct Layer {
    number: u8,
    name: &'static str,
    arrows: &'static [&'static str],
}

const fn layer(number: u8, name: &'static str, arrows: &'static [&'static str]) -> Layer {
    Layer { number, name, arrows }
}

/// A crate of the workspace and what it depends on, dev-dependencies aside.
#[derive(Debug, Clone)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) dependencies: Vec<String>,
}

/// Asks cargo.
///
/// # Errors
/// When `cargo metadata` fails.
pub(super) fn workspace_arrows(root: &Path) -> Result<Vec<Crate>> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec().context("cargo metadata failed")?;
    let crates = metadata.packages.iter().map(|package| Crate {
        name: package.name.to_string(),
        dependencies: package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .map(|dependency| dependency.name.clone())
            .collect(),
    });
    Ok(crates.collect())
}

/// Every arrow that the table does not have.
pub(super) fn check(crates: &[Crate]) -> Vec<Finding> {
    crates.iter().flat_map(check_crate).collect()
}

fn check_crate(package: &Crate) -> Vec<Finding> {
    let place = format!("{}/Cargo.toml", package.name);
    let Some(layer) = find(&package.name) else {
        let text = "this crate has no layer; give it one in xtask/src/tidy/arrows.rs and docs/architecture.md";
        return vec![Finding::new(place, text)];
    };
    let wrong = package.dependencies.iter().filter_map(|to| {
        let reason = refuse(layer, to)?;
        Some(Finding::new(place.clone(), format!("must not depend on {to}: {reason}")))
    });
    wrong.collect()
}

fn refuse(from: &Layer, to: &str) -> Option<&'static str> {
    if PURE.contains(&from.name) && IMPURE_LIBRARIES.contains(&to) {
        return Some("protocol and decision code is pure");
    }
    let target = find(to)?;
    if to == TESTS_ONLY {
        return Some("it is for tests; make it a dev-dependency");
    }
    if target.number >= from.number {
        return Some("it is not of a lower layer");
    }
    let allowed = match to {
        "smtp-proto" => !WITHOUT_PROTO.contains(&from.name),
        _ => from.arrows.contains(&to),
    };
    (!allowed).then_some("the table of arrows has no such arrow")
}

fn find(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|layer| layer.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, dependencies: &[&str]) -> Vec<String> {
        let package =
            Crate { name: name.to_owned(), dependencies: dependencies.iter().map(ToString::to_string).collect() };
        check(&[package]).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn arrows_of_the_table_pass() {
        assert_eq!(findings("smtp-queue", &["smtp-mail", "smtp-proto", "sled"]), [""; 0]);
        assert_eq!(findings("smtp-proto", &["nom", "bytes"]), [""; 0]);
    }

    #[test]
    fn an_arrow_upwards_is_found() {
        let found = findings("smtp-mail", &["smtp-queue"]);
        assert_eq!(found, ["must not depend on smtp-queue: it is not of a lower layer"]);
    }

    #[test]
    fn an_arrow_within_a_layer_is_found() {
        assert_eq!(findings("smtp-queue", &["smtp-client"]).len(), 1);
    }

    #[test]
    fn an_arrow_downwards_that_is_not_in_the_table_is_found() {
        let found = findings("smtp-policy", &["smtp-queue"]);
        assert_eq!(found, ["must not depend on smtp-queue: the table of arrows has no such arrow"]);
        assert_eq!(findings("smtp-admin", &["smtp-proto"]).len(), 1);
    }

    #[test]
    fn a_runtime_in_a_pure_crate_is_found() {
        let found = findings("smtp-proto", &["tokio"]);
        assert_eq!(found, ["must not depend on tokio: protocol and decision code is pure"]);
    }

    #[test]
    fn the_testkit_outside_of_tests_is_found() {
        assert_eq!(findings("smtp-server", &["smtp-testkit"]).len(), 1);
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        assert_eq!(findings("smtp-everything", &[]).len(), 1);
    }

    #[test]
    fn the_table_itself_points_down() {
        for from in LAYERS {
            for to in from.arrows {
                let target = find(to).expect("the table names its own crates");
                assert!(target.number < from.number, "{} -> {to}", from.name);
            }
        }
    }
}
