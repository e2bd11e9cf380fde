//! A worker: takes what is due in its lane and tries to deliver it.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use smtp_client::NextHop;
use smtp_delivery::{Carrier, Connected, NoRoute, Routes, Unreachable};
use smtp_mail::{Attempt, AttemptRecipient, DeliveryResult, Outcome, Report, Stage};
use smtp_proto::EnhancedStatus;
use smtp_queue::{Lane, Lease, Settlement};
use tokio::sync::mpsc;

use super::{RECHECK, settle};
use crate::config::{Config, Mailboxes};
use crate::log;
use crate::metrics::{ClientLogin, DeliveryClass};
use crate::shared::Shared;

/// Messages that a worker takes into mailboxes at a time: what can be waited for together.
pub(super) const LOCAL_BATCH: usize = 32;
/// How long a worker that has delivered waits before it looks for more. The first message after a pause does not wait.
const LOCAL_GATHER: Duration = Duration::from_millis(10);

/// Where workers bring what they have.
#[derive(Clone)]
pub(super) struct Yard {
    /// What attempts came to.
    pub(super) settlements: mpsc::Sender<Settlement>,
    /// The lane of a worker that has a session now: told once by each.
    pub(super) reached: mpsc::Sender<Lane>,
    /// Another lane has mail and no session: whoever has one gives it up after this message.
    pub(super) crowded: Arc<AtomicBool>,
}

/// Works in one lane until nothing is due there.
pub(super) struct Worker {
    way: Way,
    shared: Arc<Shared>,
    pub(super) lane: Lane,
    yard: Yard,
}

/// Where a worker brings what it leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Into Maildirs, of which many are written at once.
    Maildirs,
    /// To a next hop, by a session: also the program that keeps the mailboxes.
    NextHop,
}

/// A worker has ended.
pub(super) struct WorkerEnd {
    pub(super) lane: Lane,
    pub(super) way: Way,
    pub(super) end: End,
}

