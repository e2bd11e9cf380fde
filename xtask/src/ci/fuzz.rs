//! A short run of every fuzz target: it shows that they build, start and survive their first inputs.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// How long each target runs.
const SECONDS: u32 = 20;

/// Builds all targets and runs each for a few seconds, from its seeds and from what the transcripts say.
///
/// With a nightly toolchain under the address sanitizer; on stable alone without it.
///
/// # Errors
/// When cargo-fuzz cannot be installed, a target does not build, or one finds a crash.
pub(crate) fn smoke() -> Result<()> {
    if !process::is_installed("cargo-fuzz") {
        process::run(&mut process::cargo(["install", "cargo-fuzz", "--locked"]))?;
    }
    let toolchain = Toolchain::found();
    process::run(toolchain.fuzz("build").arg("--release")).context("the fuzz targets do not build")?;
    let targets = process::output(&mut toolchain.fuzz("list"))?;
    if targets.trim().is_empty() {
        bail!("there are no fuzz targets");
    }
    let seeds = ["run", "-q", "-p", "smtp-testkit", "--example", "fuzz_seeds", "--", "fuzz/corpus"];
    process::run(&mut process::cargo(seeds)).context("the transcripts do not become seeds")?;
    for target in targets.split_whitespace() {
        let mut run = toolchain.fuzz("run");
        // What is found goes to the first folder, which git does not keep.
        let (corpus, seeds) = (format!("fuzz/corpus/{target}"), format!("fuzz/seeds/{target}"));
        fs::create_dir_all(process::workspace().join(&corpus))?;
        run.args(["--release", target, &corpus, &seeds, "--"]);
        run.args([format!("-max_total_time={SECONDS}"), "-verbosity=0".into(), "-timeout=10".into()]);
        process::run_quietly(&mut run).with_context(|| format!("the fuzz target {target} found something"))?;
    }
    Ok(())
}

/// What the targets are built with.
#[derive(Debug, Clone, Copy)]
enum Toolchain {
    Nightly,
    Stable,
}

impl Toolchain {
    fn found() -> Self {
        let asked = process::output(Command::new("rustup").args(["run", "nightly", "rustc", "--version"]));
        if asked.is_ok() { Self::Nightly } else { Self::Stable }
    }

    /// `cargo fuzz SUBCOMMAND`, with what this toolchain needs.
    fn fuzz(self, subcommand: &str) -> Command {
        let mut command = match self {
            Self::Nightly => {
                let mut command = Command::new("rustup");
                command.args(["run", "nightly", "cargo"]);
                command
            }
            Self::Stable => Command::new("cargo"),
        };
        command.current_dir(process::workspace()).args(["fuzz", subcommand]);
        if matches!(self, Self::Stable) && subcommand != "list" {
            command.env("RUSTC_BOOTSTRAP", "1").args(["-s", "none"]);
        }
        command
    }
}
