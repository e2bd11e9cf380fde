//! What the jobs under TLS need, the same for both servers: a certificate, a password and its hash, a client.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, client};

use super::server::free_address;
use crate::load::Tls;
use crate::process;

/// Who logs in.
pub(super) const LOGIN: &str = "user";
pub(super) const PASSWORD: &str = "correct horse battery staple";
const HOST: &str = "bench.test";

/// What a server is told.
#[derive(Debug)]
pub(crate) struct Secure {
    /// Where it offers STARTTLS and log-in.
    pub(super) address: SocketAddr,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    /// The hash of [`PASSWORD`], by argon2id.
    pub(super) password_hash: String,
}

impl Secure {
    /// Makes a certificate on P-256 in `folder`, and hashes the password.
    ///
    /// # Errors
    /// When openssl or our release build is not there.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let (certificate, key) = (folder.join("bench.pem"), folder.join("bench.key"));
        let mut request = Command::new("openssl");
        request.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        request.args(["-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test"]);
        request.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        process::output(request.arg("-keyout").arg(&key).arg("-out").arg(&certificate))?;
        Ok(Self { address: free_address()?, certificate, key, password_hash: hash()? })
    }

    /// A client that trusts the certificate. It resumes no session and offers the one key exchange that Debian's OpenSSL and
    /// we have in common, so that both servers do the same work.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub(super) fn client(&self) -> Result<Tls> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.certificate).context("no certificate")?)?;
        let provider = CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..aws_lc_rs::default_provider() };
        let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.resumption = client::Resumption::disabled();
        Ok(Tls { connector: TlsConnector::from(Arc::new(config)), name: ServerName::try_from(HOST)? })
    }
}

/// What `smtpctl encrypt` makes of the password.
fn hash() -> Result<String> {
    let mut encrypt = Command::new(process::release_build("smtpctl"));
    let child = encrypt.arg("encrypt").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.context("cannot start the release build of smtpctl")?;
    let mut input = child.stdin.take().context("smtpctl has no input")?;
    input.write_all(format!("{PASSWORD}\n").as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "smtpctl encrypt ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let hash = text.lines().find_map(|line| line.strip_prefix("password = \"")?.strip_suffix('"'));
    hash.map(str::to_owned).context("smtpctl encrypt printed no password")
}
