//! Any octets from a server, in pieces: no panic, the same session however a line is cut, each transaction ends once, no
//! recipient is told to be delivered that was not accepted, what is sent are lines, nothing is read across STARTTLS, and
//! the end comes once and last.
#![no_main]

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use smtp_proto::client::{ClientConfig, ClientSession, Event};
use smtp_proto::{
    ContentFacts, Envelope, Extensions, HelloName, Mail, Mechanism, Rcpt, ReplyClass, Secret, Session, TlsFacts,
};

const CONTENT: &[u8] = b"Subject: a\r\n\r\n.a dot\r\n.\r\nthe end\r\n";
const RECIPIENTS: usize = 3;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (cut, wishes, octets) = input;
    // In one piece with its answer, a reply would come before what it is to: where lines end, the cut counts.
    let lines = || octets.split_inclusive(|octet| *octet == b'\n');
    let by_line = hear(lines(), wishes);
    let cut = usize::from(cut) % 16 + 1;
    assert_eq!(by_line, hear(lines().flat_map(|line| line.chunks(cut)), wishes));
    hear(octets.chunks(cut * 4), wishes);
});

/// A whole session with a server that says this: its events, and what was sent.
fn hear<'a>(pieces: impl Iterator<Item = &'a [u8]>, wishes: u8) -> (Vec<String>, Vec<u8>) {
    let mut client = Client::new(wishes);
    let mut input = BytesMut::new();
    client.advance(&mut input);
    for piece in pieces {
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
    (client.log, client.output)
}

struct Client {
    session: ClientSession,
    now: Instant,
    /// How many more transactions to begin.
    left: u8,
    wants_tls: bool,
    wants_auth: bool,
    open: Option<Transaction>,
    log: Vec<String>,
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
    /// The lowest two bits of `wishes` are the number of transactions; the next ones ask for TLS, and for AUTH.
    fn new(wishes: u8) -> Self {
        let now = Instant::now();
        let config = ClientConfig::new(HelloName::parse(b"client.test").expect("a name"));
        let session = ClientSession::new(Arc::new(config), None, now);
        Self {
            session,
            now,
            left: wishes % 4,
            wants_tls: wishes & 4 != 0,
            wants_auth: wishes & 8 != 0,
            open: None,
            log: Vec::new(),
            output: Vec::new(),
            closed: false,
        }
    }

    /// The caller's loop, until more octets are needed.
    fn advance(&mut self, input: &mut BytesMut) {
        loop {
            while let Some(event) = self.session.handle_input(self.now, input) {
                assert!(event != Event::StartTls || input.is_empty(), "only TLS may follow the 220");
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
        self.log.push(format!("{event:?}"));
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
            Event::Challenge(_) => {
                let response = Secret::new(b"\0user\0secret".to_vec());
                self.session.respond(response, self.now).expect("the challenge waits");
            }
            Event::Authenticated => self.next(),
            Event::Closed(_) => {
                self.open = None;
                self.closed = true;
            }
            Event::StartTls => {
                self.session.tls_established(TlsFacts::default(), self.now);
                assert_eq!(
                    *self.session.extensions(),
                    Extensions::default(),
                    "what was offered in the clear is forgotten"
                );
            }
            other => panic!("an event that this target does not know: {other:?}"),
        }
    }

    /// Asks for TLS, says who this is, begins another transaction, or says goodbye.
    fn next(&mut self) {
        if std::mem::take(&mut self.wants_tls) && self.session.start_tls(self.now).is_ok() {
            return;
        }
        if std::mem::take(&mut self.wants_auth) && self.session.authenticate(Mechanism::PLAIN, None, self.now).is_ok() {
            return;
        }
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
