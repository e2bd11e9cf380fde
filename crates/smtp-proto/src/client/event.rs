//! What a client session tells its caller.

use std::fmt;

use crate::mail_data::ContentFault;
use crate::session::Timer;
use crate::{Extensions, ReadReplyError, RemoteReply, Secret};

/// What the server has said, and what can be done next.
///
/// A transaction is begun by [`begin`](super::ClientSession::begin) and ends with one of `Finished`, `Refused` and
/// `Closed`. Recipients are numbered by their place in the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// EHLO, or HELO where EHLO was refused, is answered: a transaction, STARTTLS or QUIT may follow.
    Ready(Extensions),
    /// The server is ready for TLS: make the handshake, then call
    /// [`tls_established`](super::ClientSession::tls_established). [`Ready`](Self::Ready) comes again after it.
    StartTls,
    /// The server's challenge, decoded: call [`respond`](super::ClientSession::respond), or
    /// [`cancel_authentication`](super::ClientSession::cancel_authentication).
    Challenge(Secret),
    /// The server knows now who this is (RFC 4954 §6: 235). A transaction may follow.
    Authenticated,
    /// The reply to a RCPT: positive if the recipient is accepted so far.
    Recipient {
        /// Which recipient.
        index: usize,
        /// The reply.
        reply: RemoteReply,
    },
    /// The server waits for mail data, and what was given has left: call
    /// [`send_mail_data`](super::ClientSession::send_mail_data) for one more piece or several, or
    /// [`finish_mail_data`](super::ClientSession::finish_mail_data).
    MailDataWanted,
    /// The server has taken the message for this recipient: it answers for it now. Comes for each that was accepted.
    Delivered {
        /// Which recipient.
        index: usize,
        /// The reply to the mail data.
        reply: RemoteReply,
    },
    /// LMTP only: the server has not taken the message for this recipient, though it accepted it (RFC 2033 §4.2). The
    /// others have replies of their own.
    NotDelivered {
        /// Which recipient.
        index: usize,
        /// Its reply to the mail data.
        reply: RemoteReply,
    },
    /// The transaction is over and each recipient has had its reply. Another may begin.
    Finished,
    /// The server refuses, for all recipients not refused already. After [`Stage::Greeting`] and [`Stage::Hello`]
    /// nothing is left but QUIT. After [`Stage::MailData`] the session closes where the content went by DATA, since
    /// nothing else breaks that off; a refused chunk of BDAT does not end it. Else another transaction may begin.
    Refused {
        /// What was refused.
        stage: Stage,
        /// The reply.
        reply: RemoteReply,
    },
    /// The session is over: close the connection. Always the last event.
    Closed(CloseReason),
}

/// What a client session does, or did when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Waiting for the 220.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS and the handshake.
    StartTls,
    /// AUTH, up to its last reply.
    Auth,
    /// Nothing: between transactions.
    Idle,
    /// MAIL, or the RSET before it.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before the mail data.
    Data,
    /// The mail data, before its end.
    MailData,
    /// The end of the mail data: whether the server has the message is not known until its reply.
    MailDataEnd,
    /// QUIT.
    Quit,
}

impl Stage {
    /// The stage in one word, as it stands in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Hello => "hello",
            Self::StartTls => "starttls",
            Self::Auth => "auth",
            Self::Idle => "idle",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::MailData => "mail_data",
            Self::MailDataEnd => "mail_data_end",
            Self::Quit => "quit",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a client session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// QUIT was answered, or the server closed on it.
    Quit,
    /// This side gave up: [`quit`](super::ClientSession::quit) in the midst of something.
    Local,
    /// The server's stream ended.
    EndOfStream,
    /// The server was silent, or took no output.
    Timeout(Timer),
    /// The server said 421, which it may at any time (RFC 5321 §3.8).
    ServiceNotAvailable(RemoteReply),
    /// What the server sent is no reply.
    BadReply(ReadReplyError),
    /// A reply to nothing, or one that cannot be to what was sent: the two sides are out of step.
    Unexpected(RemoteReply),
    /// There were octets in the clear behind the reply to STARTTLS (RFC 3207 §6).
    ClearTextAfterStartTls,
    /// Mail data was refused before its end, and there is no other way to break it off.
    RefusedInMailData,
    /// The content given may not be sent, and the mail data had begun already.
    Content(ContentFault),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quit => f.write_str("quit"),
            Self::Local => f.write_str("closed by this side"),
            Self::EndOfStream => f.write_str("end of stream"),
            Self::Timeout(timer) => write!(f, "timeout: {timer}"),
            Self::ServiceNotAvailable(reply) => {
                write!(f, "service not available: {}", reply.escaped(REPLY_SHOWN_OCTETS))
            }
            Self::BadReply(error) => write!(f, "bad reply: {error}"),
            Self::Unexpected(reply) => write!(f, "unexpected reply: {}", reply.escaped(REPLY_SHOWN_OCTETS)),
            Self::ClearTextAfterStartTls => f.write_str("octets in the clear after STARTTLS"),
            Self::RefusedInMailData => f.write_str("mail data refused before its end"),
            Self::Content(fault) => write!(f, "content that may not be sent: {fault}"),
        }
    }
}

/// How much of a reply is shown in one line.
const REPLY_SHOWN_OCTETS: usize = 512;
