//! All changes of state of a client session: one dispatch, one function per state.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::event::{CloseReason, Event, Stage};
use super::{ClientSession, MailData};
use crate::mail_data::Stuffer;
use crate::session::Timer;
use crate::{Command, Envelope, Extensions, Hello, HelloKind, RemoteReply, ReplyClass, ReplyCode};

/// Where the session is. The variants up to `Quit` wait for a reply, if for nothing else then for 421.
#[derive(Debug, Default)]
pub(super) enum State {
    /// For the 220 that opens the session.
    Greeting,
    /// For the reply to EHLO or HELO.
    Hello(HelloKind),
    /// The server refused its greeting, or EHLO and HELO: nothing is left but QUIT.
    NoService,
    /// For the caller: a transaction, STARTTLS or QUIT may begin.
    Ready,
    /// For the reply to STARTTLS.
    StartTls,
    /// For the reply to the RSET before MAIL.
    Rset(Box<Transaction>),
    /// For the reply to MAIL.
    Mail(Box<Transaction>),
    /// For the reply to the RCPT of this number.
    Rcpt(Box<Transaction>, usize),
    /// For the reply to DATA.
    Data(Box<Transaction>),
    /// For the caller to give content, or for it to leave.
    MailData(Box<MailData>),
    /// For the reply to the lone dot.
    MailDataEnd(Box<Transaction>),
    /// For the reply to the lone dot that ends mail data which no recipient was accepted for.
    EmptyMailData(Box<Transaction>),
    /// For the reply to QUIT.
    Quit,
    /// For the handshake; nothing is read.
    Handshake,
    /// Each accepted recipient, from this number on, is to be told the reply.
    Delivered(Box<Transaction>, RemoteReply, usize),
    /// The end of the transaction is to be told.
    Over(Box<Transaction>),
    /// [`Event::Closed`] is to be told.
    Ended(Box<CloseReason>),
    /// It has been told.
    #[default]
    Closed,
}

/// One message on its way.
#[derive(Debug)]
pub(super) struct Transaction {
    envelope: Envelope,
    /// MAIL, each RCPT and DATA have been sent as one group, so each will be answered.
    pipelined: bool,
    /// The recipients accepted, by their place in the envelope.
    accepted: Vec<usize>,
    /// What ends the transaction for all recipients that are left.
    refusal: Option<(Stage, RemoteReply)>,
}

impl State {
    pub(super) fn stage(&self) -> Option<Stage> {
        Some(match self {
            Self::Greeting => Stage::Greeting,
            Self::Hello(_) => Stage::Hello,
            Self::NoService | Self::Ready | Self::Over(_) => Stage::Idle,
            Self::StartTls | Self::Handshake => Stage::StartTls,
            Self::Rset(_) | Self::Mail(_) => Stage::Mail,
            Self::Rcpt(..) => Stage::Rcpt,
            Self::Data(_) | Self::EmptyMailData(_) => Stage::Data,
            Self::MailData(_) => Stage::MailData,
            Self::MailDataEnd(_) | Self::Delivered(..) => Stage::MailDataEnd,
            Self::Quit => Stage::Quit,
            Self::Ended(_) | Self::Closed => return None,
        })
    }

    /// What is waited for; `None` where it is the caller.
    pub(super) fn timer(&self) -> Option<Timer> {
        Some(match self {
            Self::Greeting => Timer::Greeting,
            Self::Hello(_) => Timer::Hello,
            Self::StartTls | Self::Handshake => Timer::StartTls,
            Self::Rset(_) | Self::Mail(_) => Timer::Mail,
            Self::Rcpt(..) => Timer::Rcpt,
            Self::Data(_) => Timer::DataInitiation,
            Self::MailData(mail_data) if !mail_data.wanted => Timer::DataBlock,
            Self::MailDataEnd(_) | Self::EmptyMailData(_) => Timer::DataTermination,
            Self::Quit => Timer::Quit,
            _ => return None,
        })
    }
}

/// `Break` gives the caller what there is to tell, `Continue` goes round again.
type Flow = ControlFlow<Option<Event>>;

impl ClientSession {
    pub(super) fn advance(&mut self, now: Instant, input: &mut BytesMut) -> Option<Event> {
        loop {
            let flow = match self.state {
                State::Handshake | State::Closed => Break(None),
                State::Ended(_) => Break(self.ended()),
                State::Delivered(..) => self.delivered(),
                State::Over(_) => self.over(),
                _ => self.read_reply(now, input),
            };
            if let Break(event) = flow {
                return event;
            }
        }
    }

