//! The parameters of MAIL and RCPT (RFC 5321 §4.1.1.11).

use std::fmt;

/// The parameters of a MAIL command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MailParameters {
    /// `SIZE=`: the octets of the content as the client counts or estimates them (RFC 1870 §6).
    pub size: Option<u64>,
    /// `BODY=`: whether there are octets over 127 in the content (RFC 6152 §2).
    pub body: Option<BodyType>,
    /// `SMTPUTF8`: addresses or header fields are, or may be, in UTF-8 (RFC 6531 §3.4).
    pub smtputf8: bool,
}

impl fmt::Display for MailParameters {
    /// Each parameter behind a space, as they follow the reverse-path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(octets) = self.size {
            write!(f, " SIZE={octets}")?;
        }
        if let Some(body) = self.body {
            write!(f, " BODY={body}")?;
        }
        if self.smtputf8 {
            f.write_str(" SMTPUTF8")?;
        }
        Ok(())
    }
}

/// The value of `BODY=` (RFC 6152 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyType {
    /// `7BIT`: only octets up to 127.
    SevenBit,
    /// `8BITMIME`: lines of any octets.
    EightBitMime,
}

impl BodyType {
    /// The value as it stands in the command.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
        }
    }
}

impl fmt::Display for BodyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The parameters of a RCPT command. The extensions that this crate knows define none so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RcptParameters {}
