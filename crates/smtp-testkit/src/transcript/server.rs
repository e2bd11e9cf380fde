//! Transcripts of a server session.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use smtp_proto::server::{AuthStep, Event, OutOfTurn, Protocol, Queries, Refusal, ServerConfig, ServerSession};
use smtp_proto::{
    Command, EnhancedStatus, Extensions, Limits, Mechanism, NotAwaited, Reply, ReplyCode, Secret, TlsFacts,
    XClientAttributes,
};

use super::{Role, Shown};

/// The server is under test; it is called mx.example.com. A willing caller offers PIPELINING, SIZE, STARTTLS,
/// ENHANCEDSTATUSCODES, 8BITMIME and SMTPUTF8; the rest is offered where the transcript says so.
///
/// Answers: a reply (`550 5.1.1 No such user`), `hello` with what is offered (`hello PIPELINING SIZE=1000`), `begin` to let the mail
/// data come, `challenge` with octets for AUTH; at any time: `refuse` and `close`, each with a reply, and `tell`, from when on clients
/// who speak out of turn are served.
#[derive(Debug)]
pub struct ServerRole;

impl Role for ServerRole {
    type Session = ServerSession;
    const DIRECTORY: &str = "server";
    const INPUT: char = 'C';
    const OUTPUT: char = 'S';
    const PEER_WAITS: bool = false;

    fn session(limits: Limits, now: Instant) -> ServerSession {
        session(ServerConfig { limits, ..config() }, now)
    }

    fn show(event: &Event) -> Shown {
        match event {
            Event::Connected => Shown::Asked("Connected".to_owned(), GREETING),
            Event::Hello(hello) => {
                Shown::Asked(format!("Hello({})", line(&Command::Hello(hello.clone()))), WILLING_HELLO)
            }
            Event::Mail(mail) => Shown::Asked(format!("Mail({})", line(&Command::Mail(mail.clone()))), "250 2.1.0 OK"),
            Event::Rcpt(rcpt) => Shown::Asked(format!("Rcpt({})", line(&Command::Rcpt(rcpt.clone()))), "250 2.1.5 OK"),
            Event::MailDataStart(framing) => Shown::Asked(format!("MailDataStart({framing:?})"), "begin"),
            Event::MailData(octets) => Shown::Content(octets.to_vec()),
            Event::MailDataEnd(facts) => {
                let eight_bit = match (facts.eight_bit, facts.eight_bit_header) {
                    (false, _) => "",
                    (true, false) => " 8bit",
                    (true, true) => " 8bit-header",
                };
                let binary = if facts.binary { " binary" } else { "" };
                let text = format!(
                    "MailDataEnd(octets={} longest_line_octets={}{eight_bit}{binary})",
                    facts.octets, facts.longest_line_octets
                );
                Shown::Asked(text, "250 2.6.0 Accepted")
            }
            Event::Auth(step) => Shown::Asked(auth_step(step), "535 5.7.8 Authentication failed"),
            Event::Help(None) => Shown::Asked("Help".to_owned(), "214 2.0.0 See RFC 5321"),
            Event::Help(Some(argument)) => Shown::Asked(format!("Help({argument})"), "214 2.0.0 See RFC 5321"),
            Event::Vrfy(argument) => Shown::Asked(format!("Vrfy({argument})"), "252 2.5.0 Send, and see"),
            Event::Expn(argument) => Shown::Asked(format!("Expn({argument})"), "550 5.1.1 No such list"),
            Event::Etrn(argument) => Shown::Asked(format!("Etrn({argument})"), "250 2.0.0 Begun"),
            Event::XClient(xclient) => Shown::Asked(format!("XClient({})", xclient.to_string().trim_start()), GREETING),
            Event::Refused(Refusal { reply, .. }) => Shown::Told(format!("Refused({})", reply.code())),
            other => Shown::Told(format!("{other:?}")),
        }
    }

    fn say(session: &mut ServerSession, words: &str, now: Instant) -> Result<(), String> {
        let (first, rest) = words.split_once(' ').unwrap_or((words, ""));
        match first {
            "hello" => session.hello(extensions(rest), now).map_err(not_awaited),
            "challenge" => session.challenge(rest.as_bytes(), now).map_err(not_awaited),
            "begin" => session.begin_mail_data(now).map_err(not_awaited),
            "refuse" => {
                session.refuse_mail_data(reply(rest));
                Ok(())
            }
            "tell" => {
                session.watch_turns(OutOfTurn::Tell);
                Ok(())
            }
            "close" => {
                session.close(reply(rest));
                Ok(())
            }
            _ => session.reply(reply(words), now).map_err(not_awaited),
        }
    }

    fn tls_established(session: &mut ServerSession, now: Instant) {
        session.tls_established(TlsFacts { version: "TLSv1.3".to_owned(), ..TlsFacts::default() }, now);
    }
}

