//! The extensions that a server offers: EHLO lines written and read, and what may be sent where.

use std::fmt::Write as _;

use crate::envelope::Envelope;
use crate::mail_data::ContentFacts;
use crate::parameter::{BodyType, MailParameters};
use crate::remote_reply::RemoteReply;
use crate::reply::{Reply, ReplyCode, ReplyError};
use crate::status::EnhancedStatus;
use crate::syntax::reply::ehlo_line;

/// What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1). The default is nothing at all, as after HELO.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
// Each is offered or not, and all combinations are possible: they are no states of one machine.
#[allow(clippy::struct_excessive_bools)]
pub struct Extensions {
    /// SIZE: the octets of the greatest content taken; 0 where no fixed limit is told (RFC 1870 §4).
    pub size: Option<u64>,
    /// PIPELINING: commands may be sent before the replies to earlier ones have come (RFC 2920).
    pub pipelining: bool,
    /// 8BITMIME: content may hold octets over 127 (RFC 6152).
    pub eight_bit_mime: bool,
    /// SMTPUTF8: addresses and header fields may be in UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// ENHANCEDSTATUSCODES: replies carry the codes of RFC 3463 (RFC 2034).
    pub enhanced_status_codes: bool,
    /// STARTTLS: TLS can be begun (RFC 3207).
    pub starttls: bool,
}

impl Extensions {
    /// The reply to EHLO: `greeting` (the server's name, and what may follow it) on the first line, then a line for each extension.
    ///
    /// # Errors
    ///
    /// Where `greeting` is not printable ASCII on one line.
    pub fn reply(&self, greeting: &str) -> Result<Reply, ReplyError> {
        if let Some(offset) = greeting.find('\n') {
            return Err(ReplyError { offset });
        }
        let mut text = String::from(greeting);
        if self.pipelining {
            text.push_str("\nPIPELINING");
        }
        match self.size {
            None => {}
            Some(0) => text.push_str("\nSIZE"),
            Some(octets) => {
                write!(text, "\nSIZE {octets}").expect("a String grows as it is written to");
            }
        }
        let flags = [
            (self.starttls, "\nSTARTTLS"),
            (self.enhanced_status_codes, "\nENHANCEDSTATUSCODES"),
            (self.eight_bit_mime, "\n8BITMIME"),
            (self.smtputf8, "\nSMTPUTF8"),
        ];
        for (_, line) in flags.into_iter().filter(|(offered, _)| *offered) {
            text.push_str(line);
        }
        Reply::without_status(ReplyCode::OK, "").with_text(text)
    }

    /// Reads the reply to EHLO. Keywords that this crate does not know, and lines that are no keyword, say nothing to us.
    pub fn from_reply(reply: &RemoteReply) -> Self {
        let mut extensions = Self::default();
        for (keyword, parameters) in reply.lines().skip(1).filter_map(ehlo_line) {
            extensions.add(keyword, parameters);
        }
        extensions
    }

    fn add(&mut self, keyword: &[u8], parameters: &[u8]) {
        if keyword.eq_ignore_ascii_case(b"SIZE") {
            self.size = Some(crate::syntax::reply::size_limit(parameters));
        } else if let Some(flag) = self.flag(keyword) {
            *flag = true;
        }
    }

    fn flag(&mut self, keyword: &[u8]) -> Option<&mut bool> {
        [
            ("PIPELINING", &mut self.pipelining),
            ("STARTTLS", &mut self.starttls),
            ("ENHANCEDSTATUSCODES", &mut self.enhanced_status_codes),
            ("8BITMIME", &mut self.eight_bit_mime),
            ("SMTPUTF8", &mut self.smtputf8),
        ]
        .into_iter()
        .find_map(|(name, flag)| keyword.eq_ignore_ascii_case(name.as_bytes()).then_some(flag))
    }

    /// The envelope as it may be sent to a server with these extensions, or why the message may not be sent there.
    ///
    /// Parameters follow from what the content is, not from what the client before us claimed: SIZE is the true size, BODY=8BITMIME is said where
    /// there are octets over 127, SMTPUTF8 where an address or a header field needs it (RFC 6531 §3.4).
    ///
    /// # Errors
    ///
    /// [`Unfit`], with the enhanced status code that a report of it carries.
    pub fn fit(&self, envelope: &Envelope, facts: &ContentFacts) -> Result<Envelope, Unfit> {
        match self.size {
            Some(limit) if limit > 0 && facts.octets > limit => {
                return Err(Unfit::TooLarge { octets: facts.octets, limit });
            }
            _ => {}
        }
        if facts.eight_bit && !self.eight_bit_mime {
            return Err(Unfit::EightBit);
        }
        let needs_utf8 = needs_utf8(envelope, facts);
        if let Some(unfit) = needs_utf8.filter(|_| !self.smtputf8) {
            return Err(unfit);
        }
        let mut fitting = envelope.clone();
        fitting.mail.parameters = MailParameters {
            size: self.size.map(|_| facts.octets),
            body: facts.eight_bit.then_some(BodyType::EightBitMime),
            smtputf8: needs_utf8.is_some(),
        };
        Ok(fitting)
    }
}

/// What would be unfit for a server without SMTPUTF8.
fn needs_utf8(envelope: &Envelope, facts: &ContentFacts) -> Option<Unfit> {
    if !envelope.mail.reverse_path.is_ascii() {
        return Some(Unfit::ReversePathUtf8);
    }
    // Without SMTPUTF8 asked for, header fields in UTF-8 are the old 8-bit habit: they pass as 8BITMIME content.
    if envelope.mail.parameters.smtputf8 && facts.eight_bit_header {
        return Some(Unfit::HeaderUtf8);
    }
    let index = envelope.recipients.iter().position(|rcpt| !rcpt.forward_path.is_ascii())?;
    Some(Unfit::ForwardPathUtf8 { index })
}

/// Why a message may not be sent to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// The content is greater than the limit of SIZE.
    #[error("the message has {octets} octets, the next hop takes {limit}")]
    TooLarge {
        /// The octets of the content.
        octets: u64,
        /// The octets that the server takes.
        limit: u64,
    },
    /// The content has octets over 127, and 8BITMIME is not offered. Content is never converted.
    #[error("the message has 8-bit content, the next hop does not offer 8BITMIME")]
    EightBit,
    /// The reverse-path is in UTF-8, and SMTPUTF8 is not offered.
    #[error("the reverse-path is in UTF-8, the next hop does not offer SMTPUTF8")]
    ReversePathUtf8,
    /// A forward-path is in UTF-8, and SMTPUTF8 is not offered. The other recipients can be sent without it.
    #[error("the forward-path is in UTF-8, the next hop does not offer SMTPUTF8")]
    ForwardPathUtf8 {
        /// Which recipient of the envelope: the first of its kind.
        index: usize,
    },
    /// The header block is in UTF-8 and SMTPUTF8 was asked for, but it is not offered.
    #[error("the header block is in UTF-8, the next hop does not offer SMTPUTF8")]
    HeaderUtf8,
}

impl Unfit {
    /// The enhanced status code for a report of it (RFC 3463 §3.4, §3.7, RFC 6531 §3.5).
    pub const fn status(self) -> EnhancedStatus {
        match self {
            Self::TooLarge { .. } => EnhancedStatus::new(5, 3, 4),
            Self::EightBit => EnhancedStatus::new(5, 6, 3),
            Self::ReversePathUtf8 | Self::ForwardPathUtf8 { .. } => EnhancedStatus::new(5, 6, 7),
            Self::HeaderUtf8 => EnhancedStatus::new(5, 6, 9),
        }
    }
}

#[cfg(test)]
mod tests;
