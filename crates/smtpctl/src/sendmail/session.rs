//! A message on its way to the server, by SMTP over the submit socket.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use smtp_mail::Report;
use smtp_proto::client::{ClientConfig, ClientSession, CloseReason, Event, Stage};
use smtp_proto::{ContentFacts, Domain, EnhancedStatus, Envelope, RemoteReply, ReplyClass, ReplyReader, Session as _};

use super::exit::{Exit, code};

/// Recipients of one transaction where the server does not say how many it takes (RFC 5321 §4.5.3.1.8).
pub(super) const RECIPIENTS_MAX: usize = 100;
const READ_OCTETS: usize = 4096;

/// Why a message has not been answered by the server.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The server is not there, or takes nothing at the moment: the maildrop takes it instead.
    Down(String),
    /// The server refuses the message.
    Refused(Exit),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Down(format!("the server has broken off: {error}"))
    }
}

/// What has become of the recipients of a message, however many transactions that took.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Those that the server has not answered for, by their place in the envelope.
    pub(crate) waiting: VecDeque<usize>,
    pub(crate) refusals: Refusals,
    /// Those whom the server may take later, and what it says to them.
    put_off: Vec<(usize, RemoteReply)>,
    /// The server has the message for somebody: a caller that tried again would send it twice.
    taken: bool,
}

impl Progress {
    pub(crate) fn new(recipients: usize) -> Self {
        Self { waiting: (0..recipients).collect(), refusals: Refusals::default(), put_off: Vec::new(), taken: false }
    }

    /// What becomes of those who were put off. The caller tries again for them, unless others have the message: then they wait.
    ///
    /// # Errors
    /// They wait, or it has ended before.
    fn settle(&mut self, sent: Result<(), Failed>) -> Result<(), Failed> {
        let put_off = std::mem::take(&mut self.put_off);
        let Some((_, first)) = put_off.first() else { return sent };
        let sent = if self.taken { sent.and(Err(Failed::Down(shown(first)))) } else { sent };
        if matches!(sent, Err(Failed::Down(_))) {
            self.waiting.extend(put_off.iter().map(|(recipient, _)| recipient));
        } else {
            for (_, reply) in &put_off {
                self.refusals.add(Stage::Rcpt, reply);
            }
        }
        sent
    }
}

/// What has become of the recipients of one transaction that had no place in it.
#[derive(Default)]
struct NotTaken {
    /// As too many at once: they are to have another transaction.
    again: Vec<usize>,
    put_off: Vec<(usize, RemoteReply)>,
}

/// A session with the server that has greeted.
pub(crate) struct Session {
    stream: UnixStream,
    engine: ClientSession,
    input: BytesMut,
    /// Nothing more can be written, and why. What the server has said last may be there still.
    broken: Option<io::Error>,
}

impl Session {
    /// Connects, and waits until the server is ready. With the session comes the domain of addresses that have none: the
    /// submit socket greets with it.
    pub(crate) fn open(socket: &Path) -> Result<(Self, Domain), Failed> {
        let not_there = |error| Failed::Down(format!("no server answers at {}: {error}", socket.display()));
        let stream = UnixStream::connect(socket).map_err(not_there)?;
        Self::begin(stream, ClientConfig::new("localhost".parse().expect("localhost is a name")))
    }

