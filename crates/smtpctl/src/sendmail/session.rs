//! A message on its way to the server, by SMTP over the submit socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use smtp_proto::client::{ClientConfig, ClientSession, CloseReason, Event, Stage};
use smtp_proto::{ContentFacts, Domain, Envelope, RemoteReply, ReplyClass, Session as _};

use super::exit::{Exit, code};

/// A greeting that is longer is none.
const GREETING_OCTETS_MAX: usize = 4096;
/// What is shown of a reply.
const REPLY_SHOWN_OCTETS: usize = 500;
const READ_OCTETS: usize = 4096;

/// Why a message has not been answered by the server.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The server is not there, or takes nothing at the moment: the maildrop takes it instead.
    Down(String),
    /// The server has refused the message, or some of its recipients.
    Refused(Exit),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Down(format!("the server has broken off: {error}"))
    }
}

/// A session with the server that has greeted.
pub(crate) struct Session {
    stream: UnixStream,
    engine: ClientSession,
    input: BytesMut,
}

impl Session {
    /// Connects, and waits until the server is ready. With the session comes the domain of addresses that have none: the
    /// submit socket greets with it.
    pub(crate) fn open(socket: &Path) -> Result<(Self, Domain), Failed> {
        let not_there = |error| Failed::Down(format!("no server answers at {}: {error}", socket.display()));
        let mut stream = UnixStream::connect(socket).map_err(not_there)?;
        let config = ClientConfig::new("localhost".parse().expect("localhost is a name"));
        let within = config.timeouts.greeting;
        let engine = ClientSession::new(Arc::new(config), None, Instant::now());
        let mut input = BytesMut::new();
        read_line(&mut stream, &mut input, within)?;
        let domain = greeted_by(&input);
        let mut session = Self { stream, engine, input };
        match session.next_event()? {
            Event::Ready(_) => {}
            Event::Refused { reply, .. } if reply.class() == ReplyClass::Permanent => {
                return Err(Failed::Refused(Exit::new(code::UNAVAILABLE, shown(&reply))));
            }
            Event::Refused { reply, .. } => return Err(Failed::Down(shown(&reply))),
            other => return Err(out_of_step(&other)),
        }
        let domain = domain.ok_or_else(|| Failed::Down("the server does not say its name".to_owned()))?;
        Ok((session, domain))
    }

    /// Sends the message. All recipients have it, or the error says which have not.
    pub(crate) fn send(mut self, envelope: &Envelope, content: Bytes) -> Result<(), Failed> {
        let facts = ContentFacts::of(&content);
        self.engine
            .begin(envelope, &facts, Instant::now())
            .map_err(|unfit| Failed::Refused(Exit::new(code::DATAERR, unfit.to_string())))?;
        let mut content = Some(content);
        let mut refusals = Refusals::default();
        loop {
            match self.next_event()? {
                Event::Recipient { reply, .. } if reply.class() == ReplyClass::Completion => {}
                Event::Recipient { reply, .. } => refusals.add(Stage::Rcpt, &reply),
                Event::MailDataWanted => {
                    // What the server has refused meanwhile is told by the next event.
                    let _ = match content.take() {
                        Some(content) => self.engine.send_mail_data(content, Instant::now()),
                        None => self.engine.finish_mail_data(Instant::now()),
                    };
                }
                Event::Delivered { .. } => {}
                Event::Refused { stage, reply } => {
                    refusals.add(stage, &reply);
                    break;
                }
                Event::Finished => break,
                Event::Closed(CloseReason::ServiceNotAvailable(reply)) => return Err(Failed::Down(shown(&reply))),
                Event::Closed(CloseReason::Content(fault)) => {
                    return Err(Failed::Refused(Exit::new(code::DATAERR, fault.to_string())));
                }
                other => return Err(out_of_step(&other)),
            }
        }
        self.engine.quit(Instant::now());
        // The message is settled: how the session ends is no matter.
        let _ = self.next_event();
        refusals.into_result()
    }

    /// Writes, reads and waits until the engine has an event.
    fn next_event(&mut self) -> io::Result<Event> {
        loop {
            let now = Instant::now();
            if let Some(event) = self.engine.handle_input(now, &mut self.input) {
                return Ok(event);
            }
            if let Some(piece) = self.engine.poll_transmit(now) {
                self.stream.write_all(&piece)?;
                continue;
            }
            let Some(deadline) = self.engine.poll_timeout() else { return Err(io::ErrorKind::NotConnected.into()) };
            match read_some(&mut self.stream, &mut self.input, deadline.at.saturating_duration_since(now)) {
                Ok(0) => return self.engine.handle_eof().ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn read_some(stream: &mut UnixStream, input: &mut BytesMut, within: Duration) -> io::Result<usize> {
    // Zero would mean to wait for ever.
    stream.set_read_timeout(Some(within.max(Duration::from_millis(1))))?;
    let mut octets = [0; READ_OCTETS];
    let read = stream.read(&mut octets)?;
    input.extend_from_slice(&octets[..read]);
    Ok(read)
}

fn read_line(stream: &mut UnixStream, input: &mut BytesMut, within: Duration) -> io::Result<()> {
    while !input.contains(&b'\n') && input.len() < GREETING_OCTETS_MAX {
        if read_some(stream, input, within)? == 0 {
            break;
        }
    }
    Ok(())
}

/// The domain that a greeting begins with (RFC 5321 §4.3.1).
fn greeted_by(greeting: &[u8]) -> Option<Domain> {
    let line = greeting.split(|octet| *octet == b'\r').next()?;
    let text = std::str::from_utf8(line.get(4..)?).ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The refusals of a message; the gravest gives the exit code.
#[derive(Default)]
struct Refusals {
    lines: Vec<String>,
    code: Option<u8>,
}

impl Refusals {
    fn add(&mut self, stage: Stage, reply: &RemoteReply) {
        self.lines.push(shown(reply));
        let code = exit_code(stage, reply);
        // One that may come right later is the mildest.
        self.code = Some(self.code.filter(|&before| before != code::TEMPFAIL).unwrap_or(code));
    }

    fn into_result(self) -> Result<(), Failed> {
        match self.code {
            None => Ok(()),
            Some(code) => Err(Failed::Refused(Exit::new(code, self.lines.join("\n")))),
        }
    }
}

/// The code of sysexits.h that says the same as a refusal (RFC 3463).
fn exit_code(stage: Stage, reply: &RemoteReply) -> u8 {
    if reply.class() == ReplyClass::Transient {
        return code::TEMPFAIL;
    }
    match reply.status().map(|status| (status.subject(), status.detail())) {
        Some((7, _)) => code::NOPERM,
        Some((1, _)) if stage == Stage::Rcpt => code::NOUSER,
        Some((3 | 5 | 6, _)) if stage != Stage::Rcpt => code::DATAERR,
        _ => code::UNAVAILABLE,
    }
}

fn out_of_step(event: &Event) -> Failed {
    match event {
        Event::Closed(reason) => Failed::Down(format!("the server has broken off: {reason}")),
        _ => Failed::Down("the server is out of step".to_owned()),
    }
}

fn shown(reply: &RemoteReply) -> String {
    reply.escaped(REPLY_SHOWN_OCTETS)
}
