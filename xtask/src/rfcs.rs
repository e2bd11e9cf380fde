//! `cargo xtask rfcs`: how many requirements of each RFC are shown by a test, and what the others give as their reason.

use std::process::ExitCode;

use anyhow::Result;

use crate::process;
use crate::tidy::Repository;
use crate::tidy::requirements::{self, Count};

/// Prints the table.
///
/// # Errors
/// When the repository cannot be read.
pub(crate) fn run() -> Result<ExitCode> {
    let repository = Repository::read(&process::workspace())?;
    let reasons: Vec<&str> = Count::reasons().collect();
    println!("| document | rows | with a test | {} |", reasons.join(" | "));
    println!("|---|{}", "---:|".repeat(reasons.len() + 2));
    for (path, count) in requirements::count(&repository) {
        let reasons: Vec<String> = count.reasons.iter().map(ToString::to_string).collect();
        println!("| {path} | {} | {} | {} |", count.rows, count.tested, reasons.join(" | "));
    }
    Ok(ExitCode::SUCCESS)
}
