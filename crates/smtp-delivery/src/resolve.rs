//! The addresses of a next hop, as the system's resolver knows them.

use std::net::SocketAddr;
use std::time::Duration;

use smtp_client::{ConnectError, ConnectFailure, Host, LoginFailure, NextHop};
use smtp_mail::{DeliveryResult, RemoteHost, Report, Stage};
use smtp_proto::EnhancedStatus;

/// Why there is no session with a next hop. Nothing of a message was sent.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// Its name has no address, or the resolver did not say.
    #[error("{name} cannot be looked up: {reason}")]
    Lookup {
        /// The name.
        name: String,
        /// What the resolver said.
        reason: String,
    },
    /// None of its addresses served.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It greeted, and turned away from the first message.
    #[error("{0}")]
    TurnedAway(Box<Report>),
}

impl Unreachable {
    /// Why the next hop does not know who we are, where it is that.
    pub fn login_failure(&self) -> Option<&LoginFailure> {
        match self {
            Self::Connect(ConnectError { failure: ConnectFailure::Login(failure), .. }) => Some(failure),
            _ => None,
        }
    }

    /// What this means for a message that goes by TLS only; `None` where it is not TLS that is missing.
    pub fn without_tls(&self) -> Option<DeliveryResult> {
        match self {
            Self::Connect(error) => error.without_tls(),
            Self::Lookup { .. } | Self::TurnedAway(_) => None,
        }
    }

    /// What this means for the delivery that found it out: a deferral.
    pub fn result(&self) -> DeliveryResult {
        match self {
            Self::Lookup { name, .. } => {
                let report = Report::new(EnhancedStatus::new(4, 4, 3), &self.to_string());
                DeliveryResult::Deferred(report.with_host(name, None).at_stage(Stage::Route))
            }
            Self::Connect(error) => error.result(),
            Self::TurnedAway(report) => DeliveryResult::Deferred(Report::clone(report)),
        }
    }
}

/// Looks the host of `next_hop` up, unless it is an address already.
pub(crate) async fn addresses(next_hop: &NextHop, within: Duration) -> Result<Vec<SocketAddr>, Unreachable> {
    let name = match &next_hop.host {
        Host::Address(address) => return Ok(vec![SocketAddr::new(*address, next_hop.port)]),
        Host::Name(name) => name,
        // It is where its path says.
        Host::Socket(_) => return Ok(Vec::new()),
    };
    let failed = |reason: String| Unreachable::Lookup { name: name.clone(), reason };
    let found = tokio::time::timeout(within, tokio::net::lookup_host((name.as_str(), next_hop.port))).await;
    let found = found.map_err(|_| failed(format!("no answer within {} s", within.as_secs())))?;
    let addresses: Vec<SocketAddr> = found.map_err(|error| failed(error.to_string()))?.collect();
    if addresses.is_empty() {
        let host = RemoteHost { name: name.clone(), address: None };
        return Err(ConnectError { host, stage: Stage::Route, failure: ConnectFailure::NoAddress }.into());
    }
    Ok(addresses)
}