    pub(super) fn ended(&mut self) -> Option<Event> {
        match std::mem::take(&mut self.state) {
            State::Ended(reason) => Some(Event::Closed(*reason)),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn read_reply(&mut self, now: Instant, input: &mut BytesMut) -> Flow {
        match self.replies.read(input) {
            Ok(None) => Break(self.want_mail_data()),
            Ok(Some(reply)) => {
                self.progress = now;
                self.reply(reply, now, input)
            }
            Err(error) => self.ends(CloseReason::BadReply(error)),
        }
    }

    /// The dispatch: a reply has come, to whatever the session waits for.
    fn reply(&mut self, reply: RemoteReply, now: Instant, behind: &BytesMut) -> Flow {
        if reply.code() == ReplyCode::SERVICE_NOT_AVAILABLE && !matches!(self.state, State::Quit) {
            return self.ends(CloseReason::ServiceNotAvailable(reply));
        }
        if !self.output.is_empty() && !matches!(self.state, State::MailData(_) | State::MailDataEnd(_) | State::Quit) {
            // What it could be the reply to has not left yet.
            return self.ends(CloseReason::Unexpected(reply));
        }
        match std::mem::take(&mut self.state) {
            State::Greeting => self.greeting(reply, now),
            State::Hello(kind) => self.hello(kind, reply, now),
            State::StartTls => self.start_tls_reply(reply, behind),
            State::Rset(transaction) => self.rset(transaction, now),
            State::Mail(transaction) => self.mail(transaction, reply, now),
            State::Rcpt(transaction, index) => self.rcpt(transaction, index, reply, now),
            State::Data(transaction) => self.data(transaction, reply, now),
            State::MailData(mail_data) => self.mail_data(State::MailData(mail_data), reply),
            State::MailDataEnd(transaction) => self.mail_data_end(transaction, reply),
            State::EmptyMailData(transaction) => self.transaction_over(transaction),
            State::Quit => {
                self.state = State::Quit;
                self.ends(CloseReason::Quit)
            }
            other => self.unexpected(other, reply),
        }
    }

    fn greeting(&mut self, reply: RemoteReply, now: Instant) -> Flow {
        if reply.class() == ReplyClass::Completion {
            self.say_hello(now);
            return Continue(());
        }
        self.state = State::NoService;
        Break(Some(Event::Refused { stage: Stage::Greeting, reply }))
    }

    pub(super) fn say_hello(&mut self, now: Instant) {
        self.send_hello(HelloKind::Ehlo, now);
    }

    fn send_hello(&mut self, kind: HelloKind, now: Instant) {
        let hello = Hello { kind, name: self.config.hello_name.clone() };
        self.state = State::Hello(kind);
        self.send(&[Command::Hello(hello)], now);
    }

    fn hello(&mut self, kind: HelloKind, reply: RemoteReply, now: Instant) -> Flow {
        match (reply.class(), kind) {
            (ReplyClass::Completion, _) => {
                if kind != HelloKind::Helo {
                    self.extensions = Extensions::from_reply(&reply);
                }
                self.state = State::Ready;
                Break(Some(Event::Ready(self.extensions.clone())))
            }
            (ReplyClass::Permanent, HelloKind::Ehlo) => {
                self.send_hello(HelloKind::Helo, now);
                Continue(())
            }
            _ => {
                self.state = State::NoService;
                Break(Some(Event::Refused { stage: Stage::Hello, reply }))
            }
        }
    }

    fn start_tls_reply(&mut self, reply: RemoteReply, behind: &BytesMut) -> Flow {
        if reply.class() != ReplyClass::Completion {
            self.state = State::Ready;
            return Break(Some(Event::Refused { stage: Stage::StartTls, reply }));
        }
        self.state = State::Handshake;
        if !behind.is_empty() {
            return self.ends(CloseReason::ClearTextAfterStartTls);
        }
        Break(Some(Event::StartTls))
    }

    pub(super) fn begin_transaction(&mut self, envelope: Envelope, now: Instant) {
        let pipelined = self.extensions.pipelining;
        let stale = std::mem::take(&mut self.stale);
        let mut commands = Vec::new();
        if stale {
            commands.push(Command::Rset);
        }
        if pipelined || !stale {
            commands.push(Command::Mail(envelope.mail.clone()));
        }
        if pipelined {
            commands.extend(envelope.recipients.iter().cloned().map(Command::Rcpt));
            commands.push(Command::Data);
        }
        let transaction = Box::new(Transaction { envelope, pipelined, accepted: Vec::new(), refusal: None });
        self.state = if stale { State::Rset(transaction) } else { State::Mail(transaction) };
        self.send(&commands, now);
    }

    /// Whatever the reply to RSET was: the one to MAIL will show what it is worth.
    fn rset(&mut self, transaction: Box<Transaction>, now: Instant) -> Flow {
        if !transaction.pipelined {
            self.send(&[Command::Mail(transaction.envelope.mail.clone())], now);
        }
        self.state = State::Mail(transaction);
        Continue(())
    }

    fn mail(&mut self, mut transaction: Box<Transaction>, reply: RemoteReply, now: Instant) -> Flow {
        if reply.class() == ReplyClass::Completion {
            self.stale = true;
        } else {
            transaction.refusal = Some((Stage::Mail, reply));
            if !transaction.pipelined {
                return self.transaction_over(transaction);
            }
        }
        self.await_rcpt(transaction, 0, now);
        Continue(())
    }

    fn rcpt(&mut self, mut transaction: Box<Transaction>, index: usize, reply: RemoteReply, now: Instant) -> Flow {
        let told = transaction.refusal.is_none();
        if told && reply.class() == ReplyClass::Completion {
            transaction.accepted.push(index);
        }
        self.await_rcpt(transaction, index + 1, now);
        if told { Break(Some(Event::Recipient { index, reply })) } else { Continue(()) }
    }

    /// Goes on with the recipient of this number, or with DATA behind the last. In a group all has been sent.
    fn await_rcpt(&mut self, transaction: Box<Transaction>, index: usize, now: Instant) {
        let next = transaction.envelope.recipients.get(index);
        if !transaction.pipelined {
            match next {
                Some(rcpt) => self.send(&[Command::Rcpt(rcpt.clone())], now),
                None if transaction.accepted.is_empty() => {
                    self.state = State::Over(transaction);
                    return;
                }
                None => self.send(&[Command::Data], now),
            }
        }
        self.state = match next {
            Some(_) => State::Rcpt(transaction, index),
            None => State::Data(transaction),
        };
    }

    fn data(&mut self, mut transaction: Box<Transaction>, reply: RemoteReply, now: Instant) -> Flow {
        match reply.class() {
            ReplyClass::Intermediate if transaction.accepted.is_empty() => {
                // A server may wait for mail data though it takes no recipient; a lone dot ends that (RFC 2920 §3.1).
                self.output.push_back(Bytes::from_static(b".\r\n"));
                self.progress = now;
                self.state = State::EmptyMailData(transaction);
                Continue(())
            }
            ReplyClass::Intermediate => {
                let mail_data = MailData { transaction, stuffer: Stuffer::default(), wanted: false };
                self.state = State::MailData(Box::new(mail_data));
                Continue(())
            }
            ReplyClass::Completion => self.unexpected(State::Data(transaction), reply),
            ReplyClass::Transient | ReplyClass::Permanent => {
                if !transaction.accepted.is_empty() {
                    transaction.refusal = Some((Stage::Data, reply));
                }
                self.transaction_over(transaction)
            }
        }
    }

    /// More mail data may be given when what was given has left.
    fn want_mail_data(&mut self) -> Option<Event> {
        match &mut self.state {
            State::MailData(mail_data) if !mail_data.wanted && self.output.is_empty() => {
                mail_data.wanted = true;
                Some(Event::MailDataWanted)
            }
            _ => None,
        }
    }

    /// A reply before the end of the mail data has left: only a refusal can be meant.
    fn mail_data(&mut self, state: State, reply: RemoteReply) -> Flow {
        match reply.class() {
            ReplyClass::Transient | ReplyClass::Permanent => {
                self.state = state;
                self.end(CloseReason::RefusedInMailData);
                Break(Some(Event::Refused { stage: Stage::MailData, reply }))
            }
            ReplyClass::Completion | ReplyClass::Intermediate => self.unexpected(state, reply),
        }
    }

    fn mail_data_end(&mut self, mut transaction: Box<Transaction>, reply: RemoteReply) -> Flow {
        if !self.output.is_empty() {
            return self.mail_data(State::MailDataEnd(transaction), reply);
        }
        self.stale = false;
        match reply.class() {
            ReplyClass::Completion => {
                self.state = State::Delivered(transaction, reply, 0);
                Continue(())
            }
            ReplyClass::Intermediate => self.unexpected(State::MailDataEnd(transaction), reply),
            ReplyClass::Transient | ReplyClass::Permanent => {
                transaction.refusal = Some((Stage::MailDataEnd, reply));
                self.transaction_over(transaction)
            }
        }
    }

    fn delivered(&mut self) -> Flow {
        let State::Delivered(transaction, reply, next) = std::mem::take(&mut self.state) else { return Break(None) };
        let Some(&index) = transaction.accepted.get(next) else { return self.transaction_over(transaction) };
        let event = Event::Delivered { index, reply: reply.clone() };
        self.state = State::Delivered(transaction, reply, next + 1);
        Break(Some(event))
    }

    fn transaction_over(&mut self, transaction: Box<Transaction>) -> Flow {
        self.state = State::Over(transaction);
        Continue(())
    }

    fn over(&mut self) -> Flow {
        let State::Over(transaction) = std::mem::replace(&mut self.state, State::Ready) else { return Break(None) };
        Break(Some(match transaction.refusal {
            Some((stage, reply)) => Event::Refused { stage, reply },
            None => Event::Finished,
        }))
    }

    /// A reply that cannot be to what was sent in `state`.
    fn unexpected(&mut self, state: State, reply: RemoteReply) -> Flow {
        self.state = state;
        self.ends(CloseReason::Unexpected(reply))
    }

    fn ends(&mut self, reason: CloseReason) -> Flow {
        self.end(reason);
        Continue(())
    }
}
