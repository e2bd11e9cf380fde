//! Messages and queues for the tests.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use smtp_mail::{Destination, MessageId};
use smtp_proto::{ContentFacts, ForwardPath, Mail, Mailbox, Rcpt, ReversePath};
use smtp_queue::{NewDelivery, NewMessage, NewRecipient, Queue, QueueConfig};

pub(crate) const HEADER: &str = "Subject: test\r\n\r\n";

/// The moment at which tests begin.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

pub(crate) struct Bench {
    pub(crate) queue: Queue,
}

impl Bench {
    pub(crate) fn in_memory() -> Self {
        let (queue, _) = Queue::open(&QueueConfig::in_memory()).unwrap();
        Self { queue }
    }

    pub(crate) async fn send(&self, sender: &str, recipients: &[&str], body: &str) -> MessageId {
        let mut draft = self.queue.draft(None).unwrap();
        draft.write(Bytes::copy_from_slice(body.as_bytes())).await.unwrap();
        draft.commit(message(sender, recipients, body)).await.unwrap()
    }
}

/// A message with one delivery for each domain.
pub(crate) fn message(sender: &str, recipients: &[&str], body: &str) -> NewMessage {
    let mut deliveries: Vec<NewDelivery> = Vec::new();
    for recipient in recipients {
        let mailbox: Mailbox = recipient.parse().unwrap();
        let destination = Destination::Domain(mailbox.domain().clone());
        let recipient = NewRecipient { rcpt: Rcpt::new(ForwardPath::Mailbox(mailbox)), original: None };
        match deliveries.iter_mut().find(|delivery| delivery.destination == destination) {
            Some(delivery) => delivery.recipients.push(recipient),
            None => deliveries.push(NewDelivery { destination, recipients: vec![recipient], reverse_path: None }),
        }
    }
    let reverse_path =
        if sender.is_empty() { ReversePath::Null } else { ReversePath::Mailbox(sender.parse().unwrap()) };
    NewMessage {
        mail: Mail::new(reverse_path),
        header: Bytes::from_static(HEADER.as_bytes()),
        facts: ContentFacts::of(body.as_bytes()),
        received_at: now(),
        expires_at: now() + Duration::from_hours(5 * 24),
        delay_notice_at: Some(now() + Duration::from_hours(4)),
        deliveries,
        origin: "test".to_owned(),
    }
}
