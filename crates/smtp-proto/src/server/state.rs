//! All changes of state of a server session: one dispatch, one function per state.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Instant;

use bytes::BytesMut;

use super::chunks::{Chunk, Chunked, FailedChunks, RefusedChunk};
use super::content::{MailData, Swallowing};
use super::event::{CloseReason, Event, Framing, Refusal, Subject};
use super::{Protocol, ServerSession, replies};
use crate::{Argument, BodyType, Command, Envelope, Hello, HelloKind, Mail, Rcpt, Reply};

/// Where the session is. The variants named `…Asked` wait for the caller's answer and take no input.
#[derive(Debug, Default)]
pub(super) enum State {
    /// Nothing has been told yet.
    Opening,
    /// [`Event::Connected`] waits.
    Greeting,
    /// The greeting was 554: nothing is left but QUIT (RFC 5321 §3.1).
    NoService,
    /// No transaction is open.
    Ready,
    /// With the transaction that it finds open, which lasts if it is refused.
    HelloAsked(Box<Hello>, Option<Box<Envelope>>),
    MailAsked(Box<Mail>),
    /// MAIL was accepted.
    Transaction(Box<Envelope>),
    RcptAsked(Box<Envelope>, Box<Rcpt>),
    /// With the first chunk, where the mail data is to come by BDAT.
    MailDataStartAsked(Box<Envelope>, Option<Chunk>),
    /// 354 was sent.
    MailData(Box<MailData>),
    /// Mail data that is refused at its end already.
    Swallowing(Box<Swallowing>),
    /// A chunk is coming in.
    Chunk(Box<Chunked>),
    /// All chunks so far were taken, and the last one has not been.
    BetweenChunks(Box<Chunked>),
    /// A chunk that is refused at its end already.
    SwallowingChunk(Box<RefusedChunk>),
    /// A chunk was refused that was not the last one: RSET must come (RFC 3030 §2).
    ChunksFailed(Box<FailedChunks>),
    /// With the number of answers that were given, in LMTP.
    MailDataEndAsked(Box<Envelope>, usize),
    /// A step of AUTH waits.
    AuthAsked,
    /// 334 was sent.
    AuthResponse,
    /// A question that the session could have answered by itself; with the state that it was asked in.
    QueryAsked(Box<State>),
    /// XCLIENT waits.
    XClientAsked,
    /// 220 was sent to STARTTLS.
    Handshake,
    /// The last reply is leaving.
    Closing(CloseReason),
    /// [`Event::Closed`] has been told.
    #[default]
    Closed,
}

impl State {
    /// Until when the mail data that is coming in may go on.
    pub(super) fn mail_data_until(&self) -> Option<Instant> {
        match self {
            Self::MailData(mail_data) => Some(mail_data.until()),
            Self::Swallowing(swallowing) => Some(swallowing.until()),
            Self::Chunk(chunked) | Self::BetweenChunks(chunked) => Some(chunked.until()),
            Self::SwallowingChunk(refused) => Some(refused.until()),
            _ => None,
        }
    }

    /// The envelope of the transaction that is open.
    pub(super) fn envelope(&self) -> Option<&Envelope> {
        match self {
            Self::Transaction(envelope)
            | Self::RcptAsked(envelope, _)
            | Self::HelloAsked(_, Some(envelope))
            | Self::MailDataStartAsked(envelope, _)
            | Self::MailDataEndAsked(envelope, _) => Some(envelope),
            Self::MailData(mail_data) => Some(&mail_data.envelope),
            Self::Chunk(chunked) | Self::BetweenChunks(chunked) => Some(&chunked.envelope),
            Self::QueryAsked(state) => state.envelope(),
            _ => None,
        }
    }
}

/// `Break` gives the caller what there is to tell, `Continue` goes round again.
pub(super) type Flow = ControlFlow<Option<Event>>;

