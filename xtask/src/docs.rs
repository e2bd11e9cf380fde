//! `cargo xtask docs`: the documents that are made from the code.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::process;

/// A document and what makes it.
pub(crate) struct Generated {
    /// From the root of the repository.
    pub(crate) path: &'static str,
    pub(crate) text: fn() -> String,
}

/// Every document that is made from the code.
pub(crate) const GENERATED: &[Generated] = &[Generated { path: "docs/configuration.md", text: smtp_config::reference }];

/// Writes them.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn run() -> Result<ExitCode> {
    for document in GENERATED {
        let path = process::workspace().join(document.path);
        fs::write(&path, (document.text)()).with_context(|| format!("cannot write {}", document.path))?;
        println!("{}", document.path);
    }
    Ok(ExitCode::SUCCESS)
}
