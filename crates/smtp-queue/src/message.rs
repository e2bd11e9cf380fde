//! A message as it is given to the queue.

use std::time::SystemTime;

use bytes::Bytes;
use smtp_mail::{Destination, MessageId};
use smtp_proto::{ContentFacts, ForwardPath, Mail, Rcpt, ReversePath};

/// A message about to be made durable: everything but its body, which was written to the [`Draft`](crate::Draft).
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The MAIL command: the reverse-path, and what the client said of the content (RFC 5321 §4.1.1.2). With HOLDFOR or HOLDUNTIL
    /// the first attempt is due then (RFC 4865 §4.2).
    pub mail: Mail,
    /// The complete header block with its trace fields, up to and with the empty line that ends it.
    pub header: Bytes,
    /// What was found in the content while it came in.
    pub facts: ContentFacts,
    /// When it was accepted.
    pub received_at: SystemTime,
    /// When it is given up.
    pub expires_at: SystemTime,
    /// When its sender is to hear that it is delayed; `None`: never.
    pub delay_notice_at: Option<SystemTime>,
    /// Where it goes. At least one, each with at least one recipient.
    pub deliveries: Vec<NewDelivery>,
    /// Who gave it, for people to read: an address, a user, a program.
    pub origin: String,
    /// Why it is held from the start, for people to read ([`HoldCause::Policy`](crate::HoldCause::Policy)); `None`: it is due.
    pub hold: Option<String>,
}

/// The recipients of a message that share a destination.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Where they are.
    pub destination: Destination,
    /// The recipients, at least one. More than fit one row of the store are kept as several deliveries.
    pub recipients: Vec<NewRecipient>,
    /// The reverse-path for these recipients, where forwarding gave them another than the message's.
    pub reverse_path: Option<ReversePath>,
}

/// One recipient. Recipients are numbered from 1 in the order in which the deliveries name them.
#[derive(Debug, Clone)]
pub struct NewRecipient {
    /// The RCPT command that the next hop gets.
    pub rcpt: Rcpt,
    /// The forward-path that the client gave, where an alias or a rule changed it.
    pub original: Option<ForwardPath>,
}

/// A delivery report that a settlement owes: it becomes durable together with the settlement, or not at all.
#[derive(Debug, Clone)]
pub struct NewReport {
    /// Its envelope and header block.
    pub message: NewMessage,
    /// Its body.
    pub body: Bytes,
    /// The id that its header block already names, from [`Queue::next_id`](crate::Queue::next_id); `None`: a new one.
    pub id: Option<MessageId>,
}
