//! Whose turn it is to speak (RFC 2920 §3.1; RFC 5321 §4.1.4): a client may run ahead of our replies only where they cannot
//! change what it does next.
//!
//! What counts is what the caller has read before it was given our reply to write: such octets cannot have been said in
//! knowledge of it, however they were cut on the way. A client that waits is never hit, since what it says comes behind.

use bytes::BytesMut;

use super::event::{CloseReason, Event};
use super::state::State;
use super::{Client, ServerSession, replies};
use crate::{Command, HelloKind};

/// What a session does about a client that speaks out of turn: behind a command that must be the last of its group, or
/// behind any where PIPELINING is not offered. QUIT may always follow, since nothing is done behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OutOfTurn {
    /// Nothing: what has come early is taken when its turn comes.
    #[default]
    Permit,
    /// It is told the first time, by [`Event::OutOfTurn`], and taken when its turn comes.
    Tell,
    /// It is told, nothing of it is run, and the session is closed with 503 5.5.1, in place of the reply that was not awaited; behind
    /// content, after that reply, since it says whose the message is now (RFC 5321 §4.2.5).
    Refuse,
}

/// A reply that the client must hear before it speaks again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    /// What it answers: its place among [`NAMES`].
    behind: u8,
    /// Where in the output it begins.
    from: u32,
}

const NO_COMMAND: &str = "a line that is no command";
const CONTENT: &str = "content";
const OTHER: &str = "another command";

/// What a reply can be owed to; one octet of a session tells which.
const NAMES: [&str; 18] = [
    OTHER, NO_COMMAND, CONTENT, "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "HELP", "VRFY", "EXPN",
    "ETRN", "AUTH", "STARTTLS", "XCLIENT",
];

/// QUIT may follow any command: it waits for nothing.
const QUIT: &[u8; 6] = b"QUIT\r\n";

impl ServerSession {
    /// From now on this is done about a client that speaks out of turn. At first it is nothing.
    pub fn watch_turns(&mut self, out_of_turn: OutOfTurn) {
        self.out_of_turn = out_of_turn;
        if out_of_turn == OutOfTurn::Permit {
            self.owed = None;
        }
    }

    /// A command line has been taken; without a command where it is none.
    pub(super) fn took_line(&mut self, command: Option<&Command>) {
        match command {
            // What stands behind it is its own, and it is of use with PIPELINING only.
            Some(Command::Bdat { .. }) => {}
            // What is too long for one line comes in several, and all of them may be sent at once.
            Some(Command::XClient(_)) if self.trusts_xclient => {}
            Some(command) if ends_group(command) => self.end_group(command.verb()),
            Some(command) => self.end_group_unless_pipelining(command.verb()),
            None => self.end_group_unless_pipelining(NO_COMMAND),
        }
    }

    /// The content is complete: the first command of a group may stand behind it (RFC 2920 §3.1).
    pub(super) fn took_content(&mut self) {
        self.end_group_unless_pipelining(CONTENT);
    }

    fn end_group_unless_pipelining(&mut self, behind: &'static str) {
        let is_offered = |client: &Client| client.hello.kind != HelloKind::Helo && client.offered.pipelining;
        if !self.client.as_deref().is_some_and(is_offered) {
            self.end_group(behind);
        }
    }

    pub(super) fn end_group(&mut self, behind: &'static str) {
        if self.out_of_turn != OutOfTurn::Permit {
            let place = NAMES.iter().position(|name| *name == behind).unwrap_or_default();
            // What waits to be written has a limit far below this.
            let from = u32::try_from(self.output.len()).unwrap_or(u32::MAX);
            self.owed = Some(Owed { behind: u8::try_from(place).unwrap_or_default(), from });
        }
    }

    /// The output is with the caller: a reply in it may be heard from now on.
    pub(super) fn gave_output(&mut self) {
        let is_to_come = !self.state.takes_input();
        self.owed = self.owed.filter(|_| is_to_come).map(|owed| Owed { from: 0, ..owed });
    }

    /// Whether the client must be silent until the output has left.
    pub(super) fn is_owed(&self) -> bool {
        self.owed.is_some() && self.state.takes_input()
    }

    /// What is to be told where the client has not been silent.
    pub(super) fn out_of_turn(&mut self, input: &BytesMut) -> Option<Event> {
        let is_command = !matches!(self.state, State::AuthResponse | State::MailData(_) | State::Swallowing(_));
        if input.is_empty() || !self.state.takes_input() || (is_command && is_quit(input)) {
            return None;
        }
        let Owed { behind, from } = self.owed.take()?;
        let behind = NAMES[usize::from(behind)];
        let refused = std::mem::take(&mut self.out_of_turn) == OutOfTurn::Refuse;
        if refused {
            // The reply to content stands: it says whose the message is now (RFC 5321 §4.2.5).
            if behind != CONTENT {
                self.output.truncate(usize::try_from(from).unwrap_or(usize::MAX));
            }
            replies::OUT_OF_TURN.encode(&mut self.output);
            self.end(CloseReason::OutOfTurn);
        }
        Some(Event::OutOfTurn { behind, refused })
    }
}

impl State {
    /// Whether the next octets of the client are looked at; else the caller's answer is awaited, or nothing any more.
    fn takes_input(&self) -> bool {
        matches!(
            self,
            Self::NoService
                | Self::Ready
                | Self::Transaction(_)
                | Self::MailData(_)
                | Self::Swallowing(_)
                | Self::Chunk(_)
                | Self::BetweenChunks(_)
                | Self::SwallowingChunk(_)
                | Self::ChunksFailed(_)
                | Self::AuthResponse
        )
    }
}

/// Whether a command must be the last of its group (RFC 2920 §3.1, RFC 3207 §4, RFC 4954 §4; ETRN as TURN). NOOP is one of them so
/// that a client has something to wait for: its reply changes nothing, and so it is not looked at here.
fn ends_group(command: &Command) -> bool {
    use Command as C;
    matches!(command, C::Hello(_) | C::Data | C::StartTls | C::Auth { .. } | C::Vrfy(_) | C::Expn(_) | C::Etrn(_))
}

/// Whether this is, or may become, QUIT.
fn is_quit(input: &[u8]) -> bool {
    let length = input.len().min(QUIT.len());
    input[..length].eq_ignore_ascii_case(&QUIT[..length])
}
