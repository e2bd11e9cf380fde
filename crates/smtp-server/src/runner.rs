//! The outbound loop: from what is due in the queue to outcomes, and back into the queue.
//!
//! `Runner` decides how many workers each lane has. A worker (`attempt`) leases what is due in its lane and tries to
//! deliver it; `settle` says what the outcomes mean (when it is tried again, who is owed a report), and one task makes
//! that durable, in batches.

mod attempt;
mod settle;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use smtp_delivery::{Admission, Pace, PaceLimits};
use smtp_queue::{Lane, LaneTable, Settlement};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::attempt::{Worker, WorkerEnd};
use crate::config::Config;
use crate::log;
use crate::shared::Shared;

/// Settlements that may wait for the queue; past it the workers wait.
const SETTLEMENTS_MAX: usize = 1024;
/// Messages whose time is up that are seen to in one pass.
const OVERDUE_MAX: usize = 100;
/// How many due messages justify one more session: opening one costs more than a few messages over one that is open.
const MESSAGES_A_SESSION: usize = 4;
/// How long to wait where something is due but cannot be begun: for a free worker, or until the queue can be written.
const RECHECK: Duration = Duration::from_secs(1);

/// Gives due deliveries to workers, lane by lane.
pub(crate) struct Runner {
    shared: Arc<Shared>,
    settlements: mpsc::Sender<Settlement>,
    workers: JoinSet<WorkerEnd>,
    /// Workers that write into mailboxes.
    local: usize,
    /// Workers that talk to next hops, and which of those are dead.
    pace: Pace<Lane>,
}

impl Runner {
    /// A runner, and the task that settles what its workers bring; that task ends when the runner has.
    pub(crate) fn new(shared: Arc<Shared>) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (settlements, settled) = mpsc::channel(SETTLEMENTS_MAX);
        let settler = settle_all(Arc::clone(&shared), settled);
        let pace = Pace::new(pace_limits(&shared.config()));
        (Self { shared, settlements, workers: JoinSet::new(), local: 0, pace }, settler)
    }

    /// Runs until `stop` turns true, then waits for the attempts under way.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let now = SystemTime::now();
            self.see_to_overdue(now).await;
            self.start_workers(now);
            let wait = self.wait(now);
            tokio::select! {
                biased;
                _ = stop.wait_for(|&stop| stop) => break,
                Some(ended) = self.workers.join_next() => self.ended(ended),
                () = self.shared.queue().changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        while let Some(ended) = self.workers.join_next().await {
            self.ended(ended);
        }
    }

    /// How long nothing has to be done, unless the queue or a worker says otherwise.
    fn wait(&self, now: SystemTime) -> Duration {
        match self.shared.queue().next_due(now) {
            Some(due) if due > now => due.duration_since(now).unwrap_or_default(),
            Some(_) => RECHECK,
            None => Duration::from_hours(1),
        }
    }

    /// Fails what has expired, and tells senders of delays.
    async fn see_to_overdue(&self, now: SystemTime) {
        loop {
            let overdue = self.shared.queue().lease_overdue(now, OVERDUE_MAX);
            let all = overdue.len() < OVERDUE_MAX;
            for lease in overdue {
                let settlement = settle::overdue(&self.shared, lease, now);
                if self.settlements.send(settlement).await.is_err() {
                    return;
                }
            }
            if all {
                return;
            }
        }
    }

    /// Gives each lane in which something is due the workers that it may have and can use.
    fn start_workers(&mut self, now: SystemTime) {
        let config = self.shared.config();
        self.pace.set_limits(pace_limits(&config));
        // Of one lane more than there may be sessions, one at least has none. Looking at all would cost a pass over
        // every lane whenever a worker ends: a mailing list has thousands of them due at once.
        let lanes_max = config.delivery.sessions.saturating_add(2);
        for ready in self.shared.queue().first_ready(now, lanes_max) {
            if ready.lane.is_local() {
                let wanted = ready.due.div_ceil(attempt::LOCAL_BATCH).min(config.delivery.local_deliveries);
                while self.local < wanted {
                    self.local += 1;
                    self.start(&ready.lane, false);
                }
            } else {
                self.start_remote(&ready.lane, ready.due);
            }
        }
    }

    /// A worker that is at work in the lane takes what has become due when it has done with what it has, so that a
    /// few messages do not make it a session each.
    fn start_remote(&mut self, lane: &Lane, due: usize) {
        let wanted = due.div_ceil(MESSAGES_A_SESSION);
        while self.pace.sessions_with(lane) < wanted {
            match self.pace.admit(lane, Instant::now()) {
                Admission::Granted => self.start(lane, false),
                Admission::Probe => return self.start(lane, true),
                Admission::Resting(until) => {
                    let rest = until.saturating_duration_since(Instant::now());
                    return self.shared.queue().rest_lane(lane, SystemTime::now() + rest);
                }
                Admission::Busy | Admission::Full => return,
            }
        }
    }

    fn start(&mut self, lane: &Lane, probe: bool) {
        let worker = Worker::new(Arc::clone(&self.shared), lane.clone(), self.settlements.clone(), probe);
        self.workers.spawn(worker.run());
    }

    fn ended(&mut self, ended: Result<WorkerEnd, tokio::task::JoinError>) {
        // A worker catches its own panics, and nobody aborts one.
        let Ok(WorkerEnd { lane, reached }) = ended else { return };
        if lane.is_local() {
            self.local = self.local.saturating_sub(1);
            return;
        }
        self.pace.release(&lane);
        match reached {
            Some(true) => {
                self.pace.reached(&lane);
                self.shared.queue().wake_lane(&lane);
            }
            Some(false) => {
                let now = Instant::now();
                let rest = self.pace.unreachable(&lane, now, fastrand::u8(..)).saturating_duration_since(now);
                log::lane_rests(&lane, rest);
                self.shared.queue().rest_lane(&lane, SystemTime::now() + rest);
            }
            None => {}
        }
    }
}

/// Which lane the mail of each domain waits in: all domains of one next hop share its troubles.
pub(crate) fn lane_table(config: &Config) -> LaneTable {
    let rules = config.routes.lanes().map(|(pattern, next_hop)| (pattern.clone(), Lane::new(&next_hop.to_string())));
    LaneTable::new(rules.collect(), None)
}

fn pace_limits(config: &Config) -> PaceLimits {
    PaceLimits {
        sessions_per_next_hop: config.delivery.sessions_per_next_hop,
        sessions: config.delivery.sessions,
        // A dead next hop is not asked more often than its messages would ask by themselves.
        rest_min: config.queue.retry.delay(1, 0),
        rest_max: config.queue.retry.delay_max(),
    }
}

/// Makes durable what the workers bring. What gathers during one batch is the next.
async fn settle_all(shared: Arc<Shared>, mut settlements: mpsc::Receiver<Settlement>) {
    let mut batch = Vec::new();
    while settlements.recv_many(&mut batch, SETTLEMENTS_MAX).await > 0 {
        if let Err(error) = shared.queue().settle(std::mem::take(&mut batch)).await {
            log::not_settled(&error);
            return;
        }
    }
}
