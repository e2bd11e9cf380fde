//! Who vouches for the certificates of clients.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use smtp_config::file::ClientCertificates;

use super::{CertificateError, read_certificates};

/// What verifies the certificates of clients (RFC 5280 §6; for client authentication, §4.2.1.12). Clients are told the names of the
/// authorities, so that they show no certificate of others (RFC 8446 §4.2.4).
pub(super) struct ClientVerifiers {
    requested: Arc<dyn ClientCertVerifier>,
    required: Arc<dyn ClientCertVerifier>,
}

impl ClientVerifiers {
    /// Reads the authorities from a PEM file.
    pub(super) fn read(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Self, CertificateError> {
        let refused = |source| CertificateError::Authority { path: path.to_owned(), source };
        let mut roots = RootCertStore::empty();
        for certificate in read_certificates(path)? {
            roots.add(certificate).map_err(refused)?;
        }
        let roots = Arc::new(roots);
        let builder = || WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider));
        let built = |result: Result<_, _>| result.map_err(|error| refused(rustls::Error::Other(other(error))));
        Ok(Self { requested: built(builder().allow_unauthenticated().build())?, required: built(builder().build())? })
    }

    pub(super) fn verifier(&self, clients: ClientCertificates) -> Option<Arc<dyn ClientCertVerifier>> {
        match clients {
            ClientCertificates::Off => None,
            ClientCertificates::Request => Some(Arc::clone(&self.requested)),
            ClientCertificates::Require => Some(Arc::clone(&self.required)),
        }
    }
}

impl fmt::Debug for ClientVerifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientVerifiers(…)")
    }
}

fn other(error: rustls::server::VerifierBuilderError) -> rustls::OtherError {
    rustls::OtherError(Arc::new(error))
}
