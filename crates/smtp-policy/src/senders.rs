//! Which reverse-paths the users of this machine may use.

use std::collections::HashSet;

use smtp_proto::{Domain, Mailbox, ReversePath};

/// Everybody, in a list of trusted users.
const EVERYBODY: &str = "*";

/// Who of this machine may use which reverse-path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalSenders {
    domains: HashSet<Domain>,
    subaddress_separator: String,
    trusted: HashSet<String>,
}

/// What is known about a user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalUserFacts<'a> {
    /// The name of the user.
    pub name: &'a str,
    /// It is root, or the user that the server runs as.
    pub privileged: bool,
}

impl LocalSenders {
    /// Users send under their own name, with or without a tag behind the separator (empty: there are no tags), at one of
    /// `domains`; those who are `trusted` (`*` is everybody) send under any.
    pub fn new(domains: HashSet<Domain>, subaddress_separator: &str, trusted: HashSet<String>) -> Self {
        Self { domains, subaddress_separator: subaddress_separator.to_owned(), trusted }
    }

    /// Whether that user may send under that path. The null path claims to be nobody, so it is everybody's.
    pub fn permits(&self, user: LocalUserFacts<'_>, path: &ReversePath) -> bool {
        let Some(mailbox) = path.mailbox() else { return true };
        user.privileged
            || self.trusted.contains(EVERYBODY)
            || self.trusted.contains(user.name)
            || self.is_own(user.name, mailbox)
    }

    fn is_own(&self, name: &str, mailbox: &Mailbox) -> bool {
        let local_part = mailbox.local_part().unquoted();
        let Some(tag) = local_part.strip_prefix(name) else { return false };
        let separator = &self.subaddress_separator;
        !name.is_empty()
            && self.domains.contains(mailbox.domain())
            && (tag.is_empty() || !separator.is_empty() && tag.starts_with(separator.as_str()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn senders(trusted: &[&str]) -> LocalSenders {
        let domains = ["example.org", "mx.example.org"].map(|domain| domain.parse().unwrap());
        LocalSenders::new(domains.into(), "+", trusted.iter().map(|&name| name.to_owned()).collect())
    }

    fn permits(senders: &LocalSenders, name: &str, path: &str) -> bool {
        senders.permits(LocalUserFacts { name, privileged: false }, &path.parse().unwrap())
    }

    #[test]
    fn users_send_under_their_own_name() {
        let senders = senders(&[]);
        for (path, permitted) in [
            ("<alice@example.org>", true),
            ("<\"alice\"@MX.example.ORG>", true),
            ("<alice+cron@example.org>", true),
            ("<>", true),
            ("<alice@example.com>", false),
            ("<alice@sub.example.org>", false),
            ("<alicia@example.org>", false),
            ("<alice.b@example.org>", false),
            ("<Alice@example.org>", false),
            ("<bob@example.org>", false),
            ("<root@example.org>", false),
        ] {
            assert_eq!(permits(&senders, "alice", path), permitted, "{path}");
        }
        assert!(!permits(&senders, "", "<+tag@example.org>"));
    }

    #[test]
    fn those_who_are_trusted_send_under_any_name() {
        let path = "<bob@example.com>";
        assert!(permits(&senders(&["www-data"]), "www-data", path));
        assert!(!permits(&senders(&["www-data"]), "www-dat", path));
        assert!(permits(&senders(&["*"]), "anybody", path));
        let root = LocalUserFacts { name: "root", privileged: true };
        assert!(senders(&[]).permits(root, &path.parse().unwrap()));
    }
}
