//! What a message asks of TLS by itself, whatever the terms of its next hop (RFC 8689).

use smtp_client::{ENCRYPTION_NEEDED, NextHop};
use smtp_mail::{DeliveryResult, Report, Stage};
use smtp_proto::{Mail, ReversePath};

/// How a message is to be protected on its way to the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// As the terms of the next hop say.
    Usual,
    /// By TLS with a verified certificate, and by who promises the same for the rest of the way; else it comes back (§4.2.1).
    Required,
    /// The same where it can be had: a report on such a message must not be lost for want of it (§5).
    Preferred,
}

impl Protection {
    /// What the envelope asks for.
    pub fn of(mail: &Mail) -> Self {
        match (mail.parameters.require_tls, &mail.reverse_path) {
            (false, _) => Self::Usual,
            (true, ReversePath::Null) => Self::Preferred,
            (true, ReversePath::Mailbox(_)) => Self::Required,
        }
    }

    /// The terms on which a message that is protected goes to `next_hop`.
    ///
    /// # Errors
    /// The configuration lets nothing go there by TLS.
    pub fn terms(next_hop: &NextHop) -> Result<NextHop, NoTls> {
        let tls = next_hop.tls.verified().ok_or_else(|| NoTls { host: next_hop.host.to_string() })?;
        Ok(NextHop { tls, ..next_hop.clone() })
    }
}

/// The message requires TLS, and the configuration has none for its next hop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message requires TLS on all of its way, and none is spoken with this next hop")]
pub struct NoTls {
    /// The host.
    pub host: String,
}

impl NoTls {
    /// What this means for the message: a failure (§4.2.1).
    pub fn result(&self) -> DeliveryResult {
        let report = Report::new(ENCRYPTION_NEEDED, &self.to_string()).with_host(&self.host, None);
        DeliveryResult::Failed(report.at_stage(Stage::Tls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_protected_where_that_can_be_had() {
        let mut mail = Mail::new("<a@example.org>".parse().unwrap());
        assert_eq!(Protection::of(&mail), Protection::Usual);
        mail.parameters.require_tls = true;
        assert_eq!(Protection::of(&mail), Protection::Required);
        mail.reverse_path = ReversePath::Null;
        assert_eq!(Protection::of(&mail), Protection::Preferred);
    }
}
