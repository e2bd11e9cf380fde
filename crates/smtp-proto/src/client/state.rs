//! All changes of state of a client session: one dispatch, one function per state.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::ClientSession;
use super::content::MailData;
use super::event::{CloseReason, Event, Stage};
use crate::session::{Protocol, Timer};
use crate::{Command, Envelope, Extensions, Hello, HelloKind, RemoteReply, ReplyClass, ReplyCode, Secret};

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
    /// For the reply to AUTH, or to a response. What is held is an initial response that was too long for the command.
    Auth(Option<Secret>),
    /// For the caller to answer a challenge.
    Challenged,
    /// For the reply to `*`, which gives up the exchange.
    AuthCancelled,
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
    /// For the reply to the lone dot or to the last chunk; in LMTP for one after the other.
    MailDataEnd(Box<Transaction>),
    /// For the replies to chunks that were sent behind the one that was refused.
    ChunksRefused(Box<Transaction>),
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
    pub(super) envelope: Envelope,
    /// MAIL, each RCPT and, unless it is chunked, DATA have been sent as one group, so each will be answered.
    pub(super) pipelined: bool,
    /// The content goes by BDAT.
    pub(super) chunked: bool,
    /// Chunks that were sent whose replies have not come; the last one does not count.
    pub(super) unanswered_chunks: u32,
    /// The recipients accepted, by their place in the envelope.
    pub(super) accepted: Vec<usize>,
    /// How many of them have had their reply to the mail data: LMTP only.
    pub(super) answered: usize,
    /// What ends the transaction for all recipients that are left.
    pub(super) refusal: Option<(Stage, RemoteReply)>,
}

impl State {
    pub(super) fn stage(&self) -> Option<Stage> {
        Some(match self {
            Self::Greeting => Stage::Greeting,
            Self::Hello(_) => Stage::Hello,
            Self::NoService | Self::Ready | Self::Over(_) => Stage::Idle,
            Self::StartTls | Self::Handshake => Stage::StartTls,
            Self::Auth(_) | Self::Challenged | Self::AuthCancelled => Stage::Auth,
            Self::Rset(_) | Self::Mail(_) => Stage::Mail,
            Self::Rcpt(..) => Stage::Rcpt,
            Self::Data(_) | Self::EmptyMailData(_) => Stage::Data,
            Self::MailData(_) | Self::ChunksRefused(_) => Stage::MailData,
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
            Self::Auth(_) | Self::AuthCancelled => Timer::Auth,
            Self::Rset(_) | Self::Mail(_) => Timer::Mail,
            Self::Rcpt(..) => Timer::Rcpt,
            Self::Data(_) => Timer::DataInitiation,
            Self::MailData(mail_data) if !mail_data.wanted => Timer::DataBlock,
            Self::MailDataEnd(_) | Self::ChunksRefused(_) | Self::EmptyMailData(_) => Timer::DataTermination,
            Self::Quit => Timer::Quit,
            _ => return None,
        })
    }

    /// Whether a reply can come while what it is to, or what is behind that, is still on its way out.
    fn may_be_refused_early(&self) -> bool {
        matches!(self, Self::MailData(_) | Self::MailDataEnd(_) | Self::ChunksRefused(_) | Self::Quit)
    }
}

