//! What a rule may look at.

use std::net::IpAddr;

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Mail from other servers, and from the client networks.
    Mx,
    /// Mail from the programs of people (RFC 6409).
    Submission,
}

/// What is known about a client when a rule is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facts {
    /// The service that it has connected to.
    pub service: Service,
    /// Its address; an IPv4 address that came mapped into IPv6 is taken as IPv4. `None` for a user of this machine, who has
    /// come by the submit socket and may send to anywhere.
    pub client: Option<IpAddr>,
}

impl Facts {
    /// The facts about a client of `service` at `client`.
    pub fn new(service: Service, client: IpAddr) -> Self {
        Self { service, client: Some(client.to_canonical()) }
    }

    /// The facts about a user of this machine.
    pub fn of_local_user() -> Self {
        Self { service: Service::Submission, client: None }
    }
}
