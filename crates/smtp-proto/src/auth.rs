//! What AUTH carries: a mechanism's name, and octets that nobody else may see (RFC 4954 §4, RFC 4422).
//!
//! The mechanisms themselves are no part of this crate: it frames their challenges and responses, and no more.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::hint::black_box;
use std::str::FromStr;

use bytes::BytesMut;

use crate::error::{SyntaxError, SyntaxReason};
use crate::limits::MECHANISM_OCTETS;
use crate::syntax::{self, base64};

/// The name of a SASL mechanism: 1 to 20 of capital letters, digits, `-` and `_` (RFC 4422 §3.1).
///
/// Small letters are taken for capitals when it is read, as peers write them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mechanism {
    octets: [u8; MECHANISM_OCTETS],
    length: u8,
}

impl Mechanism {
    /// PLAIN: login and password, in the clear (RFC 4616).
    pub const PLAIN: Self = Self::from_static("PLAIN");
    /// LOGIN: the same in two steps; never standardised, and in wide use.
    pub const LOGIN: Self = Self::from_static("LOGIN");
    /// EXTERNAL: whom the client certificate names (RFC 4422 appendix A).
    pub const EXTERNAL: Self = Self::from_static("EXTERNAL");
    /// SCRAM-SHA-256 (RFC 7677).
    pub const SCRAM_SHA_256: Self = Self::from_static("SCRAM-SHA-256");
    /// SCRAM-SHA-256 bound to the TLS channel (RFC 7677, RFC 5802 §6).
    pub const SCRAM_SHA_256_PLUS: Self = Self::from_static("SCRAM-SHA-256-PLUS");
    /// OAUTHBEARER: an OAuth 2.0 token (RFC 7628).
    pub const OAUTHBEARER: Self = Self::from_static("OAUTHBEARER");
    /// XOAUTH2: the same before it was standardised.
    pub const XOAUTH2: Self = Self::from_static("XOAUTH2");

    const fn from_static(name: &'static str) -> Self {
        let (mut octets, mut at) = ([0; MECHANISM_OCTETS], 0);
        while at < name.len() {
            octets[at] = name.as_bytes()[at];
            at += 1;
        }
        // The names above have at most 20 octets, or this does not compile.
        #[allow(clippy::cast_possible_truncation)]
        Self { octets, length: at as u8 }
    }

    /// Takes octets that the parser has proven to be a name, in any case.
    pub(crate) fn from_parsed(name: &[u8]) -> Self {
        let mut octets = [0; MECHANISM_OCTETS];
        octets[..name.len()].copy_from_slice(name);
        octets.make_ascii_uppercase();
        Self { octets, length: u8::try_from(name.len()).expect("a name has at most 20 octets") }
    }

    /// Reads a name.
    ///
    /// # Errors
    ///
    /// [`SyntaxReason::Mechanism`] where it is none.
    pub fn parse(octets: &[u8]) -> Result<Self, SyntaxError> {
        syntax::whole(octets, syntax::auth::sasl_mech)
    }

    /// The name, in capitals.
    // It cannot panic: no other octets get in.
    #[allow(clippy::missing_panics_doc)]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.octets[..usize::from(self.length)]).expect("a mechanism's name is ASCII")
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mechanism {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

/// Octets that may hold a password: no `Debug`, `Display`, log or error shows them, and their memory is overwritten when they go.
///
/// Two are compared in a time that does not tell where they differ. Overwriting is an effort and no promise: without unsafe code what the
/// octets came from, and what was moved, cannot be reached.
#[derive(Clone, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the octets.
    pub const fn new(octets: Vec<u8>) -> Self {
        Self(octets)
    }

    /// Reads base64, strictly: no white space, padding at the end, no other bits set (RFC 4648 §4, RFC 4954 §4).
    ///
    /// # Errors
    ///
    /// [`SyntaxReason::Base64`], with the octet of `text` that is wrong.
    pub fn from_base64(text: &[u8]) -> Result<Self, SyntaxError> {
        base64::decode(text).map(Self).map_err(|offset| SyntaxError::new(offset, SyntaxReason::Base64))
    }

    /// Writes the octets as base64.
    pub fn encode_base64(&self, output: &mut BytesMut) {
        base64::encode(&self.0, output);
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Secret {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |differing, (a, b)| black_box(differing | (a ^ b)));
        self.0.len() == other.0.len() && differing == 0
    }
}

impl Eq for Secret {}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Else the compiler may leave the writing out: nothing reads it.
        black_box(self.0.as_slice());
    }
}

/// What a client answers to a challenge: a line of base64, or `*` (RFC 4954 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthResponse {
    /// The response to the challenge; it may be empty.
    Data(Secret),
    /// `*`: the client gives the exchange up. The server's answer is 501.
    Cancelled,
}

impl AuthResponse {
    /// Reads a line, given without its CRLF. Any octets may be given.
    ///
    /// # Errors
    ///
    /// [`SyntaxReason::Base64`]: the exchange fails with 501 5.5.2.
    pub fn parse(line: &[u8]) -> Result<Self, SyntaxError> {
        match line {
            b"*" => Ok(Self::Cancelled),
            _ => Secret::from_base64(line).map(Self::Data),
        }
    }

    /// Writes the line, without CRLF. [`AuthResponse::parse`] gives the same back.
    pub fn encode(&self, output: &mut BytesMut) {
        match self {
            Self::Data(octets) => octets.encode_base64(output),
            Self::Cancelled => output.extend_from_slice(b"*"),
        }
    }
}

#[cfg(test)]
mod tests;
