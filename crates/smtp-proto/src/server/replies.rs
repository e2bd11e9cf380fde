//! The replies that a server session gives by itself. None of them holds anything that the client sent.

use crate::{EnhancedStatus, Reply, ReplyCode};

const fn status(class: u8, subject: u16, detail: u16) -> EnhancedStatus {
    EnhancedStatus::new(class, subject, detail)
}

pub(super) const NOOP: Reply = Reply::new(ReplyCode::OK, status(2, 0, 0), "OK");
pub(super) const RESET: Reply = Reply::new(ReplyCode::OK, status(2, 0, 0), "Reset");
pub(super) const HELP: Reply = Reply::new(
    ReplyCode::HELP,
    status(2, 0, 0),
    "Commands: EHLO HELO LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT HELP VRFY STARTTLS AUTH\nSee RFC 5321",
);
pub(super) const CANNOT_VERIFY: Reply =
    Reply::new(ReplyCode::CANNOT_VERIFY, status(2, 5, 0), "Cannot verify; send the message and see");
pub(super) const NO_EXPN: Reply = Reply::new(ReplyCode::NOT_IMPLEMENTED, status(5, 5, 1), "Lists are not shown");
pub(super) const NOT_IMPLEMENTED: Reply =
    Reply::new(ReplyCode::NOT_IMPLEMENTED, status(5, 5, 1), "Command not implemented");
pub(super) const START_MAIL_INPUT: Reply =
    Reply::without_status(ReplyCode::START_MAIL_INPUT, "Start mail input; end with <CRLF>.<CRLF>");
pub(super) const READY_FOR_TLS: Reply = Reply::new(ReplyCode::SERVICE_READY, status(2, 0, 0), "Ready to start TLS");

pub(super) const CHUNK_TAKEN: Reply = Reply::new(ReplyCode::OK, status(2, 0, 0), "Chunk taken");
pub(super) const CLOSING: Reply = Reply::new(ReplyCode::CLOSING, status(2, 0, 0), "closing the channel");

pub(super) const HELLO_FIRST: Reply = Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "EHLO first");
pub(super) const NESTED_MAIL: Reply =
    Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "A transaction is open already");
pub(super) const MAIL_FIRST: Reply = Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "MAIL first");
pub(super) const NO_RECIPIENTS: Reply =
    Reply::new(ReplyCode::TRANSACTION_FAILED, status(5, 5, 1), "No valid recipients");
pub(super) const NO_RECIPIENTS_LMTP: Reply =
    Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "No valid recipients");
pub(super) const CHUNKS_ONLY: Reply =
    Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "Content is coming in chunks: BDAT or RSET");
pub(super) const RSET_FIRST: Reply =
    Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "A chunk was refused: RSET first");
pub(super) const BINARY_IN_CHUNKS_ONLY: Reply =
    Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "Binary content comes by BDAT only");
pub(super) const NOT_NOW: Reply = Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "Not inside a transaction");
pub(super) const XCLIENT_NOT_PERMITTED: Reply =
    Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, status(5, 7, 1), "XCLIENT is not permitted to you");
pub(super) const QUIT_ONLY: Reply = Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "No service here: QUIT");
pub(super) const NO_LMTP: Reply = Reply::new(ReplyCode::UNRECOGNIZED, status(5, 5, 1), "This is not LMTP");
pub(super) const LMTP_ONLY: Reply = Reply::new(ReplyCode::UNRECOGNIZED, status(5, 5, 1), "This is LMTP: LHLO");
pub(super) const NO_AUTH: Reply = Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "AUTH is not offered here");
pub(super) const AUTHENTICATED_ALREADY: Reply =
    Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "Authenticated already");
pub(super) const NO_AUTH_NOW: Reply =
    Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "No AUTH inside a transaction");
pub(super) const MECHANISM_NOT_OFFERED: Reply =
    Reply::new(ReplyCode::PARAMETER_NOT_IMPLEMENTED, status(5, 5, 4), "Mechanism not offered");
pub(super) const AUTH_CANCELLED: Reply =
    Reply::new(ReplyCode::PARAMETER_SYNTAX, status(5, 0, 0), "Authentication cancelled");
