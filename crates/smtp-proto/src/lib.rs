//! SMTP and LMTP syntax and both session engines, without I/O.
//!
//! This crate knows the protocol and nothing else: no socket, no TLS, no runtime, no clock, no DNS, no disk. Octets go in,
//! events come out; answers go in, octets come out. So the same code runs under tokio, on blocking sockets, in a test
//! without a network, and in a fuzzer.
//!
//! # The values
//!
//! What a peer says is parsed once and is a value from then on, and a malformed value cannot be made:
//!
//! - [`Command`], with [`Mail`], [`Rcpt`], [`Hello`]: one command line. `Command::parse(line)` and
//!   [`encode`](Command::encode) undo each other.
//! - [`Mailbox`], [`Domain`], [`ReversePath`], [`ForwardPath`]: addresses, their quoting kept.
//! - [`Reply`]: what a server says. Its text cannot break out of its line.
//! - [`RemoteReply`]: what another server has said. Any octets, bounded, never parsed again, shown only escaped.
//! - [`Extensions`]: what EHLO offers; [`Extensions::fit`] says what may be sent there.
//! - [`AuthResponse`], [`Mechanism`], [`Secret`]: what AUTH carries; no log shows it.
//! - [`SyntaxError`]: a peer's mistake, with its place, and the [`Reply`] that answers it.
//!
//! ```
//! use smtp_proto::{Command, ForwardPath, ReplyCode};
//!
//! let Ok(Command::Rcpt(rcpt)) = Command::parse(br#"RCPT TO:<"odd user"@Example.NET>"#) else { panic!() };
//! let ForwardPath::Mailbox(mailbox) = &rcpt.forward_path else { panic!() };
//! assert_eq!(mailbox.local_part().as_str(), r#""odd user""#);
//! assert_eq!(mailbox.local_part().unquoted(), "odd user");
//! assert_eq!(mailbox.domain(), &"example.net".parse().unwrap());
//!
//! let error = Command::parse(b"MAIL FROM:<a@example.com>SIZE=5").unwrap_err();
//! assert_eq!(error.offset, 25);
//! assert_eq!(error.reply().to_string(), "501 5.5.4 Space or end of line expected");
//! ```
//!
//! The feature `serde` writes and reads addresses, paths, parameters, replies and extensions; `arbitrary` draws well-formed values
//! for fuzzers. Both are off by default.
//!
//! # The engines
//!
//! [`server::ServerSession`] and [`client::ClientSession`] implement [`Session`], and whoever drives a session follows one law:
//!
//! 1. Call [`handle_input`](Session::handle_input) until it gives `None`. Deal with each event, and answer it where it asks,
//!    before the next call.
//! 2. Call [`poll_transmit`](Session::poll_transmit) until it gives `None`, and write out what it gave. If there was any, begin
//!    again at 1.
//! 3. Wait for octets (then 1), for the end of the stream ([`handle_eof`](Session::handle_eof)), or for the deadline
//!    ([`poll_timeout`](Session::poll_timeout), then [`handle_timeout`](Session::handle_timeout)), whichever comes first.
//! 4. `Closed` is the last event: close the connection.
//!
//! [`guide`] draws the loop and the states of both sides.
//!
//! The caller owns the input buffer. Mail data and output are [`Bytes`](bytes::Bytes) cut from shared buffers, so mail data is
//! never copied, and an unread buffer is back-pressure. This is a whole server, but for its sockets:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! use bytes::BytesMut;
//! use smtp_proto::server::{Event, ServerConfig, ServerSession};
//! use smtp_proto::{EnhancedStatus, Extensions, NotAwaited, Reply, ReplyCode, Session};
//!
//! const READY: Reply = Reply::without_status(ReplyCode::SERVICE_READY, "mx.example.org ESMTP");
//! const OK: Reply = Reply::new(ReplyCode::OK, EnhancedStatus::new(2, 0, 0), "OK");
//!
//! /// Answers one event; the content goes to `message`.
//! fn answer(session: &mut ServerSession, event: Event, message: &mut Vec<u8>, now: Instant) -> Result<(), NotAwaited> {
//!     match event {
//!         Event::Connected => session.reply(READY, now),
//!         Event::Hello(_) => session.hello(Extensions { pipelining: true, ..Extensions::default() }, now),
//!         Event::Mail(_) | Event::Rcpt(_) => session.reply(OK, now),
//!         Event::MailDataStart(_) => session.begin_mail_data(now),
//!         Event::MailData(octets) => {
//!             message.extend_from_slice(&octets);
//!             Ok(())
//!         }
//!         Event::MailDataEnd(_) => session.reply(OK, now), // only when the message is durable
//!         _ => Ok(()),
//!     }
//! }
//!
//! let config = ServerConfig::new("mx.example.org".parse().unwrap());
//! let now = Instant::now();
//! let mut session = ServerSession::new(Arc::new(config), None, now);
//! let mut input = BytesMut::from(
//!     &b"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n\
//!        Subject: hello\r\n\r\n..dots\r\n.\r\nQUIT\r\n"[..],
//! );
//! let (mut message, mut output) = (Vec::new(), Vec::new());
//! loop {
//!     while let Some(event) = session.handle_input(now, &mut input) {
//!         answer(&mut session, event, &mut message, now).unwrap();
//!     }
//!     let written = output.len();
//!     while let Some(octets) = session.poll_transmit(now) {
//!         output.extend_from_slice(&octets);
//!     }
//!     if output.len() == written {
//!         break; // here a caller with sockets waits for octets or for the deadline
//!     }
//! }
//! assert_eq!(message, b"Subject: hello\r\n\r\n.dots\r\n");
//! assert!(output.starts_with(b"220 mx.example.org ESMTP\r\n250-mx.example.org\r\n250 PIPELINING\r\n"));
//! assert!(output.windows(5).any(|octets| octets == b"\n354 "));
//! ```
//!
//! What the engines settle by themselves, so that no caller can get it wrong: one answer at a time, in order; where mail data
//! ends, and that a bare CR, a bare LF or a NUL in it refuses the message; that nothing sent in the clear survives STARTTLS; a
//! message over a limit read to its true end; syntax, sequence and unknown-command errors, NOOP, RSET, HELP, VRFY, QUIT.
//! What they leave to the caller is every decision: whom to let in, what to take, when a message is safe.

