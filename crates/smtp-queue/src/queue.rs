//! The handle of the queue.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use smtp_mail::{MessageId, MessageIds};
use tokio::sync::oneshot;

use crate::committer::{self, Unfinished};
use crate::control::{Act, ControlError, ControlReport};
use crate::disk::{Disk, RealDisk};
use crate::draft::Draft;
use crate::error::{DraftError, FatalError};
use crate::lane::{Lane, LaneTable};
use crate::lease::{Lease, SettleError, Settled, Settlement};
use crate::message::NewReport;
use crate::pause::Pause;
use crate::prepare::prepare;
use crate::request::{PauseChange, PreparedSettlement, Request};
use crate::schedule::{PauseScope, ReadyLane, Schedule};
use crate::select::Selector;
use crate::shared::{Shared, schedule_row};
use crate::space::EMPTY_DRAFT_OCTETS;
use crate::store::memory::MemoryStore;
use crate::store::sled::DiskStore;
use crate::store::{PreparedBody, QueueStore, ReadError, StoreWriter};
use crate::view::Health;
use crate::{OpenError, StartReport};

mod check;
mod find;

pub use check::{CheckReport, Problem};

/// Where the queue is, and its limits.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// Its directory. Made where it is missing. Not used by a queue in memory.
    pub directory: PathBuf,
    /// On disk or in memory.
    pub store: StoreKind,
    /// The node number in message ids, below 1,024: another one for each server whose messages may meet.
    pub node: u16,
    /// What is left free for settlements: messages are refused when they would take it. In octets.
    pub free_octets_min: u64,
    /// A file of this size is given up when even settlements have no room. In octets.
    pub ballast_octets: u64,
    /// What all bodies on their way in may take of memory together; beyond, they go to files earlier. In octets.
    pub body_memory_octets: u64,
    /// The length of a segment of the log, in octets; one batch may be longer.
    pub segment_octets: u64,
    /// How much longer than three times what is alive the log may be before it is cleaned, in octets.
    pub log_slack_octets: u64,
    /// What recently committed messages may take of memory, so that a first attempt reads nothing. In octets.
    pub hot_memory_octets: u64,
}

/// What keeps the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreKind {
    /// A log and its index, in the directory.
    Disk,
    /// Nothing: it is gone with the process.
    Memory,
}

impl QueueConfig {
    /// A queue on disk in that directory, with the usual limits.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            store: StoreKind::Disk,
            node: 0,
            free_octets_min: 64 << 20,
            ballast_octets: 16 << 20,
            body_memory_octets: 64 << 20,
            segment_octets: 64 << 20,
            log_slack_octets: 256 << 20,
            hot_memory_octets: 32 << 20,
        }
    }

    /// A queue in memory.
    pub fn in_memory() -> Self {
        Self { store: StoreKind::Memory, ..Self::new("") }
    }
}

/// The durable queue. Clones are handles of the same one.
///
/// Methods that are not `async` may read from disk for a moment, but for [`Queue::find`] and [`Queue::message`], which may read
/// much: call those where blocking is allowed.
#[derive(Debug, Clone)]
pub struct Queue {
    pub(crate) shared: Arc<Shared>,
    committer: Arc<CommitterHandle>,
}

#[derive(Debug)]
struct CommitterHandle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl CommitterHandle {
    fn stop(&self) {
        self.shared.requests.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the committer has been told by its hook; what was answered is durable all the same.
            let _ = thread.join();
        }
    }
}

impl Drop for CommitterHandle {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The life of the queue.
impl Queue {
    /// Opens the queue, bringing its index up to date. Blocks while it reads.
    ///
    /// # Errors
    /// Another process has it open ([`OpenError::Locked`]), a later version of the program wrote it
    /// ([`OpenError::NewerFormat`]), or the disk fails.
    ///
    /// # Panics
    /// If the node number is above 1,023.
    pub fn open(config: &QueueConfig) -> Result<(Self, StartReport), OpenError> {
        match config.store {
            StoreKind::Memory => {
                let (store, writer) = MemoryStore::create();
                Self::start(config, store, writer, StartReport::default(), MessageId::from_raw(0), Vec::new())
            }
            StoreKind::Disk => Self::open_on(config, Arc::new(RealDisk), false),
        }
    }

    /// Makes the index anew from the log, sets the old one aside, and opens the queue. Blocks while it reads all of the log.
    ///
    /// # Errors
    /// As for [`Queue::open`].
    pub fn rebuild(config: &QueueConfig) -> Result<(Self, StartReport), OpenError> {
        Self::open_on(config, Arc::new(RealDisk), true)
    }

    pub(crate) fn open_on(
        config: &QueueConfig,
        disk: Arc<dyn Disk>,
        rebuild: bool,
    ) -> Result<(Self, StartReport), OpenError> {
        let opened = DiskStore::open(config, disk, rebuild)?;
        Self::start(config, opened.store, opened.writer, opened.report, opened.last_id, opened.pauses)
    }

