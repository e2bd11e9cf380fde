//! `cargo xtask ci`: every check, in order.
//!
//! The cheap checks come first, so that a slip shows early. Each step has a headline and its time; the first
//! that fails ends the run, and the last line counts.

mod fuzz;
mod packages;
mod protocol;
mod unit;

pub(crate) use packages::install as install_packages;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{power, process, tidy};

/// What of the checks to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run only these steps (repeat, or separate by commas); without it, all
    #[arg(long, value_delimiter = ',', value_name = "STEP")]
    only: Vec<String>,
    /// List the steps and stop
    #[arg(long)]
    list: bool,
}

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn() -> Result<()>,
}

const STEPS: &[Step] = &[
    step("format", "rustfmt finds nothing to change", || {
        process::run(&mut process::cargo(["fmt", "--all", "--check"]))?;
        process::run(&mut process::cargo(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
    }),
    step("tidy", "arrows, sizes, documents, dependencies", tidy_step),
    step("packages", "Debian packages of the end-to-end tests", packages::install),
    step("clippy", "no warning in any target", || {
        process::run(
            process::cargo(["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--"])
                .args(["-D", "warnings"]),
        )
    }),
    step("doc", "the documentation builds without a warning", || {
        process::run(
            process::cargo(["doc", "--workspace", "--no-deps", "--locked", "--quiet"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    }),
    step("test", "unit, integration and documentation tests", || {
        process::run(&mut process::cargo(["test", "--workspace", "--locked", "--quiet"]))
    }),
    step("protocol", "smtp-proto with all its features, and without an operating system", protocol::check),
    step("release", "the release build", || {
        process::run(&mut process::cargo(["build", "--release", "--locked", "-p", "smtp-server", "-p", "smtpctl"]))
    }),
    step("demo", "the demo delivers, retries and bounces", || {
        process::run(&mut process::cargo([
            "run",
            "--release",
            "--locked",
            "--quiet",
            "-p",
            "smtp-server",
            "--",
            "demo",
            "--check",
        ]))
    }),
    step("programs", "other people's programs send and fetch mail; root does what only root can", || {
        for (package, test) in [("smtp-server", "programs"), ("smtpctl", "sendmail"), ("smtpctl", "program")] {
            process::run(
                process::cargo(["test", "--locked", "-p", package, "--test", test, "--"]).args(["--ignored"]),
            )?;
        }
        Ok(())
    }),
    step("disks", "full and read-only file systems stop nothing for good", disks_step),
    step("torture", "killed under load, and without power, it loses nothing", || {
        process::run(&mut process::cargo(["xtask", "torture", "--rounds", "10"]))?;
        if !power::may_mount_files() {
            println!("left out: this machine mounts no files, whose power could be cut");
            return Ok(());
        }
        if !process::is_installed("xfs_io") {
            println!("left out: power cuts, for which xfs_io is not installed");
            return Ok(());
        }
        process::run(&mut process::cargo(["xtask", "torture", "--rounds", "5", "--power-cut"]))
    }),
    step("unit", "the systemd unit is understood, and shut in", unit::check),
    step("fuzz", "a few seconds of every fuzz target", fuzz::smoke),
];

/// These tests mount small file systems.
fn disks_step() -> Result<()> {
    if !power::may_mount() {
        println!("left out: no leave to mount file systems here");
        return Ok(());
    }
    let mut test = process::cargo(["test", "--locked", "-p", "smtp-server", "--test", "deliver", "--"]);
    test.args(["--ignored", "full_disks"]);
    if !power::may_mount_files() {
        println!("left out: a disk that fails, for which a file is mounted, which this machine cannot");
        test.args(["--skip", "failing"]);
    }
    process::run(&mut test)
}

const fn step(name: &'static str, what: &'static str, run: fn() -> Result<()>) -> Step {
    Step { name, what, run }
}

/// Runs the steps that were asked for.
///
/// # Errors
/// When a step is asked for that does not exist. A step that fails is the exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.list {
        for step in STEPS {
            println!("{:<10} {}", step.name, step.what);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let steps = chosen(&arguments.only)?;
    let mut done: Vec<(&str, Duration)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        println!("\n=== {}/{} {}: {}", number + 1, steps.len(), step.name, step.what);
        let start = Instant::now();
        if let Err(error) = (step.run)() {
            eprintln!("\n=== {} failed after {}", step.name, seconds(start.elapsed()));
            eprintln!("error: {error:#}");
            eprintln!("again: cargo xtask ci --only {}", step.name);
            summarize(&done);
            println!("{} passed, 1 failed", done.len());
            return Ok(ExitCode::FAILURE);
        }
        done.push((step.name, start.elapsed()));
    }
    summarize(&done);
    println!("{} passed, 0 failed", done.len());
    Ok(ExitCode::SUCCESS)
}

fn chosen(only: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = only.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        bail!("no step `{unknown}`; `cargo xtask ci --list` shows them");
    }
    let steps = STEPS.iter();
    Ok(steps.filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)).collect())
}

fn summarize(done: &[(&str, Duration)]) {
    println!();
    for (name, time) in done {
        println!("{name:<10} {:>8}", seconds(*time));
    }
    let total: Duration = done.iter().map(|(_, time)| *time).sum();
    println!("{:<10} {:>8}", "total", seconds(total));
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn tidy_step() -> Result<()> {
    let findings = tidy::findings()?;
    if findings == 0 { Ok(()) } else { bail!("{findings} findings") }
}
