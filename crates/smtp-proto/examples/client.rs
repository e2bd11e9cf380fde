//! A client on a blocking socket: sends what stands on standard input.
//!
//! `cargo run -p smtp-proto --example client -- 127.0.0.1:2525 a@example.com b@example.org <message.txt`; lines of the message end with
//! CRLF.

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use smtp_proto::client::{ClientConfig, ClientSession, Event};
use smtp_proto::{ContentFacts, Envelope, ForwardPath, Mail, Mailbox, Rcpt, ReversePath};

#[path = "blocking/mod.rs"]
mod blocking;

use blocking::Blocking;

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
pub(crate) fn send(stream: TcpStream, envelope: &Envelope, content: &Bytes) -> io::Result<Vec<String>> {
    let config = ClientConfig::new("localhost".parse().expect("it is a host name"));
    let mut server = Blocking::new(ClientSession::new(Arc::new(config), None, Instant::now()), stream);
    let mut left = Some(content.clone());
    let mut report = Vec::new();
    loop {
        let event = server.next_event()?;
        let (session, now) = (&mut server.session, Instant::now());
        match event {
            Event::Ready(_) => {
                session.begin(envelope, &ContentFacts::of(content), now).map_err(io::Error::other)?;
            }
            // All at once here; a file would go piece by piece, one for each time that this comes.
            Event::MailDataWanted => match left.take() {
                Some(content) => session.send_mail_data(content, now).map_err(io::Error::other)?,
                None => session.finish_mail_data(now).map_err(io::Error::other)?,
            },
            Event::Recipient { index, reply } | Event::Delivered { index, reply } => {
                report.push(format!("{}: {}", envelope.recipients[index].forward_path, reply.escaped(200)));
            }
            Event::Refused { stage, reply } => {
                report.push(format!("refused at {stage}: {}", reply.escaped(200)));
                session.quit(now);
            }
            Event::Finished => session.quit(now),
            Event::Closed(reason) => {
                report.push(format!("closed: {reason}"));
                return Ok(report);
            }
            _ => {}
        }
    }
}
