//! Leases: due deliveries of one message in one lane, lent to whoever attempts them; and what comes back.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use smtp_mail::{Attempt, MessageId, Report};

use crate::row::DeliveryRow;
use crate::schedule::{DeliveryId, LeaseNumber, Overdue};
use crate::shared::Shared;
use crate::{Lane, NewReport};

/// Due deliveries of one message in one lane: what one transaction attempts.
///
/// Nobody else gets them while the lease lives. One that is dropped is returned: its deliveries are as due as they were.
pub struct Lease {
    pub(crate) shared: Arc<Shared>,
    pub(crate) number: LeaseNumber,
    pub(crate) lane: Lane,
    pub(crate) attempt: Attempt,
    pub(crate) origin: String,
    pub(crate) deliveries: Vec<Arc<DeliveryRow>>,
    pub(crate) overdue: Option<Overdue>,
    pub(crate) leased_at: SystemTime,
}

impl Lease {
    /// The message.
    pub fn id(&self) -> MessageId {
        self.attempt.id
    }

    /// The lane that its deliveries wait in.
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// What is to be attempted: envelope, recipients, content.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    /// Who gave the message.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// When the message was accepted.
    pub fn received_at(&self) -> SystemTime {
        self.attempt.received_at
    }

    /// When the first of its deliveries is given up.
    pub fn expires_at(&self) -> SystemTime {
        let times = self.deliveries.iter().map(|delivery| delivery.expires_at);
        // A lease holds at least one delivery.
        times.min().unwrap_or(self.leased_at)
    }

    /// When the first delay notice is owed; `None`: none is.
    pub fn delay_notice_at(&self) -> Option<SystemTime> {
        self.deliveries.iter().filter_map(|delivery| delivery.delay_notice_at).min()
    }

    /// How many attempts its deliveries have behind them: the highest count of any.
    pub fn attempts(&self) -> u32 {
        let attempts = self.deliveries.iter().map(|delivery| delivery.attempts);
        attempts.max().unwrap_or_default()
    }

    /// How many attempts the delivery of this recipient has behind it.
    pub fn attempts_of(&self, recipient: u32) -> u32 {
        self.delivery_of(recipient).map_or(0, |delivery| delivery.attempts)
    }

    /// What the last attempt came to for this recipient.
    pub fn last_report_of(&self, recipient: u32) -> Option<&Report> {
        let delivery = self.delivery_of(recipient)?;
        let row = delivery.recipients.iter().find(|row| row.number == recipient)?;
        delivery.report_of(row)
    }

    /// When the last attempt for this recipient began; `None`: there was none.
    pub fn last_attempt_at(&self, recipient: u32) -> Option<SystemTime> {
        self.delivery_of(recipient)?.last_attempt_at
    }

    /// Whether it is still to be attempted: no operator has acted on any of its deliveries since.
    pub fn is_valid(&self) -> bool {
        let schedule = self.shared.schedule();
        self.ids().all(|id| schedule.is_leased(id, self.number))
    }

    /// Whether it was given by [`Queue::lease_overdue`](crate::Queue::lease_overdue), and why.
    pub fn overdue(&self) -> Option<Overdue> {
        self.overdue
    }

    fn delivery_of(&self, recipient: u32) -> Option<&DeliveryRow> {
        let holds = |delivery: &&Arc<DeliveryRow>| delivery.recipients.iter().any(|row| row.number == recipient);
        self.deliveries.iter().find(holds).map(Arc::as_ref)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = DeliveryId> {
        self.deliveries.iter().map(|delivery| delivery.id)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.give_back(self.ids(), self.number);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("lane", &self.lane)
            .field("attempt", &self.attempt)
            .field("overdue", &self.overdue)
            .finish_non_exhaustive()
    }
}

/// What an attempt came to, with the reports that are owed for it.
#[derive(Debug)]
pub struct Settlement {
    /// What was attempted.
    pub lease: Lease,
    /// What became of its recipients. One that is not named stays as it is: its delivery is as due as before.
    pub outcomes: Vec<RecipientOutcome>,
    /// Delivery reports, durable together with the outcomes.
    pub reports: Vec<NewReport>,
    /// Whether one of them is the delay notice of the lease's deliveries.
    pub notice_sent: bool,
}

/// What became of one recipient.
#[derive(Debug, Clone)]
pub struct RecipientOutcome {
    /// Its number in the message, from 1.
    pub number: u32,
    /// What it means for the queue.
    pub change: RecipientChange,
    /// What is known about it.
    pub report: Report,
}

/// What an outcome means for the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecipientChange {
    /// The recipient has the message.
    Delivered,
    /// It is attempted again.
    Deferred {
        /// When. Of several recipients of one delivery the earliest counts.
        due: SystemTime,
    },
    /// It never gets it.
    Failed,
}

/// How a settlement was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settled {
    /// As it was given.
    Settled,
    /// An operator's act came first, for a part of the lease at least. Of that part only recipients that were delivered
    /// are settled. Of the rest, those that failed are attempted again, since no report was made durable.
    Superseded,
}

/// Why settlements were not made durable. While the log cannot be written they wait; these are the cases that do not end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The queue was closed first. What was attempted is attempted again after the next start.
    #[error("the queue is closed")]
    Closed,
}
