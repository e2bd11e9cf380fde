//! The server's TLS keys: loaded, chosen by SNI, reloaded when their files change.

mod terms;
mod validity;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use self::terms::TlsTerms;

/// A certificate chain and its private key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The key of the leaf: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be opened or read.
    #[error("{path} cannot be read: check that it exists and that the server's user may read it")]
    Read {
        /// The file at fault.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is no PEM file, or has not the section that it should have.
    #[error("{path} holds no usable {what} in PEM form")]
    Pem {
        /// The file at fault.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// What the parser said.
        #[source]
        source: pem::Error,
    },
    /// The chain file has no certificate.
    #[error("{path} holds no certificate")]
    Empty {
        /// The file at fault.
        path: PathBuf,
    },
    /// Key and leaf do not belong together, or the key is of a kind that cannot sign.
    #[error("the key {key} does not fit the certificate {chain}")]
    Mismatch {
        /// The chain file.
        chain: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
    },
}

/// What tells that a file was replaced.
type Stamp = Option<(SystemTime, u64)>;

struct Loaded {
    keys: Vec<Arc<CertifiedKey>>,
    stamps: Vec<Stamp>,
}

/// The certificates that the server presents. New sessions see a reload at once, open ones are not touched.
pub struct Certificates {
    files: Vec<CertificateFiles>,
    loaded: ArcSwap<Loaded>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Loads all of `files`. The first is presented to clients that send no name, or one that no certificate has.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(files: Vec<CertificateFiles>) -> Result<Self, CertificateError> {
        let loaded = ArcSwap::from_pointee(Loaded::read(&files)?);
        Ok(Self { files, loaded })
    }

    /// Reads the files again where one of them has changed since; says whether that was so. After an error the
    /// certificates loaded before are still served.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn reload_if_changed(&self) -> Result<bool, CertificateError> {
        if stamps(&self.files) == self.loaded.load().stamps {
            return Ok(false);
        }
        self.loaded.store(Arc::new(Loaded::read(&self.files)?));
        Ok(true)
    }

    /// The files they come from.
    pub fn files(&self) -> &[CertificateFiles] {
        &self.files
    }

    /// Whether one of them is for the server called `name`, a DNS name.
    pub fn is_for(&self, name: &str) -> bool {
        let loaded = self.loaded.load();
        ServerName::try_from(name).is_ok_and(|name| loaded.keys.iter().any(|key| is_valid_for(key, &name)))
    }

    /// Each chain file, and when its leaf ends; None where that cannot be read.
    pub fn ends(&self) -> Vec<(PathBuf, Option<SystemTime>)> {
        let loaded = self.loaded.load();
        let ends = loaded.keys.iter().map(|key| key.cert.first().and_then(|leaf| validity::not_after(leaf)));
        self.files.iter().map(|files| files.chain.clone()).zip(ends).collect()
    }

    /// A TLS configuration on these terms (aws-lc-rs, post-quantum key exchange preferred) that serves these certificates.
    #[expect(clippy::missing_panics_doc, reason = "the one expect states an invariant of the provider")]
    pub fn server_config(self: &Arc<Self>, terms: TlsTerms) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(terms.versions())
            .expect("aws-lc-rs has cipher suites for TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        terms.apply(&mut config);
        Arc::new(config)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.loaded.load();
        let named = hello.server_name().and_then(|name| {
            let name = ServerName::try_from(name).ok()?;
            loaded.keys.iter().find(|key| is_valid_for(key, &name))
        });
        named.or_else(|| loaded.keys.first()).cloned()
    }
}

impl Loaded {
    fn read(files: &[CertificateFiles]) -> Result<Self, CertificateError> {
        // The stamps are taken first: a file that is replaced while it is read is read again at the next look.
        let stamps = stamps(files);
        let provider = provider();
        let keys = files.iter().map(|files| read_key(files, &provider).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Self { keys, stamps })
    }
}

/// The one crypto backend, named and not taken from the process's default.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read_key(files: &CertificateFiles, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(&read(&files.chain)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| CertificateError::Pem { path: files.chain.clone(), what: "certificate", source })?;
    if chain.is_empty() {
        return Err(CertificateError::Empty { path: files.chain.clone() });
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|source| CertificateError::Pem {
        path: files.key.clone(),
        what: "private key",
        source,
    })?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| CertificateError::Mismatch {
        chain: files.chain.clone(),
        key: files.key.clone(),
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

fn stamps(files: &[CertificateFiles]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().flat_map(|files| [stamp(&files.chain), stamp(&files.key)]).collect()
}

fn is_valid_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let leaf = key.cert.first().map(ParsedCertificate::try_from);
    matches!(leaf, Some(Ok(leaf)) if verify_server_name(&leaf, name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write_certificate(directory: &Path, name: &str) -> CertificateFiles {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let files = CertificateFiles {
            chain: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}.key")),
        };
        fs::write(&files.chain, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        files
    }

    fn leaf(certificates: &Certificates) -> Vec<u8> {
        certificates.loaded.load().keys[0].cert[0].to_vec()
    }

    #[test]
    fn replaced_files_are_served_and_bad_ones_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let files = write_certificate(directory.path(), "mx.example.org");
        let certificates = Certificates::load(vec![files.clone()]).unwrap();
        let first = leaf(&certificates);
        assert!(!certificates.reload_if_changed().unwrap());

        let garbage = directory.path().join("garbage");
        fs::write(&garbage, "no certificate at all, and of another length").unwrap();
        fs::rename(&garbage, &files.chain).unwrap();
        let error = certificates.reload_if_changed().unwrap_err();
        assert!(error.to_string().contains("mx.example.org.pem"), "{error}");
        assert_eq!(leaf(&certificates), first);

        let other = write_certificate(directory.path(), "renewed-mx.example.org");
        fs::rename(&other.chain, &files.chain).unwrap();
        fs::rename(&other.key, &files.key).unwrap();
        assert!(certificates.reload_if_changed().unwrap());
        assert_ne!(leaf(&certificates), first);
    }

    #[test]
    fn the_name_chooses_the_certificate() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a.example.org", "b.example.org"].map(|name| write_certificate(directory.path(), name));
        let certificates = Certificates::load(files.to_vec()).unwrap();
        let loaded = certificates.loaded.load();
        let name = ServerName::try_from("b.example.org").unwrap();
        assert!(!is_valid_for(&loaded.keys[0], &name));
        assert!(is_valid_for(&loaded.keys[1], &name));
        assert!(certificates.is_for("a.example.org") && !certificates.is_for("c.example.org"));
        assert!(!certificates.is_for("no name"));
    }

    #[test]
    fn the_end_of_each_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a.example.org", "b.example.org"].map(|name| write_certificate(directory.path(), name));
        let certificates = Certificates::load(files.to_vec()).unwrap();
        let ends = certificates.ends();
        assert_eq!(ends.len(), 2);
        assert_eq!(ends[1].0, files[1].chain);
        assert!(ends.iter().all(|(_, end)| end.is_some_and(|end| end > SystemTime::now())));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let a = write_certificate(directory.path(), "a.example.org");
        let b = write_certificate(directory.path(), "b.example.org");
        let mixed = CertificateFiles { chain: a.chain, key: b.key };
        let error = Certificates::load(vec![mixed]).unwrap_err();
        assert!(matches!(error, CertificateError::Mismatch { .. }), "{error}");
    }
}
