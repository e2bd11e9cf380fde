#![allow(clippy::unwrap_used)]

use smtp_mail::MessageId;

use super::*;
use crate::store::Grouped;
use crate::store::memory::MemoryStore;
use crate::support::{message, now};
use crate::{Queue, QueueConfig, StartReport};

/// A writer with a mistake in it.
struct Mistaken;

impl StoreWriter for Mistaken {
    fn append(&mut self, _: &[Grouped<'_>]) -> Result<(), WriteError> {
        panic!("a mistake, made on purpose");
    }

    fn maintain(&mut self) -> Result<bool, WriteError> {
        Ok(false)
    }

    fn probe(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    fn close(&mut self) {}
}

#[tokio::test]
async fn a_panic_of_the_committer_is_told_and_leaves_nobody_waiting() {
    let (store, _) = MemoryStore::create();
    let id = MessageId::from_raw(0);
    let config = QueueConfig::in_memory();
    let started = Queue::start(&config, store, Box::new(Mistaken), StartReport::default(), id, Vec::new());
    let (queue, _) = started.unwrap();
    let drafts: Vec<_> = (0..10).map(|_| queue.draft(None).unwrap()).collect();
    for draft in drafts {
        let refused = draft.commit(message("a@example.org", &["b@example.net"], "")).await;
        assert!(matches!(refused, Err(CommitError::Closed)), "{refused:?}");
    }
    assert!(queue.fatal().await.source.to_string().contains("panicked"));
    assert!(queue.draft(None).is_err() && queue.ready(now()).is_empty());
    queue.close();
}
