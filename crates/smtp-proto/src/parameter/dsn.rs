//! The parameters of RFC 3461: which reports the sender wants, and what stands in them.

use std::fmt;
use std::str::FromStr;

use crate::error::SyntaxError;
use crate::syntax::{self, parameter, xtext};

/// The value of `RET=`: how much of the message a report of failure brings back (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: the whole message.
    Full,
    /// `HDRS`: the header block.
    Headers,
}

impl Ret {
    /// The value as it stands in the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        }
    }
}

impl fmt::Display for Ret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The value of `ENVID=`: what the sender calls the transaction (RFC 3461 §4.4). At most 100 octets of xtext.
///
/// It is kept encoded, and passed on so: what it means may hold a line end, which would add a line to a report.
/// [`EnvelopeId::decoded`] gives it only where it does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EnvelopeId(Box<str>);

impl EnvelopeId {
    pub(crate) fn from_parsed(text: &str) -> Self {
        Self(text.into())
    }

    /// The identifier that means `text`.
    ///
    /// # Errors
    ///
    /// Where `text` is empty, over 100 octets when encoded, or not printable ASCII.
    pub fn from_decoded(text: &str) -> Result<Self, SyntaxError> {
        encoded(text)?.parse()
    }

    /// The identifier as it stands in the command: xtext.
    pub fn encoded(&self) -> &str {
        &self.0
    }

    /// What is meant, where that is printable ASCII, as RFC 3461 §4.4 demands.
    pub fn decoded(&self) -> Option<String> {
        printable(xtext::decode(self.0.as_bytes()))
    }
}

impl fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EnvelopeId {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::whole(text.as_bytes(), parameter::envelope_id)
    }
}

/// The value of `NOTIFY=`: of what the sender wants reports (RFC 3461 §4.1). `NEVER` is of nothing at all.
///
/// Where the parameter is left out, failures are reported, and delays may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Notify {
    /// `SUCCESS`: of delivery.
    pub success: bool,
    /// `FAILURE`: of failure.
    pub failure: bool,
    /// `DELAY`: of delay.
    pub delay: bool,
}

impl Notify {
    /// `NEVER`: no report, whatever happens.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };

    /// Whether it is `NEVER`.
    pub fn is_never(self) -> bool {
        self == Self::NEVER
    }
}

impl fmt::Display for Notify {
    /// The value as it stands in the command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_never() {
            return f.write_str("NEVER");
        }
        let words = [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")];
        let mut comma = "";
        for (_, word) in words.into_iter().filter(|(wanted, _)| *wanted) {
            write!(f, "{comma}{word}")?;
            comma = ",";
        }
        Ok(())
    }
}

/// The value of `ORCPT=`: the address that the sender gave, and of which kind it is (RFC 3461 §4.2, RFC 6533 §3). At most 500 octets.
///
/// It is kept encoded, and passed on so, letter for letter (RFC 3461 §5.2.1): what it means may hold a line end, which would add a line to a
/// report. [`OriginalRecipient::decoded`] gives it only where it does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OriginalRecipient {
    text: Box<str>,
    address_type_octets: u16,
}

impl OriginalRecipient {
    /// The address type of RFC 5321 mailboxes.
    pub const RFC822: &'static str = "rfc822";
    /// The address type of mailboxes in UTF-8 (RFC 6533 §3).
    pub const UTF8: &'static str = "utf-8";

    pub(crate) fn from_parsed(text: &str, address_type_octets: usize) -> Self {
        let address_type_octets = u16::try_from(address_type_octets).expect("the value has at most 500 octets");
        Self { text: text.into(), address_type_octets }
    }

    /// The address `text` of the kind `rfc822`.
    ///
    /// # Errors
    ///
    /// Where the whole is over 500 octets when encoded, or `text` is not printable ASCII.
    pub fn rfc822(text: &str) -> Result<Self, SyntaxError> {
        format!("{};{}", Self::RFC822, encoded(text)?).parse()
    }

    /// Which kind of address it is, as it was written: compare it without regard to case.
    pub fn address_type(&self) -> &str {
        &self.text[..usize::from(self.address_type_octets)]
    }

    /// The address as it stands in the command: xtext, or UTF-8 where the address type is `utf-8`.
    pub fn encoded(&self) -> &str {
        &self.text[usize::from(self.address_type_octets) + 1..]
    }

    /// The address that is meant, where it holds no control character, and only ASCII unless the address type is `utf-8`.
    pub fn decoded(&self) -> Option<String> {
        let octets = xtext::decode(self.encoded().as_bytes());
        if !self.is_utf8() {
            return printable(octets);
        }
        let text = xtext::unembed_unicode(&String::from_utf8(octets).ok()?);
        (!text.chars().any(char::is_control)).then_some(text)
    }

    /// Whether all octets are ASCII, so that SMTPUTF8 is not needed for it.
    pub fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// The same address in ASCII, for a server without SMTPUTF8 (RFC 6533 §3); `None` where that is over 500 octets.
    pub fn to_ascii(&self) -> Option<Self> {
        if self.is_ascii() { Some(self.clone()) } else { xtext::embed_unicode(&self.text).parse().ok() }
    }

    fn is_utf8(&self) -> bool {
        self.address_type().eq_ignore_ascii_case(Self::UTF8)
    }
}

impl fmt::Display for OriginalRecipient {
    /// The value as it stands in the command.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for OriginalRecipient {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        syntax::whole(text.as_bytes(), parameter::original_recipient)
    }
}

/// `text` as xtext, if it is printable ASCII: RFC 3461 §4.2 and §4.4 permit nothing else to be meant.
fn encoded(text: &str) -> Result<String, SyntaxError> {
    if let Some(offset) = text.bytes().position(|octet| !is_printable(octet)) {
        return Err(SyntaxError::new(offset, crate::SyntaxReason::ParameterValue));
    }
    let mut encoded = String::new();
    xtext::encode(text.as_bytes(), &mut encoded).expect("a String grows as it is written to");
    Ok(encoded)
}

fn printable(octets: Vec<u8>) -> Option<String> {
    if octets.iter().copied().all(is_printable) { String::from_utf8(octets).ok() } else { None }
}

fn is_printable(octet: u8) -> bool {
    matches!(octet, 32..=126)
}
