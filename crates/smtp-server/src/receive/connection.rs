//! One session with a client, from the greeting to the end.

use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use smtp_io::{CloseLimits, Connection, ConnectionError, Stream, now};
use smtp_proto::server::{AuthStep, CloseReason, Event, Framing, Protocol, Refusal, ServerSession, Subject};
use smtp_proto::{
    Argument, Command, ContentFacts, EnhancedStatus, Extensions, ForwardPath, Hello, HelloKind, Mail, NotAwaited,
    Reply, ReplyClass, ReplyCode, ReversePath, TlsFacts,
};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

use super::auth::{Exchange, LoggedIn};
use super::transaction::{Incoming, Refused, Sender, Transaction};
use super::xclient::{self, Named};
use super::{Endpoint, Phase, handshake, offer, replies};
use crate::listener::SessionPermit;
use crate::log;
use crate::metrics::{Guard, GuardAction, SessionGuard, Stage, Verb};
use crate::shared::Shared;
use crate::submit::Submitter;

/// Said to those who must come again later because the server stops.
const STOPPING: Reply = Reply::new(
    ReplyCode::SERVICE_NOT_AVAILABLE,
    EnhancedStatus::new(4, 3, 2),
    "The server is going down; try again soon",
);
/// Said at the greeting while `smtpctl pause smtp` holds.
const PAUSED: Reply = Reply::new(
    ReplyCode::SERVICE_NOT_AVAILABLE,
    EnhancedStatus::new(4, 3, 2),
    "No mail is taken at the moment; try again later",
);

/// A session with a client: the protocol engine on its connection, and what was decided so far.
pub(super) struct Receiver {
    pub(super) connection: Connection<ServerSession>,
    pub(super) shared: Arc<Shared>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) session: Box<log::Session>,
    /// The user, where this is a program of this machine.
    submitter: Option<Submitter>,
    /// The exchange of AUTH that is under way.
    pub(super) exchange: Option<Box<Exchange>>,
    /// Who has logged in.
    pub(super) login: Option<Box<LoggedIn>>,
    /// What the peer has said of the client that it speaks for.
    pub(super) named: Option<Box<Named>>,
    transaction: Option<Box<Transaction>>,
    opened: Instant,
    messages: u64,
    pub(super) refused: u64,
    _guard: SessionGuard,
    pub(super) permit: SessionPermit,
}

/// What an event asks for that takes longer. So no event is held while the session waits: it is large, and sessions are many.
enum Later {
    Greet,
    Hello(Box<Hello>),
    StartTls,
    Auth(Box<AuthStep>),
    Etrn(Argument),
    MailData(bytes::Bytes),
    MailDataEnd(ContentFacts),
    Closed(CloseReason),
}

/// A session from its first moment, before there is a connection on which SMTP can be spoken.
pub(super) struct Opened {
    session: Box<log::Session>,
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    at: Instant,
    guard: SessionGuard,
    permit: SessionPermit,
}

impl Opened {
    /// Now. It is counted, and logged.
    pub(super) fn new(
        session: Box<log::Session>,
        shared: Arc<Shared>,
        endpoint: Arc<Endpoint>,
        permit: SessionPermit,
    ) -> Self {
        let guard = shared.metrics().session_opened(endpoint.service);
        log::connected(&session);
        Self { session, shared, endpoint, at: Instant::now(), guard, permit }
    }

