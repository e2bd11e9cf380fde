//! `cargo xtask tidy`: the rules of this repository that neither rustc nor clippy knows.
//!
//! Each rule is a pure function from text to findings, so that its own tests give it a bad fixture and see
//! it found; this file reads the repository and hands the texts to them.

mod arrows;
mod documents;
mod lockfile;
mod manifests;
pub(crate) mod requirements;
mod rust_file;
mod sizes;
mod sources;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::process;
use rust_file::RustFiles;

/// One breach of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The file, and the line where there is one.
    pub(crate) place: String,
    /// What is wrong, and what to do.
    pub(crate) text: String,
}

impl Finding {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }

    fn at(file: &str, line: usize, text: impl Into<String>) -> Self {
        Self::new(format!("{file}:{line}"), text)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

/// Prints every finding; the exit code says whether there was one.
///
/// # Errors
/// When the repository cannot be read.
pub(crate) fn run() -> Result<ExitCode> {
    match findings()? {
        0 => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::FAILURE),
    }
}

/// Prints every finding and returns their number.
///
/// # Errors
/// When the repository cannot be read.
pub(crate) fn findings() -> Result<usize> {
    let root = process::workspace();
    let repository = Repository::read(&root)?;
    let mut findings = arrows::check(&arrows::workspace_arrows(&root)?);
    for file in &repository.texts {
        findings.extend(sources::unfinished(file));
    }
    let rust = RustFiles::parse(&repository.texts)?;
    findings.extend(sizes::check(&rust));
    findings.extend(sources::check(&rust));
    findings.extend(manifests::check(&repository.texts)?);
    findings.extend(lockfile::check(repository.text("Cargo.lock")?)?);
    findings.extend(lockfile::unwanted_in_use()?);
    findings.extend(documents::check(&repository));
    findings.extend(documents::outdated(&repository));
    findings.extend(requirements::check(&repository));
    for finding in &findings {
        eprintln!("{finding}");
    }
    println!("tidy: {} files, {} findings", repository.texts.len(), findings.len());
    Ok(findings.len())
}

/// A text file of the repository.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl TextFile {
    /// What stands behind the last dot of the name, or nothing.
    fn extension(&self) -> &str {
        let extension = Path::new(&self.path).extension();
        extension.and_then(std::ffi::OsStr::to_str).unwrap_or_default()
    }
}

/// Every text file that git keeps, or would keep after `git add`.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) texts: Vec<TextFile>,
}

impl Repository {
    /// # Errors
    /// When git does not tell its files, or one cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut list = Command::new("git");
        list.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let mut texts = Vec::new();
        for path in process::output(&mut list)?.split_terminator('\0') {
            let full = root.join(path);
            // A file that is deleted but not yet staged is listed all the same.
            if !full.is_file() {
                continue;
            }
            let octets = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            if let Ok(text) = String::from_utf8(octets) {
                texts.push(TextFile { path: path.to_owned(), text });
            }
        }
        Ok(Self { texts })
    }

    /// The text of one file.
    ///
    /// # Errors
    /// When there is no such file.
    fn text(&self, path: &str) -> Result<&str> {
        self.find(path).with_context(|| format!("there is no {path}"))
    }

    fn find(&self, path: &str) -> Option<&str> {
        self.texts.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }
}
