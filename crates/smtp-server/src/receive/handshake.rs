//! What came of a TLS handshake with a client, for log and metrics.

use smtp_io::{ConnectionError, HandshakeError};
use smtp_proto::TlsFacts;

use crate::log;
use crate::metrics::TlsFailure;
use crate::shared::Shared;

/// Takes note of a handshake that is done.
pub(super) fn done(shared: &Shared, session: &log::Session, facts: &TlsFacts) {
    shared.metrics().tls(facts);
    log::tls_established(session, facts);
}

/// Takes note of a handshake that has failed; of any other end there is nothing to be said here.
pub(super) fn failed(shared: &Shared, session: &log::Session, error: &ConnectionError) {
    let ConnectionError::Handshake(error) = error else { return };
    let reason = reason(error);
    shared.metrics().tls_failed(reason);
    log::tls_failed(session, reason, &log::Chain(error));
}

fn reason(error: &HandshakeError) -> TlsFailure {
    match error {
        HandshakeError::TimedOut { .. } => TlsFailure::TimedOut,
        HandshakeError::Failed(error) => match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(error) => reason_of_tls(error),
            None => TlsFailure::Broken,
        },
        HandshakeError::NotPlain => TlsFailure::Other,
    }
}

fn reason_of_tls(error: &rustls::Error) -> TlsFailure {
    use rustls::{AlertDescription as Alert, Error, PeerIncompatible};
    match error {
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => TlsFailure::NotTls,
        Error::NoApplicationProtocol | Error::AlertReceived(Alert::NoApplicationProtocol) => TlsFailure::Protocol,
        Error::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        )
        | Error::AlertReceived(Alert::ProtocolVersion) => TlsFailure::Version,
        Error::PeerIncompatible(_) | Error::AlertReceived(Alert::HandshakeFailure | Alert::InsufficientSecurity) => {
            TlsFailure::Parameters
        }
        Error::NoCertificatesPresented | Error::InvalidCertificate(_) => TlsFailure::PeerCertificate,
        Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA,
        ) => TlsFailure::CertificateRefused,
        _ => TlsFailure::Other,
    }
}
