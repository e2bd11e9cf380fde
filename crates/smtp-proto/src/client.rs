//! The client's side of a session (RFC 5321 §3, RFC 2033, RFC 2920, RFC 3030, RFC 3207, RFC 4954).

mod auth;
mod content;
mod event;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

pub use event::{CloseReason, Event, Stage};

use crate::limits::Limits;
use crate::mail_data::ContentFacts;
use crate::parameter::AuthIdentity;
use crate::session::{Deadline, NotAwaited, Protocol, Session, Timer};
use crate::tls::TlsFacts;
use crate::{Command, Envelope, Extensions, HelloName, ReplyReader, Unfit};
use state::State;

/// What all sessions of a client have in common.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The name that EHLO, HELO or LHLO gives.
    pub hello_name: HelloName,
    /// What is spoken.
    pub protocol: Protocol,
    /// Whether content goes by BDAT where the server offers CHUNKING (RFC 3030); else by DATA always. On by default.
    pub chunking: bool,
    /// How much is taken from a server.
    pub limits: Limits,
    /// How long is waited for a server.
    pub timeouts: ClientTimeouts,
}

impl ClientConfig {
    /// The defaults for a client of this name.
    pub fn new(hello_name: HelloName) -> Self {
        Self {
            hello_name,
            protocol: Protocol::Smtp,
            chunking: true,
            limits: Limits::default(),
            timeouts: ClientTimeouts::default(),
        }
    }

    /// Of what a server offers, what is made use of.
    fn usable(&self, offered: Extensions) -> Extensions {
        let chunking = offered.chunking && self.chunking;
        // Without BDAT there is no way to send binary content.
        Extensions { chunking, binary_mime: offered.binary_mime && chunking, ..offered }
    }
}

/// How long a client session waits for its server. The defaults are those of RFC 5321 §4.5.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// For the greeting: 5 minutes (§4.5.3.2.1).
    pub greeting: Duration,
    /// For the reply to EHLO or HELO: 5 minutes.
    pub hello: Duration,
    /// For the reply to STARTTLS, and for the handshake: 2 minutes each.
    pub start_tls: Duration,
    /// For each reply in the course of AUTH: 5 minutes.
    pub auth: Duration,
    /// For the reply to MAIL: 5 minutes (§4.5.3.2.2).
    pub mail: Duration,
    /// For the reply to RCPT: 5 minutes (§4.5.3.2.3).
    pub rcpt: Duration,
    /// For the reply to DATA: 2 minutes (§4.5.3.2.4).
    pub data_initiation: Duration,
    /// For the server to take a piece of output: 3 minutes (§4.5.3.2.5).
    pub data_block: Duration,
    /// For the reply to the end of the mail data: 10 minutes (§4.5.3.2.6).
    pub data_termination: Duration,
    /// For the reply to QUIT: 30 seconds, since nothing depends on it.
    pub quit: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            greeting: Duration::from_mins(5),
            hello: Duration::from_mins(5),
            start_tls: Duration::from_mins(2),
            auth: Duration::from_mins(5),
            mail: Duration::from_mins(5),
            rcpt: Duration::from_mins(5),
            data_initiation: Duration::from_mins(2),
            data_block: Duration::from_mins(3),
            data_termination: Duration::from_mins(10),
            quit: Duration::from_secs(30),
        }
    }
}

impl ClientTimeouts {
    const fn of(&self, timer: Timer) -> Duration {
        match timer {
            Timer::Greeting => self.greeting,
            Timer::Hello => self.hello,
            Timer::StartTls => self.start_tls,
            Timer::Auth => self.auth,
            Timer::Mail | Timer::Command | Timer::Session => self.mail,
            Timer::Rcpt => self.rcpt,
            Timer::DataInitiation => self.data_initiation,
            Timer::DataBlock | Timer::MailData | Timer::Transmit => self.data_block,
            Timer::DataTermination => self.data_termination,
            Timer::Quit => self.quit,
        }
    }
}

/// A client's side of one connection: greets, secures, and brings any number of messages across, one after the other.
/// See [`Session`] for the law of use and [`Event`] for what comes.
#[derive(Debug)]
pub struct ClientSession {
    config: Arc<ClientConfig>,
    state: State,
    extensions: Extensions,
    tls: Option<Box<TlsFacts>>,
    /// AUTH has succeeded.
    authenticated: bool,
    replies: ReplyReader,
    output: VecDeque<Bytes>,
    /// The server may still hold a transaction that has failed: RSET goes before the next.
    stale: bool,
    /// What the session did when it ended.
    last_stage: Stage,
    /// The last progress: timeouts count from here.
    progress: Instant,
}

/// Why a transaction cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// The session has ended, or is busy with something else.
    #[error("the session is not ready for a transaction")]
    NotReady,
    /// The envelope has no recipients.
    #[error("there are no recipients")]
    NoRecipients,
    /// The message may not be sent to this server.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

