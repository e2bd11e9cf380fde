//! XCLIENT: a listed peer says for which client it speaks (<https://www.postfix.org/XCLIENT_README.html>).
//!
//! The client that it names takes the peer's place in all that is decided, counted and told, as that of a PROXY header does. Nobody
//! is logged in by it: LOGIN, PROTO, DESTADDR and DESTPORT are for the log alone.

use std::net::{IpAddr, SocketAddr};

use smtp_proto::{
    Domain, DomainName, Hello, HelloName, NotAwaited, Reply, Told, XClient, XClientAttributes, XClientName,
};

use super::connection::{Paths, Receiver};
use super::{Endpoint, arrival, replies};
use crate::listener::Peer;
use crate::log;
use crate::metrics::{GuardAction, Stage, Verb};

/// What a peer has said of the client that it speaks for, in all its XCLIENT commands: what a later one does not speak of stays.
#[derive(Debug, Default)]
pub(super) struct Named {
    address: Option<IpAddr>,
    port: Option<u16>,
    name: Option<DomainName>,
    hello: Option<HelloName>,
}

impl Named {
    fn add(&mut self, told: &XClient) {
        if let Some(Told::Known(address)) = told.address {
            // One client, however the peer writes its IPv4 address.
            self.address = Some(address.to_canonical());
        }
        if let Some(port) = told.port {
            self.port = port.known();
        }
        if let Some(name) = &told.name {
            self.name = domain_name(name).cloned();
        }
        if let Some(hello) = &told.hello {
            self.hello = hello.clone().known();
        }
    }

    /// The client, where its address was told. A port that was not is 0.
    fn client(&self) -> Option<Peer> {
        let address = self.address?;
        Some(Peer::Address(SocketAddr::new(address, self.port.unwrap_or(0))))
    }

    /// The name that the address of the client was found to have.
    pub(super) fn name(&self) -> Option<&DomainName> {
        self.name.as_ref()
    }

    /// What the client called itself, where that was told.
    pub(super) fn hello(&self) -> Option<&HelloName> {
        self.hello.as_ref()
    }
}

/// The name, where it is one that can stand in a trace field.
fn domain_name(name: &XClientName) -> Option<&DomainName> {
    match name {
        XClientName::Known(name) => name.domain().and_then(Domain::name),
        XClientName::Unavailable | XClientName::TemporarilyUnavailable => None,
    }
}

/// What was said in EHLO or HELO, with the client's own name where the peer has told it.
pub(super) fn hello(named: Option<&Named>, said: Option<&Hello>) -> Option<Hello> {
    let mut hello = said?.clone();
    if let Some(name) = named.and_then(Named::hello) {
        hello.name = name.clone();
    }
    Some(hello)
}

impl Endpoint {
    /// Whether this peer may name clients.
    pub(crate) fn trusts_xclient_of(&self, peer: Peer) -> bool {
        peer.address().is_some_and(|address| self.xclient_from.iter().any(|network| network.contains(address)))
    }

    /// The attributes that a listed peer is offered.
    pub(super) fn xclient(&self) -> XClientAttributes {
        if self.xclient_from.is_empty() { XClientAttributes::NONE } else { XClientAttributes::ALL }
    }
}

impl Receiver {
    /// Answers XCLIENT: greets the client that is named, or turns it away.
    pub(super) fn xclient(&mut self, told: &XClient) -> Result<(), NotAwaited> {
        // It would have the rights of the peer.
        let reply = if told.address == Some(Told::Unavailable) { replies::NO_ADDRESS } else { self.rename(told) };
        self.reply(Verb::XClient, Stage::Connect, reply, Paths::default())
    }

    fn rename(&mut self, told: &XClient) -> Reply {
        let config = self.shared.config();
        let named = self.named.get_or_insert_default();
        named.add(told);
        let client = named.client();
        if let Some(client) = client {
            self.session.proxy = self.session.proxy.or(self.session.peer.address());
            self.session.peer = client;
        }
        log::xclient(&self.session, told);
        // Who has logged in was another client.
        self.login = None;
        if let Some(client) = client
            && let Err(too_many) = self.permit.rename(client, config.limits.sessions)
        {
            self.shared.metrics().guard(too_many.into(), GuardAction::Refused);
            return arrival::too_many_reply(too_many);
        }
        self.watch_turns(&config);
        self.greeting()
    }
}
