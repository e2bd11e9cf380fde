//! What the handle, drafts, leases and the committer have in common.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use smtp_mail::{Attempt, AttemptRecipient, Destination, MessageIds};
use smtp_proto::ReversePath;
use tokio::sync::{Notify, oneshot, watch};

use crate::control::{Act, ControlError, Selected};
use crate::error::{DraftError, FatalError};
use crate::lease::Lease;
use crate::pause::Pause;
use crate::request::{ControlAct, Request, Requests};
use crate::row::{DeliveryRow, MessageRow, cut_text};
use crate::schedule::{DeliveryId, LeaseNumber, Leased, Schedule};
use crate::space::{BodyMemory, Space};
use crate::store::{ContentError, QueueStore, ReadError};

/// How long a delivery is left alone whose rows could not be read.
const UNREADABLE_REST: Duration = Duration::from_mins(1);

/// What a due time in the schedule may be late.
pub(crate) const SCHEDULE_TICK: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn QueueStore>,
    schedule: Mutex<Schedule>,
    pub(crate) requests: Requests,
    pub(crate) changed: Notify,
    pub(crate) ids: MessageIds,
    pub(crate) space: Arc<Space>,
    pub(crate) body_memory: Arc<BodyMemory>,
    pauses: Mutex<Vec<Pause>>,
    /// Why the log cannot be written; `None`: it can.
    trouble: Mutex<Option<Trouble>>,
    pub(crate) fatal: watch::Sender<Option<FatalError>>,
    pub(crate) committed: AtomicU64,
    pub(crate) batches: AtomicU64,
}

/// Why the log cannot be written.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) reason: String,
    pub(crate) full: bool,
}

impl Shared {
    pub(crate) fn new(
        store: Arc<dyn QueueStore>,
        schedule: Schedule,
        ids: MessageIds,
        pauses: Vec<Pause>,
        free_octets_min: u64,
        body_memory_octets: u64,
    ) -> Self {
        Self {
            space: Arc::new(Space::new(Arc::clone(&store), free_octets_min)),
            store,
            schedule: Mutex::new(schedule),
            requests: Requests::default(),
            changed: Notify::new(),
            ids,
            body_memory: Arc::new(BodyMemory::new(body_memory_octets)),
            pauses: Mutex::new(pauses),
            trouble: Mutex::new(None),
            fatal: watch::Sender::new(None),
            committed: AtomicU64::new(0),
            batches: AtomicU64::new(0),
        }
    }

