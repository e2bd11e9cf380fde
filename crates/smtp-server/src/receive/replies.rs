//! The replies that the receive loop gives; those that need no decision are the engine's.

use smtp_mail::MessageId;
use smtp_proto::{EnhancedStatus, Priority, Reply, ReplyCode};

const fn reply(code: ReplyCode, status: (u8, u16, u16), text: &'static str) -> Reply {
    Reply::new(code, EnhancedStatus::new(status.0, status.1, status.2), text)
}

/// The client has spoken before it was greeted (RFC 5321 §3.1).
pub(super) const EARLY: Reply =
    reply(ReplyCode::TRANSACTION_FAILED, (5, 5, 1), "You have not waited for the greeting: closing the channel");
/// XCLIENT: the client has no address that the policy could ask about.
pub(super) const NO_ADDRESS: Reply =
    reply(ReplyCode::MAILBOX_UNAVAILABLE, (5, 7, 1), "Clients whose address is not known are not served");
/// There is no text of the operator any more (RFC 5321 §4.1.1.8).
pub(super) const NO_HELP: Reply = reply(ReplyCode::HELP, (2, 0, 0), "See RFC 5321");
/// ETRN names no domain (RFC 1985 §5.1).
pub(super) const NO_NODE: Reply = reply(ReplyCode::PARAMETER_SYNTAX, (5, 5, 4), "That is no domain");
/// ETRN: nothing waits for the domain.
pub(super) const NODE_EMPTY: Reply = reply(ReplyCode::WILL_FORWARD, (2, 0, 0), "OK, nothing waiting");
/// ETRN: what waits for the domain is due now.
pub(super) const NODE_STARTED: Reply = reply(ReplyCode::PENDING_STARTED, (2, 0, 0), "OK, started");
/// ETRN: the queue cannot be written.
pub(super) const NODE_NOT_STARTED: Reply =
    reply(ReplyCode::NODE_UNAVAILABLE, (4, 3, 0), "Unable to start what waits for this node; try again later");
/// MAIL is taken.
pub(super) const SENDER_OK: Reply = reply(ReplyCode::OK, (2, 1, 0), "Sender ok");
/// RCPT is taken.
pub(super) const RECIPIENT_OK: Reply = reply(ReplyCode::OK, (2, 1, 5), "Recipient ok");
/// AUTH has succeeded (RFC 4954 §6).
pub(super) const AUTHENTICATED: Reply =
    reply(ReplyCode::AUTHENTICATION_SUCCEEDED, (2, 7, 0), "Authentication successful");
/// AUTH has failed; why is nobody's affair (RFC 4954 §6).
pub(super) const NOT_AUTHENTICATED: Reply =
    reply(ReplyCode::CREDENTIALS_INVALID, (5, 7, 8), "Authentication credentials invalid");
/// What the client said is no message of the mechanism (RFC 4954 §4).
pub(super) const AUTH_MALFORMED: Reply =
    reply(ReplyCode::PARAMETER_SYNTAX, (5, 5, 2), "That is no message of this mechanism");
/// Too many log-ins have failed (RFC 4954 §6).
pub(super) const LOCKED_OUT: Reply =
    reply(ReplyCode::TLS_NOT_AVAILABLE, (4, 7, 0), "Too many log-ins have failed; try again later");
/// Who knows the passwords cannot be asked (RFC 4954 §4.7).
pub(super) const AUTH_UNAVAILABLE: Reply =
    reply(ReplyCode::TLS_NOT_AVAILABLE, (4, 7, 0), "Nobody can log in at the moment; try again later");
/// MAIL names an address of somebody else (RFC 6409 §6.1).
pub(super) const NOT_YOUR_ADDRESS: Reply =
    reply(ReplyCode::NAME_NOT_ALLOWED, (5, 7, 1), "You may not send under this address");
/// From names an address of somebody else, or cannot be read.
pub(super) const NOT_YOUR_FROM: Reply =
    reply(ReplyCode::MAILBOX_UNAVAILABLE, (5, 7, 1), "You may not send under the address in the From field");
/// The transaction is gone that this belonged to.
pub(super) const NO_TRANSACTION: Reply =
    reply(ReplyCode::LOCAL_ERROR, (4, 3, 0), "The transaction was given up; start anew");
/// The disk has no room (RFC 3463 X.3.1).
pub(super) const NO_ROOM: Reply =
    reply(ReplyCode::INSUFFICIENT_STORAGE, (4, 3, 1), "No room for the message now; try again later");
/// The queue cannot be written.
pub(super) const UNAVAILABLE: Reply =
    reply(ReplyCode::LOCAL_ERROR, (4, 3, 0), "The queue cannot be written now; try again later");
/// More Received fields than a message that goes somewhere has (RFC 5321 §6.3).
pub(super) const TOO_MANY_HOPS: Reply =
    reply(ReplyCode::TRANSACTION_FAILED, (5, 4, 6), "Too many hops: the mail goes round in a loop");
/// The header block is over its limit.
pub(super) const HEADER_TOO_LONG: Reply =
    reply(ReplyCode::EXCEEDED_STORAGE, (5, 3, 4), "The header of the message is too long");
/// Expanded by aliases, the recipients are more than one message may have (RFC 5321 §4.5.3.1.10).
pub(super) const TOO_MANY_RECIPIENTS: Reply =
    reply(ReplyCode::INSUFFICIENT_STORAGE, (4, 5, 3), "Too many recipients; send the rest in another message");

/// HOLDFOR or HOLDUNTIL asks for a release behind the time of BY (RFC 4865 §5.2.2).
pub(super) const HELD_TOO_LONG: Reply =
    reply(ReplyCode::PARAMETER_SYNTAX, (5, 5, 4), "The message would be released after its time for delivery");
/// The time of BY was over before all of the message was here (RFC 2852 §3).
pub(super) const TIME_OVER: Reply =
    reply(ReplyCode::TRANSACTION_FAILED, (5, 4, 7), "The time for delivery was over before the message was here");

/// MAIL is taken, and the priority is lower than was asked for: the new one and a blank come first in the text (RFC 6710 §4.1).
pub(super) fn priority_lowered(priority: Priority) -> Reply {
    const LOWERED: Reply = reply(ReplyCode::OK, (2, 3, 6), "The priority was lowered");
    let text = format!("{priority} is the new priority of the message: you may ask for no higher one here");
    LOWERED.with_text(text).expect("a number and words of ours can be told")
}

/// The message is durable.
pub(super) fn queued(id: MessageId) -> Reply {
    const OK: Reply = reply(ReplyCode::OK, (2, 0, 0), "Ok: queued");
    OK.with_text(format!("Ok: queued as {id}")).expect("an id is letters and digits")
}
