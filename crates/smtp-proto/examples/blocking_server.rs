//! A server on blocking sockets, a thread for each connection: takes every message and prints it.
//!
//! `cargo run -p smtp-proto --example blocking_server`, then `curl smtp://127.0.0.1:2525 --mail-from a@example.com
//! --mail-rcpt b@example.org -T message.txt`.

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use smtp_proto::server::{Event, ServerConfig, ServerSession};
use smtp_proto::{EnhancedStatus, Extensions, NotAwaited, Reply, ReplyCode};

#[path = "blocking/mod.rs"]
mod blocking;

use blocking::Blocking;

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

/// Serves one client to its end.
pub(crate) fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut client = Blocking::new(ServerSession::new(config, None, Instant::now()), stream);
    loop {
        match client.next_event()? {
            Event::Closed(reason) => {
                println!("closed: {reason}");
                return Ok(());
            }
            event => answer(&mut client.session, event).map_err(io::Error::other)?,
        }
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