    /// Takes the client in, under TLS where that comes first. `None` where the session has ended before it began, which is
    /// logged.
    pub(super) async fn by_network(self, tcp: TcpStream, phase: &mut watch::Receiver<Phase>) -> Option<Receiver> {
        let Self { session, shared, endpoint, .. } = &self;
        let Some(tls) = endpoint.tls.as_ref().filter(|_| endpoint.implicit_tls) else {
            return Some(self.receiver(tcp, None, None));
        };
        // On the heap, as all that is large and rare: sessions are many, and most of them wait.
        match Box::pin(handshake::secure(tcp, tls.acceptor(), endpoint.engine.timeouts.start_tls, phase)).await {
            Ok((stream, facts)) => {
                handshake::done(shared, session, &facts);
                Some(self.receiver(stream, Some(facts), None))
            }
            Err(broken) => {
                note_broken(shared, session, &broken);
                let (reason, duration) = (&log::Chain(&broken), self.at.elapsed());
                log::closed(session, log::Closed { reason, messages: 0, refused: 0, duration });
                None
            }
        }
    }

    /// Takes in a program of this machine.
    pub(super) fn by_program(self, unix: UnixStream, submitter: Submitter) -> Receiver {
        self.receiver(unix, None, Some(submitter))
    }

    fn receiver(self, stream: impl Into<Stream>, tls: Option<TlsFacts>, submitter: Option<Submitter>) -> Receiver {
        let engine = ServerSession::new(Arc::clone(&self.endpoint.engine), tls, now());
        Receiver {
            connection: Connection::new(stream, engine),
            shared: self.shared,
            endpoint: self.endpoint,
            session: self.session,
            submitter,
            exchange: None,
            login: None,
            named: None,
            transaction: None,
            opened: self.at,
            messages: 0,
            refused: 0,
            _guard: self.guard,
            permit: self.permit,
        }
    }
}

impl Receiver {
    /// Serves the client to the end of the session. When the server drains, the session ends with 421 as soon as no
    /// transaction is open; when that takes too long it ends at once.
    pub(super) async fn serve(&mut self, phase: &mut watch::Receiver<Phase>) -> Result<CloseReason, Broken> {
        let mut told = false;
        loop {
            if !told && self.is_over_in(*phase.borrow_and_update()) {
                told = true;
                self.connection.session().close(STOPPING);
            }
            let event = tokio::select! {
                biased;
                event = self.connection.next_event() => event?,
                () = changed(phase), if !told => continue,
            };
            // An answer that nobody awaits any more (the client has gone) is no fault: the session's next event says why.
            let _: Result<(), NotAwaited> = match self.answer(event) {
                Continue(answered) => answered,
                Break(Later::Closed(reason)) => return Ok(reason),
                Break(Later::Greet) => Box::pin(self.greet(phase)).await,
                Break(Later::Hello(hello)) => Box::pin(self.hello(&hello)).await,
                Break(Later::StartTls) => Ok(Box::pin(self.start_tls(phase)).await?),
                Break(Later::Etrn(argument)) => Box::pin(self.etrn(&argument)).await,
                Break(Later::Auth(step)) => Box::pin(self.auth(*step)).await,
                Break(Later::MailData(octets)) => {
                    self.mail_data(octets).await;
                    Ok(())
                }
                Break(Later::MailDataEnd(facts)) => self.mail_data_end(facts).await,
            };
        }
    }

    /// Whether the session must end in this phase of the server.
    fn is_over_in(&self, phase: Phase) -> bool {
        phase >= if self.transaction.is_some() { Phase::Ending } else { Phase::Draining }
    }

    /// Takes note of the end and brings the last reply to the client.
    pub(super) async fn end(self, reason: Result<CloseReason, Broken>) {
        let Self { connection, session, messages, refused, opened, .. } = self;
        let duration = opened.elapsed();
        match reason {
            Ok(reason) => {
                log::closed(&session, log::Closed { reason: &reason, messages, refused, duration });
                match reason {
                    CloseReason::Quit => connection.close_after_quit(CloseLimits::default()).await,
                    _ => connection.close(CloseLimits::default()).await,
                }
            }
            Err(error) => {
                log::closed(&session, log::Closed { reason: &log::Chain(&error), messages, refused, duration });
            }
        }
    }

