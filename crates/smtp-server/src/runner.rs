//! The outbound loop: from what is due in the queue to outcomes, and back into the queue.
//!
//! `Runner` decides how many workers each lane has. A worker (`attempt`) leases what is due in its lane and tries to
//! deliver it; `settle` says what the outcomes mean (when it is tried again, who is owed a report), and one task makes
//! that durable, in batches.

mod attempt;
mod deadline;
mod protect;
mod settle;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use smtp_delivery::{Admission, Pace, PaceLimits};
use smtp_mail::{DeliveryResult, Report};
use smtp_queue::{Lane, LaneTable, Lease, ReadyLane, Settlement};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use self::attempt::{End, Way, Worker, WorkerEnd, Yard};
use crate::config::{Config, Mailboxes};
use crate::log;
use crate::shared::Shared;

/// Settlements that may wait for the queue; past it the workers wait.
const SETTLEMENTS_MAX: usize = 1024;
/// Workers whose word that they have a session may wait for the runner; past it they wait.
const TIDINGS_MAX: usize = 1024;
/// Messages whose time is up that are seen to before others are looked at again.
const OVERDUE_MAX: usize = 100;
/// How many due messages justify one more session: opening one costs more than a few messages over one that is open.
const MESSAGES_A_SESSION: usize = 4;
/// How long to wait where something is due but cannot be begun: for a free worker, or until the queue can be written. What
/// has waited so long behind the message of another is worth a session of its own.
const RECHECK: Duration = Duration::from_secs(1);

/// Gives due deliveries to workers, lane by lane.
pub(crate) struct Runner {
    shared: Arc<Shared>,
    yard: Yard,
    workers: JoinSet<WorkerEnd>,
    /// Lanes whose workers have a session now.
    reached_lanes: mpsc::Receiver<Lane>,
    /// Workers that write into mailboxes.
    local: usize,
    /// Workers that talk to next hops, and which of those are dead, and why.
    pace: Pace<Lane, Report>,
}

