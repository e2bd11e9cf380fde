//! The handshake of a client, for tests that do it themselves.
#![allow(clippy::unwrap_used, unreachable_pub, reason = "each test binary has its own")]

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// One for the name `localhost`, which the house has.
pub async fn handshake(config: Arc<ClientConfig>, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    TlsConnector::from(config).connect(ServerName::try_from("localhost").unwrap(), stream).await
}
