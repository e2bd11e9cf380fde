//! What every store must do: one set of tests, run on each.
#![allow(clippy::unwrap_used)]

mod support;

use smtp_mail::Report;
use smtp_proto::EnhancedStatus;
use smtp_queue::{Page, RecipientChange, RecipientOutcome, Selector, Settled, Settlement};
use support::{Bench, now};

macro_rules! on_each_store {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test] async fn $name() { super::$name(super::Bench::in_memory()).await; })*
        }
    };
}

on_each_store!(a_message_is_leased_and_delivered);

async fn a_message_is_leased_and_delivered(bench: Bench) {
    let id = bench.send("alice@example.org", &["bob@example.net"], "Hello\r\n").await;
    let queue = &bench.queue;
    let ready = queue.ready(now());
    assert_eq!((ready.len(), ready[0].due, ready[0].lane.as_str()), (1, 1, "example.net"));
    let mut leases = queue.lease(&ready[0].lane, now(), 10);
    assert_eq!(leases.len(), 1);
    let lease = leases.remove(0);
    assert_eq!(lease.id(), id);
    assert_eq!(lease.attempt().content.chunk(0, 1000).unwrap(), support::HEADER);
    assert!(queue.ready(now()).is_empty());
    let outcome = RecipientOutcome {
        number: 1,
        change: RecipientChange::Delivered,
        report: Report::new(EnhancedStatus::new(2, 0, 0), "250 ok"),
    };
    let settlement = Settlement { lease, outcomes: vec![outcome], reports: Vec::new(), notice_sent: false };
    assert_eq!(queue.settle(vec![settlement]).await.unwrap(), [Settled::Settled]);
    assert!(queue.find(&Selector::default(), Page::ALL, now()).unwrap().is_empty());
    assert!(queue.message(id, now()).unwrap().is_none());
}
