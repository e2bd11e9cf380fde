//! The server's engine: what no dialogue shows.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use proptest::prelude::*;
use smtp_proto::server::{CloseReason, Event, ServerConfig, ServerSession, Subject};
use smtp_proto::{
    Command, EnhancedStatus, Extensions, Limits, Mechanism, NotAwaited, RemoteReply, Reply, ReplyCode, Secret, Session,
    Timer, TlsFacts,
};

const GREETING: Reply = Reply::without_status(ReplyCode::SERVICE_READY, "mx.example.com");
const OK: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "OK");
const REFUSED: Reply = Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, EnhancedStatus::new(5, 7, 1), "No");

/// A session with a caller that accepts everything, or refuses as the bits of `answers` say.
struct Server {
    session: ServerSession,
    now: Instant,
    input: BytesMut,
    output: Vec<u8>,
    answers: u64,
    /// All events but content.
    events: Vec<String>,
    content: Vec<u8>,
    /// The messages that came to their end, accepted or not.
    messages: Vec<Vec<u8>>,
    accepted: usize,
}

impl Server {
    fn new(limits: Limits, answers: u64) -> Self {
        let now = Instant::now();
        let config = ServerConfig { limits, ..ServerConfig::new("mx.example.com".parse().unwrap()) };
        let mut server = Self {
            session: ServerSession::new(Arc::new(config), None, now),
            now,
            input: BytesMut::new(),
            output: Vec::new(),
            answers,
            events: Vec::new(),
            content: Vec::new(),
            messages: Vec::new(),
            accepted: 0,
        };
        server.feed(b"");
        server
    }

    fn offered() -> Extensions {
        Extensions { pipelining: true, eight_bit_mime: true, smtputf8: true, ..Extensions::default() }
    }

    fn feed(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        loop {
            while let Some(event) = self.session.handle_input(self.now, &mut self.input) {
                self.event(&event);
            }
            let Some(piece) = self.session.poll_transmit(self.now) else { return };
            self.output.extend_from_slice(&piece);
        }
    }

    fn event(&mut self, event: &Event) {
        let accepts = self.answers & 1 == 0;
        let reply = if accepts { OK } else { REFUSED };
        let answered = match event {
            Event::MailData(octets) => {
                assert!(!octets.is_empty());
                self.content.extend_from_slice(octets);
                return;
            }
            Event::Connected => self.session.reply(GREETING, self.now),
            Event::Hello(_) => self.session.hello(Self::offered(), self.now),
            Event::MailDataStart(_) if accepts => self.session.begin_mail_data(self.now),
            Event::MailDataEnd(_) => {
                let envelope = self.session.envelope().unwrap();
                assert!(!envelope.recipients.is_empty(), "mail data is never taken without a recipient");
                self.messages.push(std::mem::take(&mut self.content));
                self.accepted += usize::from(accepts);
                self.session.reply(reply, self.now)
            }
            Event::Reset => {
                assert!(self.session.envelope().is_none());
                self.content.clear();
                Ok(())
            }
            Event::Closed(_) | Event::Refused(_) => Ok(()),
            _ => self.session.reply(reply, self.now),
        };
        answered.unwrap();
        self.answers = self.answers.rotate_right(1);
        self.events.push(format!("{event:?}"));
    }

    fn end(&mut self) {
        if let Some(event) = self.session.handle_eof() {
            self.event(&event);
        }
        self.feed(b"");
        assert!(self.events.last().unwrap().starts_with("Closed"));
        assert_eq!(self.session.handle_eof(), None);
        assert_eq!(self.session.poll_timeout(), None);
    }
}

fn bare_session() -> (ServerSession, BytesMut, Instant) {
    let now = Instant::now();
    let config = ServerConfig::new("mx.example.com".parse().unwrap());
    (ServerSession::new(Arc::new(config), None, now), BytesMut::new(), now)
}

