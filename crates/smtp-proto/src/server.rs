//! The server's side of a session (RFC 5321 §3, §4).

mod auth;
mod chunks;
mod command_line;
mod content;
mod event;
mod replies;
mod state;
mod turn;
mod xclient;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

pub use crate::session::Protocol;
pub use event::{AuthStep, CloseReason, Event, Framing, Refusal, Subject};
pub use turn::OutOfTurn;

use crate::limits::Limits;
use crate::line::LineCutter;
use crate::session::{Deadline, NotAwaited, Session, Timer};
use crate::tls::TlsFacts;
use crate::{Envelope, Extensions, Hello, HelloKind, HelloName, Reply, ReplyClass, ReplyCode, XClientAttributes};
use content::MailData;
use state::State;
use turn::Owed;

/// What all sessions of a listener have in common.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The name of this server: in the reply to EHLO and HELO, and in 221 and 421.
    pub hostname: HelloName,
    /// What is spoken.
    pub protocol: Protocol,
    /// Which questions are handed on.
    pub queries: Queries,
    /// How much is taken from a client.
    pub limits: Limits,
    /// How long is waited for a client.
    pub timeouts: ServerTimeouts,
}

impl ServerConfig {
    /// The defaults for a server of this name.
    pub fn new(hostname: HelloName) -> Self {
        Self {
            hostname,
            protocol: Protocol::Smtp,
            queries: Queries::default(),
            limits: Limits::default(),
            timeouts: ServerTimeouts::default(),
        }
    }
}

/// Which questions of a client are handed on as events. Those that are not the session answers by itself: HELP with the
/// commands, VRFY with 252, EXPN and ETRN with 502.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
// Each is handed on or not, and all combinations are possible.
#[allow(clippy::struct_excessive_bools)]
pub struct Queries {
    /// [`Event::Help`].
    pub help: bool,
    /// [`Event::Vrfy`].
    pub vrfy: bool,
    /// [`Event::Expn`].
    pub expn: bool,
    /// [`Event::Etrn`].
    pub etrn: bool,
}

/// How long a server session waits for its client. The defaults are those of RFC 5321 §4.5.3.2.7 and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// For the next command. At least 5 minutes.
    pub command: Duration,
    /// For the next octets of mail data.
    pub data_block: Duration,
    /// For all of the mail data: so long, and a millisecond more for each octet of it that has come. What comes more
    /// slowly is drawn out, not slow.
    pub mail_data: Duration,
    /// For the TLS handshake.
    pub start_tls: Duration,
    /// For the client to take a piece of output.
    pub transmit: Duration,
    /// For all of the session, whatever the client does in it.
    pub session: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self {
            command: Duration::from_mins(5),
            data_block: Duration::from_mins(5),
            mail_data: Duration::from_mins(30),
            start_tls: Duration::from_mins(2),
            transmit: Duration::from_mins(5),
            session: Duration::from_hours(24),
        }
    }
}

/// A server's side of one connection: takes commands and mail data, keeps their order, and settles by itself all that
/// needs no decision. See [`Session`] for the law of use and [`Event`] for the answers.
#[derive(Debug)]
// What they say goes with each state; none of them is one.
#[allow(clippy::struct_excessive_bools)]
pub struct ServerSession {
    config: Arc<ServerConfig>,
    state: State,
    client: Option<Box<Client>>,
    tls: Option<Box<TlsFacts>>,
    /// AUTH has succeeded.
    authenticated: bool,
    lines: LineCutter,
    errors: u32,
    /// Commands since the last message that have brought none nearer.
    idle_commands: u32,
    /// MAIL commands.
    transactions: u32,
    /// Command lines.
    commands: u32,
    /// XCLIENT is taken.
    trusts_xclient: bool,
    /// What is done about a client that speaks out of turn.
    out_of_turn: OutOfTurn,
    /// The reply that the client must hear first.
    owed: Option<Owed>,
    /// The last command was refused: RCPT and DATA behind it, sent in the same group, are no errors of their own.
    behind_refusal: bool,
    /// A transaction has gone, and the caller has not been told.
    reset_due: bool,
    output: BytesMut,
    writing: Writing,
    /// The last progress: timeouts count from here.
    progress: Instant,
    /// When the session has lasted too long.
    session_until: Instant,
}

