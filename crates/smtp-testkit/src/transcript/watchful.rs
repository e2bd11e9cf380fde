//! Transcripts of a server session that watches whose turn it is to speak.

use std::time::Instant;

use smtp_proto::Limits;
use smtp_proto::server::{Event, OutOfTurn, ServerSession};

use super::server::ServerRole;
use super::{Role, Shown};

/// The same as [`ServerRole`] for a server that refuses clients who speak out of turn. So its client waits, but for what is
/// written as `c:`. A further answer, at any time: `tell`, from when on they are served.
#[derive(Debug)]
pub struct WatchfulServerRole;

impl Role for WatchfulServerRole {
    type Session = ServerSession;
    const DIRECTORY: &str = "watchful-server";
    const INPUT: char = ServerRole::INPUT;
    const OUTPUT: char = ServerRole::OUTPUT;
    const PEER_WAITS: bool = true;

    fn session(limits: Limits, now: Instant) -> ServerSession {
        let mut session = ServerRole::session(limits, now);
        session.watch_turns(OutOfTurn::Refuse);
        session
    }

    fn show(event: &Event) -> Shown {
        ServerRole::show(event)
    }

    fn say(session: &mut ServerSession, words: &str, now: Instant) -> Result<(), String> {
        if words == "tell" {
            session.watch_turns(OutOfTurn::Tell);
            return Ok(());
        }
        ServerRole::say(session, words, now)
    }

    fn tls_established(session: &mut ServerSession, now: Instant) {
        ServerRole::tls_established(session, now);
    }
}