fn lines(octets: &[u8]) -> usize {
    octets.split_inclusive(|&octet| octet == b'\n').count()
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<ServerSession>() <= 160, "{}", size_of::<ServerSession>());
}

#[test]
fn no_input_is_taken_while_an_answer_is_due() {
    let (mut session, mut input, now) = bare_session();
    input.extend_from_slice(b"EHLO client.example\r\nNOOP\r\n");
    assert_eq!(session.handle_input(now, &mut input), Some(Event::Connected));
    assert_eq!(session.handle_input(now, &mut input), None);
    assert_eq!(session.poll_timeout(), None, "it waits for its caller, not for the client");
    assert_eq!(input.len(), 27);
    session.reply(GREETING, now).unwrap();
    assert!(matches!(session.handle_input(now, &mut input), Some(Event::Hello(_))));
    assert_eq!(session.handle_input(now, &mut input), None);
    assert_eq!(&input[..], b"NOOP\r\n");
}

#[test]
fn replies_to_a_group_leave_in_one_piece() {
    let (mut session, mut input, now) = bare_session();
    session.handle_input(now, &mut input);
    session.reply(GREETING, now).unwrap();
    input.extend_from_slice(b"NOOP\r\nRSET\r\nNOOP\r\n");
    assert_eq!(session.handle_input(now, &mut input), None);
    let group = session.poll_transmit(now).unwrap();
    assert_eq!(lines(&group), 4);
    assert_eq!(session.poll_transmit(now), None);
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let limits = Limits { output_octets: 100, idle_commands_per_message: 10_000, ..Limits::default() };
    let config = ServerConfig { limits, ..ServerConfig::new("mx.example.com".parse().unwrap()) };
    let now = Instant::now();
    let mut session = ServerSession::new(Arc::new(config), None, now);
    let mut input = BytesMut::from(&b"NOOP\r\n".repeat(1000)[..]);
    session.handle_input(now, &mut input);
    session.reply(GREETING, now).unwrap();
    assert_eq!(session.handle_input(now, &mut input), None);
    let taken = 1000 - input.len() / 6;
    assert!(taken < 10, "{taken} commands taken");
    let mut replies = 0;
    while let Some(piece) = session.poll_transmit(now) {
        assert!(piece.len() < 200);
        replies += lines(&piece);
        assert_eq!(session.handle_input(now, &mut input), None);
    }
    assert_eq!((replies, input.len()), (1001, 0));
}

#[test]
fn a_client_that_takes_no_output_is_left() {
    let (mut session, mut input, now) = bare_session();
    session.handle_input(now, &mut input);
    session.reply(GREETING, now).unwrap();
    assert!(session.poll_transmit(now).is_some());
    let deadline = session.poll_timeout().unwrap();
    assert_eq!((deadline.reason, deadline.at), (Timer::Transmit, now + Duration::from_mins(5)));
    assert_eq!(session.handle_timeout(now + Duration::from_secs(299)), None);
    let closed = session.handle_timeout(deadline.at);
    assert_eq!(closed, Some(Event::Closed(CloseReason::Timeout(Timer::Transmit))));
}

/// A driver asks until there is no more, writes the group, and asks again.
#[test]
fn a_group_is_being_written_until_it_is_asked_for_more_a_second_time() {
    let (mut session, mut input, now) = bare_session();
    session.handle_input(now, &mut input);
    session.reply(GREETING, now).unwrap();
    assert!(session.poll_transmit(now).is_some());
    assert_eq!(session.poll_transmit(now), None);
    let deadline = session.poll_timeout().unwrap();
    assert_eq!((deadline.reason, deadline.at), (Timer::Transmit, now + Duration::from_mins(5)));
    let written = now + Duration::from_mins(4);
    assert_eq!(session.poll_transmit(written), None);
    let deadline = session.poll_timeout().unwrap();
    assert_eq!((deadline.reason, deadline.at), (Timer::Command, written + Duration::from_mins(5)));
    assert_eq!(session.poll_transmit(written + Duration::from_mins(1)), None);
    assert_eq!(session.poll_timeout().unwrap().at, deadline.at, "nothing was written meanwhile");
}