/// What the caller does with the output that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Nothing,
    /// It may still ask for more that leaves in the same group.
    Given,
    /// It has asked, and there was no more: when it asks again, the group has left.
    Leaving,
}

/// What EHLO or HELO has settled.
#[derive(Debug)]
struct Client {
    hello: Hello,
    offered: Extensions,
}

impl ServerSession {
    /// Begins a session; `tls` where TLS was there before SMTP began.
    pub fn new(config: Arc<ServerConfig>, tls: Option<TlsFacts>, now: Instant) -> Self {
        let timeouts = &config.timeouts;
        Self {
            session_until: now + timeouts.session,
            config,
            state: State::Opening,
            client: None,
            tls: tls.map(Box::new),
            authenticated: false,
            lines: LineCutter::default(),
            errors: 0,
            idle_commands: 0,
            transactions: 0,
            commands: 0,
            trusts_xclient: false,
            out_of_turn: OutOfTurn::default(),
            owed: None,
            behind_refusal: false,
            reset_due: false,
            output: BytesMut::new(),
            writing: Writing::Nothing,
            progress: now,
        }
    }

    /// Answers the event that waits: a positive reply accepts, any other refuses. Code 421 also ends the session.
    ///
    /// # Errors
    ///
    /// [`NotAwaited`] where no event waits for a reply: the client has gone, or the answer came by another way.
    pub fn reply(&mut self, reply: Reply, now: Instant) -> Result<(), NotAwaited> {
        let accepted = reply.class() == ReplyClass::Completion;
        self.behind_refusal = !accepted;
        self.state = match std::mem::take(&mut self.state) {
            State::Greeting if accepted => State::Ready,
            State::Greeting => State::NoService,
            State::MailAsked(mail) if accepted => State::Transaction(Box::new(Envelope::new(*mail))),
            // A hello that is refused changes nothing (RFC 5321 §4.1.4).
            State::HelloAsked(_, Some(envelope)) if !accepted => State::Transaction(envelope),
            State::HelloAsked(_, open) => {
                self.reset_due |= open.is_some();
                State::Ready
            }
            State::MailDataEndAsked(envelope, before) if !self.is_answered(before + 1, envelope.recipients.len()) => {
                State::MailDataEndAsked(envelope, before + 1)
            }
            State::MailAsked(_) | State::MailDataEndAsked(..) => State::Ready,
            State::RcptAsked(mut envelope, rcpt) => {
                if accepted {
                    envelope.recipients.push(*rcpt);
                }
                State::Transaction(envelope)
            }
            State::MailDataStartAsked(envelope, None) => State::Transaction(envelope),
            State::MailDataStartAsked(envelope, Some(chunk)) => {
                self.refuse_first_chunk(&envelope, chunk, reply, now);
                return Ok(());
            }
            State::AuthAsked => {
                self.settle_auth(&reply, now);
                return Ok(());
            }
            State::QueryAsked(state) => *state,
            State::XClientAsked => {
                self.settle_xclient(&reply, now);
                return Ok(());
            }
            other => {
                self.state = other;
                return Err(NotAwaited);
            }
        };
        self.progress = now;
        self.send(&reply);
        Ok(())
    }

