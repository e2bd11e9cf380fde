//! Our release build, with a configuration that gives it the same job.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::server::Place;
use crate::{ours, process};

/// Starts it; the command returned stops it.
///
/// # Errors
/// When it was not built.
pub(super) fn start(place: &Place) -> Result<(Child, Command)> {
    ours::write_configuration(&place.path(""), place.address, place.sink, "")?;
    let child = Command::new(process::workspace().join("target/release/smtp-server"))
        .arg("--config")
        .arg(place.path(ours::CONFIGURATION))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(place.log()?)
        .spawn()
        .context("cannot start the release build of smtp-server")?;
    let mut stop = Command::new("kill");
    stop.arg("-TERM").arg(child.id().to_string());
    Ok((child, stop))
}
