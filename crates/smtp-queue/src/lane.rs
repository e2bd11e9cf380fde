//! Lanes: deliveries that share a next hop, and so share its troubles.

use std::fmt;
use std::sync::Arc;

use smtp_mail::{Destination, DomainPattern};
use smtp_proto::Domain;

/// The name of deliveries that go the same way: `local`, a domain, or the address of a static next hop. Clones
/// share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(Arc<str>);

const LOCAL: &str = "local";

impl Lane {
    /// The lane of that name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The lane of all mailboxes of this host.
    pub fn local() -> Self {
        Self::new(LOCAL)
    }

    /// The lane of a domain whose next hop is its own: its name in lower case.
    pub fn of_domain(domain: &Domain) -> Self {
        let name = domain.to_string().to_ascii_lowercase();
        if name == LOCAL {
            // A domain of that name is no mailbox of this host.
            return Self::new("local.");
        }
        Self::new(&name)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is it the lane of the mailboxes of this host?
    pub fn is_local(&self) -> bool {
        &*self.0 == LOCAL
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which lane a destination is in. A value: made from the routes at start and whenever they change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LaneTable {
    rules: Vec<(DomainPattern, Lane)>,
    default: Option<Lane>,
}

impl LaneTable {
    /// A table of rules, of which the first that matches a domain wins. Domains that none matches go into
    /// `default`; without it, each into a lane of its own.
    pub fn new(rules: Vec<(DomainPattern, Lane)>, default: Option<Lane>) -> Self {
        Self { rules, default }
    }

    /// The lane of a destination.
    pub fn lane_of(&self, destination: &Destination) -> Lane {
        match destination {
            Destination::Mailbox(_) => Lane::local(),
            Destination::Domain(domain) => self.lane_of_domain(domain),
        }
    }

    /// The lane of a domain that is not local.
    pub fn lane_of_domain(&self, domain: &Domain) -> Lane {
        let rule = self.rules.iter().find(|(pattern, _)| pattern.matches(domain));
        match (rule, &self.default) {
            (Some((_, lane)), _) | (None, Some(lane)) => lane.clone(),
            (None, None) => Lane::of_domain(domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smtp_mail::LocalUser;

    fn domain(name: &str) -> Destination {
        Destination::Domain(name.parse().unwrap())
    }

    #[test]
    fn the_first_rule_wins_and_mailboxes_are_local() {
        let rule = |pattern: &str, lane: &str| (pattern.parse().unwrap(), Lane::new(lane));
        let rules = vec![rule("a.corp.example", "one"), rule("*.corp.example", "two")];
        let by_domain = LaneTable::new(rules.clone(), None);
        let smart_host = LaneTable::new(rules, Some(Lane::new("smart")));
        for (name, lane) in [("A.corp.example", "one"), ("b.corp.example", "two")] {
            assert_eq!(by_domain.lane_of(&domain(name)).as_str(), lane);
            assert_eq!(smart_host.lane_of(&domain(name)).as_str(), lane);
        }
        assert_eq!(by_domain.lane_of(&domain("Example.NET")).as_str(), "example.net");
        assert_eq!(smart_host.lane_of(&domain("example.net")).as_str(), "smart");
        assert!(smart_host.lane_of(&Destination::Mailbox(LocalUser::new("alice"))).is_local());
    }

    #[test]
    fn no_domain_gets_into_the_lane_of_mailboxes() {
        assert!(!LaneTable::default().lane_of(&domain("Local")).is_local());
    }
}
