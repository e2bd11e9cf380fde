//! `[extensions]`.

use serde::Deserialize;

use crate::value::Placed;

/// `[extensions]`: what is offered to clients.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Extensions {
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030 §3).
    pub binarymime: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// LIMITS (RFC 9422).
    pub limits: bool,
    /// REQUIRETLS (RFC 8689).
    pub requiretls: bool,
    /// FUTURERELEASE (RFC 4865).
    pub futurerelease: bool,
    /// DELIVERBY (RFC 2852).
    pub deliverby: bool,
    /// MT-PRIORITY (RFC 6710).
    pub mtpriority: bool,
    /// VRFY (RFC 5321 §3.5).
    pub vrfy: bool,
    /// EXPN (RFC 5321 §3.5).
    pub expn: bool,
    /// ETRN (RFC 1985).
    pub etrn: bool,
    /// What HELP is answered with.
    pub help: Option<Placed<String>>,
}

impl Default for Extensions {
    fn default() -> Self {
        Self {
            chunking: true,
            binarymime: false,
            dsn: true,
            smtputf8: true,
            limits: true,
            requiretls: true,
            futurerelease: true,
            deliverby: true,
            mtpriority: true,
            vrfy: false,
            expn: false,
            etrn: false,
            help: None,
        }
    }
}