    /// Answers [`Event::Hello`]: 250, with what is offered where the client said EHLO. A transaction that was open is
    /// gone with it ([`Event::Reset`] follows), as after RSET (RFC 5321 §4.1.4). STARTTLS is left out where there
    /// is TLS already, REQUIRETLS where there is none (RFC 8689 §2), BINARYMIME where there is no CHUNKING (RFC 3030
    /// §3), XCLIENT where it is not taken. A size that is offered is also the limit then; it is never more than [`Limits::message_octets`], and says
    /// that where it is 0.
    ///
    /// # Errors
    ///
    /// [`NotAwaited`] where no EHLO or HELO waits.
    pub fn hello(&mut self, mut offered: Extensions, now: Instant) -> Result<(), NotAwaited> {
        let hello = match std::mem::take(&mut self.state) {
            State::HelloAsked(hello, open) => {
                self.reset_due |= open.is_some();
                *hello
            }
            other => {
                self.state = other;
                return Err(NotAwaited);
            }
        };
        offered.starttls &= self.tls.is_none();
        offered.require_tls &= self.tls.is_some();
        offered.binary_mime &= offered.chunking;
        if !self.trusts_xclient {
            offered.xclient = XClientAttributes::NONE;
        }
        let permitted = self.config.limits.message_octets;
        offered.size = offered.size.map(|octets| if octets == 0 { permitted } else { octets.min(permitted) });
        let reply = self.hello_reply(hello.kind, &offered);
        self.client = Some(Box::new(Client { hello, offered }));
        self.state = State::Ready;
        self.progress = now;
        self.send(&reply);
        Ok(())
    }

    /// Answers [`Event::MailDataStart`]: the mail data may come (354 to DATA; a chunk is answered at its end).
    ///
    /// # Errors
    ///
    /// [`NotAwaited`] where no DATA, and no first BDAT, waits.
    pub fn begin_mail_data(&mut self, now: Instant) -> Result<(), NotAwaited> {
        let until = now + self.config.timeouts.mail_data;
        match std::mem::take(&mut self.state) {
            State::MailDataStartAsked(envelope, None) => {
                let mail_data = MailData::new(envelope, self.message_octets_max(), until);
                self.state = State::MailData(Box::new(mail_data));
                self.send(&replies::START_MAIL_INPUT);
            }
            State::MailDataStartAsked(envelope, Some(chunk)) => self.begin_chunks(envelope, chunk, until),
            other => {
                self.state = other;
                return Err(NotAwaited);
            }
        }
        self.progress = now;
        Ok(())
    }

    /// Refuses the mail data that is coming in: no more of it is told, it is swallowed to its true end, and `reply` is
    /// sent there; by BDAT, at the end of the chunk. [`Event::Reset`] follows at once. After [`Event::MailDataEnd`] it is
    /// the answer to that, for all recipients that have none. Does nothing where there is no mail data.
    pub fn refuse_mail_data(&mut self, reply: Reply) {
        debug_assert!(
            matches!(reply.class(), ReplyClass::Transient | ReplyClass::Permanent),
            "refused with a reply that accepts"
        );
        match self.state {
            State::MailData(_) => self.refuse_content(reply),
            State::Chunk(_) | State::BetweenChunks(_) => self.refuse_chunks(reply),
            State::MailDataEndAsked(ref envelope, before) => {
                let unanswered = envelope.recipients.len().saturating_sub(before);
                self.state = State::Ready;
                self.send_final(&reply, unanswered);
            }
            _ => {}
        }
    }

    /// The handshake after [`Event::StartTls`] is done: the session begins anew, before EHLO (RFC 3207 §4.2). What AUTH
    /// has settled before is forgotten, too.
    pub fn tls_established(&mut self, tls: TlsFacts, now: Instant) {
        if matches!(self.state, State::Handshake) {
            self.state = State::Ready;
            self.client = None;
            self.authenticated = false;
            // The 220 to STARTTLS was heard, or there were no handshake.
            self.owed = None;
            self.tls = Some(Box::new(tls));
            self.progress = now;
        }
    }

    /// Ends the session with `reply`, 421 as a rule, whatever it is doing: at shutdown, or by policy. Inside a TLS
    /// handshake nothing can be said.
    #[expect(clippy::needless_pass_by_value, reason = "an answer is made to be given away")]
    pub fn close(&mut self, reply: Reply) {
        match self.state {
            State::Closing(_) | State::Closed => return,
            State::Handshake => {}
            _ => reply.encode(&mut self.output),
        }
        self.end(CloseReason::Local);
    }

