//! The build in Rust: `cargo xtask COMMAND`.
//!
//! Everything that a build needs beyond cargo itself lives here, so that a person, an editor and the
//! continuous build run the same code. `cargo xtask ci` is all of it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal: what it finds is what it prints"
)]

mod bench;
mod ci;
mod docs;
mod ground;
mod load;
mod ours;
mod power;
mod process;
mod rfcs;
mod tidy;
mod torture;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The build in Rust: checks, generated documents, benches, torture.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run every check, in order, and stop at the first that fails
    Ci(ci::Arguments),
    /// Hold the sources against the rules of this repository: arrows, sizes, documents, dependencies
    Tidy,
    /// Count the requirements of each RFC in docs/rfc: those that a test shows, and those with a reason
    Rfcs,
    /// Write the documents that are made from the code
    Docs,
    /// Measure
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Kill the server under load, again and again, and count every message
    Torture(torture::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.task {
        Task::Ci(arguments) => ci::run(&arguments),
        Task::Tidy => tidy::run(),
        Task::Rfcs => rfcs::run(),
        Task::Docs => docs::run(),
        Task::Bench(bench) => bench::run(&bench),
        Task::Torture(arguments) => torture::run(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
