//! What operators see of the queue: values, true at one moment.

use std::time::SystemTime;

use smtp_mail::{Content, Destination, MessageId, Report};
use smtp_proto::{ContentFacts, ForwardPath, Mail, Rcpt, ReversePath};

use crate::lane::Lane;
use crate::row::Hold;
use crate::schedule::DeliveryId;

/// One delivery: a message on its way to one destination.
#[derive(Debug, Clone)]
pub struct DeliveryView {
    /// Which one: the message, and the delivery's number in it.
    pub id: DeliveryId,
    /// Where it goes.
    pub destination: Destination,
    /// The lane that it waits in.
    pub lane: Lane,
    /// The reverse-path that the next hop gets.
    pub reverse_path: ReversePath,
    /// All recipients of the delivery, also those that are settled.
    pub recipients: Vec<RecipientView>,
    /// The size of header block and body, in octets.
    pub octets: u64,
    /// Who gave the message.
    pub origin: String,
    /// When it was accepted.
    pub received_at: SystemTime,
    /// When it is given up.
    pub expires_at: SystemTime,
    /// When a notice of its delay is owed; `None`: never, or it has been sent.
    pub delay_notice_at: Option<SystemTime>,
    /// What it is doing.
    pub state: DeliveryState,
    /// When the next attempt is due.
    pub due: SystemTime,
    /// When its sender has it released first (RFC 4865); at once where that is when it was accepted.
    pub released_at: SystemTime,
    /// How many attempts there were.
    pub attempts: u32,
    /// When the last one began.
    pub last_attempt_at: Option<SystemTime>,
}

impl DeliveryView {
    /// Whether its sender does not hold it (any more), as MAIL may ask for with HOLDFOR or HOLDUNTIL (RFC 4865): the time has come, or an
    /// operator has let it go before.
    pub fn is_released(&self, now: SystemTime) -> bool {
        is_released(self.attempts, self.due, self.released_at, now)
    }
}

pub(crate) fn is_released(attempts: u32, due: SystemTime, released_at: SystemTime, now: SystemTime) -> bool {
    // Once it was tried, or scheduled for now, nobody asks for the time of its release any more.
    attempts > 0 || due <= now || released_at <= now
}

/// What a delivery is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits until it is due, or for its turn.
    Waiting,
    /// An attempt is under way.
    InFlight,
    /// An operator, or damage, holds it.
    Held(Hold),
    /// It rests under a pause of its way or its domain.
    Paused,
}

/// One recipient of a delivery.
#[derive(Debug, Clone)]
pub struct RecipientView {
    /// Its number in the message, from 1: the `n` of `ID.n`.
    pub number: u32,
    /// The RCPT command that the next hop gets.
    pub rcpt: Rcpt,
    /// The forward-path that the client gave, where it was changed.
    pub original: Option<ForwardPath>,
    /// What became of it.
    pub state: RecipientProgress,
    /// What the last attempt came to.
    pub report: Option<Report>,
}

/// How far a recipient is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecipientProgress {
    /// It is still to be reached.
    Queued,
    /// It has the message.
    Delivered,
    /// It never gets it; the sender has been told.
    Failed,
}

/// One message with all that is left of its deliveries.
#[derive(Debug, Clone)]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// The MAIL command.
    pub mail: Mail,
    /// Who gave it.
    pub origin: String,
    /// What was found in the content while it came in.
    pub facts: ContentFacts,
    /// When it was accepted.
    pub received_at: SystemTime,
    /// Its deliveries that are not finished.
    pub deliveries: Vec<DeliveryView>,
    /// Its header block and body; `None` where it is in quarantine for damage.
    pub content: Option<Content>,
}

/// Counts and sizes of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStats {
    /// Messages of which a delivery is left.
    pub messages: u64,
    /// Deliveries that are left.
    pub deliveries: u64,
    /// Of these, with an attempt under way.
    pub in_flight: u64,
    /// Of these, held.
    pub held: u64,
    /// Of these, due, whatever their lanes do.
    pub due: u64,
    /// The octets of header blocks and bodies of these messages.
    pub content_octets: u64,
    /// The octets of all log segments.
    pub log_octets: u64,
    /// Messages made durable since the start.
    pub committed: u64,
    /// Batches in which they were, with the settlements: each was one sync of the log.
    pub batches: u64,
}

/// Whether the queue can take and settle mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Whether the log can be written. While not, messages are refused and none is leased.
    pub writable: bool,
    /// What can still be written to the file system, less what is reserved for messages on their way in, in octets.
    pub free_octets: u64,
    /// What is wrong; `None`: nothing.
    pub reason: Option<String>,
}