    /// The transaction that is open: its MAIL and the recipients accepted so far.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.state.envelope()
    }

    /// The last EHLO or HELO that was accepted.
    pub fn client_hello(&self) -> Option<&Hello> {
        self.client.as_deref().map(|client| &client.hello)
    }

    /// What is known of TLS; `None` in the clear.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_deref()
    }

    fn hello_reply(&self, kind: HelloKind, offered: &Extensions) -> Reply {
        let hostname = self.config.hostname.as_str();
        let reply = match kind {
            HelloKind::Helo => Extensions::default().reply(hostname),
            HelloKind::Ehlo | HelloKind::Lhlo => offered.reply(hostname),
        };
        reply.expect("a host name is printable ASCII on one line")
    }

    /// What is taken of a message, in octets.
    fn message_octets_max(&self) -> u64 {
        let offered = self.client.as_deref().and_then(|client| client.offered.size);
        offered.unwrap_or(self.config.limits.message_octets)
    }

    /// Queues a reply. After 421 the session ends (RFC 5321 §3.8).
    fn send(&mut self, reply: &Reply) {
        reply.encode(&mut self.output);
        if reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE {
            self.end(CloseReason::Local);
        }
    }

    /// No more input is taken; the transaction is gone; what is queued still leaves.
    fn end(&mut self, reason: CloseReason) {
        self.reset_due |= self.state.envelope().is_some();
        self.state = State::Closing(reason);
    }
}

impl Session for ServerSession {
    type Event = Event;

    fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Option<Event> {
        self.advance(now, input)
    }

    fn handle_eof(&mut self) -> Option<Event> {
        if !matches!(self.state, State::Closing(_) | State::Closed) {
            self.end(CloseReason::EndOfStream);
        }
        self.farewell()
    }

    fn handle_timeout(&mut self, now: Instant) -> Option<Event> {
        let due = self.poll_timeout().filter(|deadline| deadline.at <= now)?;
        self.progress = now;
        match due.reason {
            // Nothing can be said to a client that does not listen.
            Timer::Transmit | Timer::StartTls => {
                self.output.clear();
                if !matches!(self.state, State::Closing(_)) {
                    self.end(CloseReason::Timeout(due.reason));
                }
            }
            reason => {
                self.send_with_hostname(&replies::TIMEOUT);
                self.end(CloseReason::Timeout(reason));
            }
        }
        self.farewell()
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if !self.output.is_empty() {
            self.progress = now;
            self.writing = Writing::Given;
            self.gave_output();
            // The whole buffer is given away, so an idle session holds none.
            return Some(std::mem::take(&mut self.output).freeze());
        }
        self.writing = match self.writing {
            Writing::Given => Writing::Leaving,
            Writing::Leaving => {
                self.progress = now;
                Writing::Nothing
            }
            Writing::Nothing => Writing::Nothing,
        };
        None
    }

    fn awaits_silence(&self) -> bool {
        self.is_owed()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let timeouts = &self.config.timeouts;
        let transmitting = self.writing != Writing::Nothing || !self.output.is_empty();
        let (wait, reason) = match self.state {
            State::Closed => return None,
            State::Closing(_) => (timeouts.transmit, Timer::Transmit),
            _ if transmitting => (timeouts.transmit, Timer::Transmit),
            State::NoService
            | State::Ready
            | State::Transaction(_)
            | State::BetweenChunks(_)
            | State::ChunksFailed(_)
            | State::AuthResponse => (timeouts.command, Timer::Command),
            State::MailData(_) | State::Swallowing(_) | State::Chunk(_) | State::SwallowingChunk(_) => {
                (timeouts.data_block, Timer::DataBlock)
            }
            State::Handshake => (timeouts.start_tls, Timer::StartTls),
            _ => return None,
        };
        let next = Deadline { at: self.progress + wait, reason };
        let end = self.state.mail_data_until().filter(|_| !transmitting);
        let end = end.map(|at| Deadline { at, reason: Timer::MailData });
        // What is leaving has its own time.
        let last = (!transmitting).then_some(Deadline { at: self.session_until, reason: Timer::Session });
        [Some(next), end, last].into_iter().flatten().min_by_key(|deadline| deadline.at)
    }
}
