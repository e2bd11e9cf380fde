//! A server on tokio, a task for each connection: takes every message and says how long it was.
//!
//! `cargo run -p smtp-proto --example tokio_server`, then `curl smtp://127.0.0.1:2525 --mail-from a@example.com
//! --mail-rcpt b@example.org -T message.txt`.

#![allow(clippy::print_stdout, reason = "it is an example")]

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use smtp_proto::server::{Event, ServerConfig, ServerSession};
use smtp_proto::{EnhancedStatus, Extensions, NotAwaited, Reply, ReplyCode, Session as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout_at;

const READY: Reply = Reply::without_status(ReplyCode::SERVICE_READY, "localhost ESMTP");
const OK: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "OK");

#[tokio::main]
async fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:2525").await?;
    println!("listening on {}", listener.local_addr()?);
    let config = Arc::new(ServerConfig::new("localhost".parse().expect("it is a host name")));
    loop {
        let (stream, _) = listener.accept().await?;
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            if let Err(error) = serve(stream, config).await {
                println!("lost: {error}");
            }
        });
    }
}

/// Follows the law of use of a session: events first, then output, then whatever comes.
pub(crate) async fn serve(mut stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    let mut session = ServerSession::new(config, None, Instant::now());
    let mut input = BytesMut::new();
    let mut event = None;
    loop {
        while let Some(next) = event.take().or_else(|| session.handle_input(Instant::now(), &mut input)) {
            if let Event::Closed(reason) = next {
                println!("closed: {reason}");
                return stream.shutdown().await;
            }
            answer(&mut session, &next).map_err(io::Error::other)?;
        }
        let mut written = false;
        while let Some(octets) = session.poll_transmit(Instant::now()) {
            written = true;
            match timeout_at(deadline(&session), stream.write_all(&octets)).await {
                Ok(done) => done?,
                Err(_) => event = session.handle_timeout(Instant::now()),
            }
        }
        if !written {
            event = wait(&mut stream, &mut session, &mut input).await?;
        }
    }
}

/// Waits for octets, for the end of the stream, or for the deadline, whichever comes first.
async fn wait(stream: &mut TcpStream, session: &mut ServerSession, input: &mut BytesMut) -> io::Result<Option<Event>> {
    match timeout_at(deadline(session), stream.read_buf(input)).await {
        Ok(length) => Ok(if length? == 0 { session.handle_eof() } else { None }),
        Err(_) => Ok(session.handle_timeout(Instant::now())),
    }
}

/// When the session gives up waiting; where it does not, in a minute it is asked again.
fn deadline(session: &ServerSession) -> tokio::time::Instant {
    let deadline = session.poll_timeout().map(|deadline| deadline.at);
    deadline.unwrap_or_else(|| Instant::now() + Duration::from_mins(1)).into()
}

fn answer(session: &mut ServerSession, event: &Event) -> Result<(), NotAwaited> {
    let now = Instant::now();
    match event {
        Event::Connected => session.reply(READY, now),
        Event::Hello(_) => session.hello(Extensions { pipelining: true, ..Extensions::default() }, now),
        Event::Mail(_) | Event::Rcpt(_) => session.reply(OK, now),
        Event::MailDataStart(_) => session.begin_mail_data(now),
        // The 250 promises that the message is safe: a real server has written `MailData` to a disk before.
        Event::MailDataEnd(facts) => {
            println!("{} octets", facts.octets);
            session.reply(OK, now)
        }
        _ => Ok(()),
    }
}