/// How it ended.
pub(super) enum End {
    /// There is nothing left that it could do.
    Done,
    /// It had no session for this, and what that would come to.
    Unreachable(Box<Lease>, DeliveryResult),
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, lane: Lane, way: Way, yard: Yard) -> Self {
        Self { way, shared, lane, yard }
    }

    /// Works, and comes back whatever happens: a lease that it held in a panic was returned when it was dropped.
    pub(super) async fn run(self) -> WorkerEnd {
        let work = async {
            match self.way {
                Way::Maildirs => self.local().await,
                Way::NextHop => self.remote().await,
            }
        };
        let worked = AssertUnwindSafe(work).catch_unwind().await;
        let end = if let Ok(end) = worked {
            end
        } else {
            panicked(&self.shared, &self.lane);
            // What was returned is due at once, and might come to the same.
            tokio::time::sleep(RECHECK).await;
            End::Done
        };
        WorkerEnd { lane: self.lane, way: self.way, end }
    }

    async fn remote(&self) -> End {
        let mut carrier = None;
        let mut told = false;
        loop {
            // One by one: what waits here could be taken by another worker, and be held or removed meanwhile.
            let leases = self.lease(1);
            if leases.is_empty() {
                return End::Done;
            }
            for lease in leases.into_iter().filter(Lease::is_valid) {
                let class = if self.lane.is_local() { DeliveryClass::Local } else { DeliveryClass::Remote };
                let _under_way = self.shared.metrics().attempt_begun(class);
                let attempt = self.attempt(&mut carrier, lease.attempt(), &mut told);
                match AssertUnwindSafe(attempt).catch_unwind().await {
                    Ok(Ok(outcomes)) => self.settle(lease, outcomes).await,
                    Ok(Err(unreachable)) => return End::Unreachable(Box::new(lease), unreachable),
                    Err(_) => {
                        carrier = None;
                        panicked(&self.shared, &self.lane);
                        let outcomes = lease.attempt().outcomes(&broken_off());
                        self.settle(lease, outcomes).await;
                    }
                }
            }
            if self.yard.crowded.load(Ordering::Relaxed) {
                return End::Done;
            }
        }
    }

    /// Makes one attempt at the lane's next hop; `Err` where there is no session to be had.
    async fn attempt(
        &self,
        carrier: &mut Option<Carrier>,
        attempt: &Attempt,
        told: &mut bool,
    ) -> Result<Vec<Outcome>, DeliveryResult> {
        let config = self.shared.config();
        let (next_hop, attempt) = if self.lane.is_local() {
            (mailbox_server(&config).ok_or_else(no_mailboxes), Cow::Borrowed(attempt))
        } else {
            let (next_hop, attempt) = one_way(&config.routes, attempt);
            (next_hop.map_err(|no_route| no_route.result()), attempt)
        };
        let outcomes = self.carry_protected(carrier, next_hop?, &attempt, told).await;
        outcomes.map_err(|unreachable| unreachable.result())
    }

    /// Makes one attempt at a next hop, on its terms.
    pub(super) async fn carry(
        &self,
        carrier: &mut Option<Carrier>,
        next_hop: &NextHop,
        attempt: &Attempt,
        told: &mut bool,
    ) -> Result<Vec<Outcome>, Unreachable> {
        let carrier = match carrier {
            Some(carrier) if carrier.next_hop() == next_hop => carrier,
            other => other.insert(self.shared.deliverer().carrier(next_hop.clone())),
        };
        let connected = carrier.connect().await;
        if connected.is_ok() && !std::mem::replace(told, true) {
            // In a stop nobody listens any more, and nobody needs to know.
            let _ = self.yard.reached.send(self.lane.clone()).await;
        }
        let outcomes = match connected {
            Ok(()) => carrier.attempt(attempt).await,
            Err(unreachable) => Err(unreachable),
        };
        if let Some(Connected { tls, login }) = carrier.take_connected() {
            self.shared.metrics().client_connected(tls.as_ref());
            if login.is_some() {
                self.shared.metrics().client_login(ClientLogin::Ok);
            }
        }
        if let Some(failure) = outcomes.as_ref().err().and_then(Unreachable::login_failure) {
            self.shared.metrics().client_login(ClientLogin::of(failure));
            log::login_failed(&self.lane, failure);
        }
        outcomes
    }

    async fn local(&self) -> End {
        loop {
            let leases = self.lease(LOCAL_BATCH);
            let few = leases.len() < LOCAL_BATCH;
            if leases.is_empty() || !self.deliver_locally(leases).await {
                return End::Done;
            }
            // Under steady load the disk is waited for once for many, and not once for each that has come meanwhile.
            if few {
                tokio::time::sleep(LOCAL_GATHER).await;
            }
        }
    }

    /// Delivers into mailboxes. `false`: the program ends.
    async fn deliver_locally(&self, leases: Vec<Lease>) -> bool {
        let shared = Arc::clone(&self.shared);
        let under_way = self.shared.metrics().attempt_begun(DeliveryClass::Local);
        let delivered = tokio::task::spawn_blocking(move || into_mailboxes(&shared, leases)).await;
        drop(under_way);
        // It catches its panics, and is cancelled only with the whole program.
        let Ok(delivered) = delivered else { return false };
        for (lease, outcomes) in delivered {
            self.settle(lease, outcomes).await;
        }
        true
    }

    /// What is due in the lane; nothing while the server stops, nor when nobody settles any more.
    fn lease(&self, at_most: usize) -> Vec<Lease> {
        if self.shared.control.is_stopping() || self.yard.settlements.is_closed() {
            return Vec::new();
        }
        self.shared.queue().lease(&self.lane, SystemTime::now(), at_most)
    }

    async fn settle(&self, lease: Lease, outcomes: Vec<Outcome>) {
        let settlement = settle::settlement(&self.shared, lease, outcomes, SystemTime::now()).await;
        // The settler ends only with the queue; then the message is attempted again after the next start.
        let _ = self.yard.settlements.send(settlement).await;
    }
}

/// Of the attempt, what goes the way of its first recipient, and which way that is. All of it, unless the routes have just
/// changed: then the rest stays due, for a worker of the lane that it is in now.
fn one_way<'a>(routes: &'a Routes, attempt: &'a Attempt) -> (Result<&'a NextHop, NoRoute>, Cow<'a, Attempt>) {
    let route = |recipient: &AttemptRecipient| {
        let mailbox = recipient.rcpt.forward_path.mailbox();
        routes.route(mailbox.expect("a recipient elsewhere has a domain").domain())
    };
    let first = attempt.recipients.first().expect("an attempt has recipients");
    let next_hop = route(first);
    let goes_along = |recipient: &AttemptRecipient| route(recipient).ok() == next_hop.as_ref().ok().copied();
    if attempt.recipients.iter().all(goes_along) {
        return (next_hop, Cow::Borrowed(attempt));
    }
    let recipients = attempt.recipients.iter().filter(|recipient| goes_along(recipient)).cloned().collect();
    (next_hop, Cow::Owned(Attempt { recipients, ..attempt.clone() }))
}

