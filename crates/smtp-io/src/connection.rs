//! Drives any session over a stream.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use smtp_proto::{Session, Timer, TlsFacts};
use tokio::io::AsyncWriteExt;
use tokio::time::Sleep;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::input::Input;
use crate::output::Output;
use crate::stream::{HandshakeError, Stream};

/// The clock that sessions are driven by: the runtime's, so that a test can stop it.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Why a connection is of no more use. That the peer ended it in order is no error but an event of the session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// Reading failed: most often the peer has reset the connection.
    #[error("the connection broke while reading")]
    Read(#[source] io::Error),
    /// Writing failed, and the peer has sent nothing more that would say why.
    #[error("the connection broke while writing")]
    Write(#[source] io::Error),
    /// The peer took no output in time.
    #[error("the peer took too long ({0})")]
    TimedOut(Timer),
    /// The session was driven on after its end.
    #[error("the session has ended")]
    Ended,
    /// TLS was asked for and did not come about.
    #[error("no TLS")]
    Handshake(#[from] HandshakeError),
}

/// How long and how far [`Connection::close`] goes to bring the last reply to the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseLimits {
    /// For the output that still waits.
    pub flush: Duration,
    /// For the peer to end its side, after ours is ended.
    pub linger: Duration,
    /// What the peer may still send meanwhile, in octets.
    pub linger_octets: u64,
}

impl Default for CloseLimits {
    /// 10 s, 2 s, 1 MiB.
    fn default() -> Self {
        Self { flush: Duration::from_secs(10), linger: Duration::from_secs(2), linger_octets: 1024 * 1024 }
    }
}

/// A stream, a session, and the octets between them. It does what [`Session`] says of its caller.
#[derive(Debug)]
pub struct Connection<S> {
    stream: Stream,
    session: S,
    input: Input,
    output: Output,
    /// Armed at some moment not after the session's deadline; moved back only when it fires too early.
    timer: Option<Pin<Box<Sleep>>>,
    write_error: Option<io::Error>,
}

impl<S: Session> Connection<S> {
    /// Puts `session` onto `stream`: a [`TcpStream`](tokio::net::TcpStream), a [`UnixStream`](tokio::net::UnixStream), or
    /// a [`Stream`] with TLS already done.
    pub fn new(stream: impl Into<Stream>, session: S) -> Self {
        Self {
            stream: stream.into(),
            session,
            input: Input::new(),
            output: Output::default(),
            timer: None,
            write_error: None,
        }
    }

    /// The session, to answer its events.
    pub fn session(&mut self) -> &mut S {
        &mut self.session
    }

    /// Reads, writes and waits until the session has an event. Safe to cancel: nothing is lost, the next call goes on.
    ///
    /// While output waits for a peer that does not read, input is still taken in, up to a limit, so that two sides
    /// which both write first do not lock up. Where writing has failed it goes on reading, since the peer may have
    /// said why before it closed.
    ///
    /// # Errors
    /// The connection is lost; the session has no more events.
    pub async fn next_event(&mut self) -> Result<S::Event, ConnectionError> {
        let mut looked = false;
        loop {
            let now = now();
            if let Some(event) = self.session.handle_input(now, self.input.octets()) {
                return Ok(event);
            }
            if self.session.awaits_silence() && poll_fn(|context| self.poll_hear(context)).await? {
                continue;
            }
            self.fill_output(now);
            if self.input.has_ended() && self.output.is_done() {
                return self.end();
            }
            let due = self.session.poll_timeout().is_some_and(|deadline| deadline.at <= now);
            if due && looked {
                if let Some(event) = self.session.handle_timeout(now) {
                    return Ok(event);
                }
                continue;
            }
            // The time may have passed with the caller: what has come by then is heard first, but only once.
            looked = due;
            poll_fn(|context| self.poll_progress(context)).await?;
        }
    }

    /// Waits for octets of the peer, at most so long; where that is no time it looks once. Whether any came. What came is for the
    /// session, when it is asked again.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn hears_within(&mut self, time: Duration) -> Result<bool, ConnectionError> {
        if poll_fn(|context| self.poll_hear(context)).await? || time.is_zero() {
            return Ok(!self.input.octets().is_empty());
        }
        match tokio::time::timeout(time, poll_fn(|context| self.poll_read(context))).await {
            Ok(read) => read.map(|()| !self.input.octets().is_empty()),
            Err(_) => Ok(false),
        }
    }

    /// Writes out all that the session has to say, and reads nothing.
    ///
    /// # Errors
    /// The connection is lost, or the session's deadline passed first.
    pub async fn flush(&mut self) -> Result<(), ConnectionError> {
        loop {
            let now = now();
            self.fill_output(now);
            if let Some(error) = self.write_error.take() {
                return Err(ConnectionError::Write(error));
            }
            if self.output.is_done() {
                return Ok(());
            }
            if let Some(deadline) = self.session.poll_timeout().filter(|deadline| deadline.at <= now) {
                return Err(ConnectionError::TimedOut(deadline.reason));
            }
            poll_fn(
                |context| {
                    if self.poll_write(context).is_ready() { Poll::Ready(()) } else { self.poll_timer(context) }
                },
            )
            .await;
        }
    }

    /// Flushes, then makes this the server's side of TLS; the caller hands the facts to its session. What the peer sent
    /// in the clear behind its STARTTLS was refused by the session, and what comes from now on is TLS.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn accept_tls(&mut self, acceptor: &TlsAcceptor, within: Duration) -> Result<TlsFacts, ConnectionError> {
        self.flush().await?;
        self.input.discard();
        Ok(self.stream.accept_tls(acceptor, within).await?)
    }

    /// Flushes, then makes this the client's side of TLS; the caller hands the facts to its session.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn connect_tls(
        &mut self,
        connector: &TlsConnector,
        server_name: ServerName<'static>,
        within: Duration,
    ) -> Result<TlsFacts, ConnectionError> {
        self.flush().await?;
        self.input.discard();
        Ok(self.stream.connect_tls(connector, server_name, within).await?)
    }

    /// Ends the connection in order: writes what waits, ends TLS and our side of the stream, then reads on until the
    /// peer has ended its side. A socket closed while octets of the peer are unread would be reset instead, and the
    /// reset can overtake the last reply.
    pub async fn close(mut self, limits: CloseLimits) {
        if !matches!(tokio::time::timeout(limits.flush, self.end_output()).await, Ok(Ok(()))) || self.input.has_ended()
        {
            return;
        }
        // However this ends, the connection is done with.
        let _ = tokio::time::timeout(limits.linger, self.stream.drain(limits.linger_octets)).await;
    }

    /// Ends the connection after the peer has said its last word, as with QUIT: where nothing of it is unread it need not
    /// be waited for, and all that is left to do is to close. Else, and under TLS, this is [`Self::close`].
    pub async fn close_after_quit(mut self, limits: CloseLimits) {
        let written = tokio::time::timeout(limits.flush, self.flush()).await;
        if !(matches!(written, Ok(Ok(()))) && self.input.octets().is_empty() && self.stream.is_quiet()) {
            self.close(limits).await;
        }
    }

    async fn end_output(&mut self) -> io::Result<()> {
        match self.flush().await {
            Ok(()) | Err(ConnectionError::TimedOut(_)) => self.stream.shutdown().await,
            Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn fill_output(&mut self, now: Instant) {
        if self.output.is_done() && self.write_error.is_none() {
            self.output.fill(|| self.session.poll_transmit(now));
        }
    }

    fn end(&mut self) -> Result<S::Event, ConnectionError> {
        match self.write_error.take() {
            Some(error) => Err(ConnectionError::Write(error)),
            None => self.session.handle_eof().ok_or(ConnectionError::Ended),
        }
    }

    /// Ready when there is a reason to ask the session again: octets came or went, the stream ended, time is up.
    fn poll_progress(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let written = self.poll_write(context);
        let read = self.poll_read(context)?;
        if written.is_ready() || read.is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.poll_timer(context).map(Ok)
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.output.is_done() {
            return Poll::Pending;
        }
        if let Err(error) = ready!(self.output.poll_write(&mut self.stream, context)) {
            self.output.discard();
            self.write_error = Some(error);
        }
        Poll::Ready(())
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        if !self.input.wants_more() {
            return Poll::Pending;
        }
        Poll::Ready(match ready!(self.input.poll_read(&mut self.stream, context)) {
            Ok(_) => Ok(()),
            // TLS that ends without a close_notify. The protocol above knows its own ends, so this is one end like another.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(ConnectionError::Read(error)),
        })
    }

    /// Reads what the system has received by now. Whether that was anything for the session.
    fn poll_hear(&mut self, context: &mut Context<'_>) -> Poll<Result<bool, ConnectionError>> {
        if self.stream.has_received() {
            // An error is told by the read.
            let _ = ready!(self.stream.poll_readable(context));
        } else if !self.stream.is_tls() {
            return Poll::Ready(Ok(false));
        }
        let before = self.input.octets().len();
        Poll::Ready(match self.poll_read(context) {
            Poll::Ready(read) => read.map(|()| self.input.octets().len() > before),
            Poll::Pending => Ok(false),
        })
    }

    /// Ready at the session's deadline. The timer is touched only when it stands too late or has fired too early: most
    /// deadlines only ever move back.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.session.poll_timeout() else { return Poll::Pending };
        let at = tokio::time::Instant::from_std(deadline.at);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if at < timer.deadline() {
            timer.as_mut().reset(at);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if at <= timer.deadline() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}
