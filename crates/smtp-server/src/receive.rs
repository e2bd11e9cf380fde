//! The inbound loop: from a connection to a durable message.
//!
//! `connection` answers the events of one session, `transaction` keeps what is decided for one message and makes it
//! durable. Who may send what to whom is decided by smtp-policy.

mod arrival;
mod auth;
mod connection;
mod handshake;
mod offer;
mod replies;
mod transaction;

use std::fmt;
use std::sync::Arc;

use futures_util::future::Either;
use smtp_policy::Network;
use smtp_proto::Reply;
use smtp_proto::server::ServerConfig;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

pub(crate) use self::arrival::turn_away;
use self::connection::Receiver;
use crate::listener::{Peer, SessionPermit};
use crate::log;
use crate::metrics::Service;
use crate::shared::Shared;
use crate::submit::Submitter;

/// What the sessions of one listener have in common. Made anew at reload; open sessions keep theirs.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// What the listener is for.
    pub(crate) service: Service,
    /// Name, limits and timeouts of the protocol engine.
    pub(crate) engine: Arc<ServerConfig>,
    /// The greeting (220).
    pub(crate) greeting: Reply,
    /// TLS, where the listener has it.
    pub(crate) acceptor: Option<TlsAcceptor>,
    /// TLS comes before SMTP (RFC 8314 §3.3).
    pub(crate) implicit_tls: bool,
    /// The proxies that all connections come from; empty: they come from the clients themselves.
    pub(crate) proxy_from: Arc<[Network]>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("service", &self.service).field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// How far the server is on its way down. Each is later than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It is not.
    Serving,
    /// Sessions end as soon as they have no transaction open.
    Draining,
    /// The time is up: sessions end whatever they do.
    Ending,
}

/// Serves one client from its first octet to the end of the session.
pub(crate) fn serve(
    tcp: TcpStream,
    peer: Peer,
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    permit: SessionPermit,
    phase: watch::Receiver<Phase>,
) -> impl Future<Output = ()> {
    // In one place: a future holds what is handed on at each step.
    let session = Box::new(log::Session::new(endpoint.service, peer));
    if endpoint.proxy_from.is_empty() {
        Either::Left(serve_client(tcp, session, shared, endpoint, permit, phase))
    } else {
        // On the heap, so that the sessions of others stay as small as they are.
        Either::Right(Box::pin(serve_proxied(tcp, session, shared, endpoint, permit, phase)))
    }
}

async fn serve_proxied(
    mut tcp: TcpStream,
    mut session: Box<log::Session>,
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    permit: SessionPermit,
    mut phase: watch::Receiver<Phase>,
) {
    let booked = arrival::by_proxy(&mut tcp, &mut session, &shared, &endpoint, permit, &mut phase).await;
    if let Some(permit) = booked {
        serve_client(tcp, session, shared, endpoint, permit, phase).await;
    }
}

async fn serve_client(
    tcp: TcpStream,
    session: Box<log::Session>,
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    permit: SessionPermit,
    mut phase: watch::Receiver<Phase>,
) {
    let Some(mut receiver) = Receiver::open(tcp, session, shared, endpoint, permit, &mut phase).await else { return };
    let reason = receiver.serve(&mut phase).await;
    Box::pin(receiver.end(reason)).await;
}

/// Serves a program of this machine over a Unix socket: the same session, without TLS.
pub(crate) async fn serve_local(
    unix: UnixStream,
    submitter: Submitter,
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    permit: SessionPermit,
    mut phase: watch::Receiver<Phase>,
) {
    let mut receiver = Receiver::open_local(unix, submitter, shared, endpoint, permit);
    let reason = receiver.serve(&mut phase).await;
    Box::pin(receiver.end(reason)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    type Serve<F> = fn(TcpStream, Peer, Arc<Shared>, Arc<Endpoint>, SessionPermit, watch::Receiver<Phase>) -> F;

    /// Sessions are many, and most of them wait: what is large and rare is on the heap while it lasts.
    #[test]
    fn a_session_that_waits_is_small() {
        const fn octets<F>(_: Serve<F>) -> usize {
            size_of::<F>()
        }
        let octets = octets(serve);
        assert!(octets <= 1024, "a session's future has {octets} octets");
    }
}