pub mod client;
pub mod guide;
pub mod limits;
pub mod mail_data;
pub mod server;

mod auth;
mod chunk;
mod command;
mod domain;
mod envelope;
mod error;
mod extension;
mod line;
mod parameter;
mod path;
mod remote_reply;
mod reply;
mod session;
mod status;
mod syntax;

#[cfg(feature = "arbitrary")]
mod arbitrary;
#[cfg(feature = "serde")]
mod serde;
mod tls;
mod xclient;

pub use auth::{AuthResponse, Mechanism, Secret};
pub use command::{Argument, Command, Hello, HelloKind, HelloName, Mail, Rcpt};
pub use domain::{AddressLiteral, Domain, DomainName};
pub use envelope::Envelope;
pub use error::{SyntaxError, SyntaxReason};
pub use extension::{DeliverByOffer, Extensions, FutureRelease, ReceiverLimits, Unfit};
pub use limits::Limits;
pub use mail_data::ContentFacts;
pub use parameter::{
    AuthIdentity, BodyType, DeliverBy, DeliverByMode, EnvelopeId, Hold, HoldInterval, MailParameters, Notify,
    OriginalRecipient, Priority, RcptParameters, Ret, Timestamp,
};
pub use path::{ForwardPath, LocalPart, Mailbox, ReversePath};
pub use remote_reply::{ReadReplyError, RemoteReply, ReplyReader};
pub use reply::{Reply, ReplyClass, ReplyCode, ReplyError};
pub use session::{Deadline, NotAwaited, Protocol, Session, Timer};
pub use status::{EnhancedStatus, StatusClass, StatusSyntaxError};
pub use tls::{ChannelBindings, PeerCertificate, TlsFacts};
pub use xclient::{Told, XClient, XClientAttribute, XClientAttributes, XClientName, XClientProtocol};