#[test]
fn a_session_that_is_closing_does_not_wait_for_ever() {
    let (mut session, mut input, now) = bare_session();
    session.handle_input(now, &mut input);
    session.reply(GREETING, now).unwrap();
    input.extend_from_slice(b"QUIT\r\n");
    assert_eq!(session.handle_input(now, &mut input), None, "not closed before the 221 has left");
    let deadline = session.poll_timeout().unwrap();
    assert_eq!(session.handle_timeout(deadline.at), Some(Event::Closed(CloseReason::Quit)));
}

#[test]
fn the_more_mail_data_has_come_the_longer_it_may_go_on() {
    let mut server = Server::new(Limits::default(), 0);
    server.feed(b"EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n");
    let begun = server.now;
    for _ in 0..100 {
        server.now += Duration::from_mins(4);
        server.feed(&b"x".repeat(240_000));
        assert_eq!(server.session.handle_timeout(server.now), None);
    }
    server.now += Duration::from_mins(4);
    server.feed(b"x");
    let deadline = server.session.poll_timeout().unwrap();
    let until = begun + Duration::from_mins(30) + Duration::from_millis(24_000_001);
    assert_eq!((deadline.at, deadline.reason), (server.now + Duration::from_mins(5), Timer::DataBlock));
    while server.now + Duration::from_mins(5) < until {
        server.now += Duration::from_mins(4);
        server.feed(b"x");
    }
    assert_eq!(server.session.poll_timeout().unwrap().reason, Timer::MailData);
}

#[test]
fn an_answer_of_the_wrong_kind_is_not_awaited() {
    let (mut session, mut input, now) = bare_session();
    assert_eq!(session.reply(OK, now), Err(NotAwaited), "nothing was asked yet");
    session.handle_input(now, &mut input);
    assert_eq!(session.begin_mail_data(now), Err(NotAwaited));
    assert_eq!(session.hello(Extensions::default(), now), Err(NotAwaited));
    session.reply(GREETING, now).unwrap();
    assert_eq!(session.reply(OK, now), Err(NotAwaited), "it was answered");
    session.refuse_mail_data(REFUSED);
    session.tls_established(TlsFacts::default(), now);
    assert_eq!(session.tls(), None, "no handshake was due");
    assert_eq!(session.poll_transmit(now).unwrap(), "220 mx.example.com\r\n");
}

#[test]
fn the_end_of_the_stream_is_the_end_while_an_answer_is_due() {
    let (mut session, mut input, now) = bare_session();
    session.handle_input(now, &mut input);
    assert_eq!(session.handle_eof(), Some(Event::Closed(CloseReason::EndOfStream)));
    assert_eq!(session.reply(GREETING, now), Err(NotAwaited));
    assert_eq!(session.poll_transmit(now), None);
}

#[test]
fn a_refusal_at_the_end_may_come_as_such() {
    let mut server = Server::new(Limits::default(), 0);
    server.feed(b"EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n");
    server.input.extend_from_slice(b"x\r\n.\r\n");
    while !matches!(server.session.handle_input(server.now, &mut server.input), Some(Event::MailDataEnd(_))) {}
    server.session.refuse_mail_data(REFUSED);
    server.output.clear();
    server.feed(b"NOOP\r\n");
    assert_eq!(server.output, b"550 5.7.1 No\r\n250 2.0.0 OK\r\n");
}

