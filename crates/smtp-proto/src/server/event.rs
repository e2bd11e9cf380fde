//! What a server session tells its caller.

use std::fmt;

use bytes::Bytes;

use crate::mail_data::ContentFacts;
use crate::session::Timer;
use crate::{Argument, Command, Hello, Mail, Mechanism, Rcpt, Reply, Secret, XClient};

/// What has come from the client. Where an answer is due, no more input is taken until it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The session begins: answer with [`reply`](super::ServerSession::reply), 220 to open it, 554 or 421 to refuse.
    /// Input waits until then.
    Connected,
    /// EHLO or HELO: answer with [`hello`](super::ServerSession::hello), with what is offered to this client now, or
    /// with [`reply`](super::ServerSession::reply) to refuse, which leaves all as it was.
    Hello(Hello),
    /// STARTTLS was taken and the 220 is queued: write it out, read nothing more, make the handshake, then call
    /// [`tls_established`](super::ServerSession::tls_established).
    StartTls,
    /// A step of AUTH: answer with [`challenge`](super::ServerSession::challenge), or with
    /// [`reply`](super::ServerSession::reply): 235 says who the client is, anything else ends the exchange (RFC 4954 §4).
    Auth(AuthStep),
    /// The exchange of AUTH is over without an answer of the caller: the client has given it up, or has sent what is no
    /// response (RFC 4954 §4). It was refused; what was kept for it can go.
    AuthCancelled,
    /// HELP, VRFY, EXPN or ETRN, where [`Queries`](super::Queries) asks for it: answer with
    /// [`reply`](super::ServerSession::reply).
    Help(Option<Argument>),
    /// VRFY: see [`Event::Help`].
    Vrfy(Argument),
    /// EXPN: see [`Event::Help`].
    Expn(Argument),
    /// ETRN: see [`Event::Help`].
    Etrn(Argument),
    /// XCLIENT, of a peer that [`trust_xclient`](super::ServerSession::trust_xclient) was said of: answer with
    /// [`reply`](super::ServerSession::reply). 220 greets the client that is named, and the session begins anew, before EHLO; with
    /// any other reply it goes on as it was.
    XClient(Box<XClient>),
    /// MAIL begins a transaction: answer with [`reply`](super::ServerSession::reply).
    Mail(Mail),
    /// RCPT names a recipient: answer with [`reply`](super::ServerSession::reply).
    Rcpt(Rcpt),
    /// The client wants to send the mail data: answer with
    /// [`begin_mail_data`](super::ServerSession::begin_mail_data), or with [`reply`](super::ServerSession::reply) to
    /// refuse. That leaves the transaction open after DATA; after BDAT it is gone, and [`Event::Reset`] follows.
    MailDataStart(Framing),
    /// Content, its dot-stuffing removed: a view into the input buffer. Lines may be cut anywhere.
    MailData(Bytes),
    /// The content is complete and without fault: answer with [`reply`](super::ServerSession::reply), which ends the
    /// transaction. In LMTP answer once for each accepted recipient, in their order (RFC 2033 §4.2).
    MailDataEnd(ContentFacts),
    /// The transaction that was open is gone, for whatever cause; what was kept for it can go too. A refusal of mail
    /// data that is still coming in has been chosen and is sent at its true end.
    Reset,
    /// The session refuses something by itself: for the log, no answer is due. The reply is queued, or will be at the
    /// true end of the mail data. What ends the session is told by [`Event::Closed`] alone.
    Refused(Refusal),
    /// The client has spoken out of turn, behind this: a verb, or a word for what is no command. It is for the log, no answer is
    /// due. See [`OutOfTurn`](super::OutOfTurn).
    OutOfTurn {
        /// What it should have waited for the reply to.
        behind: &'static str,
        /// Whether it is refused: then the end follows.
        refused: bool,
    },
    /// The session is over, and no more output comes: when what was given is written, close the connection. Always the
    /// last event.
    Closed(CloseReason),
}

/// What a session refuses by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is refused.
    pub subject: Subject,
    /// The reply to it.
    pub reply: Reply,
}

/// What a [`Refusal`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A command that is not permitted at this point, or goes over a limit.
    Command(Box<Command>),
    /// A line that is no command.
    Line,
    /// The content of a message.
    Content,
}

/// How mail data comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// By DATA, ended by a lone dot (RFC 5321 §4.1.1.4).
    Data,
    /// By BDAT, counted (RFC 3030 §2).
    Chunked,
}

/// A step of AUTH (RFC 4954 §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthStep {
    /// The client begins, by a mechanism that is offered.
    Begin {
        /// Which one.
        mechanism: Mechanism,
        /// What the client says at once; `Some` of nothing where it said `=`.
        initial: Option<Secret>,
    },
    /// What the client says to the last challenge.
    Response(Secret),
}

/// Why a server session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The client said QUIT.
    Quit,
    /// The client's stream ended without QUIT.
    EndOfStream,
    /// The client was silent, or took no output.
    Timeout(Timer),
    /// This side ended it: [`close`](super::ServerSession::close), or a reply with code 421.
    Local,
    /// As many errors as the limit permits.
    TooManyErrors,
    /// More commands than the limit permits that brought no message nearer.
    TooManyIdleCommands,
    /// More MAIL commands than the limit permits.
    TooManyTransactions,
    /// More command lines than the limit permits.
    TooManyCommands,
    /// The client has not waited for a reply that it had to wait for (RFC 2920 §3.1).
    OutOfTurn,
    /// A line ended with a bare LF (RFC 5321 §2.3.8).
    BareLf,
    /// There were octets in the clear behind STARTTLS (RFC 3207 §4.2).
    ClearTextAfterStartTls,
    /// An HTTP request: a browser that was made to talk to us.
    HttpRequest,
    /// BDAT without a size that can be read, or not on a line that can: where its chunk ends is not known.
    MalformedChunk,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quit => f.write_str("quit"),
            Self::EndOfStream => f.write_str("end of stream"),
            Self::Timeout(timer) => write!(f, "timeout: {timer}"),
            Self::Local => f.write_str("closed by this side"),
            Self::TooManyErrors => f.write_str("too many errors"),
            Self::TooManyIdleCommands => f.write_str("too many commands without a message"),
            Self::TooManyTransactions => f.write_str("too many transactions"),
            Self::TooManyCommands => f.write_str("too many commands"),
            Self::OutOfTurn => f.write_str("spoke out of turn"),
            Self::BareLf => f.write_str("a line with a bare LF"),
            Self::ClearTextAfterStartTls => f.write_str("octets in the clear after STARTTLS"),
            Self::HttpRequest => f.write_str("HTTP request"),
            Self::MalformedChunk => f.write_str("malformed chunk size"),
        }
    }
}
