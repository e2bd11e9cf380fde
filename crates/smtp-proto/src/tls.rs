//! What the TLS layer tells the session: values only. No TLS is made here.

use std::fmt;

/// What the TLS layer found out, for decisions, trace fields and logs. The engine itself needs only that there is TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFacts {
    /// The protocol version, as `TLSv1.3`.
    pub version: String,
    /// The cipher suite by its registered name, as `TLS_AES_256_GCM_SHA384`.
    pub cipher_suite: String,
    /// The key exchange group, as `X25519MLKEM768`.
    pub key_exchange: Option<String>,
    /// The server name that the client sent (SNI) or asked for.
    pub server_name: Option<String>,
    /// Whether an earlier session was resumed, so that no certificate was shown in this handshake.
    pub resumed: bool,
    /// Whether the peer's certificate was verified: a server's for its name, a client's to an authority that is trusted
    /// with clients.
    pub verified: bool,
    /// The certificate that a client has shown to us. What a server shows is not kept: it is judged in the handshake.
    pub peer_certificate: Option<Box<PeerCertificate>>,
    /// What ties an authentication to this connection.
    pub channel_bindings: ChannelBindings,
}

/// Whom a certificate names (RFC 5280), as text for decisions and logs. What it says is worth what
/// [`TlsFacts::verified`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PeerCertificate {
    /// The last common name of the subject (RFC 5280 §4.1.2.6). Any text: escape it where it is shown.
    pub common_name: Option<String>,
    /// The mailboxes of the subject's alternative names (`rfc822Name`, RFC 5280 §4.2.1.6), as they are written there.
    pub mailboxes: Vec<String>,
    /// The domain names of the subject's alternative names (`dNSName`), as they are written there.
    pub domains: Vec<String>,
    /// The SHA-256 digest of the whole certificate.
    pub fingerprint: [u8; 32],
}

impl PeerCertificate {
    /// [`fingerprint`](Self::fingerprint) in lower-case hexadecimal, 64 digits.
    pub fn fingerprint_hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = self.fingerprint.iter().flat_map(|octet| [octet >> 4, octet & 0xf]);
        digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
    }
}

/// The channel bindings (RFC 5056) of one connection, which SCRAM-…-PLUS (RFC 5802 §6) puts under its signature.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266). Only of TLS 1.3: before it the value is unique only with an extension (RFC 7627) of which
    /// the TLS layer does not say whether it was used.
    pub exporter: Option<Box<[u8; 32]>>,
    /// `tls-server-end-point` (RFC 5929 §4): the digest of the server's certificate. None for a signature algorithm without
    /// a digest of its own, and where an earlier session was resumed, since the certificate may have been another then.
    pub server_end_point: Option<Box<[u8]>>,
}

impl ChannelBindings {
    /// Whether nothing ties to this connection, so that no SCRAM-…-PLUS can succeed on it.
    pub fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.server_end_point.is_none()
    }
}

impl fmt::Debug for ChannelBindings {
    /// Which there are, and not their octets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBindings")
            .field("exporter", &self.exporter.is_some())
            .field("server_end_point", &self.server_end_point.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_shown_in_hexadecimal() {
        let mut certificate = PeerCertificate::default();
        certificate.fingerprint[0] = 0x0f;
        certificate.fingerprint[31] = 0xa0;
        let shown = certificate.fingerprint_hex();
        assert_eq!((shown.len(), &shown[..4], &shown[60..]), (64, "0f00", "00a0"));
    }

    #[test]
    fn either_binding_ties() {
        assert!(ChannelBindings::default().is_empty());
        assert!(!ChannelBindings { exporter: Some(Box::new([0; 32])), server_end_point: None }.is_empty());
        assert!(!ChannelBindings { exporter: None, server_end_point: Some([0; 32].into()) }.is_empty());
    }

    #[test]
    fn bindings_are_not_shown() {
        let bindings = ChannelBindings { exporter: Some(Box::new([77; 32])), server_end_point: None };
        assert_eq!(format!("{bindings:?}"), "ChannelBindings { exporter: true, server_end_point: false }");
    }
}