impl ServerSession {
    /// The dispatch.
    pub(super) fn advance(&mut self, now: Instant, input: &mut BytesMut) -> Option<Event> {
        loop {
            if self.reset_due {
                self.reset_due = false;
                return Some(Event::Reset);
            }
            if let Some(event) = self.out_of_turn(input) {
                return Some(event);
            }
            let flow = match self.state {
                State::Opening => self.opening(),
                State::NoService
                | State::Ready
                | State::Transaction(_)
                | State::BetweenChunks(_)
                | State::ChunksFailed(_) => self.command_line(now, input),
                State::MailData(_) => self.mail_data(now, input),
                State::Swallowing(_) => self.swallow(now, input),
                State::Chunk(_) => self.chunk(now, input),
                State::SwallowingChunk(_) => self.swallow_rest_of_chunk(now, input),
                State::AuthResponse => self.auth_response(now, input),
                State::Closing(_) => Break(self.farewell()),
                State::Greeting
                | State::HelloAsked(..)
                | State::MailAsked(_)
                | State::RcptAsked(..)
                | State::MailDataStartAsked(..)
                | State::MailDataEndAsked(..)
                | State::AuthAsked
                | State::QueryAsked(_)
                | State::XClientAsked
                | State::Handshake
                | State::Closed => Break(None),
            };
            if let Break(event) = flow {
                return event;
            }
        }
    }

    fn opening(&mut self) -> Flow {
        self.state = State::Greeting;
        Break(Some(Event::Connected))
    }

