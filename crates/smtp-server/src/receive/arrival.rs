//! What comes before a session: the header of a proxy, and the refusal of a client that is too many.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use smtp_io::proxy::{ProxyHeader, ReadHeaderError, read_header};
use smtp_proto::{EnhancedStatus, Reply, ReplyCode};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::connection::unless_stopped;
use super::{Endpoint, Phase};
use crate::listener::{Peer, SessionPermit, TooMany};
use crate::log;
use crate::metrics::{GuardAction, ProxyRefusal, Stage};
use crate::shared::Shared;

/// Learns from the proxy whose session this is, and books it on that client. `None` where it is closed without a word,
/// which is logged and counted, but for those who only look whether the port is open.
pub(super) async fn by_proxy(
    tcp: &mut TcpStream,
    session: &mut log::Session,
    shared: &Shared,
    endpoint: &Endpoint,
    permit: SessionPermit,
    phase: &mut watch::Receiver<Phase>,
) -> Option<SessionPermit> {
    let is_listed = |address| endpoint.proxy_from.iter().any(|network| network.contains(address));
    if !session.peer.address().is_some_and(is_listed) {
        refuse(shared, session, ProxyRefusal::NotListed, &"the peer is not in proxy_from");
        return None;
    }
    let config = shared.config();
    name(tcp, session, shared, config.timeouts.proxy_header, phase).await?;
    match permit.name(session.peer, config.limits.sessions) {
        Ok(permit) => Some(permit),
        Err(too_many) => {
            turn_away(|line| tcp.try_write(line), session, shared, endpoint, too_many);
            None
        }
    }
}

/// Makes the session that of the client that the proxy speaks for; leaves it as it is where the proxy speaks for itself.
async fn name(
    tcp: &mut TcpStream,
    session: &mut log::Session,
    shared: &Shared,
    within: Duration,
    phase: &mut watch::Receiver<Phase>,
) -> Option<()> {
    let read = async { Ok(read_header(tcp, within).await) };
    let error = match unless_stopped(phase, read).await.ok()? {
        Ok(ProxyHeader::Proxied { source, .. }) => {
            // One client, however the proxy writes its IPv4 address.
            let client = SocketAddr::new(source.ip().to_canonical(), source.port());
            session.proxy = session.peer.address();
            session.peer = Peer::Address(client);
            return Some(());
        }
        Ok(ProxyHeader::Local) => return Some(()),
        Err(error) => error,
    };
    let reason = match &error {
        // A health check.
        ReadHeaderError::Silent => {
            log::connected(session);
            return None;
        }
        ReadHeaderError::Header(_) => ProxyRefusal::Malformed,
        ReadHeaderError::TimedOut { .. } => ProxyRefusal::TimedOut,
        ReadHeaderError::Cut | ReadHeaderError::Read(_) => ProxyRefusal::Broken,
    };
    refuse(shared, session, reason, &log::Chain(&error));
    None
}

fn refuse(shared: &Shared, session: &log::Session, reason: ProxyRefusal, text: &dyn std::fmt::Display) {
    shared.metrics().proxy_refused(reason);
    log::proxy_refused(session, reason, text);
}

/// Says why, if that can be said at once and in the clear, and closes: nothing is spent on a client that is too many.
pub(crate) fn turn_away(
    write: impl FnOnce(&[u8]) -> io::Result<usize>,
    session: &log::Session,
    shared: &Shared,
    endpoint: &Endpoint,
    too_many: TooMany,
) {
    let reply = too_many_reply(too_many);
    if !endpoint.implicit_tls {
        let mut line = bytes::BytesMut::new();
        reply.encode(&mut line);
        // A fresh connection has room for a line; if not, the client sees it closed.
        let _ = write(&line);
    }
    shared.metrics().guard(too_many.into(), GuardAction::Refused);
    shared.metrics().reject(Stage::Connect, reply.code());
    log::turned_away(session, &reply, &too_many);
}

/// What a client is told that is too many.
pub(super) const fn too_many_reply(too_many: TooMany) -> Reply {
    let text = match too_many {
        TooMany::Sessions => "Too many sessions at the moment; try again later",
        TooMany::SessionsPerClient => "Too many sessions from your address; close some",
    };
    Reply::new(ReplyCode::SERVICE_NOT_AVAILABLE, EnhancedStatus::new(4, 7, 0), text)
}
