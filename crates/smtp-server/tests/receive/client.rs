//! Clients as these tests need them: from an address of their choice, in the clear or under TLS.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use smtp_server::metrics::Service;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::handshake::handshake;
use crate::house::{Dialogue, House};

/// An address of loopback that is not the one clients have by default.
pub(crate) const OTHER: &str = "127.0.0.9";

/// A session in the clear, from the address `source`, its greeting read and EHLO said.
pub(crate) async fn hello_from(source: &str, to: SocketAddr) -> Dialogue<TcpStream> {
    hello_on(connect_from(source, to).await).await
}

/// A session on this connection, its greeting read and EHLO said.
pub(crate) async fn hello_on(dialogue: Dialogue<TcpStream>) -> Dialogue<TcpStream> {
    let mut dialogue = dialogue.greeted().await;
    let reply = dialogue.ask("EHLO client.example").await;
    assert!(reply.starts_with("250-"), "{reply}");
    dialogue
}

/// A connection from the address `source`, on which nothing was said.
pub(crate) async fn connect_from(source: &str, to: SocketAddr) -> Dialogue<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    let source: IpAddr = source.parse().unwrap();
    socket.bind(SocketAddr::new(source, 0)).unwrap();
    let stream = socket.connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Dialogue::new(stream)
}

/// A session with the mx listener, its greeting read and EHLO said.
pub(crate) async fn hello(house: &House) -> Dialogue<TcpStream> {
    hello_from("127.0.0.1", house.address(Service::Mx, false)).await
}

/// The handshake of a client that trusts the house.
pub(crate) async fn secure(house: &House, stream: TcpStream) -> TlsStream<TcpStream> {
    secure_with(house.authority.client_config(), stream).await
}

/// The handshake of a client that is let in.
pub(crate) async fn secure_with(config: Arc<ClientConfig>, stream: TcpStream) -> TlsStream<TcpStream> {
    handshake(config, stream).await.unwrap()
}

/// STARTTLS on a session in which EHLO was said, and EHLO again.
pub(crate) async fn starttls(house: &House, mut dialogue: Dialogue<TcpStream>) -> Dialogue<TlsStream<TcpStream>> {
    let reply = dialogue.ask("STARTTLS").await;
    assert!(reply.starts_with("220 2.0.0 "), "{reply}");
    let mut dialogue = Dialogue::new(secure(house, dialogue.stream).await);
    let reply = dialogue.ask("EHLO client.example").await;
    assert!(reply.starts_with("250-"), "{reply}");
    dialogue
}
