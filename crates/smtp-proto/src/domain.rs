//! Domains: names and address literals (RFC 5321 §4.1.2, §4.1.3).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::str::FromStr;

use crate::error::SyntaxError;
use crate::syntax::{self, address};

/// A domain name: labels of letters, digits and hyphens, or of UTF-8 (RFC 5321 §4.1.2, RFC 6531 §3.3).
///
/// At most 255 octets, labels at most 63 characters. The text is kept as it was written, without a final dot; names
/// compare and hash without regard to the case of ASCII letters. A U-label and its A-label are two names here.
#[derive(Clone)]
pub struct DomainName(Box<str>);

impl DomainName {
    /// Takes text that the parser has proven to be a domain name.
    pub(crate) fn from_parsed(text: &str) -> Self {
        Self(text.into())
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, the leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether all octets are ASCII, so that SMTPUTF8 is not needed for it.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// The name with its ASCII letters in lower case: a key for tables.
    pub fn to_lowercase(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl PartialEq for DomainName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for DomainName {}

impl Hash for DomainName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for octet in self.0.bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
        // Ends the name, so that a pair of names cannot hash like another pair.
        state.write_u8(0xff);
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for DomainName {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::whole(text.as_bytes(), address::domain_name)
    }
}

/// An address literal: `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
///
/// A General-address-literal is refused: no tag but `IPv6` has ever been registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressLiteral(pub IpAddr);

impl fmt::Display for AddressLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "[{address}]"),
            IpAddr::V6(address) => write!(f, "[IPv6:{address}]"),
        }
    }
}

impl FromStr for AddressLiteral {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::whole(text.as_bytes(), address::address_literal)
    }
}

/// What stands behind the `@` of a mailbox: a name, or an address literal (RFC 5321 §4.1.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// A domain name.
    Name(DomainName),
    /// An address in brackets.
    Literal(AddressLiteral),
}

impl Domain {
    /// The name, where it is one.
    pub fn name(&self) -> Option<&DomainName> {
        match self {
            Self::Name(name) => Some(name),
            Self::Literal(_) => None,
        }
    }

    /// Whether all octets are ASCII, so that SMTPUTF8 is not needed for it.
    pub fn is_ascii(&self) -> bool {
        self.name().is_none_or(DomainName::is_ascii)
    }
}

impl From<DomainName> for Domain {
    fn from(name: DomainName) -> Self {
        Self::Name(name)
    }
}

impl From<AddressLiteral> for Domain {
    fn from(literal: AddressLiteral) -> Self {
        Self::Literal(literal)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => fmt::Display::fmt(name, f),
            Self::Literal(literal) => fmt::Display::fmt(literal, f),
        }
    }
}

impl FromStr for Domain {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::whole(text.as_bytes(), address::domain)
    }
}
