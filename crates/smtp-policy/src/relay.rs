//! Who may send to where through this server.

use std::collections::HashSet;
use std::net::IpAddr;

use smtp_mail::DomainPattern;
use smtp_proto::{Domain, Mailbox};

use crate::network::Network;

/// Who may send on: these clients to anywhere, anybody to these domains, and nobody else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relay {
    networks: Vec<Network>,
    domains: HashSet<Domain>,
    patterns: Vec<DomainPattern>,
}

/// Why a mailbox is not relayed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The client may not send on, and the domain is not one that anybody may send to.
    NotAllowed,
    /// Anybody may send to the domain, but the local part asks its host to send on to somewhere else.
    RouteInLocalPart,
}

impl Relay {
    /// Lets the clients of `networks` send to anywhere, and anybody to the domains that match one of `domains`.
    pub fn new(networks: Vec<Network>, domains: Vec<DomainPattern>) -> Self {
        let (exact, patterns): (Vec<_>, Vec<_>) = domains.into_iter().partition(|pattern| pattern.exact().is_some());
        let domains = exact.iter().filter_map(DomainPattern::exact).cloned().collect();
        Self { networks, domains, patterns }
    }

    /// The clients that may send to anywhere.
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The domains that anybody may send to, as they are written, sorted.
    pub fn domains(&self) -> Vec<String> {
        let exact = self.domains.iter().map(ToString::to_string);
        let mut domains: Vec<String> = exact.chain(self.patterns.iter().map(ToString::to_string)).collect();
        domains.sort();
        domains
    }

    /// Whether a client may send to anywhere.
    pub fn trusts(&self, client: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(client))
    }

    /// Whether anybody may send to a domain.
    pub fn takes_for(&self, domain: &Domain) -> bool {
        self.domains.contains(domain) || self.patterns.iter().any(|pattern| pattern.matches(domain))
    }

    /// Whether `client` may send to `mailbox`, which is not local.
    pub fn decide(&self, client: IpAddr, mailbox: &Mailbox) -> Result<(), Denied> {
        if self.trusts(client) {
            Ok(())
        } else if !self.takes_for(mailbox.domain()) {
            Err(Denied::NotAllowed)
        } else if has_route(&mailbox.local_part().unquoted()) {
            Err(Denied::RouteInLocalPart)
        } else {
            Ok(())
        }
    }
}

/// Whether old habits could read a local part as a way to another host: `user%host`, `host!user`, `"user@host"`, `"@host:user@there"`. The host
/// behind this one may trust us, so that we must not be the way around its own rules.
fn has_route(local_part: &str) -> bool {
    local_part.contains(['%', '!', '@', ':'])
}