    /// The schedule. Held for moments only, and never while anything is read or written.
    pub(crate) fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pauses(&self) -> MutexGuard<'_, Vec<Pause>> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_trouble(&self, trouble: Option<Trouble>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    pub(crate) fn full(&self, octets: u64) -> DraftError {
        DraftError::Full { path: self.store.path(), octets }
    }

    /// A lease has ended without a settlement.
    pub(crate) fn give_back(&self, deliveries: impl Iterator<Item = DeliveryId>, lease: LeaseNumber) {
        let mut schedule = self.schedule();
        let mut given_back = false;
        for delivery in deliveries {
            given_back |= schedule.give_back(delivery, lease);
        }
        drop(schedule);
        if given_back {
            self.changed.notify_one();
        }
    }

    /// Reads what was leased. Deliveries with different reverse-paths cannot share a transaction: they become leases of
    /// their own.
    pub(crate) fn read_leased(self: &Arc<Self>, leased: &Leased, now: SystemTime) -> Vec<Lease> {
        let ids = || leased.numbers.iter().map(|number| DeliveryId { message: leased.message, number: *number });
        match self.try_read_leased(leased, now) {
            Ok(read) => read,
            Err(LeaseError::Rows(error)) => {
                tracing::error!(message = %leased.message, error = chain(&error), "a queued message cannot be read");
                let mut schedule = self.schedule();
                for id in ids() {
                    schedule.hold(id, Some(now + UNREADABLE_REST));
                }
                Vec::new()
            }
            Err(LeaseError::Content(error)) => {
                tracing::error!(message = %leased.message, error = chain(&error), "a queued message is damaged and held");
                self.hold_damaged(ids().collect(), &chain(&error), now);
                Vec::new()
            }
        }
    }

    fn try_read_leased(self: &Arc<Self>, leased: &Leased, now: SystemTime) -> Result<Vec<Lease>, LeaseError> {
        let Some(message) = self.store.message(leased.message)? else {
            // Removed a moment ago: the committer takes it out of the schedule next.
            return Ok(Vec::new());
        };
        let mut by_reverse_path: Vec<(ReversePath, Vec<Arc<DeliveryRow>>)> = Vec::new();
        for number in &leased.numbers {
            let id = DeliveryId { message: leased.message, number: *number };
            let Some(row) = self.store.delivery(id)? else {
                continue;
            };
            let path = row.reverse_path.as_ref().unwrap_or(&message.mail.reverse_path);
            match by_reverse_path.iter_mut().find(|(known, _)| known == path) {
                Some((_, rows)) => rows.push(row),
                None => by_reverse_path.push((path.clone(), vec![row])),
            }
        }
        let content = self.store.content(&message)?;
        let lease = |(reverse_path, deliveries): (ReversePath, Vec<Arc<DeliveryRow>>)| Lease {
            shared: Arc::clone(self),
            number: leased.lease,
            lane: leased.lane.clone(),
            attempt: Attempt {
                id: message.id,
                mail: smtp_proto::Mail { reverse_path, parameters: message.mail.parameters.clone() },
                recipients: recipients(&deliveries),
                content: content.clone(),
                facts: message.facts,
                received_at: message.received_at,
            },
            origin: message.origin.clone(),
            deliveries,
            overdue: leased.overdue,
            leased_at: now,
        };
        Ok(by_reverse_path.into_iter().map(lease).collect())
    }

    /// Holds deliveries at once, and durably as soon as the log takes it.
    fn hold_damaged(&self, deliveries: Vec<DeliveryId>, reason: &str, now: SystemTime) {
        let mut schedule = self.schedule();
        for id in &deliveries {
            schedule.hold(*id, None);
        }
        drop(schedule);
        // Nobody waits for the answer: held they are, and what cannot be noted now is found again after a start.
        let (answer, _) = oneshot::channel();
        let deliveries = deliveries.into_iter().map(Selected::from).collect();
        let act = ControlAct::HoldDamaged(reason.to_owned());
        self.requests.push(Request::Control { deliveries, act, now, answer });
    }

    /// Has an act carried out on deliveries.
    pub(crate) async fn control(
        &self,
        deliveries: Vec<Selected>,
        act: Act,
        now: SystemTime,
    ) -> Result<usize, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.requests.push(Request::Control { deliveries, act: ControlAct::Operator(act), now, answer });
        answered.await.unwrap_or(Err(ControlError::Closed))
    }

    /// Whether a delivery to that destination rests under a pause.
    pub(crate) fn is_paused(&self, destination: &Destination, now: SystemTime) -> bool {
        self.pauses().iter().any(|pause| pause.is_in_force(now) && pause.scope.covers(destination))
    }

    pub(crate) fn count_batch(&self, messages: u64) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.committed.fetch_add(messages, Ordering::Relaxed);
    }
}

fn recipients(deliveries: &[Arc<DeliveryRow>]) -> Vec<AttemptRecipient> {
    let mut recipients = BTreeMap::new();
    for delivery in deliveries {
        let user = match &delivery.destination {
            Destination::Mailbox(user) => Some(user),
            Destination::Domain(_) => None,
        };
        for row in delivery.queued() {
            let recipient = AttemptRecipient {
                number: row.number,
                rcpt: row.rcpt.clone(),
                original: row.original.clone(),
                user: user.cloned(),
            };
            recipients.insert(row.number, recipient);
        }
    }
    recipients.into_values().collect()
}

enum LeaseError {
    Rows(ReadError),
    Content(ContentError),
}

impl From<ReadError> for LeaseError {
    fn from(error: ReadError) -> Self {
        Self::Rows(error)
    }
}

impl From<ContentError> for LeaseError {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

/// The error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// An entry of the schedule for a delivery as its row is, in its lane.
pub(crate) fn schedule_row(schedule: &mut Schedule, row: &DeliveryRow) {
    // The schedule rounds up to its tick. A first attempt does not wait for that.
    let due = if row.attempts == 0 { row.due.checked_sub(SCHEDULE_TICK).unwrap_or(row.due) } else { row.due };
    schedule.insert(&crate::schedule::NewEntry {
        id: row.id,
        destination: &row.destination,
        due,
        expires_at: row.expires_at,
        notice_at: row.delay_notice_at,
        priority: row.priority,
    });
    if let Some(hold) = &row.hold {
        schedule.hold(row.id, hold.until);
    }
}

/// A reason of an operator, cut to what is kept.
pub(crate) fn kept_reason(reason: &str) -> String {
    cut_text(reason, crate::row::TEXT_OCTETS_MAX).to_owned()
}

/// The size of header block and body of a message.
pub(crate) fn content_octets(row: &MessageRow) -> u64 {
    u64::from(row.header_octets) + row.body_octets
}
