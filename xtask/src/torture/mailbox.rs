//! What lies in the Maildir.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::ledger::Arrival;
use super::load::recognize;

/// Reads every message that was delivered. What is in `tmp` was not.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn read(mailbox: &Path) -> Result<Vec<Arrival>> {
    let new = mailbox.join("new");
    let mut arrivals = Vec::new();
    for entry in fs::read_dir(&new).with_context(|| format!("cannot read {}", new.display()))? {
        let entry = entry?;
        let content = fs::read_to_string(entry.path()).with_context(|| format!("{}", entry.path().display()))?;
        let at = entry.metadata()?.modified()?;
        if let Some((token, whole)) = recognize(&content) {
            arrivals.push(Arrival { token, at, whole });
        }
    }
    Ok(arrivals)
}
