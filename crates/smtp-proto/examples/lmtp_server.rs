//! An LMTP server on blocking sockets, a thread for each connection: takes every message, and says for each recipient what became of it.
//!
//! `cargo run -p smtp-proto --example lmtp_server`, then `swaks --protocol LMTP --server 127.0.0.1:2424 --to
//! alice@example.org,full@example.org`.

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use smtp_proto::server::{Event, ServerConfig, ServerSession};
use smtp_proto::{EnhancedStatus, Extensions, ForwardPath, NotAwaited, Protocol, Rcpt, Reply, ReplyCode};

#[path = "blocking/mod.rs"]
mod blocking;

use blocking::Blocking;

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

/// Serves one client to its end.
pub(crate) fn serve(stream: TcpStream) -> io::Result<()> {
    let name = "localhost".parse().expect("it is a host name");
    let config = ServerConfig { protocol: Protocol::Lmtp, ..ServerConfig::new(name) };
    let mut client = Blocking::new(ServerSession::new(Arc::new(config), None, Instant::now()), stream);
    loop {
        match client.next_event()? {
            Event::Closed(reason) => {
                println!("closed: {reason}");
                return Ok(());
            }
            event => answer(&mut client.session, &event).map_err(io::Error::other)?,
        }
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