    /// Answers one event, or says what takes longer. What is not answered here the engine has answered itself.
    fn answer(&mut self, event: Event) -> ControlFlow<Later, Result<(), NotAwaited>> {
        Continue(match event {
            Event::Connected => return Break(Later::Greet),
            Event::StartTls => return Break(Later::StartTls),
            Event::Auth(step) => return Break(Later::Auth(Box::new(step))),
            Event::MailData(octets) => return Break(Later::MailData(octets)),
            Event::Etrn(argument) => return Break(Later::Etrn(argument)),
            Event::MailDataEnd(facts) => return Break(Later::MailDataEnd(facts)),
            Event::Closed(reason) => {
                self.count_limit(reason);
                return Break(Later::Closed(reason));
            }
            Event::Hello(hello) => return Break(Later::Hello(Box::new(hello))),
            Event::Mail(mail) => {
                let begun = self.begin(mail);
                self.mail(begun)
            }
            Event::Rcpt(rcpt) => {
                let open = self.transaction.as_mut();
                let reply = open.map_or(replies::NO_TRANSACTION, |open| open.recipient(&self.shared, &rcpt));
                self.reply(Verb::Rcpt, Stage::Rcpt, reply, Paths::of_recipient(&rcpt.forward_path))
            }
            Event::MailDataStart(framing) => self.mail_data_start(framing),
            Event::XClient(told) => self.xclient(&told),
            Event::Help(_) => self.help(),
            Event::Vrfy(argument) => self.vrfy(&argument),
            Event::Expn(argument) => self.expn(&argument),
            told => {
                self.hear(told);
                Ok(())
            }
        })
    }

    /// Hears what needs no answer.
    fn hear(&mut self, event: Event) {
        match event {
            Event::Refused(refusal) => self.refused_by_engine(&refusal),
            Event::Reset => self.transaction = None,
            Event::OutOfTurn { behind, refused } => self.spoke_out_of_turn(behind, refused),
            Event::AuthCancelled => self.auth_cancelled(),
            // The engine's events grow with its extensions; none of the others is switched on here.
            _ => {}
        }
    }

    fn mail_data_start(&mut self, framing: Framing) -> Result<(), NotAwaited> {
        let (verb, code) = match framing {
            Framing::Chunked => (Verb::Bdat, ReplyCode::OK),
            _ => (Verb::Data, ReplyCode::START_MAIL_INPUT),
        };
        self.shared.metrics().command(verb, code);
        self.connection.session().begin_mail_data(now())
    }

    /// What the client is greeted with now: 220, or that it is not served.
    pub(super) fn greeting(&self) -> Reply {
        let control = &self.shared.control;
        if control.is_stopping() {
            STOPPING
        } else if control.is_accepting(SystemTime::now()) {
            self.endpoint.greeting.clone()
        } else {
            PAUSED
        }
    }

    async fn hello(&mut self, hello: &Hello) -> Result<(), NotAwaited> {
        let verb = match hello.kind {
            HelloKind::Helo => Verb::Helo,
            HelloKind::Ehlo => Verb::Ehlo,
            HelloKind::Lhlo => Verb::Lhlo,
        };
        self.shared.metrics().command(verb, ReplyCode::OK);
        let starttls = self.endpoint.tls.is_some() && !self.endpoint.implicit_tls;
        let secured = self.connection.session().tls().is_some();
        let config = self.shared.config();
        let client = offer::Client { service: self.endpoint.service, secured, may_ask: self.may_ask(&config) };
        let offered = offer::extensions(&config, client, SystemTime::now());
        let offered =
            Extensions { starttls, auth: self.mechanisms().await, xclient: self.endpoint.xclient(), ..offered };
        self.connection.session().hello(offered, now())
    }