    fn begin(stream: UnixStream, config: ClientConfig) -> Result<(Self, Domain), Failed> {
        let config = Arc::new(config);
        let engine = ClientSession::new(Arc::clone(&config), None, Instant::now());
        // As long as the server may take with a piece of mail data (RFC 5321 §4.5.3.2.5).
        stream.set_write_timeout(Some(config.timeouts.data_block))?;
        let mut session = Self { stream, engine, input: BytesMut::new(), broken: None };
        let domain = session.greeting(&config)?.and_then(|greeting| greeted_by(&greeting));
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

    /// Reads the greeting, and leaves it to the engine, which judges it. `None`: it is no reply.
    fn greeting(&mut self, config: &ClientConfig) -> io::Result<Option<RemoteReply>> {
        let until = Instant::now() + config.timeouts.greeting;
        loop {
            // A reply is bounded, and most often this is one line that has come at once.
            match ReplyReader::new(&config.limits).read(&mut self.input.clone()) {
                Ok(None) if self.read_some(until)? > 0 => {}
                Ok(greeting) => return Ok(greeting),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Sends the message to those who wait, in as many transactions as the server takes them in. Whoever has an answer is
    /// taken out of `progress`.
    ///
    /// # Errors
    /// It ended before all had an answer that holds.
    pub(crate) fn send(mut self, envelope: &Envelope, content: &Bytes, progress: &mut Progress) -> Result<(), Failed> {
        let sent = self.send_in_turn(envelope, content, progress);
        if sent.is_ok() {
            self.engine.quit(Instant::now());
            // The message is settled: how the session ends is no matter.
            let _ = self.next_event();
        }
        progress.settle(sent)
    }

    fn send_in_turn(&mut self, envelope: &Envelope, content: &Bytes, progress: &mut Progress) -> Result<(), Failed> {
        let facts = ContentFacts::of(content);
        let limit = self.engine.extensions().limits.rcpt_max.and_then(|limit| usize::try_from(limit).ok());
        let mut at_most = limit.unwrap_or(RECIPIENTS_MAX);
        while !progress.waiting.is_empty() {
            let round: Vec<usize> = progress.waiting.iter().copied().take(at_most).collect();
            let part = Envelope {
                mail: envelope.mail.clone(),
                recipients: round.iter().map(|&place| envelope.recipients[place].clone()).collect(),
            };
            self.engine
                .begin(&part, &facts, Instant::now())
                .map_err(|unfit| Failed::Refused(Exit::new(code::DATAERR, unfit.to_string())))?;
            let Some(NotTaken { again, put_off }) = self.transact(&round, content, progress)? else {
                // The message is refused, and is the same for the others.
                progress.waiting.clear();
                break;
            };
            progress.waiting.drain(..round.len());
            progress.put_off.extend(put_off);
            // Fewer next time.
            at_most = (round.len() - again.len()).max(1);
            again.into_iter().rev().for_each(|recipient| progress.waiting.push_front(recipient));
        }
        Ok(())
    }

    /// One transaction that has been begun, to its end. `None`: the server refuses the message, whoever it is for.
    fn transact(
        &mut self,
        round: &[usize],
        content: &Bytes,
        progress: &mut Progress,
    ) -> Result<Option<NotTaken>, Failed> {
        let mut content = Some(content.clone());
        let mut too_many: Vec<(usize, RemoteReply)> = Vec::new();
        let mut not_taken = NotTaken::default();
        let mut taken = false;
        loop {
            match self.next_event()? {
                Event::Recipient { reply, .. } if reply.class() == ReplyClass::Completion => {}
                Event::Recipient { index, reply } if reply.is_too_many_recipients() => {
                    too_many.push((round[index], reply));
                }
                Event::Recipient { index, reply } if reply.class() == ReplyClass::Transient => {
                    not_taken.put_off.push((round[index], reply));
                }
                Event::Recipient { reply, .. } => progress.refusals.add(Stage::Rcpt, &reply),
                Event::MailDataWanted => {
                    // What the server has refused meanwhile is told by the next event.
                    let _ = match content.take() {
                        Some(content) => self.engine.send_mail_data(content, Instant::now()),
                        None => self.engine.finish_mail_data(Instant::now()),
                    };
                }
                Event::Delivered { .. } => taken = true,
                // The caller would send it to all when it tries again.
                Event::Refused { reply, .. } if progress.taken && reply.class() == ReplyClass::Transient => {
                    return Err(Failed::Down(shown(&reply)));
                }
                Event::Refused { stage, reply } => {
                    progress.refusals.add(stage, &reply);
                    return Ok(None);
                }
                Event::Finished => break,
                Event::Closed(CloseReason::ServiceNotAvailable(reply)) => return Err(Failed::Down(shown(&reply))),
                Event::Closed(CloseReason::Content(fault)) => {
                    return Err(Failed::Refused(Exit::new(code::DATAERR, fault.to_string())));
                }
                other => return Err(out_of_step(&other)),
            }
        }
        progress.taken |= taken;
        if taken {
            not_taken.again = too_many.into_iter().map(|(recipient, _)| recipient).collect();
        } else {
            // A server that took nobody will not take these alone.
            not_taken.put_off.append(&mut too_many);
        }
        Ok(Some(not_taken))
    }

    /// Writes, reads and waits until the engine has an event. Where nothing can be written any more, what the server has
    /// said before says why.
    fn next_event(&mut self) -> io::Result<Event> {
        loop {
            let now = Instant::now();
            if let Some(event) = self.engine.handle_input(now, &mut self.input) {
                return Ok(event);
            }
            if let Some(piece) = self.engine.poll_transmit(now) {
                if self.broken.is_none() {
                    self.broken = self.stream.write_all(&piece).err();
                }
                continue;
            }
            let Some(deadline) = self.engine.poll_timeout() else { return Err(ErrorKind::NotConnected.into()) };
            match self.read_some(deadline.at) {
                Ok(0) => {
                    let end = self.engine.handle_eof().ok_or_else(|| ErrorKind::UnexpectedEof.into());
                    return self.broken.take().map_or(end, Err);
                }
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if let Some(event) = self.engine.handle_timeout(Instant::now()) {
                        return Ok(event);
                    }
                }
                Err(error) => return Err(self.broken.take().unwrap_or(error)),
            }
        }
    }

    /// Reads what is there, and waits for it until then. 0: the server has closed.
    fn read_some(&mut self, until: Instant) -> io::Result<usize> {
        let mut octets = [0; READ_OCTETS];
        loop {
            let within = until.saturating_duration_since(Instant::now());
            // Zero would mean to wait for ever.
            self.stream.set_read_timeout(Some(within.max(Duration::from_millis(1))))?;
            match self.stream.read(&mut octets) {
                Ok(read) => {
                    self.input.extend_from_slice(&octets[..read]);
                    return Ok(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// The domain that a greeting begins with (RFC 5321 §4.2).
pub(super) fn greeted_by(greeting: &RemoteReply) -> Option<Domain> {
    let text = std::str::from_utf8(greeting.lines().next()?).ok()?;
    text.split(' ').next()?.parse().ok()
}

/// The refusals of a message; the gravest gives the exit code.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    lines: Vec<String>,
    code: Option<u8>,
}

impl Refusals {
    pub(super) fn add(&mut self, stage: Stage, reply: &RemoteReply) {
        let is_transient = reply.class() == ReplyClass::Transient;
        self.push(exit_code(stage, is_transient, reply.status()), shown(reply));
    }

    pub(super) fn push(&mut self, code: u8, line: String) {
        self.lines.push(line);
        // One that may come right later is the mildest.
        self.code = Some(self.code.filter(|&before| before != code::TEMPFAIL).unwrap_or(code));
    }

    pub(crate) fn into_result(self) -> Result<(), Exit> {
        match self.code {
            None => Ok(()),
            Some(code) => Err(Exit::new(code, self.lines.join("\n"))),
        }
    }
}

/// The code of sysexits.h that says the same as a refusal (RFC 3463).
pub(super) fn exit_code(stage: Stage, is_transient: bool, status: Option<EnhancedStatus>) -> u8 {
    if is_transient {
        return code::TEMPFAIL;
    }
    match status.map(|status| (status.subject(), status.detail())) {
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
    reply.escaped(Report::TEXT_OCTETS_MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
