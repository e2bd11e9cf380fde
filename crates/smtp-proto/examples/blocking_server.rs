//! A server on blocking sockets, a thread for each connection: takes every message and prints it.
//!
//! `cargo run -p smtp-proto --example blocking_server`, then `curl smtp://127.0.0.1:2525 --mail-from a@example.com
//! --mail-rcpt b@example.org -T message.txt`.

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::BytesMut;
use smtp_proto::server::{Event, ServerConfig, ServerSession};
use smtp_proto::{EnhancedStatus, Extensions, NotAwaited, Reply, ReplyCode, Session as _};

const READY: Reply = Reply::without_status(ReplyCode::SERVICE_READY, "localhost ESMTP");
const OK: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "OK");

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:2525")?;
    let config = Arc::new(ServerConfig::new("localhost".parse().expect("it is a host name")));
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let (stream, config) = (stream?, Arc::clone(&config));
        thread::spawn(move || serve(stream, config));
    }
    Ok(())
}

/// Follows the law of use of a session, with a stream that blocks.
pub(crate) fn serve(mut stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut session = ServerSession::new(config, None, Instant::now());
    let mut input = BytesMut::new();
    loop {
        let event = match session.handle_input(Instant::now(), &mut input) {
            Some(event) => Some(event),
            None if write(&mut stream, &mut session)? => None,
            None => wait(&mut stream, &mut session, &mut input)?,
        };
        match event {
            Some(Event::Closed(reason)) => {
                println!("closed: {reason}");
                return Ok(());
            }
            Some(event) => answer(&mut session, event).map_err(io::Error::other)?,
            None => {}
        }
    }
}

/// Writes what the session has to say; `true` if there was anything.
fn write(stream: &mut TcpStream, session: &mut ServerSession) -> io::Result<bool> {
    let mut written = false;
    while let Some(octets) = session.poll_transmit(Instant::now()) {
        stream.write_all(&octets)?;
        written = true;
    }
    Ok(written)
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

fn answer(session: &mut ServerSession, event: Event) -> Result<(), NotAwaited> {
    let now = Instant::now();
    match event {
        Event::Connected => session.reply(READY, now),
        Event::Hello(_) => session.hello(Extensions { pipelining: true, ..Extensions::default() }, now),
        Event::Mail(mail) => {
            println!("from {}", mail.reverse_path);
            session.reply(OK, now)
        }
        Event::Rcpt(rcpt) => {
            println!("for {}", rcpt.forward_path);
            session.reply(OK, now)
        }
        Event::MailDataStart(_) => session.begin_mail_data(now),
        Event::MailData(octets) => {
            print!("{}", octets.escape_ascii());
            Ok(())
        }
        Event::MailDataEnd(facts) => {
            println!("\n{} octets", facts.octets);
            session.reply(OK, now)
        }
        _ => Ok(()),
    }
}
