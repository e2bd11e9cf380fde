//! What operators do to deliveries.

use std::time::SystemTime;

use crate::schedule::DeliveryId;

/// An operator's act on the deliveries that a selector names. It wins over an attempt under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Not to be attempted.
    Hold {
        /// Why, for people to read. Kept to its first 256 octets.
        reason: String,
        /// When the hold ends by itself; `None`: when it is released.
        until: Option<SystemTime>,
    },
    /// No longer held.
    Release,
    /// Due at once; the rest of its lane ends.
    DueNow,
    /// Gone, without a report to the sender. Of a delivery of which some recipients are selected, those; every other act is
    /// on whole deliveries.
    Remove,
}

/// What an act came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ControlReport {
    /// The recipients that the selector names.
    pub matched: usize,
    /// The recipients whose state is another than before: those that are meant, and where the act is on whole deliveries,
    /// those that share a delivery with one of them.
    pub changed: usize,
}

/// Why an act was not made durable, or not on all that it was meant for.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The log cannot be written at present.
    #[error("the queue cannot be written: {reason}")]
    Unavailable {
        /// What is wrong.
        reason: String,
    },
    /// The rows of the queue could not be read.
    #[error("the queue cannot be read: {reason}")]
    Unreadable {
        /// What is wrong.
        reason: String,
    },
    /// The queue was closed first.
    #[error("the queue is closed")]
    Closed,
}

/// A delivery that a selector names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    pub(crate) id: DeliveryId,
    /// The numbers of the recipients that are meant, where not all that are left are.
    pub(crate) recipients: Option<Vec<u32>>,
}

impl From<DeliveryId> for Selected {
    fn from(id: DeliveryId) -> Self {
        Self { id, recipients: None }
    }
}
