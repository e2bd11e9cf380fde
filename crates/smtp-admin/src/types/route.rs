//! What would become of mail to an address.

use serde::{Deserialize, Serialize};

use super::Class;

/// Asks what would become of mail to an address. Nothing is sent, and nobody is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRequest {
    /// The address; without a domain it is one of this machine.
    pub address: String,
}

/// What would become of mail to an address that a program of this machine hands in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRoute {
    /// The address that was asked for, with its domain.
    pub address: String,
    /// Where the mail would go once aliases are expanded; empty where it is refused.
    pub targets: Vec<RouteTarget>,
    /// Targets of aliases that lead nowhere and are left out, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<String>,
    /// Why it would be refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RouteRefusal>,
}

/// One place that the mail would go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTarget {
    /// The user whose mailbox it is, or the address that it goes on to.
    pub address: String,
    /// Whether that is a mailbox of this machine.
    pub class: Class,
    /// Where: the path of the mailbox, or the next hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why it would wait in the queue: there is no way to it at present.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The reply to RCPT (RFC 5321 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRefusal {
    /// The reply code.
    pub code: u16,
    /// The enhanced status code (RFC 3463).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The text.
    pub text: String,
}
