//! One session with a client, from the greeting to the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use smtp_io::{CloseLimits, Connection, ConnectionError, Stream, now};
use smtp_proto::server::{CloseReason, Event, ServerSession};
use smtp_proto::{
    ContentFacts, EnhancedStatus, Extensions, ForwardPath, Hello, HelloKind, NotAwaited, Reply, ReplyClass, ReplyCode,
    TlsFacts,
};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::transaction::{Incoming, Transaction};
use super::{Endpoint, replies};
use crate::listener::SessionPermit;
use crate::log;
use crate::metrics::{Direction, SessionGuard, Stage, Verb};
use crate::shared::Shared;

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
    connection: Connection<ServerSession>,
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    session: log::Session,
    transaction: Option<Box<Transaction>>,
    opened: Instant,
    messages: u64,
    refused: u64,
    _guard: SessionGuard,
    _permit: SessionPermit,
}

impl Receiver {
    /// Greets the client, under TLS where that comes first. `None` where the handshake fails, which is logged.
    pub(super) async fn open(
        tcp: TcpStream,
        peer: SocketAddr,
        shared: Arc<Shared>,
        endpoint: Arc<Endpoint>,
        permit: SessionPermit,
    ) -> Option<Self> {
        let session = log::Session { id: log::SessionId::next(), service: endpoint.service, peer };
        let guard = shared.metrics().session_opened(endpoint.service);
        log::connected(&session);
        let mut stream = Stream::from(tcp);
        let mut tls = None;
        if let (true, Some(acceptor)) = (endpoint.implicit_tls, &endpoint.acceptor) {
            match stream.accept_tls(acceptor, endpoint.engine.timeouts.start_tls).await {
                Ok(facts) => tls = Some(facts),
                Err(error) => {
                    shared.metrics().tls_failed(Direction::In);
                    log::closed(
                        &session,
                        log::Closed { reason: &log::Chain(&error), messages: 0, refused: 0, duration: Duration::ZERO },
                    );
                    return None;
                }
            }
        }
        if let Some(facts) = &tls {
            note_tls(&shared, &session, facts);
        }
        let engine = ServerSession::new(Arc::clone(&endpoint.engine), tls, now());
        Some(Self {
            connection: Connection::new(stream, engine),
            shared,
            endpoint,
            session,
            transaction: None,
            opened: Instant::now(),
            messages: 0,
            refused: 0,
            _guard: guard,
            _permit: permit,
        })
    }

    /// Serves the client to the end of the session. When `stop` turns true the session ends with 421 as soon as no
    /// transaction is open.
    pub(super) async fn serve(mut self, mut stop: watch::Receiver<bool>) {
        let mut told = false;
        let reason = loop {
            let event = tokio::select! {
                biased;
                event = self.connection.next_event() => event,
                () = turned_true(&mut stop), if !told && self.transaction.is_none() => {
                    told = true;
                    self.connection.session().close(STOPPING);
                    continue;
                }
            };
            match event {
                Ok(Event::Closed(reason)) => break Ok(reason),
                Ok(event) => match self.answer(event).await {
                    Ok(()) => {}
                    Err(error) => break Err(error),
                },
                Err(error) => break Err(error),
            }
        };
        self.end(reason).await;
    }

    async fn end(self, reason: Result<CloseReason, ConnectionError>) {
        let Self { connection, session, messages, refused, opened, .. } = self;
        let duration = opened.elapsed();
        match reason {
            Ok(reason) => {
                log::closed(&session, log::Closed { reason: &reason, messages, refused, duration });
                connection.close(CloseLimits::default()).await;
            }
            Err(error) => {
                log::closed(&session, log::Closed { reason: &log::Chain(&error), messages, refused, duration });
            }
        }
    }

    /// Answers one event. What is not answered here the engine has answered itself.
    async fn answer(&mut self, event: Event) -> Result<(), ConnectionError> {
        // An answer that nobody awaits any more (the client has gone) is no fault: the session's next event says why.
        let _: Result<(), NotAwaited> = match event {
            Event::Connected => self.greet(),
            Event::Hello(hello) => self.hello(&hello),
            Event::StartTls => return self.start_tls().await,
            Event::Mail(mail) => {
                let begun = Transaction::begin(&self.shared, &self.endpoint, self.session.peer.ip(), mail);
                self.mail(begun)
            }
            Event::Rcpt(rcpt) => {
                let reply = self.transaction.as_mut().map_or(replies::NO_TRANSACTION, |open| open.recipient(&rcpt));
                self.reply(Verb::Rcpt, Stage::Rcpt, reply, Some(&rcpt.forward_path))
            }
            Event::MailDataStart(_) => {
                self.shared.metrics().command(Verb::Data, ReplyCode::START_MAIL_INPUT);
                self.connection.session().begin_mail_data(now())
            }
            Event::MailData(octets) => {
                self.mail_data(octets).await;
                Ok(())
            }
            Event::MailDataEnd(facts) => self.mail_data_end(facts).await,
            Event::Reset => {
                self.transaction = None;
                Ok(())
            }
            // The engine's events grow with its extensions; none of the others is switched on here.
            _ => Ok(()),
        };
        Ok(())
    }

