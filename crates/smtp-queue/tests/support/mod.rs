//! Messages and queues for the tests.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use smtp_mail::{Destination, LocalUser, MessageId, Report};
use smtp_proto::{ContentFacts, EnhancedStatus, ForwardPath, Mail, Mailbox, Rcpt, ReversePath};
use smtp_queue::{
    DeliveryView, Lease, NewDelivery, NewMessage, NewRecipient, Page, Queue, QueueConfig, RecipientChange,
    RecipientOutcome, Selector, Settled, Settlement, StartReport,
};
use tempfile::TempDir;

pub(crate) const HEADER: &str = "Subject: test\r\n\r\n";

/// The moment at which tests begin.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A queue, in a directory of its own where it is on disk.
pub(crate) struct Bench {
    pub(crate) queue: Queue,
    directory: Option<TempDir>,
}

impl Bench {
    pub(crate) fn in_memory() -> Self {
        let (queue, _) = Queue::open(&QueueConfig::in_memory()).unwrap();
        Self { queue, directory: None }
    }

    pub(crate) fn on_disk() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (queue, _) = Queue::open(&config(&directory)).unwrap();
        Self { queue, directory: Some(directory) }
    }

    /// Stops the queue and opens it again; one in memory goes on.
    pub(crate) fn reopened(self) -> (Self, StartReport) {
        let Some(directory) = self.directory else {
            return (self, StartReport::default());
        };
        self.queue.close();
        drop(self.queue);
        let (queue, report) = Queue::open(&config(&directory)).unwrap();
        (Self { queue, directory: Some(directory) }, report)
    }

    pub(crate) async fn send(&self, sender: &str, recipients: &[&str], body: &str) -> MessageId {
        self.commit(message(sender, recipients, body), body).await
    }

    pub(crate) async fn commit(&self, message: NewMessage, body: &str) -> MessageId {
        let mut draft = self.queue.draft(None).unwrap();
        for piece in body.as_bytes().chunks(100_000) {
            draft.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let id = draft.id();
        assert_eq!(draft.commit(message).await.unwrap(), id);
        id
    }

    /// All that is due at that time.
    pub(crate) fn lease_all(&self, at: SystemTime) -> Vec<Lease> {
        let ready = self.queue.ready(at);
        ready.iter().flat_map(|ready| self.queue.lease(&ready.lane, at, 1000)).collect()
    }

    pub(crate) fn lease_one(&self, at: SystemTime) -> Lease {
        let mut leases = self.lease_all(at);
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases.remove(0)
    }

    /// Settles all recipients of a lease alike.
    pub(crate) async fn settle(&self, lease: Lease, change: RecipientChange) -> Settled {
        let settlement = settlement(lease, change);
        self.queue.settle(vec![settlement]).await.unwrap()[0]
    }

    pub(crate) fn find_all(&self) -> Vec<DeliveryView> {
        self.queue.find(&Selector::default(), Page::ALL, now()).unwrap()
    }

    pub(crate) fn find_one(&self) -> DeliveryView {
        let mut all = self.find_all();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

fn config(directory: &TempDir) -> QueueConfig {
    QueueConfig { ballast_octets: 1 << 20, ..QueueConfig::new(directory.path().join("queue")) }
}

pub(crate) fn settlement(lease: Lease, change: RecipientChange) -> Settlement {
    let numbers: Vec<u32> = lease.attempt().recipients.iter().map(|recipient| recipient.number).collect();
    let outcomes = numbers.into_iter().map(|number| outcome(number, change)).collect();
    Settlement { lease, outcomes, reports: Vec::new(), notice_sent: false }
}

pub(crate) fn outcome(number: u32, change: RecipientChange) -> RecipientOutcome {
    let report = match change {
        RecipientChange::Delivered => Report::new(EnhancedStatus::new(2, 0, 0), "250 taken"),
        RecipientChange::Deferred { .. } => Report::new(EnhancedStatus::new(4, 4, 1), "450 later"),
        RecipientChange::Failed => Report::new(EnhancedStatus::new(5, 1, 1), "550 no such user"),
    };
    RecipientOutcome { number, change, report }
}

/// A message with one delivery for each domain, and one for each address at `local`.
pub(crate) fn message(sender: &str, recipients: &[&str], body: &str) -> NewMessage {
    let mut deliveries: Vec<NewDelivery> = Vec::new();
    for recipient in recipients {
        let mailbox: Mailbox = recipient.parse().unwrap();
        let destination = match recipient.strip_suffix("@local") {
            Some(user) => Destination::Mailbox(LocalUser::new(user)),
            None => Destination::Domain(mailbox.domain().clone()),
        };
        let recipient = NewRecipient { rcpt: Rcpt::new(ForwardPath::Mailbox(mailbox)), original: None };
        match deliveries.iter_mut().find(|delivery| delivery.destination == destination) {
            Some(delivery) => delivery.recipients.push(recipient),
            None => deliveries.push(NewDelivery { destination, recipients: vec![recipient], reverse_path: None }),
        }
    }
    NewMessage {
        mail: Mail::new(reverse_path(sender)),
        header: Bytes::from_static(HEADER.as_bytes()),
        facts: ContentFacts::of(body.as_bytes()),
        received_at: now(),
        expires_at: now() + Duration::from_hours(5 * 24),
        delay_notice_at: (!sender.is_empty()).then(|| now() + Duration::from_hours(4)),
        deliveries,
        origin: "test".to_owned(),
        hold: None,
    }
}

pub(crate) fn reverse_path(sender: &str) -> ReversePath {
    if sender.is_empty() { ReversePath::Null } else { ReversePath::Mailbox(sender.parse().unwrap()) }
}
