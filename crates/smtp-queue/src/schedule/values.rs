//! What goes into the schedule and comes out of it.

use std::num::NonZeroU32;
use std::time::SystemTime;

use smtp_mail::{Destination, MessageId};
use smtp_proto::{Domain, Priority};

use crate::lane::Lane;

/// One delivery: a message to the recipients that share a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId {
    /// The message.
    pub message: MessageId,
    /// The number of the delivery in it, as the caller counts them.
    pub number: u32,
}

/// A delivery that comes into the schedule.
#[derive(Debug, Clone)]
pub struct NewEntry<'a> {
    /// Which delivery; not in the schedule already.
    pub id: DeliveryId,
    /// Where it goes.
    pub destination: &'a Destination,
    /// When it is first tried.
    pub due: SystemTime,
    /// When it is given up. No attempt is leased from then on.
    pub expires_at: SystemTime,
    /// When its sender is to be told that it is late; `None` if that is not wanted, or done.
    pub notice_at: Option<SystemTime>,
    /// Of what is due in a lane, the higher goes first (RFC 6710 §5.1).
    pub priority: Priority,
}

/// The number of one lease, to tell a late result from a fresh one. Numbers come again only after 2^32 leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseNumber(pub(super) NonZeroU32);

/// Deliveries of one message that were taken out together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// To be named when they come back.
    pub lease: LeaseNumber,
    /// The message.
    pub message: MessageId,
    /// The numbers of the deliveries, ascending; never empty.
    pub numbers: Vec<u32>,
    /// Their lane; for what is overdue, the lane of the first.
    pub lane: Lane,
    /// Why they were taken out, if not to be tried.
    pub overdue: Option<Overdue>,
}

/// What is owed to the sender of a delivery that takes too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Overdue {
    /// It has expired: it fails now.
    Expired,
    /// A notice that it is late.
    NoticeOwed,
}

/// A lane in which something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyLane {
    /// The lane.
    pub lane: Lane,
    /// How many deliveries are due, counted up to [`Schedule::DUE_COUNTED_MAX`](super::Schedule::DUE_COUNTED_MAX); 1 if only a probe may go.
    pub due: usize,
    /// Since when nothing was leased of it: since the first of them was due, or since the last lease.
    pub since: SystemTime,
    /// The lane has rested, by time or because an operator has ended its rest: one probe may go.
    pub probe: bool,
}

/// What a pause stops from being tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PauseScope {
    /// Everything to other hosts.
    Mta,
    /// Everything into mailboxes of this host.
    Mda,
    /// Everything to one domain elsewhere.
    Domain(Domain),
}

/// How a delivery stands in the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is tried when it is due and its lane is not at rest or paused.
    Waiting {
        /// When it is due.
        due: SystemTime,
    },
    /// An attempt is under way.
    Leased,
    /// It is not tried, and does not expire.
    Held {
        /// When that ends by itself.
        until: Option<SystemTime>,
    },
}

/// How many there are of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Deliveries.
    pub deliveries: usize,
    /// Those that are leased.
    pub leased: usize,
    /// Those that are held.
    pub held: usize,
    /// Lanes that deliveries have been in lately.
    pub lanes: usize,
    /// Those that are at rest or probed.
    pub lanes_at_rest: usize,
}
