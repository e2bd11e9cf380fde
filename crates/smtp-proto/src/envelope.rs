//! The envelope (RFC 5321 §2.3.1).

use crate::command::{Mail, Rcpt};

/// Who a message is from and for, with the parameters given: what MAIL and RCPT said (RFC 5321 §2.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Envelope {
    /// The MAIL command.
    pub mail: Mail,
    /// The RCPT commands, in order.
    pub recipients: Vec<Rcpt>,
}

impl Envelope {
    /// An envelope without recipients yet.
    pub const fn new(mail: Mail) -> Self {
        Self { mail, recipients: Vec::new() }
    }
}
