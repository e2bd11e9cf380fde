//! Any octets from a client, in pieces, with any answers: no panic, the same session however the pieces are cut, no mail
//! data without a recipient, content that is clean, replies that are lines, an end that comes once and last, nothing that
//! lasts across STARTTLS, and nobody said to have spoken out of turn who says a line at a time.
#![no_main]

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use smtp_proto::server::{AuthStep, Event, Framing, OutOfTurn, Queries, ServerConfig, ServerSession};
use smtp_proto::{
    BodyType, ContentFacts, EnhancedStatus, Extensions, HelloName, Limits, Mechanism, Reply, ReplyCode, Session,
    TlsFacts,
};

fuzz_target!(|input: (u8, u32, &[u8])| {
    let (cut, answers, octets) = input;
    let cut = usize::from(cut) % 16 + 1;
    let whole = serve(std::iter::once(octets), answers, OutOfTurn::Permit);
    let pieces = serve(octets.chunks(cut), answers, OutOfTurn::Permit);
    assert_eq!(whole.heard, pieces.heard);
    let lines = octets.split_inclusive(|octet| *octet == b'\n');
    let by_line = serve(lines, answers, OutOfTurn::Refuse);
    assert_eq!(whole.heard, by_line.heard);
    assert_replies(&whole.heard.output);
    for message in &whole.heard.messages {
        assert!(message.is_binary || is_clean(&message.content));
    }
    if let Some((before, after)) = split_behind_starttls(octets) {
        nothing_lasts_across_starttls(before, after, cut, answers);
    }
});

/// What was heard of a session.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    /// The events but for mail data, in order.
    log: Vec<String>,
    /// Each message that came to its end.
    messages: Vec<Message>,
    output: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
struct Message {
    is_binary: bool,
    content: Vec<u8>,
}

/// A session, and its caller.
struct Served {
    session: ServerSession,
    now: Instant,
    /// The next bits say whether an event is answered well.
    answers: u32,
    heard: Heard,
    content: Vec<u8>,
    /// How the content comes, or came last.
    framing: Option<Framing>,
    offers_starttls: bool,
    closed: bool,
}

/// A whole session, in the clear and without STARTTLS.
fn serve<'a>(pieces: impl Iterator<Item = &'a [u8]>, answers: u32, out_of_turn: OutOfTurn) -> Served {
    let limits =
        Limits { message_octets: 2048, recipients_per_message: 3, space_before_path: true, ..Limits::default() };
    let mut served = Served::new(limits, None, answers);
    served.session.watch_turns(out_of_turn);
    served.feed(pieces, &mut BytesMut::new());
    served.end();
    served
}

/// What a session makes of `after` must not depend on `before`, if that ends with a STARTTLS that was taken.
fn nothing_lasts_across_starttls(before: &[u8], after: &[u8], piece: usize, answers: u32) {
    // These alone go on: the limits of the whole connection.
    let limits = Limits {
        errors_per_session: u32::MAX,
        idle_commands_per_message: u32::MAX,
        transactions_per_session: u32::MAX,
        commands_per_session: u32::MAX,
        ..Limits::default()
    };
    let mut upgraded = Served::new(limits.clone(), None, answers);
    upgraded.offers_starttls = true;
    let mut input = BytesMut::new();
    upgraded.feed(std::iter::once(before), &mut input);
    if upgraded.heard.log.last().is_none_or(|event| event != "StartTls") {
        return;
    }
    assert!(input.is_empty(), "the 220 is said to nothing but STARTTLS alone");
    upgraded.session.tls_established(TlsFacts::default(), upgraded.now);
    let mut fresh = Served::new(limits, Some(TlsFacts::default()), answers);
    for served in [&mut upgraded, &mut fresh] {
        (served.heard, served.answers) = (Heard::default(), answers);
        served.feed(after.chunks(piece), &mut BytesMut::new());
        served.end();
    }
    assert_eq!(upgraded.heard, fresh.heard);
}

fn split_behind_starttls(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    const LINE: &[u8] = b"\nSTARTTLS\r\n";
    let at = octets.windows(LINE.len()).position(|window| window.eq_ignore_ascii_case(LINE))?;
    Some(octets.split_at(at + LINE.len()))
}

impl Served {
    /// A session that has greeted.
    fn new(limits: Limits, tls: Option<TlsFacts>, answers: u32) -> Self {
        let now = Instant::now();
        let mut config = ServerConfig::new(HelloName::parse(b"mx.test").expect("a name"));
        config.limits = limits;
        config.queries = Queries { help: true, vrfy: true, expn: true, etrn: true };
        let mut session = ServerSession::new(Arc::new(config), tls, now);
        session.trust_xclient();
        let mut served = Self {
            session,
            now,
            answers,
            heard: Heard::default(),
            content: Vec::new(),
            framing: None,
            offers_starttls: false,
            closed: false,
        };
        served.advance(&mut BytesMut::new());
        served
    }

