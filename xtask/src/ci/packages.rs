//! The Debian packages that the end-to-end tests and the benches use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// What the tests that send and fetch mail with other people's programs need; `libnet-ssleay-perl` is what
/// swaks speaks TLS with, `libauthen-sasl-perl` and `libio-socket-ssl-perl` what git logs in with, and `libsasl2-modules`
/// what Postfix does.
const PACKAGES: &[&str] = &[
    "swaks",
    "libnet-ssleay-perl",
    "msmtp",
    "git-email",
    "libmailtools-perl",
    "libauthen-sasl-perl",
    "libio-socket-ssl-perl",
    "mutt",
    "s-nail",
    "bsd-mailx",
    "libmime-lite-perl",
    "php8.2-cli",
    "gsasl",
    "curl",
    "openssl",
    "gnupg",
    "python3",
    "haproxy",
    "postfix",
    "e2fsprogs",
    "xfsprogs",
    "libsasl2-modules",
    "dovecot-imapd",
    "dovecot-lmtpd",
    "libpython3.11-testsuite",
    "systemd",
];

/// Tells invoke-rc.d to start nothing: the tests start what they need, in folders of their own.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing.
///
/// # Errors
/// When something is missing and we are not root, or apt-get fails.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> = PACKAGES.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        println!("all Debian packages are there");
        return Ok(());
    }
    if !is_root()? {
        bail!(
            "these Debian packages are missing; install them: apt-get install --no-install-recommends {}",
            missing.join(" ")
        );
    }
    process::run(Command::new("apt-get").arg("update"))?;
    let _quiet = NothingStarts::new()?;
    process::run(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
            .args(missing),
    )
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", package]);
    process::output(&mut query).is_ok_and(|status| status == "installed")
}

/// Whether this process runs as root.
///
/// # Errors
/// When `id` cannot be run.
fn is_root() -> Result<bool> {
    Ok(process::output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// While it lives, no freshly installed service is started; a policy of the machine's own is left alone.
struct NothingStarts {
    ours: bool,
}

impl NothingStarts {
    fn new() -> Result<Self> {
        let ours = !Path::new(POLICY).try_exists()?;
        if ours {
            fs::write(POLICY, "#!/bin/sh\nexit 101\n").with_context(|| format!("cannot write {POLICY}"))?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot make {POLICY} a program"))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NothingStarts {
    fn drop(&mut self) {
        if self.ours
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("warning: cannot remove {POLICY}: {error}");
        }
    }
}
