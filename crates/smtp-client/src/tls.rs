//! Which certificates are good.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

/// The TLS of a client: one way that verifies certificates, one that takes any.
#[derive(Clone)]
pub struct ClientTls {
    verifying: Option<TlsConnector>,
    indifferent: TlsConnector,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ClientTls").field("has_roots", &self.verifying.is_some()).finish_non_exhaustive()
    }
}

impl ClientTls {
    /// Trusts the authorities in `roots`. TLS 1.2 and 1.3 by aws-lc-rs, post-quantum key exchange preferred.
    #[expect(clippy::missing_panics_doc, reason = "the expects state invariants of the provider")]
    pub fn new(roots: RootCertStore) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Without roots there is nothing to verify against; that is said when verification is asked for.
        let verifying = (!roots.is_empty()).then(|| {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .expect("the roots are not empty, and no revocation lists were given");
            connector(&provider, verifier)
        });
        let any = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
        Self { verifying, indifferent: connector(&provider, any) }
    }

    /// Trusts the authorities that the system trusts. What of them cannot be read is logged and left out.
    pub fn with_system_roots() -> Self {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
        }
        let mut roots = RootCertStore::empty();
        let (_, unusable) = roots.add_parsable_certificates(found.certs);
        if unusable > 0 {
            tracing::debug!(unusable, "some of the system's certificate authorities are of no use");
        }
        if roots.is_empty() {
            tracing::warn!("the system names no certificate authorities: no next hop can be verified");
        }
        Self::new(roots)
    }

    /// The connector for a connection that verifies or does not; `None` where there is nothing to verify against.
    pub(crate) fn connector(&self, verifies: bool) -> Option<&TlsConnector> {
        if verifies { self.verifying.as_ref() } else { Some(&self.indifferent) }
    }
}

fn connector(provider: &Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>) -> TlsConnector {
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has cipher suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Takes every certificate, as the sender who would otherwise send in the clear must (RFC 7435 §3). That the peer
/// holds the certificate's key is verified all the same.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
