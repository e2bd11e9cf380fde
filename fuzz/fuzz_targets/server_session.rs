//! Any octets from a client, in pieces, with any answers: no panic, the same session however the pieces are cut,
//! content that is clean, replies that are lines, and an end that comes once and last.
#![no_main]

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use smtp_proto::server::{AuthStep, Event, Framing, ServerConfig, ServerSession};
use smtp_proto::{EnhancedStatus, Extensions, HelloName, Limits, Mechanism, Reply, ReplyCode, Session};

fuzz_target!(|input: (u8, u32, &[u8])| {
    let (cut, answers, octets) = input;
    let whole = serve(octets, octets.len().max(1), answers);
    let pieces = serve(octets, usize::from(cut) % 16 + 1, answers);
    assert_eq!(whole.log, pieces.log);
    assert_eq!(whole.output, pieces.output);
    assert_eq!(whole.contents, pieces.contents);
    assert_replies(&whole.output);
    for content in &whole.contents {
        assert_clean(content);
    }
});

/// What came of a session.
struct Served {
    session: ServerSession,
    now: Instant,
    /// The next bits say whether an event is answered well.
    answers: u32,
    /// The events but for mail data, in order.
    log: Vec<String>,
    /// The content of each message that came to its end.
    contents: Vec<Vec<u8>>,
    content: Vec<u8>,
    /// How the content comes, or came last.
    framing: Option<Framing>,
    output: Vec<u8>,
    closed: bool,
}

fn serve(octets: &[u8], piece: usize, answers: u32) -> Served {
    let now = Instant::now();
    let mut config = ServerConfig::new(HelloName::parse(b"mx.test").expect("a name"));
    config.limits = Limits { message_octets: 2048, recipients_per_message: 3, ..Limits::default() };
    let session = ServerSession::new(Arc::new(config), None, now);
    let (log, contents, content, output) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let framing = None;
    let mut served = Served { session, now, answers, log, contents, content, framing, output, closed: false };
    let mut input = BytesMut::new();
    served.advance(&mut input);
    for piece in octets.chunks(piece) {
        input.extend_from_slice(piece);
        served.advance(&mut input);
    }
    if let Some(event) = served.session.handle_eof() {
        served.take(event);
    }
    served.advance(&mut input);
    assert!(served.closed, "a session ends with its stream");
    served
}

impl Served {
    /// The caller's loop, until more octets are needed.
    fn advance(&mut self, input: &mut BytesMut) {
        loop {
            while let Some(event) = self.session.handle_input(self.now, input) {
                self.take(event);
            }
            let written = self.output.len();
            while let Some(octets) = self.session.poll_transmit(self.now) {
                self.output.extend_from_slice(&octets);
            }
            if self.output.len() == written {
                return;
            }
        }
    }

    fn take(&mut self, event: Event) {
        assert!(!self.closed, "nothing comes after the end");
        match &event {
            Event::MailData(octets) => return self.content.extend_from_slice(octets),
            Event::MailDataStart(framing) => self.framing = Some(*framing),
            Event::MailDataEnd(facts) => {
                assert_eq!(facts.octets, self.content.len() as u64);
                let is_stuffed = self.framing == Some(Framing::Data);
                assert!(!is_stuffed || self.content.is_empty() || self.content.ends_with(b"\r\n"));
                self.contents.push(std::mem::take(&mut self.content));
            }
            Event::Reset => self.content.clear(),
            Event::Closed(_) => self.closed = true,
            _ => {}
        }
        self.log.push(format!("{event:?}"));
        self.answer(&event);
    }

    fn answer(&mut self, event: &Event) {
        let refuse = self.answers & 1 == 1;
        let answered = match event {
            Event::Reset | Event::AuthCancelled | Event::Refused(_) | Event::Closed(_) => return,
            Event::Connected => {
                self.session.reply(Reply::without_status(ReplyCode::SERVICE_READY, "mx.test"), self.now)
            }
            _ if refuse => self.session.reply(refusal(), self.now),
            Event::Hello(_) => self.session.hello(offered(), self.now),
            Event::Auth(AuthStep::Begin { .. }) => self.session.challenge(b"who?", self.now),
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

fn offered() -> Extensions {
    Extensions {
        size: Some(2048),
        pipelining: true,
        eight_bit_mime: true,
        smtputf8: true,
        chunking: true,
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
fn assert_clean(content: &[u8]) {
    let mut previous = b'\n';
    for octet in content {
        assert_ne!(*octet, 0);
        assert_eq!(*octet == b'\n', previous == b'\r');
        previous = *octet;
    }
}
