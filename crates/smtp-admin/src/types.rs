//! What is asked and what is answered.

mod route;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::route::{AddressRoute, RouteRefusal, RouteRequest, RouteTarget};

/// Which recipients in the queue are meant: those to which everything that is given applies. Without anything, all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selector {
    /// Messages ("ID": all their recipients) or single recipients ("ID.n"); any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
    /// The reverse-path; "" or "<>" is the null reverse-path, "@example.com" any at that domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The forward-path, now or as it was received; "@example.com" any at that domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcpt: Option<String>,
    /// The domain of the forward-path: "example.com", or "*.example.com" for what lies below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// The lane: "local", a domain, or a next hop (`smtp://10.0.0.5:25`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// Received at least this many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_seconds: Option<u64>,
    /// Received at most this many seconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub younger_seconds: Option<u64>,
    /// The size of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// A regular expression found in the text of the last reply or error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Held, or not held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<bool>,
    /// At most so many recipients, the oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// A bound of the size of the content, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Size {
    /// So many octets or more.
    AtLeast(u64),
    /// So many octets or fewer.
    AtMost(u64),
}

/// Which half of the delivery a recipient belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A mailbox of this machine.
    Local,
    /// Another server.
    Remote,
}

/// What a recipient in the queue is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueState {
    /// Its next attempt is due.
    Due,
    /// Its next attempt has a time.
    Scheduled,
    /// An attempt is under way.
    InFlight,
    /// Somebody has to release it.
    Held,
    /// It rests under a pause of the MTA, the MDA or its domain.
    Paused,
    /// It is done: the recipient has the message. Shown only beside others that are not done.
    Delivered,
    /// It is done: the recipient never gets it, and the sender was told. Shown only beside others that are not done.
    Failed,
}

impl QueueState {
    /// Its name in JSON, and for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Scheduled => "scheduled",
            Self::InFlight => "in_flight",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One recipient of one message in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedRecipient {
    /// "ID.n": the id of the message and the number of the recipient.
    pub id: String,
    /// The id of the message.
    pub message: String,
    /// What it is waiting for.
    pub state: QueueState,
    /// A mailbox here or another server.
    pub class: Class,
    /// The lane: "local", a domain, or a next hop.
    pub lane: String,
    /// The reverse-path without its angle brackets; "" is the null reverse-path.
    pub reverse_path: String,
    /// The forward-path without its angle brackets.
    pub forward_path: String,
    /// The forward-path as it was received, where an alias changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// Octets of the content.
    pub octets: u64,
    /// When the message was received.
    pub received_at: Timestamp,
    /// When the next attempt is due, if nothing holds it.
    pub due_at: Timestamp,
    /// When it is given up.
    pub expires_at: Timestamp,
    /// How many attempts there were.
    pub attempts: u32,
    /// How the last attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastAttempt>,
    /// Why it is held. Beside the state `scheduled`: by its sender, until it is to be released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// How the last attempt for a recipient ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAttempt {
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The enhanced status code (RFC 3463).
    pub status: String,
    /// What the next hop said, or what went wrong; escaped, one line.
    pub text: String,
    /// The next hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Why and until when something is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The reason that was given, or what is wrong with the message.
    pub reason: String,
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A message in the queue with the recipients that are still owed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMessage {
    /// Its id.
    pub id: String,
    /// Who gave it.
    pub origin: String,
    /// The reverse-path without its angle brackets; "" is the null reverse-path.
    pub reverse_path: String,
    /// Octets of the content.
    pub octets: u64,
    /// If the content has octets above 127.
    pub eight_bit: bool,
    /// If the envelope asks for SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// What the sender has asked for on the way, as it stands in MAIL ("REQUIRETLS BY=120;R").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<String>,
    /// When it was received.
    pub received_at: Timestamp,
    /// If its content was found damaged and put aside; such a message is held.
    #[serde(default, skip_serializing_if = "is_false")]
    pub damaged: bool,
    /// The recipients of its deliveries that are not done.
    pub recipients: Vec<QueuedRecipient>,
}

/// What is done to the selected recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// No attempt until it is released or the hold ends.
    Hold,
    /// Undo a hold.
    Release,
    /// The next attempt is due now.
    Schedule,
    /// Delete, without a report to anybody.
    Remove,
}

impl Act {
    /// Its name in JSON and in the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Schedule => "schedule",
            Self::Remove => "remove",
        }
    }
}

/// An act on the queue. A member that the daemon does not know is refused, here and in every request: what an old daemon
/// passed over could be the member that said "only count".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// What to do.
    pub act: Act,
    /// To which recipients.
    pub selector: Selector,
    /// Why; it goes to the log, and is shown with what is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A hold ends by itself after so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
    /// Only count what would be done.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

/// What an act did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlReport {
    /// Recipients that the selector found.
    pub matched: u64,
    /// Recipients that are different now; none in a dry run.
    pub changed: u64,
}

/// What is paused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Delivery to other servers.
    Mta,
    /// Delivery into mailboxes.
    Mda,
    /// Taking mail in.
    Smtp,
    /// Delivery to one domain.
    Domain(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mta => f.write_str("mta"),
            Self::Mda => f.write_str("mda"),
            Self::Smtp => f.write_str("smtp"),
            Self::Domain(domain) => write!(f, "mta domain {domain}"),
        }
    }
}

/// Asks for a pause. A pause that is there already is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Of what.
    pub scope: Scope,
    /// It ends by itself after so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_seconds: Option<u64>,
    /// Why; it goes to the log and is shown in the status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Asks for the end of a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Of what.
    pub scope: Scope,
    /// Why; it goes to the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A pause that is in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The reason that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One of the three parts of the daemon: running, unless there is a pause.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The pause that is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
}

/// The pauses of single domains.
pub type DomainSet = BTreeMap<String, Pause>;

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Delivery into mailboxes.
    pub mda: Running,
    /// Delivery to other servers.
    pub mta: Running,
    /// Taking mail in.
    pub smtp: Running,
    /// Domains to which nothing is delivered.
    pub paused_domains: DomainSet,
    /// If mail is accepted and the queue can be written.
    pub ready: bool,
    /// What is wrong, a line each.
    pub problems: Vec<String>,
    /// The version that is running.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// The name of the host in the configuration.
    pub hostname: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// Sessions that are open.
    pub sessions: u64,
    /// Attempts that are under way.
    pub attempts: u64,
    /// What is in the queue.
    pub queue: QueueCounts,
}

/// How much is in the queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCounts {
    /// Messages.
    pub messages: u64,
    /// Deliveries: a message to one domain or mailbox.
    pub deliveries: u64,
    /// Deliveries whose next attempt is due. Of a lane with very many, not all are counted: the rest are among those that
    /// wait.
    pub due: u64,
    /// Deliveries whose next attempt has a time, or that rest with their lane or under a pause.
    pub waiting: u64,
    /// Deliveries with an attempt under way.
    pub in_flight: u64,
    /// Deliveries that are held.
    pub held: u64,
    /// Octets of the content of all messages.
    pub content_octets: u64,
    /// The age of the oldest message, in seconds.
    pub oldest_age_seconds: u64,
    /// Octets free on the disk of the queue; absent for a queue in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_octets: Option<u64>,
}

/// Counters since the start, by dotted names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// "scheduler.delivery.ok" and so on.
    pub counters: BTreeMap<String, u64>,
}

/// What a check of the queue found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCheck {
    /// Messages that were looked at.
    pub messages: u64,
    /// What is wrong, a line each; empty when all is well.
    pub problems: Vec<String>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What was wrong with it, in words.
    pub error: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests;
