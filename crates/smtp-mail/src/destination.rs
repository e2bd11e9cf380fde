//! Where a delivery goes.

use std::fmt;
use std::sync::Arc;

use smtp_proto::Domain;

/// The user whose mailbox here it is: the name under which the mailbox is stored. Clones share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalUser(Arc<str>);

impl LocalUser {
    /// The user of that name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LocalUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Where a delivery goes: a mailbox here, or whatever the next hop of a domain is when it is tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// The mailbox of a user of this host.
    Mailbox(LocalUser),
    /// The domain of the recipients.
    Domain(Domain),
}

impl Destination {
    /// The domain, where it is not a mailbox of this host.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Mailbox(_) => None,
            Self::Domain(domain) => Some(domain),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox(user) => fmt::Display::fmt(user, f),
            Self::Domain(domain) => fmt::Display::fmt(domain, f),
        }
    }
}