    /// What is owed at the end: the loss of the transaction at once, the end itself when all output has left.
    pub(super) fn farewell(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.reset_due) {
            return Some(Event::Reset);
        }
        let State::Closing(reason) = self.state else { return None };
        if !self.output.is_empty() {
            return None;
        }
        self.state = State::Closed;
        Some(Event::Closed(reason))
    }

    pub(super) fn command(&mut self, command: Command, input: &BytesMut) -> Flow {
        if is_idle(&command) && self.is_one_idle_command_too_many() {
            return Continue(());
        }
        match command {
            Command::Hello(hello) => self.hello_command(hello),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data(),
            Command::Rset => self.rset(),
            Command::StartTls => self.start_tls(input),
            Command::Quit => self.quit(),
            Command::Noop => self.settled(&replies::NOOP),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Help(argument) if self.config.queries.help => self.query(Event::Help(argument)),
            Command::Help(_) => self.settled(&replies::HELP),
            Command::Vrfy(argument) if self.config.queries.vrfy => self.query(Event::Vrfy(argument)),
            Command::Vrfy(_) => self.settled(&replies::CANNOT_VERIFY),
            Command::Expn(argument) if self.config.queries.expn => self.query(Event::Expn(argument)),
            Command::Expn(_) => self.settled(&replies::NO_EXPN),
            Command::Etrn(argument) if self.config.queries.etrn => self.etrn(argument),
            Command::XClient(xclient) => self.xclient(xclient),
            Command::Etrn(_) | Command::Bdat { .. } => self.refuse_error(replies::NOT_IMPLEMENTED, command),
        }
    }

    /// Hands on a question; the state it was asked in comes back with the answer.
    fn query(&mut self, event: Event) -> Flow {
        let state = std::mem::take(&mut self.state);
        self.state = State::QueryAsked(Box::new(state));
        Break(Some(event))
    }

    /// ETRN is for those who have said who they are, and not inside a transaction (RFC 1985 §5.2).
    fn etrn(&mut self, argument: Argument) -> Flow {
        if self.client.is_none() {
            return self.refuse_error(replies::HELLO_FIRST, Command::Etrn(argument));
        }
        if !matches!(self.state, State::Ready) {
            return self.refuse_error(replies::NOT_NOW, Command::Etrn(argument));
        }
        self.query(Event::Etrn(argument))
    }

    fn hello_command(&mut self, hello: Hello) -> Flow {
        match (self.config.protocol, hello.kind) {
            (Protocol::Smtp, HelloKind::Lhlo) => return self.refuse_error(replies::NO_LMTP, Command::Hello(hello)),
            // RFC 2033 §4.1: not even recognised.
            (Protocol::Lmtp, HelloKind::Ehlo | HelloKind::Helo) => {
                return self.refuse_error(replies::LMTP_ONLY, Command::Hello(hello));
            }
            (Protocol::Smtp, _) | (Protocol::Lmtp, HelloKind::Lhlo) => {}
        }
        let open = match std::mem::take(&mut self.state) {
            State::Transaction(envelope) => Some(envelope),
            _ => None,
        };
        self.state = State::HelloAsked(Box::new(hello.clone()), open);
        Break(Some(Event::Hello(hello)))
    }

    fn mail(&mut self, mail: Mail) -> Flow {
        self.transactions += 1;
        if self.transactions > self.config.limits.transactions_per_session {
            return self.too_many(&replies::TOO_MANY_TRANSACTIONS, CloseReason::TooManyTransactions);
        }
        let Some(client) = self.client.as_deref() else {
            return self.refuse_error(replies::HELLO_FIRST, Command::Mail(mail));
        };
        if matches!(self.state, State::Transaction(_)) {
            return self.refuse_error(replies::NESTED_MAIL, Command::Mail(mail));
        }
        let parameters = &mail.parameters;
        if parameters.body == Some(BodyType::BinaryMime) && !client.offered.binary_mime {
            return self.refuse_error(replies::BODY_NOT_OFFERED, Command::Mail(mail));
        }
        if !client.offered.permits_mail(parameters) {
            return self.refuse_error(replies::PARAMETER_NOT_OFFERED, Command::Mail(mail));
        }
        if let (Some(hold), Some(offer)) = (&parameters.hold, &client.offered.future_release)
            && !offer.permits(hold)
        {
            return self.refuse(replies::HOLD_TOO_LONG, Command::Mail(mail));
        }
        if let (Some(deliver_by), Some(offer)) = (parameters.deliver_by, client.offered.deliver_by)
            && !offer.permits(deliver_by)
        {
            return self.refuse(replies::TIME_TOO_SHORT, Command::Mail(mail));
        }
        if !mail.reverse_path.is_ascii() && !parameters.smtputf8 {
            return self.refuse(replies::UTF8_NOT_ASKED_FOR, Command::Mail(mail));
        }
        if parameters.size.is_some_and(|octets| octets > self.message_octets_max()) {
            return self.refuse(replies::TOO_LARGE, Command::Mail(mail));
        }
        self.state = State::MailAsked(Box::new(mail.clone()));
        Break(Some(Event::Mail(mail)))
    }

    fn rcpt(&mut self, rcpt: Rcpt) -> Flow {
        let State::Transaction(envelope) = &self.state else {
            return self.refuse_error(replies::MAIL_FIRST, Command::Rcpt(rcpt));
        };
        if self.client.as_deref().is_none_or(|client| !client.offered.permits_rcpt(&rcpt.parameters)) {
            return self.refuse_error(replies::PARAMETER_NOT_OFFERED, Command::Rcpt(rcpt));
        }
        let is_ascii = rcpt.forward_path.is_ascii() && rcpt.parameters.is_ascii();
        if !is_ascii && !envelope.mail.parameters.smtputf8 {
            return self.refuse_alone(replies::UTF8_NOT_ASKED_FOR, Command::Rcpt(rcpt));
        }
        if envelope.recipients.len() >= self.config.limits.recipients_per_message {
            return self.refuse_alone(replies::TOO_MANY_RECIPIENTS, Command::Rcpt(rcpt));
        }
        self.state = match std::mem::take(&mut self.state) {
            State::Transaction(envelope) => State::RcptAsked(envelope, Box::new(rcpt.clone())),
            other => other,
        };
        Break(Some(Event::Rcpt(rcpt)))
    }

    fn data(&mut self) -> Flow {
        match std::mem::take(&mut self.state) {
            State::Transaction(envelope) if envelope.mail.parameters.body == Some(BodyType::BinaryMime) => {
                self.state = State::Transaction(envelope);
                self.refuse_error(replies::BINARY_IN_CHUNKS_ONLY, Command::Data)
            }
            State::Transaction(envelope) if !envelope.recipients.is_empty() => {
                self.state = State::MailDataStartAsked(envelope, None);
                Break(Some(Event::MailDataStart(Framing::Data)))
            }
            State::Transaction(envelope) => {
                self.state = State::Transaction(envelope);
                // Not an error: a client that pipelines cannot know (RFC 2920 §3.1).
                self.refuse_alone(self.no_recipients(), Command::Data)
            }
            other => {
                self.state = other;
                self.refuse_error(replies::MAIL_FIRST, Command::Data)
            }
        }
    }

    /// In LMTP it is 503 (RFC 2033 §4.2).
    pub(super) fn no_recipients(&self) -> Reply {
        match self.config.protocol {
            Protocol::Smtp => replies::NO_RECIPIENTS,
            Protocol::Lmtp => replies::NO_RECIPIENTS_LMTP,
        }
    }

    fn rset(&mut self) -> Flow {
        self.reset_due = self.state.envelope().is_some();
        self.state = State::Ready;
        self.settled(&replies::RESET)
    }

    fn start_tls(&mut self, behind: &BytesMut) -> Flow {
        let Some(client) = self.client.as_deref() else {
            return self.refuse_error(replies::HELLO_FIRST, Command::StartTls);
        };
        if self.tls.is_some() {
            return self.refuse_error(replies::TLS_ALREADY, Command::StartTls);
        }
        if !client.offered.starttls {
            return self.refuse_error(replies::NO_TLS, Command::StartTls);
        }
        if matches!(self.state, State::Transaction(_)) {
            return self.refuse_error(replies::NO_TLS_NOW, Command::StartTls);
        }
        if !behind.is_empty() {
            replies::CLEAR_TEXT.encode(&mut self.output);
            self.end(CloseReason::ClearTextAfterStartTls);
            return Continue(());
        }
        replies::READY_FOR_TLS.encode(&mut self.output);
        self.state = State::Handshake;
        Break(Some(Event::StartTls))
    }

    pub(super) fn quit(&mut self) -> Flow {
        self.send_with_hostname(&replies::CLOSING);
        self.end(CloseReason::Quit);
        Continue(())
    }

    /// Answers by itself, and goes on.
    pub(super) fn settled(&mut self, reply: &Reply) -> Flow {
        self.send(reply);
        Continue(())
    }

    /// Refuses by itself, and says so.
    fn refuse_alone(&mut self, reply: Reply, subject: impl Into<Subject>) -> Flow {
        self.send(&reply);
        Break(Some(Event::Refused(Refusal { subject: subject.into(), reply })))
    }

    /// The same, for a command that others may stand behind that are void without it.
    pub(super) fn refuse(&mut self, reply: Reply, subject: impl Into<Subject>) -> Flow {
        self.behind_refusal = true;
        self.refuse_alone(reply, subject)
    }

    /// Answers a mistake of the client; at the last one that is permitted the session ends instead.
    pub(super) fn refuse_error(&mut self, reply: Reply, subject: impl Into<Subject>) -> Flow {
        if self.is_one_error_too_many() {
            return Continue(());
        }
        self.refuse(reply, subject)
    }

    /// Counts an error. At the last one that is permitted the session ends, and nothing more is to be said.
    pub(super) fn is_one_error_too_many(&mut self) -> bool {
        self.errors += 1;
        if self.errors < self.config.limits.errors_per_session {
            return false;
        }
        let _: Flow = self.too_many(&replies::TOO_MANY_ERRORS, CloseReason::TooManyErrors);
        true
    }

    /// Counts a command that brings no message nearer. At the one behind the last that is permitted the session ends.
    pub(super) fn is_one_idle_command_too_many(&mut self) -> bool {
        self.idle_commands += 1;
        if self.idle_commands <= self.config.limits.idle_commands_per_message {
            return false;
        }
        let _: Flow = self.too_many(&replies::TOO_MANY_IDLE_COMMANDS, CloseReason::TooManyIdleCommands);
        true
    }

    /// The client has gone over a limit of the session, which ends.
    pub(super) fn too_many(&mut self, reply: &Reply, reason: CloseReason) -> Flow {
        self.send_with_hostname(reply);
        self.end(reason);
        Continue(())
    }

    /// Queues one of the replies that begin with the server's name (RFC 5321 §4.2.2).
    pub(super) fn send_with_hostname(&mut self, reply: &Reply) {
        let text = format!("{} {}", self.config.hostname, reply.text());
        let reply = reply.clone().with_text(text).expect("a host name is printable ASCII");
        reply.encode(&mut self.output);
    }
}

/// What AUTH says at once stays out of it: it is for a log.
impl From<Command> for Subject {
    fn from(mut command: Command) -> Self {
        if let Command::Auth { initial, .. } = &mut command {
            *initial = None;
        }
        Self::Command(Box::new(command))
    }
}

/// Whether a command brings no message nearer.
fn is_idle(command: &Command) -> bool {
    use Command as C;
    matches!(command, C::Hello(_) | C::Noop | C::Rset | C::Help(_) | C::Vrfy(_) | C::Expn(_) | C::Etrn(_))
}