/// Every pair of line ends around the dot: only with CRLF twice does a message end there, and what follows is then no
/// secret to any server, since it is a command.
#[test]
fn no_second_message_can_be_smuggled() {
    let line_ends: [&[u8]; 6] = [b"\r", b"\n", b"\r\n", b"\r\r\n", b"\0", b"\n\r"];
    let start = b"EHLO client.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nhello";
    let second = b"MAIL FROM:<admin@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n";
    for before in line_ends {
        for after in line_ends {
            let wire = [&start[..], before, b".", after, second].concat();
            let smuggled = !(before.ends_with(b"\r\n") && after == b"\r\n");
            for first in 0..=wire.len() {
                let mut server = Server::new(Limits::default(), 0);
                server.feed(&wire[..first]);
                server.feed(&wire[first..]);
                server.end();
                let mails = server.events.iter().filter(|event| event.starts_with("Mail(")).count();
                assert_eq!(mails, if smuggled { 1 } else { 2 }, "{before:?} {after:?} cut at {first}");
                let accepted = match (smuggled, before == b"\r\n") {
                    (true, _) => 0,
                    (false, true) => 2,
                    (false, false) => 1,
                };
                assert_eq!(server.accepted, accepted, "{before:?} {after:?} cut at {first}");
            }
        }
    }
}

/// What clients say, and octets that hurt.
const SAID: &[&[u8]] = &[
    b"EHLO client.example\r\n",
    b"HELO client.example\r\n",
    b"MAIL FROM:<a@example.net>\r\n",
    b"MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
    b"RCPT TO:<b@example.com>\r\n",
    b"RCPT TO:<c@example.com>\r\nDATA\r\n",
    b"DATA\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"STARTTLS\r\n",
    b"QUIT\r\n",
    b".\r\n",
    b"..\r\n",
    b"text of a message\r\n",
    b"\r\n.\r\n",
    b".\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff\xfe",
    b"GET / HTTP/1.1\r\n",
    b"0123456789012345678901234567890123456789012345678901234567890123456789",
];

/// Octets like those of a client, whole lines more often than not.
fn client_octets() -> impl Strategy<Value = Vec<u8>> {
    let line = proptest::sample::select(SAID);
    proptest::collection::vec(line, 0..30).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        octets in client_octets(),
        answers: u64,
        cuts in proptest::collection::vec(1..60usize, 1..6),
    ) {
        let limits = Limits {
            command_line_octets: 120,
            message_octets: 200,
            recipients_per_message: 2,
            errors_per_session: 5,
            output_octets: 150,
            ..Limits::default()
        };
        let octets = [&b"EHLO client.example\r\n"[..], &octets].concat();
        let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut server = Server::new(limits.clone(), answers & !3);
            for piece in pieces {
                server.feed(piece);
                prop_assert!(server.input.len() < limits.command_line_octets + 60 || server.events.last().unwrap().starts_with("Closed"));
            }
            server.end();
            Ok((server.events, server.messages, server.output, server.accepted))
        };
        let whole = run(&mut octets.chunks(60))?;
        prop_assert_eq!(&run(&mut octets.chunks(1))?, &whole);
        let mut rest = &octets[..];
        let mut lengths = cuts.iter().cycle();
        let mut pieces = std::iter::from_fn(|| {
            let (piece, behind) = rest.split_at((*lengths.next()?).min(rest.len()));
            rest = behind;
            (!piece.is_empty()).then_some(piece)
        });
        prop_assert_eq!(&run(&mut pieces)?, &whole);
        for message in &whole.1 {
            prop_assert!(message.len() <= 200);
        }
    }

    #[test]
    fn any_octets_at_all_do_no_harm(octets: Vec<u8>, answers: u64) {
        let mut server = Server::new(Limits::default(), answers & !3);
        server.feed(&octets);
        server.end();
        for line in server.output.split_inclusive(|&octet| octet == b'\n') {
            prop_assert!(line.ends_with(b"\r\n") && line.len() <= 512);
        }
    }
}

