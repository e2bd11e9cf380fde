//! A client on a blocking socket: sends what stands on standard input.
//!
//! `cargo run -p smtp-proto --example client -- 127.0.0.1:2525 a@example.com b@example.org <message.txt`; lines of the message end with
//! CRLF.

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use smtp_proto::client::{ClientConfig, ClientSession, Event};
use smtp_proto::{ContentFacts, Envelope, ForwardPath, Mail, Mailbox, Rcpt, ReversePath, Session as _};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, from, recipients @ ..] = &*arguments else {
        return Err(io::Error::other("usage: client ADDRESS FROM TO..."));
    };
    let mailbox = |text: &String| text.parse::<Mailbox>().map_err(io::Error::other);
    let mut envelope = Envelope::new(Mail::new(ReversePath::Mailbox(mailbox(from)?)));
    for recipient in recipients {
        envelope.recipients.push(Rcpt::new(ForwardPath::Mailbox(mailbox(recipient)?)));
    }
    let mut content = Vec::new();
    io::stdin().read_to_end(&mut content)?;
    for line in send(TcpStream::connect(address)?, &envelope, &content.into())? {
        println!("{line}");
    }
    Ok(())
}

/// Sends one message, and says what became of it.
pub(crate) fn send(mut stream: TcpStream, envelope: &Envelope, content: &Bytes) -> io::Result<Vec<String>> {
    let config = ClientConfig::new("localhost".parse().expect("it is a host name"));
    let mut session = ClientSession::new(Arc::new(config), None, Instant::now());
    let mut input = BytesMut::new();
    let mut left = Some(content.clone());
    let mut report = Vec::new();
    loop {
        let event = match session.handle_input(Instant::now(), &mut input) {
            Some(event) => Some(event),
            None if write(&mut stream, &mut session)? => None,
            None => wait(&mut stream, &mut session, &mut input)?,
        };
        let now = Instant::now();
        match event {
            Some(Event::Ready(_)) => {
                session.begin(envelope, &ContentFacts::of(content), now).map_err(io::Error::other)?;
            }
            // All at once here; a file would go piece by piece, one for each time that this comes.
            Some(Event::MailDataWanted) => match left.take() {
                Some(content) => session.send_mail_data(content, now).map_err(io::Error::other)?,
                None => session.finish_mail_data(now).map_err(io::Error::other)?,
            },
            Some(Event::Recipient { index, reply } | Event::Delivered { index, reply }) => {
                report.push(format!("{}: {}", envelope.recipients[index].forward_path, reply.escaped(200)));
            }
            Some(Event::Refused { stage, reply }) => {
                report.push(format!("refused at {stage}: {}", reply.escaped(200)));
                session.quit(now);
            }
            Some(Event::Finished) => session.quit(now),
            Some(Event::Closed(reason)) => {
                report.push(format!("closed: {reason}"));
                return Ok(report);
            }
            Some(_) | None => {}
        }
    }
}

/// Writes what the session has to say; `true` if there was anything.
fn write(stream: &mut TcpStream, session: &mut ClientSession) -> io::Result<bool> {
    let mut written = false;
    while let Some(octets) = session.poll_transmit(Instant::now()) {
        stream.write_all(&octets)?;
        written = true;
    }
    Ok(written)
}

/// Waits for octets, for the end of the stream, or for the deadline.
fn wait(stream: &mut TcpStream, session: &mut ClientSession, input: &mut BytesMut) -> io::Result<Option<Event>> {
    let wait = session.poll_timeout().map(|deadline| deadline.at.saturating_duration_since(Instant::now()));
    if wait.is_some_and(|wait| wait.is_zero()) {
        return Ok(session.handle_timeout(Instant::now()));
    }
    stream.set_read_timeout(wait)?;
    let mut octets = [0; 16 * 1024];
    match stream.read(&mut octets) {
        Ok(0) => Ok(session.handle_eof()),
        Ok(length) => {
            input.extend_from_slice(&octets[..length]);
            Ok(None)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(None),
        Err(error) => Err(error),
    }
}