impl Runner {
    /// A runner, and the task that settles what its workers bring; that task ends when the runner has.
    pub(crate) fn new(shared: Arc<Shared>) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (settlements, settled) = mpsc::channel(SETTLEMENTS_MAX);
        let settler = settle_all(Arc::clone(&shared), settled);
        let pace = Pace::new(pace_limits(&shared.config()));
        let (reached, reached_lanes) = mpsc::channel(TIDINGS_MAX);
        let yard = Yard { settlements, reached, crowded: Arc::new(AtomicBool::new(false)) };
        (Self { shared, yard, workers: JoinSet::new(), reached_lanes, local: 0, pace }, settler)
    }

    /// Runs until `stop` turns true, then waits for the attempts under way.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let now = SystemTime::now();
            let more_overdue = self.see_to_overdue(now).await;
            self.start_workers(now);
            let wait = if more_overdue { Duration::ZERO } else { self.wait(now) };
            tokio::select! {
                biased;
                () = told_to_stop(&mut stop) => break,
                Some(lane) = self.reached_lanes.recv() => self.reached(&lane),
                Some(ended) = self.workers.join_next() => self.ended(ended).await,
                () = self.shared.queue().changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
            // Whatever else has happened is seen to in the same pass.
            while let Ok(lane) = self.reached_lanes.try_recv() {
                self.reached(&lane);
            }
            while let Some(ended) = self.workers.try_join_next() {
                self.ended(ended).await;
            }
        }
        // Nobody waits to be heard from now on.
        self.reached_lanes.close();
        while let Some(ended) = self.workers.join_next().await {
            self.ended(ended).await;
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

    /// Fails what has expired, and tells senders of delays: some of it. Whether there is more.
    async fn see_to_overdue(&self, now: SystemTime) -> bool {
        let overdue = self.shared.queue().lease_overdue(now, OVERDUE_MAX);
        let more = overdue.len() >= OVERDUE_MAX;
        for lease in overdue {
            let trouble = self.pace.trouble(lease.lane());
            let settlement = settle::overdue(&self.shared, lease, trouble, now).await;
            if self.yard.settlements.send(settlement).await.is_err() {
                return false;
            }
        }
        more
    }

    /// Gives each lane in which something is due the workers that it may have and can use.
    fn start_workers(&mut self, now: SystemTime) {
        // What nobody settles would be delivered again and again.
        if self.yard.settlements.is_closed() {
            return;
        }
        let config = self.shared.config();
        self.pace.set_limits(pace_limits(&config));
        // Of one lane more than there may be sessions, one at least has none. Looking at all would cost a pass over
        // every lane whenever a worker ends: a mailing list has thousands of them due at once.
        let lanes_max = config.delivery.sessions.saturating_add(2);
        let into_maildirs =
            |ready: &ReadyLane| ready.lane.is_local() && !matches!(config.mailboxes, Some(Mailboxes::Server(_)));
        let (local, remote): (Vec<_>, Vec<_>) =
            self.shared.queue().first_ready(now, lanes_max).into_iter().partition(into_maildirs);
        for ready in local {
            let wanted = ready.due.div_ceil(attempt::LOCAL_BATCH).min(config.delivery.local_deliveries);
            while self.local < wanted {
                self.local += 1;
                self.start(&ready.lane, Way::Maildirs);
            }
        }
        // A first session for each comes before a second one for any, or lanes with much mail would leave none to others.
        let mut crowded = false;
        for ready in &remote {
            if self.pace.sessions_with(&ready.lane) == 0 {
                crowded |= self.start_remote(ready) == Admission::Full;
            }
        }
        self.yard.crowded.store(crowded, Ordering::Relaxed);
        for ready in remote {
            let wanted = wanted_sessions(&ready, self.pace.sessions_with(&ready.lane), now);
            while self.pace.sessions_with(&ready.lane) < wanted && self.start_remote(&ready) == Admission::Granted {}
        }
    }

    fn start_remote(&mut self, ready: &ReadyLane) -> Admission {
        if ready.probe {
            // The queue's word counts: its rest is over sooner where an operator has ended it.
            self.pace.end_rest(&ready.lane);
        }
        let admission = self.pace.admit(&ready.lane, Instant::now());
        match admission {
            Admission::Granted => self.start(&ready.lane, Way::NextHop),
            // The queue forgets lanes in which nothing waits.
            Admission::Resting(until) => self.rest(&ready.lane, until),
            Admission::Busy | Admission::Full => {}
        }
        admission
    }

    fn start(&mut self, lane: &Lane, way: Way) {
        let worker = Worker::new(Arc::clone(&self.shared), lane.clone(), way, self.yard.clone());
        self.workers.spawn(worker.run());
    }

    fn rest(&self, lane: &Lane, until: Instant) {
        let rest = until.saturating_duration_since(Instant::now());
        self.shared.queue().rest_lane(lane, SystemTime::now() + rest);
    }

    fn reached(&mut self, lane: &Lane) {
        self.pace.reached(lane);
        self.shared.queue().wake_lane(lane);
    }

    async fn ended(&mut self, ended: Result<WorkerEnd, JoinError>) {
        // A worker catches its own panics, and nobody aborts one.
        let Ok(WorkerEnd { lane, way, end }) = ended else { return };
        if way == Way::Maildirs {
            self.local = self.local.saturating_sub(1);
            return;
        }
        self.pace.release(&lane);
        if let End::Unreachable(lease, result) = end {
            self.unreachable(&lane, lease, result).await;
        }
    }

    /// A worker had no session for what it has leased. Where others have one, the message is left to them; else this attempt
    /// at it counts, and all others of the lane wait without one.
    async fn unreachable(&mut self, lane: &Lane, lease: Box<Lease>, result: DeliveryResult) {
        let now = Instant::now();
        let Some(until) = self.pace.unreachable(lane, result.report().clone(), now, fastrand::u8(..)) else {
            log::session_refused(lane, result.report());
            return;
        };
        log::lane_rests(lane, until.saturating_duration_since(now), result.report());
        // Before the lease ends: from then on another one could be given.
        self.rest(lane, until);
        let outcomes = lease.attempt().outcomes(&result);
        let settlement = settle::settlement(&self.shared, *lease, outcomes, SystemTime::now()).await;
        // Fails where nothing is settled any more; then it is attempted again after the next start.
        let _ = self.yard.settlements.send(settlement).await;
    }
}

/// Told by the daemon, or by its end.
async fn told_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

/// A worker that is at work in the lane takes what has become due when it has done with what it has, so that a few messages
/// do not make it a session each; but none waits for long behind another.
fn wanted_sessions(ready: &ReadyLane, sessions: usize, now: SystemTime) -> usize {
    let by_number = ready.due.div_ceil(MESSAGES_A_SESSION);
    let has_waited = now.duration_since(ready.since).unwrap_or_default() >= RECHECK;
    if has_waited { by_number.max(sessions + 1) } else { by_number }
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