    pub(crate) fn start(
        config: &QueueConfig,
        store: Arc<dyn QueueStore>,
        writer: Box<dyn StoreWriter>,
        report: StartReport,
        last_id: MessageId,
        pauses: Vec<Pause>,
    ) -> Result<(Self, StartReport), OpenError> {
        let mut schedule = Schedule::new(LaneTable::default(), SystemTime::now());
        for pause in &pauses {
            schedule.pause(&pause.scope, pause.until);
        }
        let (unfinished, report) = fill(&mut schedule, store.as_ref(), report)?;
        let shared = Arc::new(Shared::new(
            store,
            schedule,
            MessageIds::new(config.node, last_id),
            pauses,
            config.free_octets_min,
            config.body_memory_octets,
        ));
        let thread =
            committer::start(Arc::clone(&shared), writer, unfinished).map_err(|source| OpenError::Thread { source })?;
        let committer = CommitterHandle { shared: Arc::clone(&shared), thread: Mutex::new(Some(thread)) };
        Ok((Self { shared, committer: Arc::new(committer) }, report))
    }

    /// Makes durable what waits, then stops. Drafts and settlements that come later are refused. Blocks.
    pub fn close(&self) {
        self.committer.stop();
    }

    /// Waits for an error of the disk after which nothing can be trusted: then end the process with exit code 74.
    pub async fn fatal(&self) -> FatalError {
        let mut fatal = self.shared.fatal.subscribe();
        loop {
            if let Some(error) = fatal.borrow_and_update().clone() {
                return error;
            }
            if fatal.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether mail can be taken and settled.
    pub fn health(&self) -> Health {
        let trouble = self.shared.trouble();
        let free_octets = self.shared.space.available_octets();
        let reason = match trouble {
            Some(trouble) => Some(trouble.reason),
            None if free_octets == 0 => Some("the disk has no room for messages".to_owned()),
            None => None,
        };
        Health { writable: self.shared.trouble().is_none(), free_octets, reason }
    }
}

/// Enters all deliveries of the store into the schedule, and counts those of each message.
fn fill(
    schedule: &mut Schedule,
    store: &dyn QueueStore,
    mut report: StartReport,
) -> Result<(Unfinished, StartReport), OpenError> {
    let mut unfinished: Unfinished = HashMap::new();
    let mut run: (MessageId, u32) = (MessageId::from_raw(0), 0);
    let mut end_run = |run: (MessageId, u32)| {
        if run.1 > 1 {
            unfinished.insert(run.0, run.1);
        }
    };
    store
        .each_delivery(None, None, &mut |row| {
            schedule_row(schedule, &row);
            report.deliveries += 1;
            if run.0 == row.id.message {
                run.1 += 1;
            } else {
                end_run(run);
                run = (row.id.message, 1);
                report.messages += 1;
            }
            ControlFlow::Continue(())
        })
        .map_err(|error: ReadError| OpenError::Index { source: Box::new(error) })?;
    end_run(run);
    Ok((unfinished, report))
}

/// Messages on their way in.
impl Queue {
    /// Begins a message. `octets_hint` is what the client has declared with SIZE, if it has (RFC 1870): there must be room
    /// for it now, and it is reserved when the body begins to come. Until then at most 64 KiB are, so that clients that
    /// declare much and send nothing keep nobody out.
    ///
    /// # Errors
    /// There is no room for it, or the log cannot be written at present.
    pub fn draft(&self, octets_hint: Option<u64>) -> Result<Draft, DraftError> {
        let octets = octets_hint.unwrap_or(EMPTY_DRAFT_OCTETS);
        if let Some(trouble) = self.shared.trouble() {
            return Err(if trouble.full {
                self.shared.full(octets)
            } else {
                DraftError::Unavailable { reason: trouble.reason }
            });
        }
        let mut room = self.shared.space.reserve(octets).ok_or_else(|| self.shared.full(octets))?;
        room.shrink_to(EMPTY_DRAFT_OCTETS);
        Ok(Draft::new(Arc::clone(&self.shared), self.next_id(), room, octets_hint.unwrap_or_default()))
    }

    /// An id for a message that is yet to be made, such as a delivery report that names its own.
    pub fn next_id(&self) -> MessageId {
        self.shared.ids.next(SystemTime::now())
    }
}

/// Messages on their way out.
impl Queue {
    /// Sorts all deliveries anew into lanes: at the start, and when routes have changed.
    pub fn set_lanes(&self, lanes: LaneTable) {
        self.shared.schedule().set_lanes(lanes);
        self.shared.changed.notify_one();
    }

    /// Waits until something may have become due other than by time. For one waiter.
    pub async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// When there is next something to do; a past time means now. `None`: nothing waits.
    pub fn next_due(&self, now: SystemTime) -> Option<SystemTime> {
        self.shared.schedule().next_due(now)
    }

    /// The lanes in which something may be attempted now: that of the mailboxes, then the longest waiting. None while the log cannot be written:
    /// what is delivered then could not be noted.
    pub fn ready(&self, now: SystemTime) -> Vec<ReadyLane> {
        self.first_ready(now, usize::MAX)
    }

    /// The first of these lanes, at most so many: for a caller that cannot work in all of them.
    pub fn first_ready(&self, now: SystemTime, at_most: usize) -> Vec<ReadyLane> {
        if self.shared.trouble().is_some() {
            return Vec::new();
        }
        self.shared.schedule().ready(now, at_most)
    }

    /// Takes out what is due in a lane, of at most so many messages.
    pub fn lease(&self, lane: &Lane, now: SystemTime, at_most: usize) -> Vec<Lease> {
        if self.shared.trouble().is_some() {
            return Vec::new();
        }
        let leased = self.shared.schedule().lease(lane, now, at_most);
        leased.iter().flat_map(|leased| self.shared.read_leased(leased, now)).collect()
    }

    /// Takes out what has expired or owes a notice of delay, of at most so many messages, whatever its lane does.
    pub fn lease_overdue(&self, now: SystemTime, at_most: usize) -> Vec<Lease> {
        if self.shared.trouble().is_some() {
            return Vec::new();
        }
        let leased = self.shared.schedule().lease_overdue(now, at_most);
        leased.iter().flat_map(|leased| self.shared.read_leased(leased, now)).collect()
    }

    /// Lets a lane rest whose next hop is in trouble: nothing of it is leased until then, and then one probe.
    pub fn rest_lane(&self, lane: &Lane, until: SystemTime) {
        self.shared.schedule().rest_lane(lane, until);
        self.shared.changed.notify_one();
    }

    /// Ends the rest of a lane: its next hop does well.
    pub fn wake_lane(&self, lane: &Lane) {
        if self.shared.schedule().wake_lane(lane) {
            self.shared.changed.notify_one();
        }
    }

    /// Makes durable what attempts came to, with the reports that they owe. While the log cannot be written this waits.
    ///
    /// # Errors
    /// The queue was closed first.
    pub async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, SettleError> {
        if settlements.is_empty() {
            return Ok(Vec::new());
        }
        let settlements = settlements.into_iter().map(|settlement| self.prepare_settlement(settlement)).collect();
        let (answer, answered) = oneshot::channel();
        self.shared.requests.push(Request::Settle { settlements, answer });
        answered.await.unwrap_or(Err(SettleError::Closed))
    }

    fn prepare_settlement(&self, mut settlement: Settlement) -> PreparedSettlement {
        let reports = std::mem::take(&mut settlement.reports);
        let reports = reports.into_iter().filter_map(|NewReport { message, body, id }| {
            let id = id.unwrap_or_else(|| self.next_id());
            match prepare(id, message, PreparedBody::Memory(body)) {
                Ok(report) => Some(report),
                Err(error) => {
                    // A report has one recipient, the reverse-path: only a mistake of the program gets here.
                    let message = settlement.lease.id();
                    tracing::error!(%message, %error, "a delivery report cannot be kept and is dropped");
                    None
                }
            }
        });
        let reports = reports.collect();
        PreparedSettlement { settlement, reports }
    }
}

/// What operators do.
impl Queue {
    /// Carries out an act on all deliveries that the selector names.
    ///
    /// # Errors
    /// The log cannot be written, or was closed. What came before the error stays done.
    pub async fn control(&self, selector: &Selector, act: Act, now: SystemTime) -> Result<ControlReport, ControlError> {
        /// So many at a time, so that mail flows in between.
        const STEP: usize = 500;
        let (queue, selector) = (self.clone(), selector.clone());
        let selected = tokio::task::spawn_blocking(move || queue.select(&selector, now)).await;
        let selected = selected.map_err(|_| ControlError::Closed)?;
        let (selected, matched) =
            selected.map_err(|error| ControlError::Unreadable { reason: crate::shared::chain(&error) })?;
        let mut report = ControlReport { matched, changed: 0 };
        for step in selected.chunks(STEP) {
            report.changed += self.shared.control(step.to_vec(), act.clone(), now).await?;
        }
        Ok(report)
    }

    /// Puts a way out of the queue, or one domain, to rest. Survives a restart. Replaces a pause of the same scope.
    pub async fn pause(&self, pause: Pause) -> Result<(), ControlError> {
        self.change_pauses(PauseChange::Pause(pause)).await.map(|_| ())
    }

    /// Ends a pause. Whether there was one.
    pub async fn resume(&self, scope: PauseScope) -> Result<bool, ControlError> {
        self.change_pauses(PauseChange::Resume(scope)).await
    }

    async fn change_pauses(&self, change: PauseChange) -> Result<bool, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.shared.requests.push(Request::Pauses { change, answer });
        answered.await.unwrap_or(Err(ControlError::Closed))
    }

    /// The pauses in force.
    pub fn pauses(&self, now: SystemTime) -> Vec<Pause> {
        self.shared.pauses().iter().filter(|pause| pause.is_in_force(now)).cloned().collect()
    }
}