/// The program that keeps the mailboxes, where there is one.
fn mailbox_server(config: &Config) -> Option<&NextHop> {
    match config.mailboxes.as_ref()? {
        Mailboxes::Server(server) => Some(server),
        Mailboxes::Maildirs(_) => None,
    }
}

fn into_mailboxes(shared: &Shared, mut leases: Vec<Lease>) -> Vec<(Lease, Vec<Outcome>)> {
    let config = shared.config();
    leases.retain(Lease::is_valid);
    let outcomes = {
        let attempts: Vec<_> = leases.iter().map(Lease::attempt).collect();
        catch_unwind(AssertUnwindSafe(|| deliver(&config, &attempts))).unwrap_or_else(|_| {
            panicked(shared, &Lane::local());
            attempts.iter().map(|attempt| attempt.outcomes(&broken_off())).collect()
        })
    };
    leases.into_iter().zip(outcomes).collect()
}

fn deliver(config: &Config, attempts: &[&Attempt]) -> Vec<Vec<Outcome>> {
    match &config.mailboxes {
        Some(Mailboxes::Maildirs(maildirs)) => maildirs.deliver(attempts),
        // A reload has just changed it: the worker that leases this next knows where to bring it.
        Some(Mailboxes::Server(_)) | None => attempts.iter().map(|attempt| attempt.outcomes(&no_mailboxes())).collect(),
    }
}

fn panicked(shared: &Shared, lane: &Lane) {
    shared.metrics().panicked();
    log::panicked(&format_args!("the delivery to {lane}"));
}

/// Mail for mailboxes of a configuration that has none any more: it may be given back before the mail expires.
fn no_mailboxes() -> DeliveryResult {
    let text =
        "no mailbox is known: the configuration has no [local] any more, or has just changed where mailboxes are";
    DeliveryResult::Deferred(Report::new(EnhancedStatus::new(4, 3, 5), text).at_stage(Stage::Mailbox))
}

/// The attempt panicked: it might do so again at once, but not for ever.
fn broken_off() -> DeliveryResult {
    DeliveryResult::Deferred(Report::new(
        EnhancedStatus::new(4, 3, 0),
        "a defect of this server has broken the attempt off",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use smtp_client::{Host, TlsMode};
    use smtp_delivery::Route;
    use smtp_mail::{Body, Content, MessageId};
    use smtp_proto::{ContentFacts, Mail, MailParameters, Protocol, Rcpt, ReversePath};

    fn attempt(recipients: &[&str]) -> Attempt {
        let recipient = |(index, path): (usize, &&str)| AttemptRecipient {
            number: u32::try_from(index).unwrap() + 1,
            rcpt: Rcpt::new(path.parse().unwrap()),
            original: None,
            user: None,
        };
        Attempt {
            id: MessageId::from_raw(1),
            mail: Mail { reverse_path: ReversePath::Null, parameters: MailParameters::default() },
            recipients: recipients.iter().enumerate().map(recipient).collect(),
            content: Content::new(Bytes::from_static(b"\r\n"), Body::Memory(Bytes::new())),
            facts: ContentFacts::default(),
            received_at: SystemTime::UNIX_EPOCH,
        }
    }

    fn hop(name: &str) -> NextHop {
        NextHop::new(Host::Name(name.into()), 25, Protocol::Smtp, TlsMode::Opportunistic)
    }

    #[test]
    fn what_goes_another_way_since_a_reload_is_left_for_it() {
        let route = Route { recipients: vec!["b.example".parse().unwrap()], to: hop("b") };
        let routes = Routes { routes: vec![route], smart_host: Some(hop("smart")) };
        let numbers =
            |attempt: &Attempt| attempt.recipients.iter().map(|recipient| recipient.number).collect::<Vec<_>>();
        let mixed = attempt(&["<x@a.example>", "<x@b.example>", "<y@a.example>"]);
        let (next_hop, part) = one_way(&routes, &mixed);
        assert_eq!((next_hop, numbers(&part)), (Ok(&hop("smart")), vec![1, 3]));
        let whole = attempt(&["<x@b.example>", "<y@B.example>"]);
        let (next_hop, part) = one_way(&routes, &whole);
        assert_eq!((next_hop, numbers(&part)), (Ok(&hop("b")), vec![1, 2]));
        assert!(matches!(part, Cow::Borrowed(_)));
        let routes = Routes { smart_host: None, ..routes };
        let (next_hop, part) = one_way(&routes, &mixed);
        assert!(next_hop.is_err());
        assert_eq!(numbers(&part), [1, 3]);
    }
}