    async fn start_tls(&mut self, phase: &mut watch::Receiver<Phase>) -> Result<(), Broken> {
        self.shared.metrics().command(Verb::StartTls, ReplyCode::SERVICE_READY);
        let tls = self.endpoint.tls.as_ref().expect("STARTTLS is offered only where there is a certificate");
        let acceptor = tls.acceptor();
        let handshake = self.connection.accept_tls(&acceptor, self.endpoint.engine.timeouts.start_tls);
        let facts = match unless_stopped(phase, async { Ok(handshake.await?) }).await {
            Ok(facts) => facts,
            Err(broken) => {
                note_broken(&self.shared, &self.session, &broken);
                return Err(broken);
            }
        };
        handshake::done(&self.shared, &self.session, &facts);
        self.connection.session().tls_established(facts, now());
        self.login = None;
        Ok(())
    }

    fn begin(&self, mail: Mail) -> Result<Transaction, Refused> {
        let config = self.shared.config();
        let sender = Sender {
            peer: self.session.peer,
            submitter: self.submitter.as_ref(),
            login: self.login(&config),
            login_state: self.login_state(&config),
        };
        Transaction::begin(&self.shared, config, &self.endpoint, sender, mail)
    }

    fn mail(&mut self, begun: Result<Transaction, Refused>) -> Result<(), NotAwaited> {
        match begun {
            Ok(transaction) => {
                let reply = transaction.taken();
                self.transaction = Some(Box::new(transaction));
                self.reply(Verb::Mail, Stage::Mail, reply, Paths::default())
            }
            Err(Refused { reply, reverse_path }) => {
                self.reply(Verb::Mail, Stage::Mail, reply, Paths::of_sender(&reverse_path))
            }
        }
    }

    async fn mail_data(&mut self, octets: bytes::Bytes) {
        let Some(transaction) = &mut self.transaction else { return };
        if let Err(reply) = Box::pin(transaction.write(octets)).await {
            self.note_refusal(Stage::Message, &reply, Paths::default());
            self.transaction = None;
            self.connection.session().refuse_mail_data(reply);
        }
    }

    async fn mail_data_end(&mut self, facts: ContentFacts) -> Result<(), NotAwaited> {
        let Some(transaction) = self.transaction.take() else {
            return self.message_reply(replies::NO_TRANSACTION, Paths::default());
        };
        let engine = self.connection.session();
        let incoming = Incoming {
            peer: self.session.peer,
            name: self.named.as_deref().and_then(Named::name).cloned(),
            hello: xclient::hello(self.named.as_deref(), engine.client_hello()),
            tls: engine.tls().cloned(),
            facts,
        };
        let commit = Box::pin(transaction.commit(&self.shared, &self.endpoint, &self.session, incoming));
        match commit.await {
            Ok(id) => {
                self.messages += 1;
                self.message_reply(replies::queued(id), Paths::default())
            }
            Err(Refused { reply, reverse_path }) => self.message_reply(reply, Paths::of_sender(&reverse_path)),
        }
    }

