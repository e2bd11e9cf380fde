//! AUTH (RFC 4954): the exchange is framed here; what is in it is the caller's affair.

use std::ops::ControlFlow::{Break, Continue};
use std::time::Instant;

use bytes::BytesMut;

use super::event::{AuthStep, Event};
use super::state::{Flow, State};
use super::{ServerSession, replies};
use crate::line::{self, Line};
use crate::{AuthResponse, Command, Mechanism, NotAwaited, Reply, ReplyCode, Secret, SyntaxError};

impl ServerSession {
    /// Answers [`Event::Auth`]: 334 with a challenge, in base64. The next line of the client is the response to it.
    ///
    /// # Errors
    ///
    /// [`NotAwaited`] where no step of AUTH waits.
    pub fn challenge(&mut self, octets: &[u8], now: Instant) -> Result<(), NotAwaited> {
        if !matches!(self.state, State::AuthAsked) {
            return Err(NotAwaited);
        }
        self.state = State::AuthResponse;
        self.progress = now;
        self.output.extend_from_slice(b"334 ");
        crate::syntax::base64::encode(octets, &mut self.output);
        self.output.extend_from_slice(b"\r\n");
        Ok(())
    }

    pub(super) fn auth(&mut self, mechanism: Mechanism, initial: Option<Secret>) -> Flow {
        let refusal = match self.client.as_deref() {
            None => Some(replies::HELLO_FIRST),
            Some(_) if self.authenticated => Some(replies::AUTHENTICATED_ALREADY),
            Some(client) if client.offered.auth.is_empty() => Some(replies::NO_AUTH),
            Some(_) if matches!(self.state, State::Transaction(_)) => Some(replies::NO_AUTH_NOW),
            Some(client) if !client.offered.auth.contains(&mechanism) => Some(replies::MECHANISM_NOT_OFFERED),
            Some(_) => None,
        };
        if let Some(reply) = refusal {
            return self.refuse_error(reply, Command::Auth { mechanism, initial });
        }
        self.state = State::AuthAsked;
        Break(Some(Event::Auth(AuthStep::Begin { mechanism, initial })))
    }

    /// The caller's reply to a step: 235 says who the client is, and any other that nobody is logged in. That counts
    /// as an error: else passwords could be tried without end.
    pub(super) fn settle_auth(&mut self, reply: &Reply, now: Instant) {
        self.state = State::Ready;
        self.progress = now;
        self.authenticated = reply.code() == ReplyCode::AUTHENTICATION_SUCCEEDED;
        let ends_anyway = reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE;
        if self.authenticated || ends_anyway || !self.is_one_error_too_many() {
            self.send(reply);
        }
    }

    /// Takes the line that answers a challenge.
    pub(super) fn auth_response(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        let Some(line) = self.lines.cut(input, self.config.limits.auth_line_octets) else { return Break(None) };
        let response = match line {
            Line::Whole(octets) => AuthResponse::parse(&input[..octets]).map_err(SyntaxError::reply),
            Line::BareLf(_) => return self.bare_lf(),
            Line::TooLong => Err(replies::AUTH_LINE_TOO_LONG),
        };
        line::take(input, &line);
        self.progress = now;
        self.end_group("AUTH");
        match response {
            Ok(AuthResponse::Data(octets)) => {
                self.state = State::AuthAsked;
                Break(Some(Event::Auth(AuthStep::Response(octets))))
            }
            Ok(AuthResponse::Cancelled) => self.cancel_auth(&replies::AUTH_CANCELLED),
            Err(reply) => self.cancel_auth(&reply),
        }
    }

    /// The exchange is over, and nobody is logged in. It counts as an error: else it could be begun without end.
    fn cancel_auth(&mut self, reply: &Reply) -> Flow {
        self.state = State::Ready;
        if self.is_one_error_too_many() {
            return Continue(());
        }
        self.send(reply);
        Break(Some(Event::AuthCancelled))
    }
}
