//! Transcripts of a client session.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use smtp_proto::client::{ClientConfig, ClientSession, Event};
use smtp_proto::{ContentFacts, Envelope, Extensions, Limits, Mail, Protocol, Rcpt, RemoteReply, Secret, TlsFacts};

use super::octets::{read_octets, write_octets};
use super::server::not_awaited;
use super::{Role, Shown};

/// The client is under test; it is called client.example.
///
/// The caller says: `begin`, with the commands and the facts (`begin MAIL FROM:<a@example.com>, RCPT TO:<b@example.net>, 8bit octets=100`); `data`
/// with octets; `finish`; `starttls`; `auth` with a mechanism and, if there is one, the initial response (`=` an empty one); `respond` with octets; `cancel`; `quit`.
#[derive(Debug)]
pub struct ClientRole;

/// The same, over LMTP.
#[derive(Debug)]
pub struct LmtpClientRole;

impl Role for LmtpClientRole {
    type Session = ClientSession;
    const DIRECTORY: &str = "lmtp-client";
    const INPUT: char = 'S';
    const OUTPUT: char = 'C';
    const PEER_WAITS: bool = true;

    fn session(limits: Limits, now: Instant) -> ClientSession {
        session(Protocol::Lmtp, limits, now)
    }

    fn show(event: &Event) -> Shown {
        ClientRole::show(event)
    }

    fn say(session: &mut ClientSession, words: &str, now: Instant) -> Result<(), String> {
        ClientRole::say(session, words, now)
    }

    fn tls_established(session: &mut ClientSession, now: Instant) {
        ClientRole::tls_established(session, now);
    }
}

fn session(protocol: Protocol, limits: Limits, now: Instant) -> ClientSession {
    let hello_name = "client.example".parse().expect("it is a name");
    let config = ClientConfig { limits, protocol, ..ClientConfig::new(hello_name) };
    ClientSession::new(Arc::new(config), None, now)
}

impl Role for ClientRole {
    type Session = ClientSession;
    const DIRECTORY: &str = "client";
    const INPUT: char = 'S';
    const OUTPUT: char = 'C';
    const PEER_WAITS: bool = true;

    fn session(limits: Limits, now: Instant) -> ClientSession {
        session(Protocol::Smtp, limits, now)
    }

    fn show(event: &Event) -> Shown {
        Shown::Told(match event {
            Event::Ready(extensions) => format!("Ready({})", show_extensions(extensions)),
            Event::Recipient { index, reply } => format!("Recipient({index}, {})", show_reply(reply)),
            Event::Delivered { index, reply } => format!("Delivered({index}, {})", show_reply(reply)),
            Event::NotDelivered { index, reply } => format!("NotDelivered({index}, {})", show_reply(reply)),
            // In a transcript nothing is secret.
            Event::Challenge(challenge) => format!("Challenge(\"{}\")", write_octets(challenge.as_bytes())),
            Event::Refused { stage, reply } => format!("Refused({stage:?}, {})", show_reply(reply)),
            other => format!("{other:?}"),
        })
    }

    fn say(session: &mut ClientSession, words: &str, now: Instant) -> Result<(), String> {
        let (first, rest) = words.split_once(' ').unwrap_or((words, ""));
        match first {
            "begin" => {
                let (envelope, facts) = message(rest).unwrap_or_else(|| panic!("no message: {rest}"));
                session.begin(&envelope, &facts, now).map_err(|error| format!("BeginError({error})"))
            }
            "data" => session.send_mail_data(Bytes::from(read_octets(rest)), now).map_err(not_awaited),
            "finish" => session.finish_mail_data(now).map_err(not_awaited),
            "starttls" => session.start_tls(now).map_err(not_awaited),
            "auth" => {
                let (mechanism, initial) =
                    rest.split_once(' ').map_or((rest, None), |(name, octets)| (name, Some(octets)));
                let mechanism = mechanism.parse().unwrap_or_else(|_| panic!("no mechanism: {words}"));
                let initial =
                    initial.map(|octets| Secret::new(if octets == "=" { Vec::new() } else { read_octets(octets) }));
                session.authenticate(mechanism, initial, now).map_err(not_awaited)
            }
            "respond" => session.respond(Secret::new(read_octets(rest)), now).map_err(not_awaited),
            "cancel" => session.cancel_authentication(now).map_err(not_awaited),
            "quit" => {
                session.quit(now);
                Ok(())
            }
            _ => panic!("nothing to say: {words}"),
        }
    }

    fn tls_established(session: &mut ClientSession, now: Instant) {
        session.tls_established(TlsFacts { version: "TLSv1.3".to_owned(), ..TlsFacts::default() }, now);
    }
}

fn show_reply(reply: &RemoteReply) -> String {
    reply.escaped(200)
}

fn show_extensions(extensions: &Extensions) -> String {
    let size = extensions.size.map(|octets| format!("SIZE={octets}"));
    let flags = [
        (extensions.pipelining, "PIPELINING"),
        (extensions.starttls, "STARTTLS"),
        (extensions.enhanced_status_codes, "ENHANCEDSTATUSCODES"),
        (extensions.eight_bit_mime, "8BITMIME"),
        (extensions.smtputf8, "SMTPUTF8"),
        (extensions.chunking, "CHUNKING"),
        (extensions.binary_mime, "BINARYMIME"),
        (extensions.dsn, "DSN"),
        (extensions.require_tls, "REQUIRETLS"),
    ];
    let offered = flags.into_iter().filter(|(offered, _)| *offered).map(|(_, word)| word.to_owned());
    let auth = extensions.auth.iter().map(|mechanism| format!("AUTH={mechanism}"));
    size.into_iter().chain(offered).chain(auth).collect::<Vec<_>>().join(" ")
}

/// MAIL, each RCPT and the facts, parted by `, `.
fn message(words: &str) -> Option<(Envelope, ContentFacts)> {
    let mut parts = words.split(", ");
    let mut envelope = Envelope::new(Mail::parse(parts.next()?.as_bytes()).ok()?);
    let mut facts = ContentFacts { octets: 10, longest_line_octets: 10, ..ContentFacts::default() };
    for part in parts {
        if let Ok(rcpt) = Rcpt::parse(part.as_bytes()) {
            envelope.recipients.push(rcpt);
            continue;
        }
        for word in part.split(' ') {
            match word.strip_prefix("octets=") {
                Some(octets) => facts.octets = octets.parse().ok()?,
                None if word == "binary" => facts.binary = true,
                None if word == "8bit" => facts.eight_bit = true,
                None if word == "8bit-header" => (facts.eight_bit, facts.eight_bit_header) = (true, true),
                None => return None,
            }
        }
    }
    Some((envelope, facts))
}
