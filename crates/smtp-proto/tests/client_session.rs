//! The client's engine: what no dialogue shows.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use smtp_proto::client::{BeginError, ClientConfig, ClientSession, CloseReason, Event, Stage};
use smtp_proto::{ContentFacts, Envelope, Limits, Mail, NotAwaited, Rcpt, ReplyClass, Session, Timer};

const CONTENT: &[u8] = b"Subject: x\r\n\r\n.\r\nlast line";

fn envelope(recipients: usize) -> Envelope {
    let mut envelope = Envelope::new(Mail::parse(b"MAIL FROM:<a@example.net>").unwrap());
    for number in 0..recipients {
        envelope.recipients.push(Rcpt::parse(format!("RCPT TO:<r{number}@example.com>").as_bytes()).unwrap());
    }
    envelope
}

/// A session with a caller that sends the same message again and again.
struct Client {
    session: ClientSession,
    now: Instant,
    input: BytesMut,
    output: Vec<u8>,
    transactions: usize,
    recipients: usize,
    sent: bool,
    /// Which recipients were accepted in the transaction under way.
    accepted: Vec<usize>,
    open: bool,
    events: Vec<String>,
}

impl Client {
    fn new(limits: Limits, transactions: usize, recipients: usize) -> Self {
        let now = Instant::now();
        let config = ClientConfig { limits, ..ClientConfig::new("client.example".parse().unwrap()) };
        Self {
            session: ClientSession::new(Arc::new(config), None, now),
            now,
            input: BytesMut::new(),
            output: Vec::new(),
            transactions,
            recipients,
            sent: false,
            accepted: Vec::new(),
            open: false,
            events: Vec::new(),
        }
    }

    fn feed(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        loop {
            while let Some(event) = self.session.handle_input(self.now, &mut self.input) {
                self.event(event);
            }
            let Some(piece) = self.session.poll_transmit(self.now) else { return };
            self.output.extend_from_slice(&piece);
        }
    }

    fn next(&mut self) {
        self.open = false;
        if self.transactions == 0 {
            return self.session.quit(self.now);
        }
        self.transactions -= 1;
        match self.session.begin(&envelope(self.recipients), &ContentFacts::of(CONTENT), self.now) {
            Ok(()) => {
                self.open = true;
                self.sent = false;
                self.accepted.clear();
            }
            Err(_) => self.session.quit(self.now),
        }
    }

    fn event(&mut self, event: Event) {
        assert!(!self.events.last().is_some_and(|last| last.starts_with("Closed")), "nothing comes after the end");
        self.events.push(format!("{event:?}"));
        match event {
            Event::Recipient { index, reply } => {
                assert!(self.open);
                if reply.class() == ReplyClass::Completion {
                    self.accepted.push(index);
                }
            }
            Event::MailDataWanted if self.sent => self.session.finish_mail_data(self.now).unwrap(),
            Event::MailDataWanted => {
                assert!(!self.accepted.is_empty(), "no mail data without a recipient");
                self.sent = true;
                self.session.send_mail_data(Bytes::from_static(CONTENT), self.now).unwrap();
            }
            Event::Delivered { index, reply } => {
                assert_eq!(reply.class(), ReplyClass::Completion);
                assert!(self.sent && self.output.ends_with(b"\r\n.\r\n"), "the whole message has left");
                assert_eq!(self.accepted.remove(0), index);
            }
            Event::Finished => {
                assert!(self.accepted.is_empty(), "each accepted recipient has been told");
                self.next();
            }
            Event::Ready(_) | Event::Refused { .. } => self.next(),
            Event::StartTls => panic!("it was not asked for"),
            _ => {}
        }
    }

    fn end(&mut self) {
        if let Some(event) = self.session.handle_eof() {
            self.event(event);
        }
        self.feed(b"");
        assert!(self.events.last().unwrap().starts_with("Closed"));
        assert_eq!(self.session.handle_eof(), None);
        assert_eq!(self.session.poll_timeout(), None);
    }
}