/// RFC 4865 §4.2, RFC 2852 §3: what is over the limits told is refused, and told to nobody.
#[test]
fn holds_and_times_beyond_the_offer_are_refused() {
    let (mut session, mut input, now) = bare_session();
    let mut dialogue = |lines: &[u8]| {
        input.extend_from_slice(lines);
        let mut told = Vec::new();
        while let Some(event) = session.handle_input(now, &mut input) {
            match event {
                Event::Connected => session.reply(GREETING, now).unwrap(),
                Event::Hello(_) => {
                    let offered = Extensions::from_reply(
                        &RemoteReply::parse(
                            b"250-mx\r\n250-FUTURERELEASE 60 2026-12-24T18:00:00Z\r\n250 DELIVERBY 60\r\n",
                        )
                        .unwrap(),
                    );
                    session.hello(offered, now).unwrap();
                }
                Event::Mail(mail) => {
                    told.push(mail.parameters.to_string());
                    session.reply(REFUSED, now).unwrap();
                }
                Event::Refused(refusal) => told.push(refusal.reply.to_string()),
                other => panic!("{other:?}"),
            }
        }
        told
    };
    assert!(dialogue(b"EHLO c.example\r\n").is_empty());
    for (parameter, told) in [
        ("HOLDFOR=60", " HOLDFOR=60"),
        ("HOLDFOR=61", "501 5.5.4 Not held for that long here"),
        ("HOLDUNTIL=2026-12-24T18:00:01Z", "501 5.5.4 Not held for that long here"),
        ("BY=60;R", " BY=60;R"),
        ("BY=59;R", "555 5.5.4 Not so little time for delivery here"),
        ("BY=59;N", " BY=59;N"),
    ] {
        assert_eq!(dialogue(format!("MAIL FROM:<a@b> {parameter}\r\n").as_bytes()), [told], "{parameter}");
    }
}

/// What is refused goes to logs; the password that AUTH may bring along does not.
#[test]
fn a_refusal_of_auth_holds_no_initial_response() {
    let refused = |octets: &[u8]| {
        let mut server = Server::new(Limits::default(), 0);
        server.input.extend_from_slice(octets);
        std::iter::from_fn(|| match server.session.handle_input(server.now, &mut server.input)? {
            Event::Refused(refusal) => Some(refusal.subject),
            other => panic!("{other:?}"),
        })
        .last()
    };
    let mechanism = Mechanism::PLAIN;
    let subject = Subject::from(Command::Auth { mechanism, initial: Some(Secret::from(b"\0a\0b".to_vec())) });
    assert_eq!(subject, Subject::Command(Box::new(Command::Auth { mechanism, initial: None })));
    assert_eq!(refused(b"AUTH PLAIN AGEAYg==\r\n"), Some(subject));
}

/// RFC 5321 §7.8: whatever the client does in it.
#[test]
fn a_session_has_an_end_however_busy_it_is_kept() {
    let mut config = ServerConfig::new("mx.example.com".parse().unwrap());
    config.timeouts.session = Duration::from_mins(10);
    let begun = Instant::now();
    let mut session = ServerSession::new(Arc::new(config), None, begun);
    let mut input = BytesMut::new();
    assert_eq!(session.handle_input(begun, &mut input), Some(Event::Connected));
    session.reply(Reply::without_status(ReplyCode::SERVICE_READY, "here"), begun).unwrap();
    for minutes in 0..10 {
        let now = begun + Duration::from_mins(minutes);
        input.extend_from_slice(b"NOOP\r\n");
        assert_eq!(session.handle_input(now, &mut input), None);
        while session.poll_transmit(now).is_some() {}
        while session.poll_transmit(now).is_some() {}
        assert_eq!(session.handle_timeout(now), None);
    }
    let due = session.poll_timeout().unwrap();
    assert_eq!((due.at, due.reason), (begun + Duration::from_mins(10), Timer::Session));
    assert_eq!(session.handle_timeout(due.at), None, "the 421 leaves first");
    assert!(session.poll_transmit(due.at).is_some_and(|octets| octets.starts_with(b"421 4.4.2 ")));
    let closed = session.handle_input(due.at, &mut input);
    assert_eq!(closed, Some(Event::Closed(CloseReason::Timeout(Timer::Session))));
}
