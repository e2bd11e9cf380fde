//! `[tls]`, and what else is written about certificates.

use std::path::PathBuf;

use serde::Deserialize;

use crate::value::{Placed, words};

words! {
    /// How old a client of TLS may be.
    pub enum TlsLevel {
        /// TLS 1.3.
        Modern = "modern",
        /// And TLS 1.2 with the extended master secret (RFC 7627).
        Intermediate = "intermediate",
        /// And TLS 1.2 without it.
        Compatible = "compatible",
    }
}

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Tls {
    /// What the server can present; the first where a client names no server.
    pub certificates: Vec<Placed<Certificate>>,
    /// How old a client may be.
    pub level: TlsLevel,
    /// Whether clients get tickets, to come back with a shorter handshake.
    pub session_tickets: bool,
    /// PEM file: the authorities that vouch for next hops. None: those of the system.
    pub authorities: Option<Placed<PathBuf>>,
    /// PEM file: the authorities that vouch for clients.
    pub client_authorities: Option<Placed<PathBuf>>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            level: TlsLevel::Compatible,
            session_tickets: true,
            authorities: None,
            client_authorities: None,
        }
    }
}

/// One of `[tls] certificates`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Certificate {
    /// PEM file: the certificate, then those that lead to its issuer.
    pub chain: Placed<PathBuf>,
    /// PEM file: its private key.
    pub key: Placed<PathBuf>,
}

words! {
    /// Whether clients show a certificate of their own.
    #[derive(Default)]
    pub enum ClientCertificates {
        /// They are not asked for one.
        #[default]
        Off = "off",
        /// They are asked; who has none is served, and one that is not good is refused.
        Request = "request",
        /// Who has none that is good is refused.
        Require = "require",
    }
}