/// Hears the replies one by one, each when all that it could answer has left.
fn hear(session: &mut ClientSession, now: Instant, replies: &[&[u8]]) -> Vec<Event> {
    let mut events = Vec::new();
    for reply in replies {
        let mut input = BytesMut::from(*reply);
        while session.poll_transmit(now).is_some() {}
        events.extend(std::iter::from_fn(|| session.handle_input(now, &mut input)));
        assert!(input.is_empty());
    }
    events
}

const READY: &[&[u8]] = &[b"220 mx\r\n", b"250-mx\r\n250 PIPELINING\r\n"];
const GO_ON: &[&[u8]] = &[b"250 a\r\n250 b\r\n354 c\r\n"];

/// A session with a transaction for one recipient just begun.
fn begun(now: Instant) -> ClientSession {
    let config = ClientConfig::new("client.example".parse().unwrap());
    let mut session = ClientSession::new(Arc::new(config), None, now);
    assert!(matches!(hear(&mut session, now, READY)[..], [Event::Ready(_)]));
    session.begin(&envelope(1), &ContentFacts::default(), now).unwrap();
    session
}

#[test]
fn an_idle_session_is_small() {
    assert!(size_of::<ClientSession>() <= 320, "{}", size_of::<ClientSession>());
}

#[test]
fn what_is_not_awaited_is_told_so() {
    let now = Instant::now();
    let mut session = begun(now);
    assert_eq!(session.stage(), Stage::Mail);
    assert_eq!(session.send_mail_data(Bytes::from_static(b"x"), now), Err(NotAwaited));
    assert_eq!(session.finish_mail_data(now), Err(NotAwaited));
    assert_eq!(session.start_tls(now), Err(NotAwaited));
    let facts = ContentFacts::default();
    assert_eq!(session.begin(&envelope(1), &facts, now), Err(BeginError::NotReady));
}

#[test]
fn the_stage_stays_known_after_the_end() {
    let now = Instant::now();
    let mut session = begun(now);
    hear(&mut session, now, GO_ON);
    session.finish_mail_data(now).unwrap();
    assert_eq!(session.stage(), Stage::MailDataEnd);
    assert_eq!(session.handle_eof(), Some(Event::Closed(CloseReason::EndOfStream)));
    assert_eq!(session.stage(), Stage::MailDataEnd);
}

#[test]
fn each_piece_that_leaves_is_progress() {
    let now = Instant::now();
    let minute = Duration::from_mins(1);
    let mut session = begun(now);
    assert_eq!(hear(&mut session, now, GO_ON).last(), Some(&Event::MailDataWanted));
    assert_eq!(session.poll_timeout(), None, "it waits for its caller");
    session.send_mail_data(Bytes::from_static(b"x\r\n"), now).unwrap();
    assert_eq!(session.poll_timeout().unwrap().at, now + 3 * minute);
    assert!(session.poll_transmit(now + 2 * minute).is_some());
    let deadline = session.poll_timeout().unwrap();
    assert_eq!((deadline.at, deadline.reason), (now + 5 * minute, Timer::DataBlock));
    assert_eq!(session.handle_timeout(now + 4 * minute), None);
    let closed = session.handle_timeout(now + 5 * minute);
    assert_eq!(closed, Some(Event::Closed(CloseReason::Timeout(Timer::DataBlock))));
}

#[test]
fn a_delivery_is_not_believed_before_the_end_has_left() {
    let now = Instant::now();
    let mut session = begun(now);
    hear(&mut session, now, GO_ON);
    session.finish_mail_data(now).unwrap();
    let closed = session.handle_input(now, &mut BytesMut::from(&b"250 accepted\r\n"[..]));
    assert!(matches!(closed, Some(Event::Closed(CloseReason::Unexpected(_)))), "{closed:?}");
}

