//! Mailboxes and paths: who a message is from and for (RFC 5321 §4.1.2).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::domain::Domain;
use crate::error::{SyntaxError, SyntaxReason};
use crate::limits::MAILBOX_OCTETS;
use crate::syntax::{self, address};

/// The part of a mailbox before the `@`: a Dot-string or a Quoted-string (RFC 5321 §4.1.2, RFC 6531 §3.3).
///
/// At most 64 octets, never with a control character. The text is kept exactly, quotes included, and compares exactly: only the host
/// that delivers to a mailbox may read more into it (RFC 5321 §2.3.11). [`LocalPart::unquoted`] gives what is meant.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LocalPart(Box<str>);

impl LocalPart {
    /// Takes text that the parser has proven to be a local part.
    pub(crate) fn from_parsed(text: &str) -> Self {
        Self(text.into())
    }

    /// The local part that means `text`: quoted where it must be.
    ///
    /// # Errors
    ///
    /// Where `text` holds a control character, or is over 64 octets when quoted.
    pub fn from_unquoted(text: &str) -> Result<Self, SyntaxError> {
        let as_it_is = if text.starts_with('"') { None } else { text.parse().ok() };
        match as_it_is {
            Some(dot_string) => Ok(dot_string),
            None => quote(text).parse(),
        }
    }

    /// The local part as it was written, with its quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a Quoted-string.
    pub fn is_quoted(&self) -> bool {
        self.0.starts_with('"')
    }

    /// What is meant: without quotes, and without the backslashes of quoted pairs.
    pub fn unquoted(&self) -> Cow<'_, str> {
        let Some(content) = self.0.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
            return Cow::Borrowed(&self.0);
        };
        if !content.contains('\\') {
            return Cow::Borrowed(content);
        }
        let mut characters = content.chars();
        let mut text = String::with_capacity(content.len());
        while let Some(character) = characters.next() {
            text.extend(if character == '\\' { characters.next() } else { Some(character) });
        }
        Cow::Owned(text)
    }

    /// Whether all octets are ASCII, so that SMTPUTF8 is not needed for it.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }
}

/// The Quoted-string that means `text`, if that can be one.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

impl fmt::Display for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LocalPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LocalPart {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::whole(text.as_bytes(), address::local_part)
    }
}

/// A mailbox, `local-part@domain` (RFC 5321 §4.1.2): never malformed, at most 254 octets, so that it fits into a path.
///
/// Quoting and case are kept as written. Two mailboxes are equal when their local parts are the same octets and their domains are equal
/// without regard to case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    local_part: LocalPart,
    domain: Domain,
}

impl Mailbox {
    /// Puts a mailbox together.
    ///
    /// # Errors
    ///
    /// [`SyntaxReason::PathTooLong`] where the whole is over 254 octets (RFC 5321 §4.5.3.1.3).
    pub fn new(local_part: LocalPart, domain: Domain) -> Result<Self, SyntaxError> {
        let domain_octets = match &domain {
            Domain::Name(name) => name.as_str().len(),
            // The longest address literal has 47 octets: with it the limit cannot be reached.
            Domain::Literal(_) => 0,
        };
        if local_part.as_str().len() + 1 + domain_octets > MAILBOX_OCTETS {
            return Err(SyntaxError::new(MAILBOX_OCTETS, SyntaxReason::PathTooLong));
        }
        Ok(Self { local_part, domain })
    }

    /// Reads a mailbox from the octets that stand between the brackets of a path.
    pub fn parse(octets: &[u8]) -> Result<Self, SyntaxError> {
        syntax::whole(octets, address::mailbox)
    }

    /// The part before the `@`.
    pub fn local_part(&self) -> &LocalPart {
        &self.local_part
    }

    /// The part behind the `@`.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether all octets are ASCII. If not, it may be sent only with SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local_part.is_ascii() && self.domain.is_ascii()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local_part, self.domain)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mailbox {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes())
    }
}

/// The reverse-path of MAIL: where failures are reported to (RFC 5321 §4.1.1.2, §4.5.5).
///
/// Displayed, and parsed, as it stands in the command: `<>` or `<a@example.com>`. A source route is parsed and dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: a report, to which no report may be sent.
    Null,
    /// The sender's mailbox.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// The mailbox, unless it is the null reverse-path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether all octets are ASCII, so that SMTPUTF8 is not needed for it.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl FromStr for ReversePath {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::whole(text.as_bytes(), address::reverse_path)
    }
}

/// The forward-path of RCPT: whom a message is for (RFC 5321 §4.1.1.3).
///
/// Displayed, and parsed, as it stands in the command: `<postmaster>` or `<a@example.com>`. A source route is parsed and dropped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain: the people who run this server (RFC 5321 §4.5.1).
    Postmaster,
    /// The recipient's mailbox.
    Mailbox(Mailbox),
}

impl ForwardPath {
    /// The mailbox, unless it is `<Postmaster>`.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether all octets are ASCII, so that SMTPUTF8 is not needed for it.
    pub fn is_ascii(&self) -> bool {
        self.mailbox().is_none_or(Mailbox::is_ascii)
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

impl FromStr for ForwardPath {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::whole(text.as_bytes(), address::forward_path)
    }
}

#[cfg(test)]
mod tests;
