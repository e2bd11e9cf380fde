//! What is asked of the committer, and the queue in which it waits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;

use crate::control::{Act, ControlError, Selected};
use crate::error::CommitError;
use crate::lease::{SettleError, Settled, Settlement};
use crate::pause::Pause;
use crate::store::PreparedMessage;

/// So many requests are one batch at most.
const BATCH_REQUESTS_MAX: usize = 1024;
/// So many octets are one batch at most; one request alone may be longer.
const BATCH_OCTETS_MAX: u64 = 64 << 20;

/// Something to be made durable, and whom to tell.
#[derive(Debug)]
pub(crate) enum Request {
    Commit {
        message: Box<PreparedMessage>,
        answer: oneshot::Sender<Result<(), CommitError>>,
    },
    Settle {
        settlements: Vec<PreparedSettlement>,
        answer: oneshot::Sender<Result<Vec<Settled>, SettleError>>,
    },
    Control {
        deliveries: Vec<Selected>,
        act: ControlAct,
        now: SystemTime,
        answer: oneshot::Sender<Result<usize, ControlError>>,
    },
    Pauses {
        change: PauseChange,
        answer: oneshot::Sender<Result<bool, ControlError>>,
    },
}

/// A settlement with its reports made ready.
#[derive(Debug)]
pub(crate) struct PreparedSettlement {
    pub(crate) settlement: Settlement,
    pub(crate) reports: Vec<PreparedMessage>,
}

/// What happens to deliveries, and on whose account.
#[derive(Debug, Clone)]
pub(crate) enum ControlAct {
    Operator(Act),
    /// Their content is damaged.
    HoldDamaged(String),
}

/// What happens to the pauses.
#[derive(Debug, Clone)]
pub(crate) enum PauseChange {
    Pause(Pause),
    Resume(crate::PauseScope),
}

impl Request {
    pub(crate) fn octets(&self) -> u64 {
        match self {
            Self::Commit { message, .. } => message.octets(),
            Self::Settle { settlements, .. } => {
                let reports = settlements.iter().flat_map(|settlement| &settlement.reports);
                reports.map(PreparedMessage::octets).sum()
            }
            Self::Control { .. } | Self::Pauses { .. } => 0,
        }
    }
}

/// The requests that wait for the committer.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: VecDeque<Request>,
    closed: bool,
    /// Whether the committer sleeps and must be woken.
    asleep: bool,
}

/// What the committer has to do next.
#[derive(Debug)]
pub(crate) enum Taken {
    Batch(Vec<Request>),
    /// Nothing came in the time given.
    Idle,
    /// Closed, and nothing is left.
    Closed,
}

impl Requests {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request; dropped, and with it its answer, when the queue is closed.
    pub(crate) fn push(&self, request: Request) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        waiting.requests.push_back(request);
        if std::mem::take(&mut waiting.asleep) {
            drop(waiting);
            self.arrived.notify_one();
        }
    }

    /// Takes no more requests, and drops those that wait: whoever sent them hears that the queue is closed.
    pub(crate) fn abandon(&self) {
        let abandoned = {
            let mut waiting = self.lock();
            waiting.closed = true;
            std::mem::take(&mut waiting.requests)
        };
        // Not under the lock: what a lease does when it is dropped is its own business.
        drop(abandoned);
    }

    /// Takes no more requests.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Waits for requests, at most so long, and takes all there are, within the limits of a batch.
    pub(crate) fn take(&self, patience: Duration) -> Taken {
        let mut waiting = self.lock();
        if waiting.requests.is_empty() && !waiting.closed && !patience.is_zero() {
            waiting.asleep = true;
            let slept = self
                .arrived
                .wait_timeout_while(waiting, patience, |waiting| waiting.requests.is_empty() && !waiting.closed);
            waiting = slept.unwrap_or_else(PoisonError::into_inner).0;
            waiting.asleep = false;
        }
        if waiting.requests.is_empty() {
            return if waiting.closed { Taken::Closed } else { Taken::Idle };
        }
        let mut octets = 0;
        let fits = |request: &&Request| {
            octets += request.octets();
            octets <= BATCH_OCTETS_MAX
        };
        let fitting = waiting.requests.iter().take(BATCH_REQUESTS_MAX).take_while(fits).count();
        Taken::Batch(waiting.requests.drain(..fitting.max(1)).collect())
    }
}
