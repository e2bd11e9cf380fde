//! The events. Each function is one line of the log.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use smtp_mail::{MessageId, RecipientId, Report};
use smtp_proto::{ForwardPath, HelloName, Reply, ReversePath, TlsFacts, Told, XClient, XClientProtocol};
use smtp_sasl::Login;
use tracing::field::DisplayValue;
use tracing::{info, warn};

use crate::listener::Peer;
use crate::metrics::{
    AttemptResult, AuthMechanism, DeliveryClass, Guard, GuardAction, ProxyRefusal, Service, Stage, TlsFailure,
};

/// The number of a session, in every line that it writes. Not reused while the clock goes forward, restarts included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(u64);

impl SessionId {
    /// The next one. They count up from the second in which the first was asked for.
    pub fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        if LAST.load(Ordering::Relaxed) == 0 {
            let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs());
            let _ = LAST.compare_exchange(0, seconds << 24, Ordering::Relaxed, Ordering::Relaxed);
        }
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// What identifies a session in the log.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// What the listener is for.
    pub service: Service,
    /// Who the client is.
    pub peer: Peer,
    /// The address of the proxy, or of the peer with XCLIENT, that speaks for the client, where one does.
    pub proxy: Option<IpAddr>,
}

impl Session {
    /// A new session, with a number of its own.
    pub fn new(service: Service, peer: Peer) -> Self {
        Self { id: SessionId::next(), service, peer, proxy: None }
    }
}

/// The line of an event of a session, with what identifies it: the same in all of them.
macro_rules! of_session {
    ($level:ident, $session:expr, $event:literal, $($field:tt)*) => {{
        let session: &Session = $session;
        tracing::$level!(
            event = $event,
            session = %session.id,
            service = session.service.as_str(),
            peer = %session.peer,
            proxy = session.proxy.map(shown),
            $($field)*
        );
    }};
}

/// A client has connected.
pub fn connected(session: &Session) {
    of_session!(debug, session, "connected",);
}

/// A TLS handshake with a client is done.
pub fn tls_established(session: &Session, facts: &TlsFacts) {
    let certificate = facts.peer_certificate.as_deref();
    of_session!(
        info,
        session,
        "tls",
        version = facts.version.as_str(),
        cipher_suite = facts.cipher_suite.as_str(),
        key_exchange = facts.key_exchange.as_deref(),
        resumed = facts.resumed,
        server_name = facts.server_name.as_deref(),
        client_certificate = certificate.map(|found| format!("sha256:{}", found.fingerprint_hex())),
        client_name = certificate.and_then(|found| found.common_name.as_deref()),
    );
}

/// A TLS handshake with a client has failed.
pub fn tls_failed(session: &Session, reason: TlsFailure, text: &dyn Display) {
    of_session!(
        info, session, "tls_failed",
        reason = reason.as_str(),
        advice = reason.advice(),
        text = %text,
    );
}

/// A connection to a listener behind a proxy was closed without a word: it began with no header that can be used.
pub fn proxy_refused(session: &Session, reason: ProxyRefusal, text: &dyn Display) {
    of_session!(
        info, session, "proxy_refused",
        reason = reason.as_str(),
        advice = reason.advice(),
        text = %text,
    );
}

/// A peer has said by XCLIENT for which client it speaks. All of it is what the peer says.
pub fn xclient(session: &Session, told: &XClient) {
    of_session!(
        info,
        session,
        "xclient",
        protocol = told.protocol.map(XClientProtocol::as_str),
        destination = told.destination_address.and_then(Told::known).map(shown),
        destination_port = told.destination_port.and_then(Told::known),
        name = told.name.as_ref().map(shown),
        hello = told.hello.as_ref().map(shown),
        login = told.login.as_ref().map(shown),
    );
}

/// A client has logged in.
pub fn authenticated(session: &Session, mechanism: AuthMechanism, login: &Login) {
    of_session!(info, session, "authenticated", mechanism = mechanism.as_str(), login = login.as_str(),);
}

/// A client was not let in. `reason` is in our words; `login` is who it said it was, as far as it did.
pub fn authentication_failed(session: &Session, mechanism: AuthMechanism, login: Option<&Login>, reason: &dyn Display) {
    of_session!(
        warn, session, "authentication_failed",
        mechanism = mechanism.as_str(),
        reason = %reason,
        login = login.map(Login::as_str),
    );
}

/// A client did not wait for its turn to speak, behind this: a verb, or a word for what is no command.
pub fn out_of_turn(session: &Session, guard: Guard, action: GuardAction, behind: &'static str) {
    of_session!(info, session, "out_of_turn", guard = guard.as_str(), action = action.as_str(), behind = behind,);
}

/// How a session ended.
#[derive(Clone, Copy)]
pub struct Closed<'a> {
    /// Why ("quit", "end of stream", the deadline that passed).
    pub reason: &'a dyn Display,
    /// Messages that were accepted.
    pub messages: u64,
    /// Commands and messages that were refused.
    pub refused: u64,
    /// How long it was open.
    pub duration: Duration,
}

/// A session has ended.
pub fn closed(session: &Session, end: Closed<'_>) {
    of_session!(
        info, session, "closed",
        messages = end.messages,
        refused = end.refused,
        seconds = end.duration.as_secs_f64(),
        reason = %end.reason,
    );
}

/// What was refused, and why.
#[derive(Clone, Copy)]
pub struct Refused<'a> {
    /// Where in the session.
    pub stage: Stage,
    /// The reply that the client got.
    pub reply: &'a Reply,
    /// Why, in our words: the rule or the limit.
    pub reason: &'a dyn Display,
    /// The name after EHLO or HELO.
    pub hello: Option<&'a HelloName>,
    /// The reverse-path, when MAIL has come so far.
    pub reverse_path: Option<&'a ReversePath>,
    /// The forward-path that was refused.
    pub forward_path: Option<&'a ForwardPath>,
}

