//! Sessions that have said EHLO and wait.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// How many addresses of loopback the clients are spread over, so that a limit per client is not met.
const CLIENT_ADDRESSES: u8 = 200;

/// Opens so many sessions and leaves each after its EHLO.
///
/// # Errors
/// When one is refused.
pub(super) async fn open(server: SocketAddr, sessions: usize) -> Result<Vec<TcpStream>> {
    let mut open = Vec::with_capacity(sessions);
    for (number, client) in (0..sessions).zip((1..=CLIENT_ADDRESSES).cycle()) {
        let session = open_one(server, client).await;
        open.push(session.with_context(|| format!("session {} of {sessions}", number + 1))?);
    }
    Ok(open)
}

async fn open_one(server: SocketAddr, client: u8) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let own = SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, client), 0);
    socket.bind(own.into())?;
    let mut stream = socket.connect(server).await?;
    read_reply(&mut stream, "220 ").await?;
    stream.write_all(b"EHLO idle.client.test\r\n").await?;
    read_reply(&mut stream, "250 ").await?;
    Ok(stream)
}

/// Reads until a line that begins with `last`.
async fn read_reply(stream: &mut TcpStream, last: &str) -> Result<()> {
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let octets = stream.read(&mut piece).await?;
        anyhow::ensure!(octets > 0, "the server closed: {:?}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&piece[..octets]);
        let said = String::from_utf8_lossy(&text);
        if said.ends_with("\r\n") && said.lines().any(|line| line.starts_with(last)) {
            return Ok(());
        }
    }
}
