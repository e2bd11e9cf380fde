//! smtp-proto as a crate for others: its features, its examples, and a target without an operating system.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process;

/// It has neither sockets nor files nor a clock.
const BARE_TARGET: &str = "wasm32-unknown-unknown";

/// Checks and tests the features, runs the examples that end by themselves, and builds for [`BARE_TARGET`] where that is installed.
///
/// # Errors
/// When one of them fails.
pub(super) fn check() -> Result<()> {
    let of_crate = ["--locked", "--quiet", "-p", "smtp-proto", "--all-features"];
    process::run(process::cargo(["clippy", "--all-targets"]).args(of_crate).args(["--", "-D", "warnings"]))?;
    process::run(process::cargo(["test", "--test", "features", "--test", "examples"]).args(of_crate))?;
    if !is_installed()? {
        println!("left out: the target {BARE_TARGET} is not installed; `tidy` looks for what it lacks");
        return Ok(());
    }
    process::run(process::cargo(["check", "--target", BARE_TARGET]).args(of_crate))
}

fn is_installed() -> Result<bool> {
    let folder = process::output(Command::new("rustc").args(["--print", "target-libdir", "--target", BARE_TARGET]))?;
    Ok(Path::new(folder.trim()).is_dir())
}
