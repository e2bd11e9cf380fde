//! The examples do what they say: each is run here, the servers and the client against each other.

#![allow(clippy::unwrap_used, dead_code, reason = "tests; the examples' own main is not called")]
#![allow(clippy::duplicate_mod, reason = "each example is a program of its own, with what they share")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use bytes::Bytes;
use smtp_proto::server::ServerConfig;
use smtp_proto::{Envelope, Mail, Rcpt};

#[path = "../examples/blocking_server.rs"]
mod blocking_server;
#[path = "../examples/client.rs"]
mod client;
#[path = "../examples/inspect_transcript.rs"]
mod inspect_transcript;
#[path = "../examples/lmtp_server.rs"]
mod lmtp_server;
#[path = "../examples/tokio_server.rs"]
mod tokio_server;

fn config() -> Arc<ServerConfig> {
    Arc::new(ServerConfig::new("localhost".parse().unwrap()))
}

/// What the client's example says after it has sent a message there.
fn sent_to(listener: &TcpListener) -> Vec<String> {
    let mut envelope = Envelope::new(Mail::parse(b"MAIL FROM:<a@example.com>").unwrap());
    envelope.recipients.push(Rcpt::parse(b"RCPT TO:<b@example.org>").unwrap());
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client::send(stream, &envelope, &Bytes::from_static(b"Subject: 1\r\n\r\n.dot\r\n")).unwrap()
}

const DELIVERED: [&str; 3] = ["<b@example.org>: 250 2.0.0 OK", "<b@example.org>: 250 2.0.0 OK", "closed: quit"];

#[test]
fn the_blocking_server_takes_what_the_client_sends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accepting = listener.try_clone().unwrap();
    let server = thread::spawn(move || blocking_server::serve(accepting.accept().unwrap().0, config()));
    assert_eq!(sent_to(&listener), DELIVERED);
    server.join().unwrap().unwrap();
}

#[test]
fn the_tokio_server_takes_what_the_client_sends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accepting = listener.try_clone().unwrap();
    let server = thread::spawn(move || {
        let stream = accepting.accept().unwrap().0;
        stream.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime
            .block_on(async { tokio_server::serve(tokio::net::TcpStream::from_std(stream).unwrap(), config()).await })
    });
    assert_eq!(sent_to(&listener), DELIVERED);
    server.join().unwrap().unwrap();
}

/// RFC 2033 §4.2: each recipient has its own answer.
#[test]
fn the_lmtp_server_answers_for_each_recipient() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accepting = listener.try_clone().unwrap();
    let server = thread::spawn(move || lmtp_server::serve(accepting.accept().unwrap().0));
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let dialogue =
        b"LHLO client.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<full@d>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n";
    stream.write_all(dialogue).unwrap();
    let mut replies = String::new();
    stream.read_to_string(&mut replies).unwrap();
    let of_message: Vec<&str> = replies.lines().skip_while(|line| !line.starts_with("354")).skip(1).collect();
    assert_eq!(of_message, ["250 2.0.0 OK", "552 5.2.2 Mailbox full", "221 2.0.0 localhost closing the channel"]);
    server.join().unwrap().unwrap();
}

#[test]
fn the_inspector_finds_what_is_wrong() {
    let dialogue = "S: 220 mx.example.org ESMTP\n\
        C: EHLO client.example\n\
        S: 250-mx.example.org\n\
        S: 250 SIZE 1000\n\
        C: MAIL FROM: <a@example.com>\n\
        S: 501 5.1.7 no\n\
        C: MAIL FROM:<a@example.com> BODY=8BITMIME\n\
        S: 250 2.1.0 OK\n\
        C: RCPT TO:<b@example.org>\n\
        S: 550 5.1.1 No such user\n\
        C: DATA\n\
        S: 354 go on\n\
        C: MAIL FROM:<in the content>\n\
        C: .\n\
        S: 2\u{e9}0 what\n";
    assert_eq!(
        inspect_transcript::inspect(dialogue),
        [
            "4: no STARTTLS",
            "5: '<' expected (at octet 10): a server answers 501 5.1.7 '<' expected before the address",
            "7: parameter of an extension that the server does not offer",
            "10: RCPT refused: 550 5.1.1 No such user",
            "15: no reply: malformed reply",
        ]
    );
}
