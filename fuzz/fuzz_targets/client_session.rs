//! Any octets from a server, in pieces: no panic, each transaction ends once, no recipient is told to be delivered
//! that was not accepted, what is sent are lines, and the end comes once and last.
#![no_main]

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use smtp_proto::client::{ClientConfig, ClientSession, Event};
use smtp_proto::{ContentFacts, Envelope, HelloName, Mail, Rcpt, ReplyClass, Session};

const CONTENT: &[u8] = b"Subject: a\r\n\r\n.a dot\r\n.\r\nthe end\r\n";
const RECIPIENTS: usize = 3;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (cut, transactions, octets) = input;
    let mut client = Client::new(transactions % 4);
    let mut input = BytesMut::new();
    client.advance(&mut input);
    for piece in octets.chunks(usize::from(cut) % 64 + 1) {
        input.extend_from_slice(piece);
        client.advance(&mut input);
    }
    if let Some(event) = client.session.handle_eof() {
        client.take(event);
    }
    client.advance(&mut input);
    assert!(client.closed, "a session ends with its stream");
    assert!(client.open.is_none(), "and so does its transaction");
    assert_lines(&client.output);
});

struct Client {
    session: ClientSession,
    now: Instant,
    /// How many more transactions to begin.
    left: u8,
    open: Option<Transaction>,
    output: Vec<u8>,
    closed: bool,
}

/// What has been told of each recipient.
#[derive(Default)]
struct Transaction {
    accepted: [Option<bool>; RECIPIENTS],
    delivered: [bool; RECIPIENTS],
    sent: bool,
}

impl Client {
    fn new(transactions: u8) -> Self {
        let now = Instant::now();
        let config = ClientConfig::new(HelloName::parse(b"client.test").expect("a name"));
        let session = ClientSession::new(Arc::new(config), None, now);
        Self { session, now, left: transactions, open: None, output: Vec::new(), closed: false }
    }

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
        match event {
            Event::Ready(_) => self.next(),
            Event::Recipient { index, reply } => {
                let accepted = reply.class() == ReplyClass::Completion;
                assert_eq!(self.transaction().accepted[index].replace(accepted), None, "one reply for each");
            }
            Event::MailDataWanted => self.send(),
            Event::Delivered { index, .. } => {
                let transaction = self.transaction();
                assert!(transaction.sent, "not before the message has left");
                assert_eq!(transaction.accepted[index], Some(true));
                assert!(!std::mem::replace(&mut transaction.delivered[index], true), "once for each");
            }
            Event::Finished => {
                assert!(self.open.take().is_some());
                self.next();
            }
            Event::Refused { .. } => {
                self.open = None;
                self.next();
            }
            Event::Closed(_) => {
                self.open = None;
                self.closed = true;
            }
            Event::StartTls => panic!("it was not asked for"),
            other => panic!("an event that this target does not know: {other:?}"),
        }
    }

    /// Begins another transaction, or says goodbye.
    fn next(&mut self) {
        if self.left > 0 && self.session.begin(&envelope(), &ContentFacts::of(CONTENT), self.now).is_ok() {
            self.left -= 1;
            assert!(self.open.replace(Transaction::default()).is_none(), "one at a time");
        } else {
            self.session.quit(self.now);
        }
    }

    fn send(&mut self) {
        let now = self.now;
        let first = !std::mem::replace(&mut self.transaction().sent, true);
        let done = match first {
            true => self.session.send_mail_data(Bytes::from_static(CONTENT), now),
            false => self.session.finish_mail_data(now),
        };
        done.expect("mail data is wanted");
    }

    fn transaction(&mut self) -> &mut Transaction {
        self.open.as_mut().expect("there is a transaction")
    }
}

fn envelope() -> Envelope {
    let mut envelope = Envelope::new(Mail::parse(b"MAIL FROM:<a@client.test>").expect("a command"));
    let recipients = ["RCPT TO:<b@server.test>", "RCPT TO:<\"c d\"@server.test>", "RCPT TO:<Postmaster>"];
    envelope.recipients = recipients.map(|line| Rcpt::parse(line.as_bytes()).expect("a command")).into();
    envelope
}

/// What was sent has CR and LF only as CRLF, and no NUL.
fn assert_lines(output: &[u8]) {
    let mut previous = 0;
    for octet in output {
        assert_ne!(*octet, 0);
        assert_eq!(*octet == b'\n', previous == b'\r');
        previous = *octet;
    }
}
