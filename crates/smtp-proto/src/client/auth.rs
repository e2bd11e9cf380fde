//! AUTH from the client's side (RFC 4954 §4): the exchange is framed here, the mechanism is the caller's.

use std::ops::ControlFlow::{Break, Continue};
use std::time::Instant;

use bytes::BytesMut;

use super::ClientSession;
use super::event::{Event, Stage};
use super::state::{Flow, State};
use crate::session::NotAwaited;
use crate::{AuthResponse, Command, Mechanism, RemoteReply, ReplyClass, Secret};

/// The AUTH command is bound to the length of any command line, with its CRLF; an initial response that does not fit
/// follows the first, empty challenge (RFC 4954 §4).
const AUTH_COMMAND_OCTETS: usize = 512;

impl ClientSession {
    /// Says who this is, with AUTH. [`Event::Challenge`]s may follow, then [`Event::Authenticated`] or
    /// [`Event::Refused`] at [`Stage::Auth`], after which another try may be made.
    ///
    /// `initial` is the initial response of mechanisms in which the client speaks first. Whether the connection is safe
    /// enough for the mechanism is the caller's question: see [`tls`](Self::tls).
    ///
    /// # Errors
    ///
    /// [`NotAwaited`] where the session is not ready, the server does not offer the mechanism, or it knows already who
    /// this is.
    pub fn authenticate(
        &mut self,
        mechanism: Mechanism,
        initial: Option<Secret>,
        now: Instant,
    ) -> Result<(), NotAwaited> {
        let offered = self.extensions.auth.contains(&mechanism);
        if !matches!(self.state, State::Ready) || !offered || self.authenticated {
            return Err(NotAwaited);
        }
        let mut line = BytesMut::new();
        let command = Command::Auth { mechanism, initial };
        command.encode(&mut line);
        if line.len() + 2 > AUTH_COMMAND_OCTETS
            && let Command::Auth { initial, .. } = command
        {
            self.state = State::Auth(initial);
            self.send(&[Command::Auth { mechanism, initial: None }], now);
        } else {
            self.state = State::Auth(None);
            self.send_line(line, now);
        }
        Ok(())
    }

    /// Answers [`Event::Challenge`]; the response may be empty.
    ///
    /// # Errors
    ///
    /// [`NotAwaited`] where there is no challenge.
    pub fn respond(&mut self, response: Secret, now: Instant) -> Result<(), NotAwaited> {
        if !matches!(self.state, State::Challenged) {
            return Err(NotAwaited);
        }
        self.send_response(&AuthResponse::Data(response), now);
        self.state = State::Auth(None);
        Ok(())
    }

    /// Answers [`Event::Challenge`] with `*`: the exchange is given up, as where the server proved not to know the
    /// password itself. [`Event::Refused`] follows.
    ///
    /// # Errors
    ///
    /// [`NotAwaited`] where there is no challenge.
    pub fn cancel_authentication(&mut self, now: Instant) -> Result<(), NotAwaited> {
        if !matches!(self.state, State::Challenged) {
            return Err(NotAwaited);
        }
        self.send_response(&AuthResponse::Cancelled, now);
        self.state = State::AuthCancelled;
        Ok(())
    }

    fn send_response(&mut self, response: &AuthResponse, now: Instant) {
        let mut line = BytesMut::new();
        response.encode(&mut line);
        self.send_line(line, now);
    }

    fn send_line(&mut self, mut line: BytesMut, now: Instant) {
        line.extend_from_slice(b"\r\n");
        self.output.push_back(line.freeze());
        self.progress = now;
    }

    /// The reply to AUTH, or to a response. `initial` is what did not fit into the command.
    pub(super) fn auth(&mut self, initial: Option<Secret>, reply: RemoteReply, now: Instant) -> Flow {
        match reply.class() {
            ReplyClass::Intermediate => self.challenge(initial, &reply, now),
            ReplyClass::Completion => {
                self.authenticated = true;
                self.state = State::Ready;
                Break(Some(Event::Authenticated))
            }
            ReplyClass::Transient | ReplyClass::Permanent => self.auth_refused(reply),
        }
    }

    fn challenge(&mut self, initial: Option<Secret>, reply: &RemoteReply, now: Instant) -> Flow {
        if let Some(initial) = initial {
            self.send_response(&AuthResponse::Data(initial), now);
            self.state = State::Auth(None);
            return Continue(());
        }
        let mut lines = reply.lines();
        if let (Some(Ok(challenge)), None) = (lines.next().map(Secret::from_base64), lines.next()) {
            self.state = State::Challenged;
            return Break(Some(Event::Challenge(challenge)));
        }
        // What is no challenge cannot be answered (RFC 4954 §4).
        self.send_response(&AuthResponse::Cancelled, now);
        self.state = State::AuthCancelled;
        Continue(())
    }

    /// The reply to `*`: 501 by the standard, and no success in any case.
    pub(super) fn auth_cancelled(&mut self, reply: RemoteReply) -> Flow {
        match reply.class() {
            ReplyClass::Transient | ReplyClass::Permanent => self.auth_refused(reply),
            ReplyClass::Completion | ReplyClass::Intermediate => self.unexpected(State::AuthCancelled, reply),
        }
    }

    fn auth_refused(&mut self, reply: RemoteReply) -> Flow {
        self.state = State::Ready;
        Break(Some(Event::Refused { stage: Stage::Auth, reply }))
    }
}