    /// Answers the mail data. In LMTP each recipient has its own answer (RFC 2033 §4.2): since all of them share one
    /// durable commit, it is the same for all.
    fn message_reply(&mut self, reply: Reply, paths: Paths<'_>) -> Result<(), NotAwaited> {
        let recipients = match self.endpoint.engine.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => self.connection.session().envelope().map_or(1, |envelope| envelope.recipients.len()),
        };
        for _ in 1..recipients {
            self.connection.session().reply(reply.clone(), now())?;
        }
        self.reply(Verb::Message, Stage::Message, reply, paths)
    }

    /// Sends the reply that decides an event, and takes note of it.
    pub(super) fn reply(&mut self, verb: Verb, stage: Stage, reply: Reply, paths: Paths<'_>) -> Result<(), NotAwaited> {
        self.shared.metrics().command(verb, reply.code());
        if reply.class() != ReplyClass::Completion {
            self.note_refusal(stage, &reply, paths);
        }
        self.connection.session().reply(reply, now())
    }

    /// Takes note of what the engine has refused without asking.
    fn refused_by_engine(&mut self, refusal: &Refusal) {
        let (verb, stage, paths) = match &refusal.subject {
            Subject::Command(command) => match &**command {
                Command::Hello(_) => (Verb::Ehlo, Stage::Hello, Paths::default()),
                Command::StartTls => (Verb::StartTls, Stage::StartTls, Paths::default()),
                Command::Auth { .. } => (Verb::Auth, Stage::Auth, Paths::default()),
                Command::Mail(mail) => (Verb::Mail, Stage::Mail, Paths::of_sender(&mail.reverse_path)),
                Command::Rcpt(rcpt) => (Verb::Rcpt, Stage::Rcpt, Paths::of_recipient(&rcpt.forward_path)),
                Command::Data => (Verb::Data, Stage::Data, Paths::default()),
                Command::Bdat { .. } => (Verb::Bdat, Stage::Data, Paths::default()),
                Command::XClient(_) => (Verb::XClient, Stage::Command, Paths::default()),
                _ => (Verb::Other, Stage::Command, Paths::default()),
            },
            Subject::Content => (Verb::Message, Stage::Message, Paths::default()),
            _ => (Verb::Other, Stage::Command, Paths::default()),
        };
        if is_one_recipient_too_many(refusal) {
            self.shared.metrics().guard(Guard::Recipients, GuardAction::Refused);
        }
        self.shared.metrics().command(verb, refusal.reply.code());
        self.note_refusal(stage, &refusal.reply, paths);
    }

    pub(super) fn note_refusal(&mut self, stage: Stage, reply: &Reply, paths: Paths<'_>) {
        self.refused += 1;
        self.shared.metrics().reject(stage, reply.code());
        let engine = self.connection.session();
        let refused = log::Refused {
            stage,
            reply,
            reason: &reply.text(),
            hello: self.named.as_deref().and_then(Named::hello).or(engine.client_hello().map(|hello| &hello.name)),
            reverse_path: self.transaction.as_deref().map(Transaction::reverse_path).or(paths.reverse),
            forward_path: paths.forward,
        };
        log::refused(&self.session, refused);
    }
}

fn is_one_recipient_too_many(refusal: &Refusal) -> bool {
    refusal.reply.code() == ReplyCode::INSUFFICIENT_STORAGE
        && matches!(&refusal.subject, Subject::Command(command) if matches!(**command, Command::Rcpt(_)))
}

/// Whom a refusal is about, as far as the open transaction does not say it.
#[derive(Clone, Copy, Default)]
pub(super) struct Paths<'a> {
    reverse: Option<&'a ReversePath>,
    forward: Option<&'a ForwardPath>,
}

impl<'a> Paths<'a> {
    fn of_sender(path: &'a ReversePath) -> Self {
        Self { reverse: Some(path), forward: None }
    }

    fn of_recipient(path: &'a ForwardPath) -> Self {
        Self { reverse: None, forward: Some(path) }
    }
}

fn note_broken(shared: &Shared, session: &log::Session, broken: &Broken) {
    if let Broken::Connection(error) = broken {
        handshake::failed(shared, session, error);
    }
}

/// Why a session has not come to its end in order.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// As those do who look whether the port is open: no handshake has failed.
    #[error("the client went away before it said anything")]
    Silent,
    #[error("the server is going down")]
    Stopping,
}

/// Does the work, unless the server begins to stop.
pub(super) async fn unless_stopped<T>(
    phase: &mut watch::Receiver<Phase>,
    work: impl Future<Output = Result<T, Broken>>,
) -> Result<T, Broken> {
    let stopped = async {
        while *phase.borrow_and_update() < Phase::Draining {
            changed(phase).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = stopped => Err(Broken::Stopping),
    }
}

/// Waits for the next phase; for ever where the daemon is gone, since then nobody says stop.
async fn changed(phase: &mut watch::Receiver<Phase>) {
    if phase.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
