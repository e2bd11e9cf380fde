//! The demo's directory: configuration, users, an authority with one certificate.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// The names that the certificate is for.
const NAMES: [&str; 4] = ["localhost", "demo.test", "127.0.0.1", "::1"];

/// Where everything of one demo lies. Removed when dropped, unless it is kept.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    keep: bool,
}

/// The ports that the demo's listeners got, on 127.0.0.1 and, where the machine has it, on `::1`.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) smtp: Vec<SocketAddr>,
    pub(super) submission: Vec<SocketAddr>,
    pub(super) submissions: Vec<SocketAddr>,
    /// The other server, which answers for away.test.
    pub(super) away: SocketAddr,
}

impl Directory {
    /// Makes `path`, or a fresh temporary one; mode 0700. One that is named must not exist, or be empty, since all that
    /// is in it goes away at the end.
    pub(super) fn make(path: Option<PathBuf>, keep: bool) -> Result<Self> {
        let path = match path {
            None => tempfile::Builder::new().prefix("smtp-demo-").tempdir().context("no temporary directory")?.keep(),
            Some(path) => {
                make_or_take_empty(&path)
                    .with_context(|| format!("the directory {} cannot be used", path.display()))?;
                path
            }
        };
        let path = path.canonicalize().with_context(|| path.display().to_string())?;
        Ok(Self { path, keep })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.path.join("smtp-server.toml")
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.path.join("ca.pem")
    }

    /// A user's Maildir.
    pub(super) fn maildir(&self, user: &str) -> PathBuf {
        self.path.join("Maildir").join(user)
    }

    /// Writes all files that the server reads.
    pub(super) fn write(&self, addresses: &Addresses) -> Result<()> {
        let maildirs = self.path.join("Maildir");
        fs::DirBuilder::new().mode(0o700).create(&maildirs).with_context(|| maildirs.display().to_string())?;
        self.write_certificate().context("the demo's certificate cannot be made")?;
        self.write_file("users.toml", "[alice]\n\n[bob]\n")?;
        self.write_file("aliases", "postmaster: alice\n")?;
        self.write_file("smtp-server.toml", &configuration(addresses))
    }

    fn write_certificate(&self) -> Result<()> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "smtp-server demo, for this computer only");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let leaf = CertificateParams::new(NAMES.map(str::to_owned))?.signed_by(&key, &authority)?;
        self.write_file("ca.pem", &authority.pem())?;
        self.write_file("localhost.pem", &leaf.pem())?;
        self.write_file("localhost.key", &key.serialize_pem())
    }

    fn write_file(&self, name: &str, text: &str) -> Result<()> {
        let path = self.path.join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let write = |mut file: fs::File| io::Write::write_all(&mut file, text.as_bytes());
        options.open(&path).and_then(write).with_context(|| format!("{} cannot be written", path.display()))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !self.keep {
            // Whatever cannot be removed is the user's to see; there is nothing else to do at the end.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn make_or_take_empty(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs::read_dir(path)?.next() {
            None => Ok(()),
            Some(_) => Err(io::Error::other("it is not empty")),
        },
        made => made,
    }
}

/// The configuration: an ordinary one, to be read and copied.
fn configuration(addresses: &Addresses) -> String {
    let list = |addresses: &[SocketAddr]| {
        let quoted: Vec<_> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
        quoted.join(", ")
    };
    format!(
        r#"# The configuration of the demo: a server for demo.test that nothing leaves.
hostname = "demo.test"

[tls]
certificates = [{{ chain = "localhost.pem", key = "localhost.key" }}]

[local]
domains = ["demo.test"]
users = "users.toml"
aliases = "aliases"
deliver = {{ maildir = "Maildir/{{user}}" }}

[[listener]]
service = "mx"
addresses = [{smtp}]
tls = "starttls"

[[listener]]
service = "submission"
addresses = [{submission}]
tls = "starttls"

[[listener]]
service = "submission"
addresses = [{submissions}]
tls = "implicit"

[relay]
networks = ["127.0.0.0/8", "::1/128"]       # the programs of this computer may send to anywhere ...

[[route]]
recipients = ["*"]                          # ... and anywhere is the demo's other server
to = "smtp://{away}"
tls = "none"

[queue]
directory = "queue"
retry = ["500ms", "500ms", "2s", "10s", "…"]
expire_after = "1h"
delay_notice_after = "0s"

[admin]
socket = "control.sock"
mode = "0600"
"#,
        smtp = list(&addresses.smtp),
        submission = list(&addresses.submission),
        submissions = list(&addresses.submissions),
        away = addresses.away,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_has_something_in_it_is_refused_and_left() {
        let parent = tempfile::tempdir().unwrap();
        let used = parent.path().join("used");
        fs::create_dir(&used).unwrap();
        fs::write(used.join("precious"), "x").unwrap();
        let error = Directory::make(Some(used.clone()), false).unwrap_err();
        assert!(format!("{error:#}").contains("it is not empty"), "{error:#}");
        assert!(used.join("precious").exists());
    }

    #[test]
    fn the_directory_is_gone_afterwards_unless_it_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        for keep in [false, true] {
            let path = parent.path().join(format!("demo-{keep}"));
            let directory = Directory::make(Some(path.clone()), keep).unwrap();
            directory.write_file("users.toml", "[alice]\n").unwrap();
            drop(directory);
            assert_eq!(path.exists(), keep);
        }
    }
}
