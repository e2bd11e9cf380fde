//! A worker: takes what is due in its lane and tries to deliver it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt;
use smtp_client::TlsMode;
use smtp_delivery::{Carrier, Connected};
use smtp_mail::{Attempt, DeliveryResult, Outcome, Report, Stage};
use smtp_proto::EnhancedStatus;
use smtp_queue::{Lane, Lease, Settlement};
use tokio::sync::mpsc;

use super::settle;
use crate::log;
use crate::metrics::DeliveryClass;
use crate::shared::Shared;

/// Messages that a worker takes into mailboxes at a time.
pub(super) const LOCAL_BATCH: usize = 32;
/// Messages that a worker takes to a next hop at a time. What it does not come to is returned.
const REMOTE_BATCH: usize = 8;

/// Works in one lane until nothing is due there.
pub(super) struct Worker {
    shared: Arc<Shared>,
    lane: Lane,
    settlements: mpsc::Sender<Settlement>,
    /// The next hop was dead: one message finds out if it still is.
    probe: bool,
}

/// How a worker ended.
pub(super) struct WorkerEnd {
    pub(super) lane: Lane,
    /// Whether the next hop was reached; `None` where nothing was tried.
    pub(super) reached: Option<bool>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, lane: Lane, settlements: mpsc::Sender<Settlement>, probe: bool) -> Self {
        Self { shared, lane, settlements, probe }
    }

    /// Works, and comes back whatever happens: a lease that it held in a panic was returned when it was dropped.
    pub(super) async fn run(self) -> WorkerEnd {
        let work = async { if self.lane.is_local() { self.local().await } else { self.remote().await } };
        let reached = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
            self.shared.metrics().panicked();
            log::panicked(&format_args!("the delivery to {}", self.lane));
            None
        });
        WorkerEnd { lane: self.lane, reached }
    }

    async fn remote(&self) -> Option<bool> {
        let mut carrier = None;
        let mut reached = None;
        loop {
            let at_most = if self.probe && reached.is_none() { 1 } else { REMOTE_BATCH };
            let leases = self.lease(at_most);
            if leases.is_empty() {
                return reached;
            }
            for lease in leases {
                let _under_way = self.shared.metrics().attempt_begun(DeliveryClass::Remote);
                match self.attempt(&mut carrier, lease.attempt()).await {
                    Ok(outcomes) => {
                        reached = Some(true);
                        self.settle(lease, outcomes).await;
                    }
                    Err(result) => {
                        let outcomes = lease.attempt().outcomes(&result);
                        self.settle(lease, outcomes).await;
                        return Some(false);
                    }
                }
            }
        }
    }

    /// Makes one attempt at the lane's next hop; `Err` where there is no session to be had.
    async fn attempt(&self, carrier: &mut Option<Carrier>, attempt: &Attempt) -> Result<Vec<Outcome>, DeliveryResult> {
        let recipient = attempt.recipients.first().and_then(|recipient| recipient.rcpt.forward_path.mailbox());
        let mailbox = recipient.expect("a delivery to another host has recipients, and each has a domain");
        let config = self.shared.config();
        let next_hop = config.routes.route(mailbox.domain()).map_err(|no_route| no_route.result())?;
        let carrier = match carrier {
            Some(carrier) if carrier.next_hop() == next_hop => carrier,
            other => other.insert(self.shared.deliverer().carrier(next_hop.clone())),
        };
        let outcomes = carrier.attempt(attempt).await;
        if let Some(Connected { tls }) = carrier.take_connected() {
            let verified = matches!(carrier.next_hop().tls, TlsMode::Verify(_));
            self.shared.metrics().client_connected(tls.as_deref(), verified);
        }
        outcomes.map_err(|unreachable| unreachable.result())
    }

    async fn local(&self) -> Option<bool> {
        loop {
            let leases = self.lease(LOCAL_BATCH);
            if leases.is_empty() {
                return None;
            }
            let config = self.shared.config();
            let _under_way = self.shared.metrics().attempt_begun(DeliveryClass::Local);
            let deliver = move || {
                let attempts: Vec<_> = leases.iter().map(Lease::attempt).collect();
                let outcomes = match &config.maildirs {
                    Some(maildirs) => maildirs.deliver(&attempts),
                    None => attempts.iter().map(|attempt| attempt.outcomes(&no_mailboxes())).collect(),
                };
                leases.into_iter().zip(outcomes).collect::<Vec<_>>()
            };
            match tokio::task::spawn_blocking(deliver).await {
                Ok(delivered) => {
                    for (lease, outcomes) in delivered {
                        self.settle(lease, outcomes).await;
                    }
                }
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }

    /// What is due in the lane; nothing while the server stops.
    fn lease(&self, at_most: usize) -> Vec<Lease> {
        if self.shared.control.is_stopping() {
            return Vec::new();
        }
        self.shared.queue().lease(&self.lane, SystemTime::now(), at_most)
    }

    async fn settle(&self, lease: Lease, outcomes: Vec<Outcome>) {
        let settlement = settle::settlement(&self.shared, lease, outcomes, SystemTime::now());
        // The settler ends only with the queue; then the message is attempted again after the next start.
        let _ = self.settlements.send(settlement).await;
    }
}

/// Mail for mailboxes of a configuration that has none any more: it may be given back before the mail expires.
fn no_mailboxes() -> DeliveryResult {
    let text = "no mailbox is known: the configuration has no [local] any more";
    DeliveryResult::Deferred(Report::new(EnhancedStatus::new(4, 3, 5), text).at_stage(Stage::Mailbox))
}
