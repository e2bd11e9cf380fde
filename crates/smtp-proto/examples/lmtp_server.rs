//! An LMTP server on blocking sockets, a thread for each connection: takes every message, and says for each recipient what became of it.
//!
//! `cargo run -p smtp-proto --example lmtp_server`, then `swaks --protocol LMTP --server 127.0.0.1:2424 --to
//! alice@example.org,full@example.org`.

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::BytesMut;
use smtp_proto::server::{Event, ServerConfig, ServerSession};
use smtp_proto::{EnhancedStatus, Extensions, ForwardPath, NotAwaited, Protocol, Rcpt, Reply, ReplyCode, Session as _};

const READY: Reply = Reply::without_status(ReplyCode::SERVICE_READY, "localhost LMTP");
const OK: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "OK");
const FULL: Reply = Reply::new(ReplyCode::EXCEEDED_STORAGE, EnhancedStatus::new(5, 2, 2), "Mailbox full");

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:2424")?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || serve(stream));
    }
    Ok(())
}

/// Follows the law of use of a session, with a stream that blocks.
pub(crate) fn serve(mut stream: TcpStream) -> io::Result<()> {
    let name = "localhost".parse().expect("it is a host name");
    let config = ServerConfig { protocol: Protocol::Lmtp, ..ServerConfig::new(name) };
    let mut session = ServerSession::new(Arc::new(config), None, Instant::now());
    let mut input = BytesMut::new();
    let mut event = None;
    loop {
        while let Some(next) = event.take().or_else(|| session.handle_input(Instant::now(), &mut input)) {
            if let Event::Closed(reason) = next {
                println!("closed: {reason}");
                return Ok(());
            }
            answer(&mut session, &next).map_err(io::Error::other)?;
        }
        let mut written = false;
        while let Some(octets) = session.poll_transmit(Instant::now()) {
            stream.write_all(&octets)?;
            written = true;
        }
        if written {
            continue;
        }
        event = wait(&mut stream, &mut session, &mut input)?;
    }
}

/// Waits for octets, for the end of the stream, or for the deadline.
fn wait(stream: &mut TcpStream, session: &mut ServerSession, input: &mut BytesMut) -> io::Result<Option<Event>> {
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

fn answer(session: &mut ServerSession, event: &Event) -> Result<(), NotAwaited> {
    let now = Instant::now();
    match event {
        Event::Connected => session.reply(READY, now),
        Event::Hello(_) => session.hello(Extensions { pipelining: true, ..Extensions::default() }, now),
        Event::Mail(_) | Event::Rcpt(_) => session.reply(OK, now),
        Event::MailDataStart(_) => session.begin_mail_data(now),
        // One answer for each recipient that was accepted, in their order.
        Event::MailDataEnd(_) => {
            let recipients = session.envelope().map(|envelope| envelope.recipients.clone()).unwrap_or_default();
            recipients.iter().try_for_each(|rcpt| session.reply(delivered(rcpt), now))
        }
        _ => Ok(()),
    }
}

/// What became of the message for this recipient.
fn delivered(rcpt: &Rcpt) -> Reply {
    match &rcpt.forward_path {
        ForwardPath::Mailbox(mailbox) if mailbox.local_part().as_str() == "full" => FULL,
        _ => OK,
    }
}
