//! What both engines have in common: the law of use, which protocol is spoken, and deadlines.

use std::fmt;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

/// A protocol engine without I/O and without a clock.
///
/// The caller owns the input buffer and follows one law, in a loop:
///
/// 1. [`handle_input`](Self::handle_input) until it returns `None`; each event is dealt with before the next call;
/// 2. [`poll_transmit`](Self::poll_transmit) until it returns `None`, or until the group of pieces is as great as a
///    group may be; write the group out whole, and go on reading meanwhile;
/// 3. when all of it was written, or anything read, begin again at 1: some events (the end of the session, the wish
///    for more mail data) come only when no output waits;
/// 4. at the end of the stream call [`handle_eof`](Self::handle_eof), at the deadline of
///    [`poll_timeout`](Self::poll_timeout) call [`handle_timeout`](Self::handle_timeout), and begin again at 1, since
///    more than one event may be owed.
///
/// The last event of every session is its `Closed`; after it nothing is taken and nothing is sent.
pub trait Session {
    /// What the engine tells its caller.
    type Event;

    /// Takes what it can from the front of `input` and returns the first event found.
    ///
    /// What stays in `input` is an incomplete line, or commands that wait until the last event is answered. The next
    /// call must find it there, with whatever has been read since appended.
    fn handle_input(&mut self, now: Instant, input: &mut BytesMut) -> Option<Self::Event>;

    /// The peer has ended its stream, or the transport is lost. Ends the session in every state; nothing that may
    /// still stand in the input buffer is run.
    fn handle_eof(&mut self) -> Option<Self::Event>;

    /// Time has passed. Does nothing before the deadline of [`poll_timeout`](Self::poll_timeout).
    fn handle_timeout(&mut self, now: Instant) -> Option<Self::Event>;

    /// The next piece to write, never an empty one. What is given up to a `None` leaves together, as a group; the call
    /// behind that `None` says that the group has been written, which is progress (RFC 5321 §4.5.3.2.5).
    fn poll_transmit(&mut self, now: Instant) -> Option<Bytes>;

    /// Whether the peer must say nothing before it has heard what waits to be written. A caller that wants to know whether it keeps
    /// to that looks for input once more before it begins to write, and if there is any begins again at 1.
    fn awaits_silence(&self) -> bool {
        false
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, if no octet comes or goes before; `None` while the
    /// session waits for its own caller.
    fn poll_timeout(&self) -> Option<Deadline>;
}

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP (RFC 5321): EHLO or HELO, and one reply to the mail data.
    #[default]
    Smtp,
    /// LMTP (RFC 2033): LHLO only, and a reply to the mail data for each accepted recipient. Never on port 25.
    Lmtp,
}

/// A moment at which a session gives up waiting, and what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Instant,
    /// What has not come until then; it goes to the log.
    pub reason: Timer,
}

/// What a session waits for: one name for each time limit of RFC 5321 §4.5.3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timer {
    /// Client: the 220 that opens the session (§4.5.3.2.1).
    Greeting,
    /// Client: the reply to EHLO or HELO.
    Hello,
    /// Client: the reply to STARTTLS. Both sides: the TLS handshake.
    StartTls,
    /// Client: the reply to AUTH, or to an answer to a challenge (RFC 4954 §4).
    Auth,
    /// Client: the reply to MAIL (§4.5.3.2.2), or to a RSET before it.
    Mail,
    /// Client: the reply to RCPT (§4.5.3.2.3).
    Rcpt,
    /// Client: the 354 to DATA (§4.5.3.2.4).
    DataInitiation,
    /// Client: room to write the next piece of mail data (§4.5.3.2.5). Server: the next octets of mail data.
    DataBlock,
    /// Server: the end of mail data that comes too slowly.
    MailData,
    /// Client: the reply to the end of mail data (§4.5.3.2.6).
    DataTermination,
    /// Client: the reply to QUIT.
    Quit,
    /// Server: the next command line (§4.5.3.2.7).
    Command,
    /// The peer takes no output.
    Transmit,
    /// Server: the end of a session that has lasted too long.
    Session,
}

impl Timer {
    /// The name as it stands in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::StartTls => "starttls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::DataInitiation => "data_initiation",
            Self::DataBlock => "data_block",
            Self::MailData => "mail_data",
            Self::DataTermination => "data_termination",
            Self::Quit => "quit",
            Self::Command => "command",
            Self::Transmit => "transmit",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The caller answers a question that is not, or no longer, asked: the peer has gone meanwhile, the session was
/// closed, or another answer was due. Never a reason to stop the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no event waits for this answer")]
pub struct NotAwaited;