impl ClientSession {
    /// Begins a session on a connection just made; `tls` where TLS was there before SMTP began. The greeting is awaited.
    pub fn new(config: Arc<ClientConfig>, tls: Option<TlsFacts>, now: Instant) -> Self {
        Self {
            replies: ReplyReader::new(&config.limits),
            config,
            state: State::Greeting,
            extensions: Extensions::default(),
            tls: tls.map(Box::new),
            authenticated: false,
            output: VecDeque::new(),
            stale: false,
            last_stage: Stage::Greeting,
            progress: now,
        }
    }

    /// Asks for TLS (RFC 3207). [`Event::StartTls`] or [`Event::Refused`] follows.
    ///
    /// # Errors
    ///
    /// [`NotAwaited`] where the session is not ready, there is TLS already, or the server does not offer it.
    pub fn start_tls(&mut self, now: Instant) -> Result<(), NotAwaited> {
        if !matches!(self.state, State::Ready) || self.tls.is_some() || !self.extensions.starttls {
            return Err(NotAwaited);
        }
        self.state = State::StartTls;
        self.send(&[Command::StartTls], now);
        Ok(())
    }

    /// The handshake after [`Event::StartTls`] is done: all that was known of the server is forgotten, and so is what it
    /// knew of us; EHLO is said again (RFC 3207 §4.2).
    pub fn tls_established(&mut self, tls: TlsFacts, now: Instant) {
        if matches!(self.state, State::Handshake) {
            self.tls = Some(Box::new(tls));
            self.extensions = Extensions::default();
            self.authenticated = false;
            self.stale = false;
            self.say_hello(now);
        }
    }

    /// Begins a transaction: MAIL, each RCPT and DATA, in one group where PIPELINING is offered (RFC 2920). Where
    /// CHUNKING is offered, BDAT takes the place of DATA when a recipient was accepted.
    ///
    /// The parameters follow from `facts` and from what the server offers ([`Extensions::fit`]). A server that we have logged in to
    /// is told that nobody vouches for who submitted the message: `AUTH=<>` (RFC 4954 §5).
    ///
    /// # Errors
    ///
    /// Nothing has been sent then, and the session is as before.
    pub fn begin(&mut self, envelope: &Envelope, facts: &ContentFacts, now: Instant) -> Result<(), BeginError> {
        if !matches!(self.state, State::Ready) {
            return Err(BeginError::NotReady);
        }
        if envelope.recipients.is_empty() {
            return Err(BeginError::NoRecipients);
        }
        let mut envelope = self.extensions.fit(envelope, facts)?;
        if self.authenticated {
            envelope.mail.parameters.auth = Some(AuthIdentity::Unknown);
        }
        self.begin_transaction(envelope, now);
        Ok(())
    }

    /// Ends the session with QUIT; in the midst of something, without it.
    pub fn quit(&mut self, now: Instant) {
        match self.state {
            State::Ready | State::NoService => {
                self.state = State::Quit;
                self.send(&[Command::Quit], now);
            }
            State::Quit | State::Ended(_) | State::Closed => {}
            _ => self.end(CloseReason::Local),
        }
    }

    /// What the server offers; nothing before [`Event::Ready`].
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What is known of TLS; `None` in the clear.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_deref()
    }

    /// What the session does; after [`Event::Closed`], what it did when it ended.
    pub fn stage(&self) -> Stage {
        self.state.stage().unwrap_or(self.last_stage)
    }

    /// Queues command lines as one piece.
    fn send(&mut self, commands: &[Command], now: Instant) {
        let mut lines = BytesMut::new();
        for command in commands {
            command.encode(&mut lines);
            lines.extend_from_slice(b"\r\n");
        }
        self.output.push_back(lines.freeze());
        self.progress = now;
    }

    /// Nothing more is taken or sent.
    fn end(&mut self, reason: CloseReason) {
        self.last_stage = self.stage();
        self.output.clear();
        self.state = State::Ended(Box::new(reason));
    }
}

impl Session for ClientSession {
    type Event = Event;

    fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Option<Event> {
        self.advance(now, input)
    }

    fn handle_eof(&mut self) -> Option<Event> {
        match self.state {
            State::Ended(_) | State::Closed => {}
            State::Quit => self.end(CloseReason::Quit),
            _ => self.end(CloseReason::EndOfStream),
        }
        self.ended()
    }

    fn handle_timeout(&mut self, now: Instant) -> Option<Event> {
        let due = self.poll_timeout().filter(|deadline| deadline.at <= now)?;
        self.end(CloseReason::Timeout(due.reason));
        self.ended()
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if self.output.is_empty() {
            self.frame_chunk();
        }
        let piece = self.output.pop_front();
        if piece.is_some() {
            self.progress = now;
        }
        piece
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let timer = match self.state.timer()? {
            Timer::DataTermination if !self.output.is_empty() => Timer::DataBlock,
            timer => timer,
        };
        Some(Deadline { at: self.progress + self.config.timeouts.of(timer), reason: timer })
    }
}
