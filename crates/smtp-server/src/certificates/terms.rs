//! On which terms TLS is given to clients.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use smtp_config::file::TlsLevel;

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
