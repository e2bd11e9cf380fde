//! The TLS handshake with a client that comes before SMTP, and what came of any, for log and metrics.

use std::time::Duration;

use smtp_io::{ConnectionError, HandshakeError, Stream};
use smtp_proto::TlsFacts;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::Phase;
use super::connection::{Broken, unless_stopped};
use crate::log;
use crate::metrics::TlsFailure;
use crate::shared::Shared;

/// Makes the connection one under TLS, from the first octet.
pub(super) async fn secure(
    tcp: TcpStream,
    acceptor: TlsAcceptor,
    within: Duration,
    phase: &mut watch::Receiver<Phase>,
) -> Result<(Stream, TlsFacts), Broken> {
    let handshake = async {
        if !matches!(tcp.peek(&mut [0]).await, Ok(1..)) {
            return Err(Broken::Silent);
        }
        let mut stream = Stream::from(tcp);
        let facts = stream.accept_tls(&acceptor, within).await.map_err(ConnectionError::Handshake)?;
        Ok((stream, facts))
    };
    let handshake = tokio::time::timeout(within, handshake);
    unless_stopped(phase, async {
        handshake.await.unwrap_or_else(|_| Err(ConnectionError::from(HandshakeError::TimedOut { within }).into()))
    })
    .await
}

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
        HandshakeError::Failed(_) => error.tls_error().map_or(TlsFailure::Broken, reason_of_tls),
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