    fn greet(&mut self) -> Result<(), NotAwaited> {
        let reply =
            if self.shared.control.is_accepting(SystemTime::now()) { self.endpoint.greeting.clone() } else { PAUSED };
        if reply.class() != ReplyClass::Completion {
            self.note_refusal(Stage::Connect, &reply, None);
        }
        self.connection.session().reply(reply, now())
    }

    fn hello(&mut self, hello: &Hello) -> Result<(), NotAwaited> {
        let verb = if hello.kind == HelloKind::Helo { Verb::Helo } else { Verb::Ehlo };
        self.shared.metrics().command(verb, ReplyCode::OK);
        let offered = Extensions {
            size: Some(self.shared.config().limits.message_octets),
            pipelining: true,
            eight_bit_mime: true,
            smtputf8: true,
            enhanced_status_codes: true,
            starttls: self.endpoint.acceptor.is_some() && !self.endpoint.implicit_tls,
        };
        self.connection.session().hello(offered, now())
    }

    async fn start_tls(&mut self) -> Result<(), ConnectionError> {
        self.shared.metrics().command(Verb::StartTls, ReplyCode::SERVICE_READY);
        let acceptor = self.endpoint.acceptor.clone().expect("STARTTLS is offered only where there is a certificate");
        let facts = match self.connection.accept_tls(&acceptor, self.endpoint.engine.timeouts.start_tls).await {
            Ok(facts) => facts,
            Err(error) => {
                self.shared.metrics().tls_failed(Direction::In);
                return Err(error);
            }
        };
        note_tls(&self.shared, &self.session, &facts);
        self.connection.session().tls_established(facts, now());
        Ok(())
    }

    fn mail(&mut self, begun: Result<Transaction, Reply>) -> Result<(), NotAwaited> {
        match begun {
            Ok(transaction) => {
                self.transaction = Some(Box::new(transaction));
                self.reply(Verb::Mail, Stage::Mail, replies::SENDER_OK, None)
            }
            Err(reply) => self.reply(Verb::Mail, Stage::Mail, reply, None),
        }
    }

    async fn mail_data(&mut self, octets: bytes::Bytes) {
        let Some(transaction) = &mut self.transaction else { return };
        if let Err(reply) = transaction.write(octets).await {
            self.note_refusal(Stage::Message, &reply, None);
            self.transaction = None;
            self.connection.session().refuse_mail_data(reply);
        }
    }

    async fn mail_data_end(&mut self, facts: ContentFacts) -> Result<(), NotAwaited> {
        let Some(transaction) = self.transaction.take() else {
            return self.reply(Verb::Message, Stage::Message, replies::NO_TRANSACTION, None);
        };
        let engine = self.connection.session();
        let incoming = Incoming {
            peer: self.session.peer,
            hello: engine.client_hello().cloned(),
            tls: engine.tls().cloned(),
            facts,
        };
        let reply = match transaction.commit(&self.shared, &self.endpoint, &self.session, incoming).await {
            Ok(id) => {
                self.messages += 1;
                replies::queued(id)
            }
            Err(reply) => reply,
        };
        self.reply(Verb::Message, Stage::Message, reply, None)
    }

    /// Sends the reply that decides an event, and takes note of it.
    fn reply(
        &mut self,
        verb: Verb,
        stage: Stage,
        reply: Reply,
        forward_path: Option<&ForwardPath>,
    ) -> Result<(), NotAwaited> {
        self.shared.metrics().command(verb, reply.code());
        if reply.class() != ReplyClass::Completion {
            self.note_refusal(stage, &reply, forward_path);
        }
        self.connection.session().reply(reply, now())
    }

    fn note_refusal(&mut self, stage: Stage, reply: &Reply, forward_path: Option<&ForwardPath>) {
        self.refused += 1;
        self.shared.metrics().reject(stage, reply.code());
        let engine = self.connection.session();
        let hello = engine.client_hello().map(|hello| &hello.name);
        let reverse_path = self.transaction.as_deref().map(Transaction::reverse_path);
        let refused = log::Refused { stage, reply, reason: &reply.text(), hello, reverse_path, forward_path };
        log::refused(&self.session, refused);
    }
}

fn note_tls(shared: &Shared, session: &log::Session, facts: &TlsFacts) {
    shared.metrics().tls(Direction::In, &facts.version, false);
    log::tls_established(session, &facts.version, &facts.cipher_suite);
}

/// Ends when the value turns true; never when its sender is gone, since then nobody says stop.
async fn turned_true(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|&stop| stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