pub(super) const AUTH_LINE_TOO_LONG: Reply =
    Reply::new(ReplyCode::UNRECOGNIZED, status(5, 5, 6), "Authentication exchange line is too long");
pub(super) const NO_TLS: Reply = Reply::new(ReplyCode::NOT_IMPLEMENTED, status(5, 5, 1), "TLS is not offered here");
pub(super) const TLS_ALREADY: Reply = Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "TLS is there already");
pub(super) const NO_TLS_NOW: Reply =
    Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "No STARTTLS inside a transaction");

pub(super) const LINE_TOO_LONG: Reply = Reply::new(ReplyCode::UNRECOGNIZED, status(5, 5, 2), "Command line too long");
pub(super) const BARE_LF: Reply = Reply::new(ReplyCode::UNRECOGNIZED, status(5, 5, 2), "Lines end with CRLF");

pub(super) const TOO_LARGE: Reply = Reply::new(ReplyCode::EXCEEDED_STORAGE, status(5, 3, 4), "Message too large");
pub(super) const TOO_MANY_RECIPIENTS: Reply =
    Reply::new(ReplyCode::INSUFFICIENT_STORAGE, status(4, 5, 3), "Too many recipients");
pub(super) const UTF8_NOT_ASKED_FOR: Reply =
    Reply::new(ReplyCode::NAME_NOT_ALLOWED, status(5, 6, 7), "An address in UTF-8 needs SMTPUTF8");
pub(super) const PARAMETER_NOT_OFFERED: Reply =
    Reply::new(ReplyCode::PARAMETERS_NOT_RECOGNIZED, status(5, 5, 4), "Parameter of an extension that is not offered");
pub(super) const HOLD_TOO_LONG: Reply =
    Reply::new(ReplyCode::PARAMETER_SYNTAX, status(5, 5, 4), "Not held for that long here");
pub(super) const TIME_TOO_SHORT: Reply =
    Reply::new(ReplyCode::PARAMETERS_NOT_RECOGNIZED, status(5, 5, 4), "Not so little time for delivery here");
pub(super) const BODY_NOT_OFFERED: Reply =
    Reply::new(ReplyCode::PARAMETER_NOT_IMPLEMENTED, status(5, 5, 4), "Parameter value not implemented");
pub(super) const BARE_LINE_END: Reply =
    Reply::new(ReplyCode::TRANSACTION_FAILED, status(5, 6, 0), "A CR or LF that is not part of a CRLF");
pub(super) const NUL: Reply = Reply::new(ReplyCode::TRANSACTION_FAILED, status(5, 6, 0), "A NUL octet in the content");

pub(super) const CLEAR_TEXT: Reply =
    Reply::new(ReplyCode::TRANSACTION_FAILED, status(5, 5, 1), "Octets in the clear after STARTTLS");
pub(super) const HTTP: Reply = Reply::new(ReplyCode::TRANSACTION_FAILED, status(5, 5, 1), "This is an SMTP server");
pub(super) const TOO_MANY_ERRORS: Reply =
    Reply::new(ReplyCode::SERVICE_NOT_AVAILABLE, status(4, 7, 0), "closing the channel: too many errors");
pub(super) const TOO_MANY_IDLE_COMMANDS: Reply = Reply::new(
    ReplyCode::SERVICE_NOT_AVAILABLE,
    status(4, 7, 0),
    "closing the channel: too many commands without mail",
);
pub(super) const TOO_MANY_TRANSACTIONS: Reply =
    Reply::new(ReplyCode::SERVICE_NOT_AVAILABLE, status(4, 7, 0), "closing the channel: connect again for more mail");
pub(super) const TOO_MANY_COMMANDS: Reply =
    Reply::new(ReplyCode::SERVICE_NOT_AVAILABLE, status(4, 7, 0), "closing the channel: too many commands");
pub(super) const OUT_OF_TURN: Reply =
    Reply::new(ReplyCode::BAD_SEQUENCE, status(5, 5, 1), "You have not waited for the reply: closing the channel");
pub(super) const TIMEOUT: Reply =
    Reply::new(ReplyCode::SERVICE_NOT_AVAILABLE, status(4, 4, 2), "closing the channel: timeout");
