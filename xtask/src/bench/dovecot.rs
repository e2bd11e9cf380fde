//! Debian's Dovecot, as the one that Postfix asks for passwords.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::secure::LOGIN;
use super::server::Place;

/// A Dovecot that only verifies passwords. Dropped, it is stopped.
#[derive(Debug)]
pub(super) struct Dovecot(Child);

impl Dovecot {
    /// Starts one, which listens on `socket`.
    ///
    /// # Errors
    /// When it is not installed.
    pub(super) fn start(place: &Place, socket: &Path, password_hash: &str) -> Result<Self> {
        let folder = place.make("dovecot")?;
        fs::write(folder.join("passwd"), format!("{LOGIN}:{{ARGON2ID}}{password_hash}\n"))?;
        let text = format!(
            "protocols =\nssl = no\nauth_mechanisms = plain\nbase_dir = {folder}/run\nlog_path = {folder}/log\n\
             passdb {{\n  driver = passwd-file\n  args = {folder}/passwd\n}}\n\
             userdb {{\n  driver = static\n  args = uid=65534 gid=65534 home=/nonexistent\n}}\n\
             service auth {{\n  unix_listener {socket} {{\n    mode = 0666\n  }}\n}}\n\
             service stats {{\n  unix_listener stats-writer {{\n    mode = 0666\n  }}\n}}\n",
            folder = folder.display(),
            socket = socket.display(),
        );
        let configuration = folder.join("dovecot.conf");
        fs::write(&configuration, text)?;
        let mut command = Command::new("/usr/sbin/dovecot");
        command.arg("-F").arg("-c").arg(&configuration).stdin(Stdio::null()).stdout(Stdio::null()).stderr(place.log()?);
        Ok(Self(command.spawn().context("cannot start dovecot")?))
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // Its master ends its other processes on SIGTERM only.
        let mut kill = Command::new("kill");
        let told = kill.arg("-TERM").arg(self.0.id().to_string()).status();
        if !told.is_ok_and(|status| status.success()) {
            eprintln!("warning: cannot stop dovecot");
        }
        if let Err(error) = self.0.wait() {
            eprintln!("warning: cannot wait for dovecot: {error}");
        }
    }
}
