//! What may be sent to a server, and in which words.

use super::Extensions;
use crate::envelope::Envelope;
use crate::mail_data::ContentFacts;
use crate::parameter::{
    AuthIdentity, BodyType, DeliverBy, DeliverByMode, MailParameters, Notify, OriginalRecipient, RcptParameters,
};
use crate::path::ReversePath;
use crate::status::EnhancedStatus;

impl Extensions {
    /// The envelope as it may be sent to a server with these extensions, or why the message may not be sent there.
    ///
    /// What the content is decides, not what the client before us claimed: SIZE is the true size, `BODY=8BITMIME` is said where there are
    /// octets over 127, `BODY=BINARYMIME` where DATA could not carry it, SMTPUTF8 where an address or a header field needs it (RFC 6531
    /// §3.4).
    ///
    /// The wishes of the sender are kept, dropped, or forbid it, as their RFCs say:
    ///
    /// | parameter | not offered |
    /// |---|---|
    /// | RET, ENVID, NOTIFY, ORCPT | dropped (RFC 3461 §5.2.2): the caller owes the report "relayed" to whom `NOTIFY=SUCCESS` stands for |
    /// | AUTH | dropped. Offered, it becomes `<>`: whether the client before us is to be trusted is not known here (RFC 4954 §5) |
    /// | REQUIRETLS | [`Unfit::RequireTls`]; dropped with a null reverse-path (RFC 8689 §4.2.1, §5) |
    /// | HOLDFOR, HOLDUNTIL | [`Unfit::Hold`], as over the limits told (RFC 4865 §4.1). A relay that has held the message takes it out before |
    /// | BY | with mode R [`Unfit::DeliverBy`], as below the time told (RFC 2852 §4.1.4.1); with mode N dropped, and DSN asks for delays |
    /// | MT-PRIORITY | dropped (RFC 6710 §4.3) |
    ///
    /// The seconds of `BY=` are those that remain: without a clock they cannot be counted here.
    ///
    /// # Errors
    ///
    /// [`Unfit`], with the enhanced status code that a report of it carries.
    pub fn fit(&self, envelope: &Envelope, facts: &ContentFacts) -> Result<Envelope, Unfit> {
        self.fit_content(facts)?;
        let asked = &envelope.mail.parameters;
        let needs_utf8 = needs_utf8(envelope, facts);
        if let Some(unfit) = needs_utf8.filter(|_| !self.smtputf8) {
            return Err(unfit);
        }
        let smtputf8 = needs_utf8.is_some();
        let mut fitting = envelope.clone();
        fitting.mail.parameters = MailParameters {
            size: self.size.map(|_| facts.octets),
            body: body(facts),
            smtputf8,
            require_tls: self.fit_require_tls(envelope)?,
            ret: asked.ret.filter(|_| self.dsn),
            envelope_id: asked.envelope_id.clone().filter(|_| self.dsn),
            auth: asked.auth.as_ref().filter(|_| !self.auth.is_empty()).map(|_| AuthIdentity::Unknown),
            hold: match &asked.hold {
                Some(hold) if !self.future_release.as_ref().is_some_and(|offer| offer.permits(hold)) => {
                    return Err(Unfit::Hold);
                }
                hold => hold.clone(),
            },
            deliver_by: self.fit_deliver_by(asked.deliver_by)?,
            priority: asked.priority.filter(|_| self.mt_priority),
        };
        let wants_delays = asked.deliver_by.is_some() && self.deliver_by.is_none();
        for rcpt in &mut fitting.recipients {
            rcpt.parameters = self.fit_rcpt(std::mem::take(&mut rcpt.parameters), smtputf8, wants_delays);
        }
        Ok(fitting)
    }

    fn fit_content(&self, facts: &ContentFacts) -> Result<(), Unfit> {
        match self.size {
            Some(limit) if limit > 0 && facts.octets > limit => {
                return Err(Unfit::TooLarge { octets: facts.octets, limit });
            }
            _ => {}
        }
        if facts.binary {
            return if self.binary_mime && self.chunking { Ok(()) } else { Err(Unfit::Binary) };
        }
        if facts.eight_bit && !self.eight_bit_mime {
            return Err(Unfit::EightBit);
        }
        Ok(())
    }

    /// A report must come back even where it cannot be protected (RFC 8689 §5).
    fn fit_require_tls(&self, envelope: &Envelope) -> Result<bool, Unfit> {
        match (envelope.mail.parameters.require_tls, self.require_tls, &envelope.mail.reverse_path) {
            (true, false, ReversePath::Mailbox(_)) => Err(Unfit::RequireTls),
            (asked, offered, _) => Ok(asked && offered),
        }
    }

    fn fit_deliver_by(&self, asked: Option<DeliverBy>) -> Result<Option<DeliverBy>, Unfit> {
        let Some(deliver_by) = asked else { return Ok(None) };
        match self.deliver_by {
            Some(offer) if offer.permits(deliver_by) => Ok(Some(deliver_by)),
            None if deliver_by.mode() == DeliverByMode::Notify => Ok(None),
            _ => Err(Unfit::DeliverBy),
        }
    }

    fn fit_rcpt(&self, asked: RcptParameters, smtputf8: bool, wants_delays: bool) -> RcptParameters {
        if !self.dsn {
            return RcptParameters::default();
        }
        let notify = match asked.notify {
            None if wants_delays => Some(Notify { success: false, failure: true, delay: true }),
            Some(notify) if wants_delays && !notify.is_never() => Some(Notify { delay: true, ..notify }),
            notify => notify,
        };
        let original_recipient = match asked.original_recipient {
            Some(original) if !smtputf8 => OriginalRecipient::to_ascii(&original),
            original => original,
        };
        RcptParameters { notify, original_recipient }
    }
}

fn body(facts: &ContentFacts) -> Option<BodyType> {
    match (facts.binary, facts.eight_bit) {
        (true, _) => Some(BodyType::BinaryMime),
        (false, true) => Some(BodyType::EightBitMime),
        (false, false) => None,
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
    /// The content has a bare CR, a bare LF or a NUL, and BINARYMIME with CHUNKING is not offered. Content is never converted.
    #[error("the message has binary content, the next hop does not offer BINARYMIME")]
    Binary,
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
    /// REQUIRETLS was asked for, and is not offered. Another host of the domain may offer it.
    #[error("the message requires TLS on all of its way, the next hop does not offer REQUIRETLS")]
    RequireTls,
    /// The message is to be held, and FUTURERELEASE is not offered, or not for so long.
    #[error("the message is to be released later, the next hop does not hold it that long")]
    Hold,
    /// The message is to be returned after some time, and DELIVERBY is not offered, or not for so short a time.
    #[error("the message is to be delivered or returned in time, the next hop does not offer DELIVERBY for that")]
    DeliverBy,
}

impl Unfit {
    /// The enhanced status code for a report of it (RFC 3463 §3.4, §3.7, RFC 6531 §3.5, RFC 8689 §4.2.1).
    pub const fn status(self) -> EnhancedStatus {
        match self {
            Self::TooLarge { .. } => EnhancedStatus::new(5, 3, 4),
            Self::EightBit | Self::Binary => EnhancedStatus::new(5, 6, 3),
            Self::ReversePathUtf8 | Self::ForwardPathUtf8 { .. } => EnhancedStatus::new(5, 6, 7),
            Self::HeaderUtf8 => EnhancedStatus::new(5, 6, 9),
            Self::RequireTls => EnhancedStatus::new(5, 7, 30),
            Self::Hold | Self::DeliverBy => EnhancedStatus::new(5, 3, 3),
        }
    }
}

#[cfg(test)]
mod tests;
