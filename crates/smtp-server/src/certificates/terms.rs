//! On which terms TLS is given to clients.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use smtp_config::file::{ClientCertificates, TlsLevel};
use tokio_rustls::TlsAcceptor;

use super::{Certificates, provider};

/// The protocol that clients may name by ALPN (RFC 7301). One that names others, and not this, has come to the wrong
/// server, or was led here: it is refused (`no_application_protocol`). One that names none is served, as nearly all are.
const PROTOCOL: &[u8] = b"smtp";

/// What `[tls]` says of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsTerms {
    /// How old a client may be.
    pub level: TlsLevel,
    /// Whether sessions can be resumed.
    pub session_tickets: bool,
}

impl TlsTerms {
    pub(super) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static MODERN: [&SupportedProtocolVersion; 1] = [&version::TLS13];
        static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        match self.level {
            TlsLevel::Modern => &MODERN,
            TlsLevel::Intermediate | TlsLevel::Compatible => &BOTH,
        }
    }

    pub(super) fn apply(self, config: &mut ServerConfig) {
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.require_ems = self.level != TlsLevel::Compatible;
        // A client of mail opens one connection after the other: one ticket is enough.
        config.send_tls13_tickets = 1;
        match aws_lc_rs::Ticketer::new() {
            Ok(ticketer) if self.session_tickets => config.ticketer = ticketer,
            _ => {
                config.send_tls13_tickets = 0;
                config.session_storage = Arc::new(NoServerSessionStorage {});
            }
        }
    }
}

/// The server's side of TLS, as some listeners give it.
pub struct TlsServer {
    certificates: Arc<Certificates>,
    terms: TlsTerms,
    clients: ClientCertificates,
    made: ArcSwap<Made>,
}

struct Made {
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    acceptor: TlsAcceptor,
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").field("terms", &self.terms).field("clients", &self.clients).finish_non_exhaustive()
    }
}

impl TlsServer {
    /// TLS on these terms (aws-lc-rs, post-quantum key exchange preferred) that serves these certificates. Where clients are asked for
    /// theirs there are no tickets, whatever the terms say: a session that is resumed shows none, and the one that it has shown
    /// may have ended since, or its authority be gone.
    pub fn new(certificates: Arc<Certificates>, terms: TlsTerms, clients: ClientCertificates) -> Self {
        let terms = TlsTerms { session_tickets: terms.session_tickets && clients == ClientCertificates::Off, ..terms };
        let made = ArcSwap::from_pointee(Made::new(&certificates, terms, certificates.verifier(clients)));
        Self { certificates, terms, clients, made }
    }

    /// How clients are asked for a certificate.
    pub fn clients(&self) -> ClientCertificates {
        self.clients
    }

    /// What the next handshake is made with.
    pub fn acceptor(&self) -> TlsAcceptor {
        let verifier = self.certificates.verifier(self.clients);
        let made = self.made.load();
        let is_current = match (&verifier, &made.verifier) {
            (Some(verifier), Some(before)) => Arc::ptr_eq(verifier, before),
            (None, None) => true,
            _ => false,
        };
        if is_current {
            return made.acceptor.clone();
        }
        // The authorities were read anew. Two handshakes may both find so, and make the same.
        let made = Made::new(&self.certificates, self.terms, verifier);
        let acceptor = made.acceptor.clone();
        self.made.store(Arc::new(made));
        acceptor
    }
}

impl Made {
    fn new(certificates: &Arc<Certificates>, terms: TlsTerms, verifier: Option<Arc<dyn ClientCertVerifier>>) -> Self {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(terms.versions())
            .expect("aws-lc-rs has cipher suites for TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier.clone().unwrap_or_else(WebPkiClientVerifier::no_client_auth))
            .with_cert_resolver(Arc::clone(certificates) as Arc<dyn ResolvesServerCert>);
        terms.apply(&mut config);
        Self { verifier, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

#[cfg(test)]
mod tests {
    use rustls::ProtocolVersion::{TLSv1_2, TLSv1_3};
    use rustls::server::ResolvesServerCertUsingSni;

    use super::*;

    #[test]
    fn each_level_is_what_it_says() {
        for (level, versions, requires_ems) in [
            (TlsLevel::Modern, &[TLSv1_3][..], true),
            (TlsLevel::Intermediate, &[TLSv1_3, TLSv1_2], true),
            (TlsLevel::Compatible, &[TLSv1_3, TLSv1_2], false),
        ] {
            let terms = TlsTerms { level, session_tickets: true };
            let spoken: Vec<_> = terms.versions().iter().map(|version| version.version).collect();
            assert_eq!(spoken, versions, "{level:?}");
            let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_protocol_versions(terms.versions())
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
            terms.apply(&mut config);
            assert_eq!(config.require_ems, requires_ems, "{level:?}");
        }
    }
}