#[test]
fn a_reply_without_end_does_not_fill_the_memory() {
    for reply in [&b"220-x\r\n"[..], b"220-\0\0\0\0\0\0\0", b"2"] {
        let mut client = Client::new(Limits::default(), 1, 1);
        let mut fed = 0;
        while !client.events.iter().any(|event| event.starts_with("Closed(BadReply")) {
            client.feed(reply);
            fed += reply.len();
            assert!(fed < 1024 * 1024, "a megabyte of {}", reply.escape_ascii());
        }
        assert!(fed <= Limits::default().reply_octets + reply.len());
    }
}

const SAID: &[&[u8]] = &[
    b"250 2.0.0 OK\r\n",
    b"250 2.0.0 OK\r\n",
    b"250-x\r\n250 PIPELINING\r\n",
    b"354 Go on\r\n",
    b"550 5.1.1 No\r\n",
    b"451 4.3.0 Later\r\n",
    b"503 5.5.1 Order\r\n",
    b"421 4.3.2 Bye\r\n",
    b"220 mx\r\n",
    b"221 Bye\r\n",
    b"250",
    b"\r\n",
    b"\n",
    b"250-",
    b"\0\xff",
    b"99 x\r\n",
];

/// As long as the end of the mail data waits, it is the server that takes nothing, not one that is thinking.
#[test]
fn the_wait_for_the_last_reply_begins_when_the_end_has_been_taken() {
    let mut client = Client::new(Limits::default(), 1, 1);
    for reply in ["220 x\r\n", "250 x\r\n", "250 x\r\n", "250 x\r\n"] {
        client.feed(reply.as_bytes());
    }
    client.input.extend_from_slice(b"354 x\r\n");
    assert_eq!(client.session.handle_input(client.now, &mut client.input), Some(Event::MailDataWanted));
    client.session.send_mail_data(Bytes::from_static(CONTENT), client.now).unwrap();
    client.session.finish_mail_data(client.now).unwrap();
    let deadline = client.session.poll_timeout().unwrap();
    assert_eq!((deadline.reason, deadline.at), (Timer::DataBlock, client.now + Duration::from_mins(3)));
    let taken = client.now + Duration::from_mins(2);
    while client.session.poll_transmit(taken).is_some() {}
    let deadline = client.session.poll_timeout().unwrap();
    assert_eq!((deadline.reason, deadline.at), (Timer::DataTermination, taken + Duration::from_mins(10)));
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        said in proptest::collection::vec(proptest::sample::select(SAID), 0..40),
        pipelining: bool,
        transactions in 0..4usize,
        recipients in 1..4usize,
    ) {
        let hello: &[u8] = if pipelining { b"250-mx\r\n250 PIPELINING\r\n" } else { b"250 mx\r\n" };
        let greeting: &[u8] = b"220 mx\r\n";
        // A server waits for what it answers, so replies come one by one here; each may be cut anywhere.
        let run = |piece_octets: usize| {
            let mut client = Client::new(Limits::default(), transactions, recipients);
            for reply in [greeting, hello].iter().chain(&said) {
                for piece in reply.chunks(piece_octets) {
                    client.feed(piece);
                }
            }
            client.end();
            (client.events, client.output)
        };
        let whole = run(usize::MAX);
        prop_assert_eq!(&run(1), &whole);
        prop_assert_eq!(&run(5), &whole);
        let mut previous = 0;
        for &octet in &whole.1 {
            prop_assert_eq!(octet == b'\n', previous == b'\r', "nothing bare leaves");
            previous = octet;
        }
    }

    #[test]
    fn any_octets_at_all_do_no_harm(octets: Vec<u8>, start in 0..4usize) {
        let starts: [&[u8]; 4] = [b"", b"220 mx\r\n", b"220 mx\r\n250 mx\r\n", b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n"];
        let mut client = Client::new(Limits::default(), 2, 2);
        client.feed(starts[start]);
        client.feed(&octets);
        client.end();
    }
}
