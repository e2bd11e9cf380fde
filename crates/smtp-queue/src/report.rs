//! What was found when the queue was opened.

use std::path::PathBuf;

use smtp_mail::MessageId;

/// What opening the queue found and did. An operator should hear of everything here but the counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartReport {
    /// Messages in the queue.
    pub messages: u64,
    /// Deliveries of them.
    pub deliveries: u64,
    /// Records of the log that the index did not have yet.
    pub replayed: u64,
    /// Octets at the torn end of the log, which were never answered for.
    pub torn_octets: u64,
    /// Damage in the log: records that cannot be read any more.
    pub damage: Vec<Damage>,
    /// Body files that no record names, removed.
    pub orphan_bodies: u64,
    /// Whether the index was made anew from the log.
    pub rebuilt: bool,
    /// Where the index was put that could not be opened.
    pub index_set_aside: Option<PathBuf>,
}

/// A damaged place of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub segment: PathBuf,
    /// Where in it, in octets.
    pub offset: u64,
    /// How long the unreadable part is, in octets.
    pub octets: u64,
    /// The message that it was about, where that can still be told.
    pub message: Option<MessageId>,
}
