//! The inbound loop: from a connection to a durable message.
//!
//! `connection` answers the events of one session, `transaction` keeps what is decided for one message and makes it
//! durable. Who may send what to whom is decided by smtp-policy.

mod connection;
mod replies;
mod transaction;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use smtp_proto::Reply;
use smtp_proto::server::ServerConfig;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use self::connection::Receiver;
use crate::listener::SessionPermit;
use crate::metrics::Service;
use crate::shared::Shared;

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
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("service", &self.service).field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// Serves one client from its first octet to the end of the session.
pub(crate) async fn serve(
    tcp: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    permit: SessionPermit,
    stop: watch::Receiver<bool>,
) {
    if let Some(receiver) = Receiver::open(tcp, peer, shared, endpoint, permit).await {
        receiver.serve(stop).await;
    }
}
