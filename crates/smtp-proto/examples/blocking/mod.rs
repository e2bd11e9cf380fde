//! A session on a stream that blocks: what the blocking examples have in common.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use smtp_proto::Session;

/// So long the stream may block where the session has no deadline; then it is asked again.
const WITHOUT_DEADLINE: Duration = Duration::from_mins(1);

/// A session and its stream, driven by the law of use of [`Session`].
///
/// While it writes it does not read, so two of its kind that both have much to say would wait for each other, until
/// one of them takes it for dead. Between SMTP's sides that does not come up: replies are short.
pub(crate) struct Blocking<S> {
    pub(crate) session: S,
    stream: TcpStream,
    input: BytesMut,
}

impl<S: Session> Blocking<S> {
    pub(crate) fn new(session: S, stream: TcpStream) -> Self {
        Self { session, stream, input: BytesMut::new() }
    }

    /// Writes and waits, until there is something to tell.
    pub(crate) fn next_event(&mut self) -> io::Result<S::Event> {
        loop {
            if let Some(event) = self.session.handle_input(Instant::now(), &mut self.input) {
                return Ok(event);
            }
            let event = match self.session.poll_transmit(Instant::now()) {
                Some(octets) => self.write_group(octets)?,
                None => self.read()?,
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    /// Writes what leaves together, each piece of it before its deadline.
    fn write_group(&mut self, mut octets: Bytes) -> io::Result<Option<S::Event>> {
        loop {
            let Some(wait) = self.time_left() else { return Ok(self.session.handle_timeout(Instant::now())) };
            self.stream.set_write_timeout(Some(wait))?;
            match self.stream.write(&octets) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => octets.advance(written),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
            if octets.is_empty() {
                match self.session.poll_transmit(Instant::now()) {
                    Some(next) => octets = next,
                    None => return Ok(None),
                }
            }
        }
    }

    /// Waits for octets, for the end of the stream, or for the deadline.
    fn read(&mut self) -> io::Result<Option<S::Event>> {
        let Some(wait) = self.time_left() else { return Ok(self.session.handle_timeout(Instant::now())) };
        self.stream.set_read_timeout(Some(wait))?;
        let mut octets = [0; 16 * 1024];
        match self.stream.read(&mut octets) {
            Ok(0) => Ok(self.session.handle_eof()),
            Ok(length) => {
                self.input.extend_from_slice(&octets[..length]);
                Ok(None)
            }
            Err(error) if is_timeout(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How long the stream may block; `None` where the deadline has passed.
    fn time_left(&self) -> Option<Duration> {
        let deadline = self.session.poll_timeout();
        let left = deadline.map_or(WITHOUT_DEADLINE, |deadline| deadline.at.saturating_duration_since(Instant::now()));
        (!left.is_zero()).then_some(left)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}
