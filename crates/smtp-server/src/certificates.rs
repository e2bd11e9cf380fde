//! The server's TLS keys: loaded, chosen by SNI, reloaded when their files change; and who vouches for clients.

mod clients;
mod terms;
mod validity;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use smtp_config::file::ClientCertificates;

use self::clients::ClientVerifiers;

pub use self::terms::{TlsServer, TlsTerms};

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
    /// A certificate of the authorities that vouch for clients cannot stand for one.
    #[error("{path} holds a certificate that cannot vouch for clients")]
    Authority {
        /// The file at fault.
        path: PathBuf,
        /// What rustls said.
        #[source]
        source: rustls::Error,
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
    clients: Option<ClientVerifiers>,
    stamps: Vec<Stamp>,
}

/// The certificates that the server presents, and who vouches for those of clients. New sessions see a reload at once, open ones are
/// not touched.
pub struct Certificates {
    files: Vec<CertificateFiles>,
    /// PEM: the authorities that vouch for clients.
    client_authorities: Option<PathBuf>,
    loaded: ArcSwap<Loaded>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificates")
            .field("files", &self.files)
            .field("client_authorities", &self.client_authorities)
            .finish_non_exhaustive()
    }
}

impl Certificates {
    /// Loads all of `files`. The first is presented to clients that send no name, or one that no certificate has. The certificates
    /// in `client_authorities` vouch for those of clients.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(files: Vec<CertificateFiles>, client_authorities: Option<PathBuf>) -> Result<Self, CertificateError> {
        let loaded = ArcSwap::from_pointee(Loaded::read(&files, client_authorities.as_deref())?);
        Ok(Self { files, client_authorities, loaded })
    }

    /// Whether the certificates in this PEM file can vouch for clients.
    ///
    /// # Errors
    /// What cannot be used.
    pub fn check_client_authorities(path: &Path) -> Result<(), CertificateError> {
        ClientVerifiers::read(path, &provider()).map(|_| ())
    }

    /// Reads the files again where one of them has changed since; says whether that was so. After an error the
    /// certificates loaded before are still served.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn reload_if_changed(&self) -> Result<bool, CertificateError> {
        let client_authorities = self.client_authorities.as_deref();
        if stamps(&self.files, client_authorities) == self.loaded.load().stamps {
            return Ok(false);
        }
        self.loaded.store(Arc::new(Loaded::read(&self.files, client_authorities)?));
        Ok(true)
    }

    /// The files they come from.
    pub fn files(&self) -> &[CertificateFiles] {
        &self.files
    }

    /// The file with who vouches for clients.
    pub fn client_authorities(&self) -> Option<&Path> {
        self.client_authorities.as_deref()
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

    /// What verifies clients in this way now; none where nobody vouches for them, or nobody asks.
    fn verifier(&self, clients: ClientCertificates) -> Option<Arc<dyn ClientCertVerifier>> {
        self.loaded.load().clients.as_ref()?.verifier(clients)
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
    fn read(files: &[CertificateFiles], client_authorities: Option<&Path>) -> Result<Self, CertificateError> {
        // The stamps are taken first: a file that is replaced while it is read is read again at the next look.
        let stamps = stamps(files, client_authorities);
        let provider = provider();
        let keys = files.iter().map(|files| read_key(files, &provider).map(Arc::new)).collect::<Result<_, _>>()?;
        let clients = client_authorities.map(|path| ClientVerifiers::read(path, &provider)).transpose()?;
        Ok(Self { keys, clients, stamps })
    }
}

/// The one crypto backend, named and not taken from the process's default.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read_key(files: &CertificateFiles, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
    let chain = read_certificates(&files.chain)?;
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

/// All certificates of a PEM file, which are one or more.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let certificates = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| CertificateError::Pem { path: path.to_owned(), what: "certificate", source })?;
    if certificates.is_empty() {
        return Err(CertificateError::Empty { path: path.to_owned() });
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

fn stamps(files: &[CertificateFiles], client_authorities: Option<&Path>) -> Vec<Stamp> {
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    let own = files.iter().flat_map(|files| [&*files.chain, &*files.key]);
    own.chain(client_authorities).map(stamp).collect()
}

fn is_valid_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let leaf = key.cert.first().map(ParsedCertificate::try_from);
    matches!(leaf, Some(Ok(leaf)) if verify_server_name(&leaf, name).is_ok())
}

#[cfg(test)]
mod tests;
