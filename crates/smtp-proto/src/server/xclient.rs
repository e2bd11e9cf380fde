//! XCLIENT: the session becomes that of the client for which a trusted peer speaks
//! (<https://www.postfix.org/XCLIENT_README.html>).

use std::ops::ControlFlow::Break;
use std::time::Instant;

use super::event::Event;
use super::state::{Flow, State};
use super::{ServerSession, replies};
use crate::{Command, Reply, ReplyClass, XClient};

impl ServerSession {
    /// From now on XCLIENT is taken: the peer is trusted to say for which client it speaks. At first it is refused, and not
    /// offered whatever the caller offers.
    pub fn trust_xclient(&mut self) {
        self.trusts_xclient = true;
    }

    pub(super) fn xclient(&mut self, xclient: Box<XClient>) -> Flow {
        if !self.trusts_xclient {
            return self.refuse_error(replies::XCLIENT_NOT_PERMITTED, Command::XClient(xclient));
        }
        if !matches!(self.state, State::Ready) {
            return self.refuse_error(replies::NOT_NOW, Command::XClient(xclient));
        }
        self.state = State::XClientAsked;
        Break(Some(Event::XClient(xclient)))
    }

    /// The caller's reply: 220 greets the client that was named, and of the one before nothing is left that it has said, done
    /// or proved. TLS stays, and so does what limits the connection: its commands and its time.
    pub(super) fn settle_xclient(&mut self, reply: &Reply, now: Instant) {
        self.state = State::Ready;
        self.progress = now;
        if reply.class() == ReplyClass::Completion {
            self.client = None;
            self.authenticated = false;
            self.errors = 0;
            self.idle_commands = 0;
            self.transactions = 0;
        }
        self.send(reply);
    }
}