/// A connection, a command or a message was refused.
pub fn refused(session: &Session, refused: Refused<'_>) {
    of_session!(
        info, session, "refused",
        stage = refused.stage.as_str(),
        code = u64::from(refused.reply.code().number()),
        status = refused.reply.status().map(shown),
        reason = %refused.reason,
        hello = refused.hello.map(shown),
        reverse_path = refused.reverse_path.map(shown),
        forward_path = refused.forward_path.map(shown),
    );
}

/// A client was turned away before its session began.
pub fn turned_away(session: &Session, reply: &Reply, reason: &dyn Display) {
    let stage = Stage::Connect;
    refused(session, Refused { stage, reply, reason, hello: None, reverse_path: None, forward_path: None });
}

/// A message that was accepted.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    /// Its id in the queue.
    pub message: MessageId,
    /// Octets of its content.
    pub octets: u64,
    /// How many recipients were accepted.
    pub recipients: usize,
    /// How the connection was protected ("TLSv1.3 ..."), if it was.
    pub tls: Option<&'a str>,
    /// The name after EHLO or HELO.
    pub hello: Option<&'a HelloName>,
    /// The reverse-path.
    pub reverse_path: &'a ReversePath,
    /// What MAIL has asked for on the way ("REQUIRETLS BY=120;R"), where it has.
    pub terms: Option<&'a str>,
    /// The Message-ID field, as the message has it.
    pub message_id_field: Option<&'a str>,
}

/// A message is durable, and its 250 is on the way.
pub fn received(session: &Session, received: Received<'_>) {
    of_session!(
        info, session, "received",
        message = %received.message,
        octets = received.octets,
        recipients = received.recipients as u64,
        tls = received.tls,
        hello = received.hello.map(shown),
        reverse_path = %received.reverse_path,
        terms = received.terms,
        message_id_field = received.message_id_field,
    );
}

/// A message was accepted and is held, until somebody has looked at it.
pub fn held(session: &Session, message: MessageId, reason: &str) {
    of_session!(
        warn, session, "held",
        message = %message,
        advice = "look at it: smtpctl show message ID; then smtpctl resume envelope ID, or remove ID",
        reason,
    );
}

/// What came of an attempt for one recipient.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// The recipient.
    pub recipient: RecipientId,
    /// How it ended.
    pub result: AttemptResult,
    /// Into a mailbox, or to another server.
    pub class: DeliveryClass,
    /// The lane in which it was tried.
    pub lane: &'a dyn Display,
    /// How many attempts there were with this one.
    pub attempts: u32,
    /// Time since the message was received.
    pub age: Duration,
    /// When it is tried again.
    pub due: Option<SystemTime>,
    /// The reverse-path.
    pub reverse_path: &'a ReversePath,
    /// The forward-path that was tried.
    pub forward_path: &'a ForwardPath,
    /// The forward-path as it was received, where an alias changed it.
    pub original: Option<&'a ForwardPath>,
    /// What the next hop or the mailbox said, or what went wrong.
    pub report: &'a Report,
}

/// An attempt has ended for one recipient: the event is `delivered`, `deferred`, `failed` or `expired`.
pub fn attempt(attempt: Attempt<'_>) {
    let report = attempt.report;
    info!(
        event = attempt.result.as_str(),
        recipient = %attempt.recipient,
        class = attempt.class.as_str(),
        lane = %attempt.lane,
        attempts = u64::from(attempt.attempts),
        age_seconds = attempt.age.as_secs_f64(),
        due = attempt.due.map(|due| shown(Rfc3339(due))),
        status = %report.status,
        code = report.reply.as_ref().map(|reply| u64::from(reply.code().number())),
        tls = report.tls.as_deref(),
        host = report.host.as_ref().map(shown),
        reverse_path = %attempt.reverse_path,
        forward_path = %attempt.forward_path,
        original = attempt.original.map(shown),
        text = report.text(),
    );
}

/// A report about a delay has been put into the queue for a message.
pub fn delay_notice(message: MessageId, report: MessageId) {
    info!(event = "delay_notice", message = %message, report = %report);
}

/// A report of success, which the sender has asked for, has been put into the queue for a message.
pub fn success_reported(message: MessageId, report: MessageId) {
    info!(event = "success_reported", message = %message, report = %report);
}

/// A failure report has been put into the queue for a message.
pub fn bounced(message: MessageId, report: MessageId) {
    info!(event = "bounced", message = %message, report = %report);
}

/// What somebody did by the admin socket.
#[derive(Clone, Copy)]
pub struct Act<'a> {
    /// The user id of the process that asked.
    pub uid: u32,
    /// What was asked ("pause", "remove").
    pub act: &'a str,
    /// On what, in words.
    pub target: &'a dyn Display,
    /// How many deliveries were changed by it.
    pub changed: u64,
    /// The reason that was given.
    pub reason: Option<&'a str>,
}

/// Somebody changed something by the admin socket.
pub fn act(act: Act<'_>) {
    warn!(
        event = "act",
        uid = u64::from(act.uid),
        act = act.act,
        changed = act.changed,
        target = %act.target,
        reason = act.reason,
    );
}

fn shown<T: Display>(value: T) -> DisplayValue<T> {
    tracing::field::display(value)
}

struct Rfc3339(SystemTime);

impl Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::try_from(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => f.write_str("-"),
        }
    }
}
