//! Our release build, with a configuration that gives it the same job.

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::secure::{LOGIN, Secure};
use super::server::Place;
use crate::{ours, process};

/// Starts it; the command returned stops it.
///
/// # Errors
/// When it was not built.
pub(super) fn start(place: &Place) -> Result<(Child, Command)> {
    let secure_port = place.secure.as_ref().map(secure_port).unwrap_or_default();
    ours::write_configuration(&place.path(""), place.address, place.sink, &secure_port)?;
    if let Some(secure) = &place.secure {
        fs::write(place.path("users.toml"), format!("[{LOGIN}]\npassword = \"{}\"\n", secure.password_hash))?;
    }
    let child = Command::new(process::release_build("smtp-server"))
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

/// One more listener, with TLS and log-in. Nobody is locked out, since that is cheaper than to verify passwords.
fn secure_port(secure: &Secure) -> String {
    format!(
        "[tls]\ncertificates = [{{ chain = \"{}\", key = \"{}\" }}]\n\
         [auth]\nmessages_per_hour = 0\nfailures_per_login = 1000000\nfailures_per_client = 1000000\nfailure_delay = \"0s\"\n\
         [[listener]]\nservice = \"submission\"\naddresses = [\"{}\"]\ntls = \"starttls\"\n",
        secure.certificate.display(),
        secure.key.display(),
        secure.address
    )
}
