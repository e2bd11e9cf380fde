//! Our release build, with a configuration that gives it the same job.

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::server::Place;
use crate::process;

/// Builds what is measured.
///
/// # Errors
/// When it does not compile.
pub(super) fn build() -> Result<()> {
    process::run(&mut process::cargo(["build", "--release", "--locked", "-p", "smtp-server"]))
}

/// Starts it; the command returned stops it.
///
/// # Errors
/// When it was not built.
pub(super) fn start(place: &Place) -> Result<(Child, Command)> {
    place.make("mail")?;
    place.make("queue")?;
    let configuration = place.path("smtp-server.toml");
    fs::write(&configuration, text(place))?;
    fs::write(place.path("users.toml"), "[user]\n")?;
    let child = Command::new(process::workspace().join("target/release/smtp-server"))
        .arg("--config")
        .arg(&configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(place.log()?)
        .spawn()
        .context("cannot start the release build of smtp-server")?;
    let mut stop = Command::new("kill");
    stop.arg("-TERM").arg(child.id().to_string());
    Ok((child, stop))
}

fn text(place: &Place) -> String {
    let (address, sink) = (place.address, place.sink);
    format!(
        r#"hostname = "ours.bench.test"

[local]
domains = ["bench.test"]
users = "users.toml"
postmaster = "user"
deliver = {{ maildir = "mail/{{user}}" }}

[[listener]]
service = "mx"
addresses = ["{address}"]
tls = "none"

[relay]
networks = ["127.0.0.0/8"]

[smart_host]
to = "smtp://{sink}"
tls = "opportunistic"

[queue]
directory = "queue"

[admin]
socket = "control.sock"
"#
    )
}
