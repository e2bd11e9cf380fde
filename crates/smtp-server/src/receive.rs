//! The inbound loop: from a connection to a durable message.
//!
//! `connection` answers the events of one session, `transaction` keeps what is decided for one message and makes it
//! durable. Who may send what to whom is decided by smtp-policy.

mod arrival;
mod auth;
mod author;
mod connection;
mod guards;
mod handshake;
mod offer;
mod queries;
mod replies;
mod times;
mod transaction;
mod xclient;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::Either;
use smtp_policy::Network;
use smtp_proto::server::{Protocol, Queries, ServerConfig, ServerTimeouts};
use smtp_proto::{Limits, Reply, ReplyCode};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};

pub(crate) use self::arrival::turn_away;
use self::connection::Opened;
use crate::certificates::TlsServer;
use crate::config::Config;
use crate::listener::{Peer, SessionPermit};
use crate::log;
use crate::metrics::Service;
use crate::shared::{self, Shared};
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
    pub(crate) tls: Option<Arc<TlsServer>>,
    /// TLS comes before SMTP (RFC 8314 §3.3).
    pub(crate) implicit_tls: bool,
    /// The proxies that all connections come from; empty: they come from the clients themselves.
    pub(crate) proxy_from: Arc<[Network]>,
    /// The peers that may name the client that they speak for, by XCLIENT.
    pub(crate) xclient_from: Arc<[Network]>,
}

impl Endpoint {
    /// What is so without TLS, without a proxy and without XCLIENT. It greets as `name`: a domain name in ASCII.
    pub(crate) fn new(config: &Config, name: &str, service: Service) -> Self {
        let limits = Limits {
            message_octets: config.limits.message_octets,
            recipients_per_message: config.limits.recipients_per_message,
            errors_per_session: config.limits.errors_per_session,
            idle_commands_per_message: config.limits.idle_commands_per_message,
            transactions_per_session: config.limits.transactions_per_session,
            // People cannot mend their Outlook; servers can be expected to know the grammar.
            space_before_path: service == Service::Submission,
            commands_per_session: config.limits.commands_per_session,
            ..Limits::default()
        };
        let timeouts = ServerTimeouts {
            command: config.timeouts.command,
            data_block: config.timeouts.data_block,
            session: config.timeouts.session,
            start_tls: config.timeouts.tls_handshake,
            ..ServerTimeouts::default()
        };
        let (protocol, spoken) = match service {
            Service::Lmtp => (Protocol::Lmtp, "LMTP"),
            Service::Mx | Service::Submission => (Protocol::Smtp, "ESMTP"),
        };
        let greeting = Reply::without_status(ReplyCode::SERVICE_READY, spoken);
        let text = format!("{name} {spoken}");
        let extensions = &config.extensions;
        let queries = Queries {
            help: config.help.is_some(),
            vrfy: extensions.vrfy,
            expn: extensions.expn,
            // RFC 6409 §7: not known to submission.
            etrn: extensions.etrn && service == Service::Mx,
        };
        let engine =
            ServerConfig { protocol, queries, limits, timeouts, ..ServerConfig::new(shared::hello_name(name)) };
        Self {
            service,
            engine: Arc::new(engine),
            greeting: greeting.clone().with_text(text).unwrap_or(greeting),
            tls: None,
            implicit_tls: false,
            proxy_from: Arc::default(),
            xclient_from: Arc::default(),
        }
    }
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
    let opened = Opened::new(session, shared, endpoint, permit);
    let Some(mut receiver) = opened.by_network(tcp, &mut phase).await else { return };
    let reason = receiver.serve(&mut phase).await;
    Box::pin(receiver.end(reason)).await;
}

/// Serves a program of this machine over a Unix socket: the same session, without TLS.
pub(crate) async fn serve_local(
    unix: UnixStream,
    peer: Peer,
    submitter: Submitter,
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    permit: SessionPermit,
    mut phase: watch::Receiver<Phase>,
) {
    let session = Box::new(log::Session::new(endpoint.service, peer));
    let mut receiver = Opened::new(session, shared, endpoint, permit).by_program(unix, submitter);
    let reason = receiver.serve(&mut phase).await;
    Box::pin(receiver.end(reason)).await;
}

/// Brings a session to its end. A panic in it is counted and told, and all else goes on.
pub(crate) fn to_its_end(
    session: impl Future<Output = ()>,
    shared: Arc<Shared>,
    peer: Peer,
    alive: mpsc::Sender<()>,
) -> impl Future<Output = ()> {
    // Not an async block, which would hold the session twice.
    AssertUnwindSafe(session).catch_unwind().map(move |ended| {
        if ended.is_err() {
            shared.metrics().panicked();
            log::panicked(&format_args!("the session of {peer}"));
        }
        drop(alive);
    })
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