/// `Break` gives the caller what there is to tell, `Continue` goes round again.
pub(super) type Flow = ControlFlow<Option<Event>>;

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
        if !self.output.is_empty() && !self.state.may_be_refused_early() {
            // What it could be the reply to has not left yet.
            return self.ends(CloseReason::Unexpected(reply));
        }
        match std::mem::take(&mut self.state) {
            State::Greeting => self.greeting(reply, now),
            State::Hello(kind) => self.hello(kind, reply, now),
            State::StartTls => self.start_tls_reply(reply, behind),
            State::Auth(initial) => self.auth(initial, reply, now),
            State::AuthCancelled => self.auth_cancelled(reply),
            State::Rset(transaction) => self.rset(transaction, now),
            State::Mail(transaction) => self.mail(transaction, reply, now),
            State::Rcpt(transaction, index) => self.rcpt(transaction, index, reply, now),
            State::Data(transaction) => self.data(transaction, reply, now),
            State::MailData(mail_data) => self.mail_data(mail_data, reply),
            State::MailDataEnd(transaction) => self.mail_data_end(transaction, reply),
            State::ChunksRefused(transaction) => self.chunk_swallowed(transaction),
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
        let kind = match self.config.protocol {
            Protocol::Smtp => HelloKind::Ehlo,
            Protocol::Lmtp => HelloKind::Lhlo,
        };
        self.send_hello(kind, now);
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
                    self.extensions = self.config.usable(Extensions::from_reply(&reply));
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
        let Extensions { pipelining: pipelined, chunking: chunked, .. } = self.extensions;
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
            // A chunk waits until a recipient was accepted: nobody needs its content before.
            commands.extend((!chunked).then_some(Command::Data));
        }
        let transaction = Box::new(Transaction {
            envelope,
            pipelined,
            chunked,
            unanswered_chunks: 0,
            accepted: Vec::new(),
            answered: 0,
            refusal: None,
        });
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

    /// Goes on with the recipient of this number, or with the content behind the last. In a group all has been sent.
    fn await_rcpt(&mut self, transaction: Box<Transaction>, index: usize, now: Instant) {
        let Some(rcpt) = transaction.envelope.recipients.get(index) else {
            return self.await_content(transaction, now);
        };
        if !transaction.pipelined {
            self.send(&[Command::Rcpt(rcpt.clone())], now);
        }
        self.state = State::Rcpt(transaction, index);
    }

    fn await_content(&mut self, transaction: Box<Transaction>, now: Instant) {
        let data_sent = transaction.pipelined && !transaction.chunked;
        self.state = if transaction.accepted.is_empty() && !data_sent {
            State::Over(transaction)
        } else if transaction.chunked {
            State::MailData(Box::new(MailData::in_chunks(transaction)))
        } else {
            if !data_sent {
                self.send(&[Command::Data], now);
            }
            State::Data(transaction)
        };
    }

    fn data(&mut self, mut transaction: Box<Transaction>, reply: RemoteReply, now: Instant) -> Flow {
        match reply.class() {
            ReplyClass::Intermediate if transaction.accepted.is_empty() => {
                if self.config.protocol == Protocol::Lmtp {
                    // A reply for each of no recipients is none at all: nothing would end it (RFC 2033 §4.2).
                    return self.unexpected(State::Data(transaction), reply);
                }
                // A server may wait for mail data though it takes no recipient; a lone dot ends that (RFC 2920 §3.1).
                self.output.push_back(Bytes::from_static(b".\r\n"));
                self.progress = now;
                self.state = State::EmptyMailData(transaction);
                Continue(())
            }
            ReplyClass::Intermediate => {
                self.state = State::MailData(Box::new(MailData::after_data(transaction)));
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

    fn delivered(&mut self) -> Flow {
        let State::Delivered(transaction, reply, next) = std::mem::take(&mut self.state) else { return Break(None) };
        let Some(&index) = transaction.accepted.get(next) else { return self.transaction_over(transaction) };
        let event = Event::Delivered { index, reply: reply.clone() };
        self.state = State::Delivered(transaction, reply, next + 1);
        Break(Some(event))
    }

    pub(super) fn transaction_over(&mut self, transaction: Box<Transaction>) -> Flow {
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
    pub(super) fn unexpected(&mut self, state: State, reply: RemoteReply) -> Flow {
        self.state = state;
        self.ends(CloseReason::Unexpected(reply))
    }

    pub(super) fn ends(&mut self, reason: CloseReason) -> Flow {
        self.end(reason);
        Continue(())
    }
}