/// Roles that differ from [`ServerRole`] in how their session is made, and whether its client waits for replies.
macro_rules! server_roles {
    ($($(#[$doc:meta])* $role:ident: $directory:literal, $peer_waits:literal, $session:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $role;

        impl Role for $role {
            type Session = ServerSession;
            const DIRECTORY: &str = $directory;
            const INPUT: char = ServerRole::INPUT;
            const OUTPUT: char = ServerRole::OUTPUT;
            const PEER_WAITS: bool = $peer_waits;

            fn session(limits: Limits, now: Instant) -> ServerSession {
                let new: fn(Limits, Instant) -> ServerSession = $session;
                new(limits, now)
            }

            fn show(event: &Event) -> Shown {
                ServerRole::show(event)
            }

            fn say(session: &mut ServerSession, words: &str, now: Instant) -> Result<(), String> {
                ServerRole::say(session, words, now)
            }

            fn tls_established(session: &mut ServerSession, now: Instant) {
                ServerRole::tls_established(session, now);
            }
        }
    )*};
}

server_roles! {
    /// The same for a server that speaks LMTP.
    LmtpServerRole: "lmtp-server", false, |limits, now| {
        session(ServerConfig { limits, protocol: Protocol::Lmtp, ..config() }, now)
    };
    /// The same for a server that hands on all questions.
    QueriesServerRole: "queries-server", false, |limits, now| {
        let queries = Queries { help: true, vrfy: true, expn: true, etrn: true };
        session(ServerConfig { limits, queries, ..config() }, now)
    };
    /// The same for a server that refuses clients who speak out of turn. So its client waits, but for what is written as `c:`.
    WatchfulServerRole: "watchful-server", true, |limits, now| {
        let mut session = ServerRole::session(limits, now);
        session.watch_turns(OutOfTurn::Refuse);
        session
    };
    /// The same, and its peer is trusted to name clients by XCLIENT.
    TrustingServerRole: "trusting-server", true, |limits, now| {
        let mut session = WatchfulServerRole::session(limits, now);
        session.trust_xclient();
        session
    };
}

fn config() -> ServerConfig {
    ServerConfig::new("mx.example.com".parse().expect("it is a name"))
}

fn session(config: ServerConfig, now: Instant) -> ServerSession {
    ServerSession::new(Arc::new(config), None, now)
}

const GREETING: &str = "220 mx.example.com ESMTP";
const WILLING_HELLO: &str = "hello PIPELINING SIZE=1000000 STARTTLS ENHANCEDSTATUSCODES 8BITMIME SMTPUTF8";

/// Octets that come by AUTH are shown: those in a transcript are no secrets.
fn auth_step(step: &AuthStep) -> String {
    let shown = |secret: &Secret| super::octets::write_octets(secret.as_bytes());
    match step {
        AuthStep::Begin { mechanism, initial: None } => format!("Auth({mechanism})"),
        AuthStep::Begin { mechanism, initial: Some(initial) } => format!("Auth({mechanism} \"{}\")", shown(initial)),
        AuthStep::Response(response) => format!("Auth(\"{}\")", shown(response)),
    }
}

/// A command as one line of text.
pub(super) fn line(command: &Command) -> String {
    let mut octets = BytesMut::new();
    command.encode(&mut octets);
    super::octets::write_octets(&octets)
}

pub(super) fn not_awaited(_: NotAwaited) -> String {
    "NotAwaited".to_owned()
}

/// What is offered, from EHLO keywords with `SIZE=` for a size; AUTH is PLAIN and LOGIN.
fn extensions(words: &str) -> Extensions {
    let mut extensions = Extensions::default();
    for word in words.split_whitespace() {
        match word {
            "PIPELINING" => extensions.pipelining = true,
            "STARTTLS" => extensions.starttls = true,
            "ENHANCEDSTATUSCODES" => extensions.enhanced_status_codes = true,
            "8BITMIME" => extensions.eight_bit_mime = true,
            "SMTPUTF8" => extensions.smtputf8 = true,
            "CHUNKING" => extensions.chunking = true,
            "BINARYMIME" => extensions.binary_mime = true,
            "DSN" => extensions.dsn = true,
            "REQUIRETLS" => extensions.require_tls = true,
            "XCLIENT" => extensions.xclient = XClientAttributes::ALL,
            "AUTH" => extensions.auth = vec![Mechanism::PLAIN, Mechanism::LOGIN],
            _ => {
                let octets = word.strip_prefix("SIZE=").and_then(|octets| octets.parse().ok());
                extensions.size = Some(octets.unwrap_or_else(|| panic!("no such extension: {word}")));
            }
        }
    }
    extensions
}

/// A reply as it is read: code, enhanced status code where there is one, text.
fn reply(words: &str) -> Reply {
    let (code, rest) = words.split_once(' ').unwrap_or((words, ""));
    let code = code.parse().ok().and_then(ReplyCode::from_number).unwrap_or_else(|| panic!("no reply: {words}"));
    let (status, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let reply = match status.parse::<EnhancedStatus>() {
        Ok(status) => Reply::new(code, status, "").with_text(text),
        Err(_) => Reply::without_status(code, "").with_text(rest),
    };
    reply.unwrap_or_else(|_| panic!("no reply: {words}"))
}
