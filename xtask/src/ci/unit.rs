//! The systemd unit: systemd understands all of it, and finds it well shut in.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

const UNIT: &str = "contrib/systemd/smtp-server.service";
/// Where the unit has the server; the check puts the release build there.
const INSTALLED: &str = "/usr/sbin/smtp-server";
/// The highest exposure that `systemd-analyze security` may find, in tenths: 2.0 of 10.
const EXPOSURE_MAX: u32 = 20;

/// Checks the unit without installing it.
///
/// # Errors
/// When systemd does not understand a line, or the sandbox has become weaker.
pub(super) fn check() -> Result<()> {
    let root = process::workspace();
    let text = fs::read_to_string(root.join(UNIT)).with_context(|| format!("cannot read {UNIT}"))?;
    let built = process::release_build("smtp-server");
    let folder = tempfile::tempdir()?;
    let unit = folder.path().join("smtp-server.service");
    fs::write(&unit, text.replace(INSTALLED, &built.display().to_string()))?;
    process::run(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit))?;
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--no-pager"]).arg(format!("--threshold={EXPOSURE_MAX}")).arg(&unit);
    process::run_quietly(&mut security)
}
