//! `cargo xtask bench`: how fast, beside the leanest peer and beside ourselves.

mod dovecot;
mod guesses;
mod idle;
mod measure;
mod ours_peer;
mod peers;
mod phases;
mod postfix;
mod secure;
mod server;
mod size;
mod source;
mod submission;
mod table;

pub(crate) use measure::ProcessTree;
pub(crate) use server::free_address;

use std::process::ExitCode;

use anyhow::Result;

use crate::process;

/// What to measure.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// The whole server beside Debian's Postfix, on loopback, in one run: prints one table
    Peers(peers::Arguments),
    /// The whole server with a long queue
    Size(size::Arguments),
    /// The mail of others while somebody guesses passwords
    Guesses(guesses::Arguments),
    /// The queue: commits, leases, settlements (criterion)
    Queue,
    /// Parsing and mail data (criterion)
    Proto,
}

/// Measures.
///
/// # Errors
/// When a server cannot be built, started or loaded.
pub(crate) fn run(bench: &Bench) -> Result<ExitCode> {
    match bench {
        Bench::Peers(arguments) => peers::run(arguments),
        Bench::Size(arguments) => size::run(arguments),
        Bench::Guesses(arguments) => guesses::run(arguments),
        Bench::Queue => criterion("smtp-queue"),
        Bench::Proto => criterion("smtp-proto"),
    }
}

fn criterion(package: &str) -> Result<ExitCode> {
    process::run(&mut process::cargo(["bench", "--locked", "-p", package]))?;
    Ok(ExitCode::SUCCESS)
}