    fn feed<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>, input: &mut BytesMut) {
        for piece in pieces {
            input.extend_from_slice(piece);
            self.advance(input);
        }
    }

    fn end(&mut self) {
        if let Some(event) = self.session.handle_eof() {
            self.take(event);
        }
        self.advance(&mut BytesMut::new());
        assert!(self.closed, "a session ends with its stream");
    }

    /// The caller's loop, until more octets are needed.
    fn advance(&mut self, input: &mut BytesMut) {
        loop {
            while let Some(event) = self.session.handle_input(self.now, input) {
                self.take(event);
            }
            let written = self.heard.output.len();
            while let Some(octets) = self.session.poll_transmit(self.now) {
                self.heard.output.extend_from_slice(&octets);
            }
            if self.heard.output.len() == written {
                return;
            }
        }
    }

    fn take(&mut self, event: Event) {
        assert!(!self.closed, "nothing comes after the end");
        match &event {
            Event::MailData(octets) => return self.content.extend_from_slice(octets),
            Event::MailDataStart(framing) => {
                self.assert_recipients();
                self.framing = Some(*framing);
            }
            Event::MailDataEnd(facts) => {
                let is_binary = self.assert_recipients();
                assert_eq!(*facts, ContentFacts::of(&self.content));
                let is_stuffed = self.framing == Some(Framing::Data);
                assert!(!is_stuffed || self.content.is_empty() || self.content.ends_with(b"\r\n"));
                self.heard.messages.push(Message { is_binary, content: std::mem::take(&mut self.content) });
            }
            Event::Reset => self.content.clear(),
            Event::Closed(_) => self.closed = true,
            _ => {}
        }
        self.heard.log.push(format!("{event:?}"));
        self.answer(&event);
    }

    /// Nobody's mail data is ever asked for, so nobody's can be accepted. Whether it may be binary.
    fn assert_recipients(&self) -> bool {
        let envelope = self.session.envelope().expect("a transaction is open");
        assert!(!envelope.recipients.is_empty(), "mail data is for somebody");
        envelope.mail.parameters.body == Some(BodyType::BinaryMime)
    }

    fn answer(&mut self, event: &Event) {
        let refuse = self.answers & 1 == 1;
        let answered = match event {
            Event::Reset | Event::StartTls | Event::AuthCancelled | Event::Refused(_) | Event::Closed(_) => return,
            Event::OutOfTurn { .. } => panic!("each line comes behind all replies"),
            Event::Connected => {
                self.session.reply(Reply::without_status(ReplyCode::SERVICE_READY, "mx.test"), self.now)
            }
            _ if refuse => self.session.reply(refusal(), self.now),
            Event::Hello(_) => self.session.hello(offered(self.offers_starttls), self.now),
            Event::Auth(AuthStep::Begin { .. }) => self.session.challenge(b"who?", self.now),
            Event::Auth(AuthStep::Response(_)) => self.session.reply(welcome(), self.now),
            Event::MailDataStart(_) => self.session.begin_mail_data(self.now),
            _ => self.session.reply(Reply::without_status(ReplyCode::OK, "ok"), self.now),
        };
        answered.expect("the event waits for its answer");
        self.answers = self.answers.rotate_right(1);
    }
}

fn refusal() -> Reply {
    Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, EnhancedStatus::new(5, 7, 1), "no")
}

fn welcome() -> Reply {
    Reply::new(ReplyCode::AUTHENTICATION_SUCCEEDED, EnhancedStatus::new(2, 7, 0), "welcome")
}

fn offered(starttls: bool) -> Extensions {
    Extensions {
        size: Some(2048),
        starttls,
        pipelining: true,
        eight_bit_mime: true,
        smtputf8: true,
        chunking: true,
        binary_mime: true,
        dsn: true,
        auth: vec![Mechanism::PLAIN],
        ..Extensions::default()
    }
}

/// Every line has a code, and none is longer than RFC 5321 section 4.5.3.1.5 allows.
fn assert_replies(output: &[u8]) {
    assert!(output.is_empty() || output.ends_with(b"\r\n"));
    for line in output.split_inclusive(|octet| *octet == b'\n') {
        assert!(line.len() <= 512 && line.len() >= 5);
        assert!(line[..3].iter().all(u8::is_ascii_digit) && matches!(line[3], b' ' | b'-'));
        assert!(line[..line.len() - 2].iter().all(|octet| (b' '..=b'~').contains(octet)));
    }
}

/// Nothing bare and no NUL: what is stored can be sent on.
fn is_clean(content: &[u8]) -> bool {
    let before = [b'\n'].iter().chain(content);
    before.zip(content).all(|(before, octet)| *octet != 0 && (*octet == b'\n') == (*before == b'\r'))
}
