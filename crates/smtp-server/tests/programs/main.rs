//! Other people's programs against the server as it ships: the binary, run from a configuration file. Where each attempt must be
//! seen, the server is in this process.
//!
//! They need Debian's packages, each test those that it names, which `cargo xtask ci` installs; so they are ignored in a plain
//! `cargo test`, and run by `cargo test -p smtp-server --test programs -- --ignored`.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

#[path = "../house/mod.rs"]
mod inside;

mod bound;
mod certificates;
mod corpus;
mod dovecot;
mod hops;
mod house;
mod imap;
mod logins;
mod mailboxes;
mod passwords;
mod postfix;
mod proxies;
mod relays;
mod senders;
mod signed;
mod wire;

use std::process::{Command, Output};

/// Runs a program to its end; what it said is in the panic when it fails.
fn run(command: &mut Command) -> Output {
    let shown = format!("{command:?}");
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {shown}: {error}"));
    assert!(
        output.status.success(),
        "{shown} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}
