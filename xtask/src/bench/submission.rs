//! Connections to a port for submission: each with a handshake of its own, and with a log-in.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::BytesMut;
use smtp_proto::Secret;
use tokio::task::JoinSet;

use super::secure::{LOGIN, PASSWORD, Secure};
use crate::load::{Client, Tls};

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visit {
    /// A handshake and EHLO.
    Greet,
    /// The same, and a log-in.
    LogIn,
}

/// Opens so many connections, so many at a time, each from the handshake to QUIT; how long all took.
///
/// # Errors
/// When one of them does not come to its end.
pub(super) async fn connect(secure: &Secure, at_once: usize, connections: usize, visit: Visit) -> Result<Duration> {
    let (tls, address) = (secure.client()?, secure.address);
    let left = Arc::new(AtomicUsize::new(connections));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..at_once {
        let (tls, left) = (tls.clone(), Arc::clone(&left));
        tasks.spawn(async move {
            let one_less = |left: usize| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                let client = Client::connect_from(Ipv4Addr::LOCALHOST, address).await?;
                one(client, &tls, visit).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.context("a connection ended early")??;
    }
    Ok(start.elapsed())
}

async fn one(client: Client, tls: &Tls, visit: Visit) -> Result<()> {
    let mut client = client.start_tls(tls).await?;
    if visit == Visit::LogIn {
        client.command(&auth_plain(PASSWORD), 235).await?;
    }
    client.quit().await
}

/// AUTH PLAIN with its one message (RFC 4616).
pub(super) fn auth_plain(password: &str) -> String {
    let mut message = BytesMut::new();
    Secret::new(format!("\0{LOGIN}\0{password}").into_bytes()).encode_base64(&mut message);
    format!("AUTH PLAIN {}\r\n", String::from_utf8_lossy(&message))
}
