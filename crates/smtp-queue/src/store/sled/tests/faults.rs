//! Errors of the disk: what is refused, what waits, and that all goes on by itself.

use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::*;
use crate::{CommitError, DraftError, Settled};

/// Commits in spite of the state of things; what a draft that was begun before meets.
async fn try_commit(queue: &Queue) -> Result<MessageId, CommitError> {
    let draft =
        crate::draft::Draft::new(Arc::clone(&queue.shared), queue.next_id(), queue.shared.space.reserve(1).unwrap(), 0);
    draft.commit(message("alice@example.org", &["bob@example.net"], "")).await
}

async fn until_writable(queue: &Queue) {
    while !queue.health().writable {
        queue.changed().await;
    }
}

/// Case C16, and the same for each kind of error.
#[tokio::test]
async fn nothing_is_lost_by_errors_of_writes_and_all_goes_on_by_itself() {
    for (error, full) in [(Errno::NOSPC, true), (Errno::ROFS, false), (Errno::ACCESS, false), (Errno::IO, false)] {
        let yard = Yard::new();
        let config = QueueConfig { ballast_octets: 0, ..yard.config.clone() };
        let (queue, _) = Queue::open_on(&config, Arc::clone(&yard.disk) as _, false).unwrap();
        let before = send(&queue, "bob@example.net", "before\r\n").await;
        let lease = queue.lease(&queue.ready(now())[0].lane, now(), 1).remove(0);
        let waiting = send(&queue, "eve@example.com", "waiting\r\n").await;
        let draft = queue.draft(None).unwrap();

        yard.disk.fail_writes(Some(error));
        let refused = draft.commit(message("alice@example.org", &["x@example.net"], "")).await.unwrap_err();
        assert_eq!(refused.is_full(), full, "{refused:?}");
        let health = queue.health();
        assert!(!health.writable && health.reason.is_some(), "{health:?}");
        let refused = queue.draft(None).unwrap_err();
        assert_eq!(refused.is_full(), full, "{refused:?}");
        assert!(queue.ready(now()).is_empty(), "what is delivered now could not be noted");
        assert!(queue.control(&Selector::default(), Act::DueNow, now()).await.is_err());
        // A settlement waits.
        let other = queue.clone();
        let settled =
            tokio::spawn(async move { other.settle(vec![settlement(lease, RecipientChange::Delivered)]).await });
        assert!(matches!(try_commit(&queue).await, Err(CommitError::Full { .. } | CommitError::Write { .. })));
        assert!(!settled.is_finished());

        yard.disk.fail_writes(None);
        assert_eq!(settled.await.unwrap().unwrap(), [Settled::Settled]);
        until_writable(&queue).await;
        let after = send(&queue, "bob@example.net", "after\r\n").await;
        assert_eq!(queued(&queue), [waiting, after]);
        queue.close();
        drop(queue);
        let (queue, report) = Queue::open(&config).unwrap();
        assert!(report.damage.is_empty(), "{report:?}");
        assert_eq!(queued(&queue), [waiting, after]);
        assert!(queue.message(before, now()).unwrap().is_none());
    }
}

#[tokio::test]
async fn a_torn_write_is_neither_answered_nor_found_again() {
    for octets in [0, 39, 300] {
        let yard = Yard::new();
        let (queue, _) = yard.open();
        let first = send(&queue, "bob@example.net", "first\r\n").await;
        *yard.disk.tear_next_write.lock().unwrap() = Some(octets);
        let mut draft = queue.draft(None).unwrap();
        draft.write("x".repeat(1000).into()).await.unwrap();
        assert!(draft.commit(message("alice@example.org", &["bob@example.net"], "x")).await.is_err());
        until_writable(&queue).await;
        let last = send(&queue, "bob@example.net", "last\r\n").await;
        assert_eq!(queued(&queue), [first, last]);
        // Also where the torn octets could not even be cut off.
        let copy = yard.crashed();
        let (reopened, report) = copy.open();
        assert_eq!(queued(&reopened), [first, last]);
        assert!(report.damage.is_empty() && report.torn_octets == 0, "{report:?}");
    }
}

#[tokio::test]
async fn an_error_of_a_sync_is_the_end() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let first = send(&queue, "bob@example.net", "first\r\n").await;
    let draft = queue.draft(None).unwrap();
    yard.disk.sync_fails.store(true, Ordering::Relaxed);
    let refused = draft.commit(message("alice@example.org", &["bob@example.net"], "")).await.unwrap_err();
    assert!(matches!(refused, CommitError::Sync { .. }) && !refused.is_full(), "{refused:?}");
    let fatal = queue.fatal().await;
    assert!(fatal.path.starts_with(yard.path()), "{fatal}");
    assert!(matches!(try_commit(&queue).await, Err(CommitError::Closed)));
    assert!(matches!(queue.draft(None), Err(DraftError::Unavailable { .. })));
    queue.close();
    drop(queue);
    yard.disk.sync_fails.store(false, Ordering::Relaxed);
    let (queue, _) = yard.open();
    assert!(queued(&queue).contains(&first));
}

#[tokio::test]
async fn sled_without_room_is_opened_anew_and_loses_nothing() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let first = send(&queue, "bob@example.net", "first\r\n").await;
    yard.disk.index_fails.store(true, Ordering::Relaxed);
    let second = send(&queue, "bob@example.net", "second\r\n").await;
    // Until it is noticed mail is taken: the log has it.
    while queue.health().writable {
        if let Ok(draft) = queue.draft(None) {
            let _ = draft.commit(message("alice@example.org", &["bob@example.net"], "")).await;
        }
    }
    yard.disk.index_fails.store(false, Ordering::Relaxed);
    until_writable(&queue).await;
    let last = send(&queue, "bob@example.net", "last\r\n").await;
    let ids = queued(&queue);
    assert!(ids.starts_with(&[first, second]) && ids.ends_with(&[last]));
    queue.close();
    drop(queue);
    let (queue, report) = yard.open();
    assert_eq!((queued(&queue), report.replayed), (ids, 0));
}

#[tokio::test]
async fn an_index_that_could_not_be_synced_is_rebuilt() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let first = send(&queue, "bob@example.net", "first\r\n").await;
    queue.close();
    drop(queue);
    std::fs::write(yard.path().join(super::super::REBUILD_MARK), "").unwrap();
    let (queue, report) = yard.open();
    assert!(report.rebuilt && report.index_set_aside.is_some(), "{report:?}");
    assert_eq!(queued(&queue), [first]);
    queue.close();
    drop(queue);
    let (_, report) = yard.open();
    assert!(!report.rebuilt, "{report:?}");
}

#[tokio::test]
async fn the_ballast_lets_settlements_through() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let ballast = yard.path().join("ballast");
    assert_eq!(std::fs::metadata(&ballast).unwrap().len(), yard.config.ballast_octets);
    send(&queue, "bob@example.net", "x\r\n").await;
    *yard.disk.full_until_removed.lock().unwrap() = Some(ballast.clone());
    yard.disk.free_octets.store(1, Ordering::Relaxed);
    assert_eq!(attempt_all(&queue, now(), RecipientChange::Delivered).await, 1);
    assert!(!ballast.exists());
    // It is taken again when there is room.
    yard.disk.free_octets.store(0, Ordering::Relaxed);
    queue.close();
    drop(queue);
    drop(yard.open());
    assert!(ballast.exists());
    // Also to start with.
    yard.disk.free_octets.store(1, Ordering::Relaxed);
    let _ = yard.open();
    assert!(!ballast.exists());
}

#[tokio::test]
async fn drafts_cannot_overrun_the_disk() {
    let yard = Yard::new();
    let config = QueueConfig { free_octets_min: 1 << 20, ..yard.config.clone() };
    let (queue, _) = Queue::open_on(&config, Arc::clone(&yard.disk) as _, false).unwrap();
    yard.disk.free_octets.store(3 << 20, Ordering::Relaxed);
    let free = || queue.health().free_octets;
    while free() != 2 << 20 {
        // The last look at the disk is believed for a moment.
        tokio::task::yield_now().await;
    }
    let drafts: Vec<_> = (0..40).map_while(|_| queue.draft(None).ok()).collect();
    assert_eq!(drafts.len(), 32);
    assert!(queue.draft(Some(1)).unwrap_err().is_full());
    drop(drafts);
    // What is declared must be there, and is taken when octets come: one that declares and waits keeps nobody out.
    let waiting: Vec<_> = (0..16).map(|_| queue.draft(Some(1 << 20)).unwrap()).collect();
    assert_eq!(free(), 1 << 20);
    drop(waiting);
    let mut draft = queue.draft(Some(1 << 20)).unwrap();
    draft.write(vec![b'x'; 1].into()).await.unwrap();
    assert!(matches!(queue.draft(Some((1 << 20) + 1)), Err(DraftError::Full { .. })));
    // One that outgrows what it has declared takes more, as long as there is any.
    draft.write(vec![b'x'; (1 << 20) - 1].into()).await.unwrap();
    let mut other = queue.draft(Some(1 << 19)).unwrap();
    other.write(vec![b'x'; 1].into()).await.unwrap();
    assert!(draft.write(vec![b'x'; 1].into()).await.unwrap_err().is_full());
    drop((draft, other));
    assert_eq!(free(), 2 << 20);
    assert!(yard.segments().is_empty());
}

#[tokio::test]
async fn one_batch_is_one_sync() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let mut tasks = Vec::new();
    for number in 0..500 {
        let queue = queue.clone();
        tasks.push(tokio::spawn(async move { send(&queue, &format!("u{number}@example.net"), "x\r\n").await }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let stats = queue.stats(now());
    assert_eq!((stats.committed, stats.messages), (500, 500));
    assert!(stats.batches < 250, "{stats:?}");
}
