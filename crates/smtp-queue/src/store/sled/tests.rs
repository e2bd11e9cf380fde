//! What only the store on disk can get wrong.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smtp_mail::MessageId;
use tempfile::TempDir;

use super::index::Database;
use super::layer::META;
use super::{INDEX, LOG};
use crate::disk::faults::FaultyDisk;
use crate::select::Selector;
use crate::support::{self, HEADER, message, now, outcome, seconds, settlement};
use crate::{Act, OpenError, Queue, QueueConfig, RecipientChange, StartReport};

mod cleaning;
mod damage;
mod faults;
mod format;

/// A queue on a disk with faults.
struct Yard {
    _directory: TempDir,
    disk: Arc<FaultyDisk>,
    config: QueueConfig,
}

impl Yard {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = QueueConfig { ballast_octets: 1 << 20, ..QueueConfig::new(directory.path().join("queue")) };
        Self { _directory: directory, disk: Arc::default(), config }
    }

    /// One whose log has short segments, and is cleaned whenever that brings anything.
    fn with_short_segments() -> Self {
        let yard = Self::new();
        let config = QueueConfig { segment_octets: 32 << 10, log_slack_octets: 0, hot_memory_octets: 0, ..yard.config };
        Self { config, ..yard }
    }

    fn open(&self) -> (Queue, StartReport) {
        Queue::open_on(&self.config, Arc::clone(&self.disk) as _, false).unwrap()
    }

    fn rebuild(&self) -> (Queue, StartReport) {
        Queue::open_on(&self.config, Arc::clone(&self.disk) as _, true).unwrap()
    }

    fn path(&self) -> &Path {
        &self.config.directory
    }

    fn segments(&self) -> Vec<PathBuf> {
        files(&self.path().join(LOG))
    }

    /// All rows of the index, while the queue is closed.
    fn rows(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let (database, _) = Database::open(&self.path().join(INDEX)).unwrap();
        let tree = database.tree().unwrap();
        let rows = tree.iter().map(|entry| entry.unwrap()).filter(|(key, _)| key[0] != META);
        rows.map(|(key, row)| (key.to_vec(), row.to_vec())).collect()
    }

    /// The log as a crash would leave it, in a queue of its own without an index.
    fn crashed(&self) -> Self {
        let copy = Self::new();
        let log = copy.path().join(LOG);
        std::fs::create_dir_all(&log).unwrap();
        for segment in self.segments() {
            std::fs::copy(&segment, log.join(segment.file_name().unwrap())).unwrap();
        }
        Self { config: QueueConfig { directory: copy.config.directory.clone(), ..self.config.clone() }, ..copy }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn send(queue: &Queue, recipient: &str, body: &str) -> MessageId {
    let mut draft = queue.draft(Some(body.len() as u64)).unwrap();
    draft.write(body.to_owned().into()).await.unwrap();
    draft.commit(message("alice@example.org", &[recipient], body)).await.unwrap()
}

fn queued(queue: &Queue) -> Vec<MessageId> {
    let views = queue.find(&Selector::default(), crate::Page::ALL, now()).unwrap();
    views.into_iter().map(|view| view.id.message).collect()
}

/// Attempts everything that is due, all alike.
async fn attempt_all(queue: &Queue, at: std::time::SystemTime, change: RecipientChange) -> usize {
    let mut settlements = Vec::new();
    for ready in queue.ready(at) {
        settlements.extend(queue.lease(&ready.lane, at, 10_000).into_iter().map(|lease| settlement(lease, change)));
    }
    queue.settle(settlements).await.unwrap().len()
}

fn body_of(queue: &Queue, id: MessageId) -> Option<String> {
    let content = queue.message(id, now()).unwrap().unwrap().content?;
    assert_eq!(content.header(), HEADER);
    let octets = content.chunk(content.header().len() as u64, usize::MAX >> 1).unwrap();
    Some(String::from_utf8(octets.to_vec()).unwrap())
}

/// A random life: mail comes, is delivered, deferred, held, released, removed, paused.
async fn random_life(queue: &Queue, random: &mut fastrand::Rng, steps: u32) {
    for step in 0..steps {
        let at = now() + seconds(u64::from(step));
        match random.u32(..12) {
            0..6 => {
                let body = "x".repeat(random.usize(..3000)) + "\r\n";
                send(queue, &format!("user{step}@d{}.example", random.u32(..5)), &body).await;
            }
            6 => drop(attempt_all(queue, at, RecipientChange::Deferred { due: at + seconds(random.u64(..20)) }).await),
            7 | 8 => drop(attempt_all(queue, at, RecipientChange::Delivered).await),
            9 => {
                let act = Act::Hold { reason: format!("step {step}"), until: Some(at + seconds(9)) };
                queue.control(&some(random), act, at).await.unwrap();
            }
            10 => drop(queue.control(&some(random), Act::Release, at).await.unwrap()),
            _ => drop(queue.control(&some(random), Act::Remove, at).await.unwrap()),
        }
    }
}

fn some(random: &mut fastrand::Rng) -> Selector {
    let domain = format!("d{}.example", random.u32(..5)).parse().unwrap();
    Selector { domain: Some(domain), limit: Some(3), ..Selector::default() }
}

#[tokio::test]
async fn a_rebuild_equals_the_index_row_for_row() {
    for seed in 0..3 {
        let yard = Yard::with_short_segments();
        let mut random = fastrand::Rng::with_seed(seed);
        let (queue, _) = yard.open();
        random_life(&queue, &mut random, 150).await;
        let pause = crate::Pause { scope: crate::PauseScope::Mda, until: None, reason: "test".to_owned() };
        queue.pause(pause.clone()).await.unwrap();
        let ids = queued(&queue);
        queue.close();
        drop(queue);
        let before = yard.rows();
        let (queue, report) = yard.rebuild();
        assert!(report.rebuilt && report.damage.is_empty() && report.torn_octets == 0, "{report:?}");
        assert_eq!(queued(&queue), ids, "seed {seed}");
        assert_eq!(queue.pauses(now()), [pause]);
        queue.close();
        drop(queue);
        assert_eq!(yard.rows(), before, "seed {seed}");
        // And so does a replay after a crash.
        let copy = yard.crashed();
        let (queue, _) = copy.open();
        queue.close();
        drop(queue);
        assert_eq!(copy.rows(), before, "seed {seed}");
    }
}

#[tokio::test]
async fn what_is_delivered_at_once_never_reaches_sled() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    for _ in 0..50 {
        send(&queue, "bob@example.net", "x\r\n").await;
        assert_eq!(attempt_all(&queue, now(), RecipientChange::Delivered).await, 1);
    }
    queue.close();
    drop(queue);
    assert!(yard.rows().is_empty());
}

#[tokio::test]
async fn ids_are_never_given_twice_even_when_the_queue_is_empty_and_the_clock_set_back() {
    let yard = Yard::with_short_segments();
    let (queue, _) = yard.open();
    // As if the clock had been far ahead once.
    let ahead = MessageId::from_raw(queue.next_id().as_raw() + (1 << 50));
    let report = crate::NewReport { message: message("", &["a@example.org"], "x"), body: "x".into(), id: Some(ahead) };
    send(&queue, "bob@example.net", "x\r\n").await;
    let lease = queue.lease(&queue.ready(now())[0].lane, now(), 1).remove(0);
    let mut settlement = settlement(lease, RecipientChange::Failed);
    settlement.reports.push(report);
    queue.settle(vec![settlement]).await.unwrap();
    queue.control(&Selector::default(), Act::Remove, now()).await.unwrap();
    // Enough that every segment that names the id is cleaned away.
    for _ in 0..40 {
        send(&queue, "bob@example.net", &"x".repeat(3000)).await;
        attempt_all(&queue, now(), RecipientChange::Delivered).await;
    }
    queue.close();
    drop(queue);
    let (queue, _) = yard.rebuild();
    assert!(queue.next_id() > ahead);
}

#[tokio::test]
async fn a_second_opener_is_told_who_has_it() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let refused = Queue::open(&yard.config).unwrap_err();
    let OpenError::Locked { pid, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(refused.to_string().contains("in use by another process ("));
    drop(queue);
    yard.open();
}

#[tokio::test]
async fn bodies_in_files_go_with_their_messages() {
    let yard = Yard::new();
    let bodies = yard.path().join("bodies");
    let (queue, _) = yard.open();
    let long = "0123456789".repeat(40_000);
    send(&queue, "bob@example.net", &long).await;
    let kept = send(&queue, "bob@example.com", &long).await;
    assert_eq!(files(&bodies).len(), 2);
    let lease = queue.lease(&crate::Lane::new("example.net"), now(), 1).remove(0);
    queue.settle(vec![settlement(lease, RecipientChange::Delivered)]).await.unwrap();
    // What a crash leaves of a draft.
    std::fs::write(bodies.join(queue.next_id().to_string()), "half").unwrap();
    queue.close();
    drop(queue);
    let (queue, report) = yard.open();
    assert_eq!(report.orphan_bodies, 1);
    assert_eq!(files(&bodies), [bodies.join(kept.to_string())]);
    assert_eq!(body_of(&queue, kept).unwrap(), long);
}

#[tokio::test]
async fn bodies_spill_into_files_when_their_memory_is_used_up() {
    let yard = Yard::new();
    let config = QueueConfig { body_memory_octets: 30_000, ..yard.config.clone() };
    let (queue, _) = Queue::open(&config).unwrap();
    let mut drafts = Vec::new();
    for _ in 0..5 {
        let mut draft = queue.draft(None).unwrap();
        draft.write(vec![b'x'; 10_000].into()).await.unwrap();
        drafts.push(draft);
    }
    assert_eq!(files(&yard.path().join("bodies")).len(), 2);
    for draft in drafts {
        draft.commit(message("alice@example.org", &["bob@example.net"], "x")).await.unwrap();
    }
    let ids = queued(&queue);
    assert_eq!(ids.len(), 5);
    assert!(ids.into_iter().all(|id| body_of(&queue, id).unwrap().len() == 10_000));
}

#[tokio::test]
async fn one_message_with_a_thousand_domains() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let recipients: Vec<String> = (0..1000).map(|number| format!("u@d{number}.example")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let draft = queue.draft(None).unwrap();
    draft.commit(message("alice@example.org", &recipients, "")).await.unwrap();
    assert_eq!(attempt_all(&queue, now(), RecipientChange::Deferred { due: now() + seconds(10) }).await, 1000);
    let later = now() + seconds(11);
    let leases: Vec<_> =
        queue.ready(later).iter().flat_map(|ready| queue.lease(&ready.lane, later, 10)).take(999).collect();
    let settlements = leases.into_iter().map(|lease| settlement(lease, RecipientChange::Delivered)).collect();
    queue.settle(settlements).await.unwrap();
    assert_eq!(queue.stats(now()).messages, 1);
    queue.close();
    drop(queue);
    let (queue, _) = yard.open();
    assert_eq!(queued(&queue).len(), 1);
    let last = queue.ready(later).iter().flat_map(|ready| queue.lease(&ready.lane, later, 10)).next().unwrap();
    let number = last.attempt().recipients[0].number;
    let mut settled = settlement(last, RecipientChange::Delivered);
    settled.outcomes = vec![outcome(number, RecipientChange::Delivered)];
    queue.settle(vec![settled]).await.unwrap();
    assert_eq!(queue.stats(now()).messages, 0);
}

/// Rows of sled and of the layers above it, while they sink: in order, each once, none of those that are gone.
#[tokio::test]
async fn a_walk_sees_every_row_once_while_rows_sink_into_sled() {
    let yard = Yard::new();
    let (queue, _) = yard.open();
    let mut expected = std::collections::BTreeSet::new();
    for round in 0..6 {
        let mut tasks = Vec::new();
        for _ in 0..800 {
            let queue = queue.clone();
            tasks.push(tokio::spawn(async move { send(&queue, "bob@example.net", "x").await }));
        }
        for task in tasks {
            expected.insert(task.await.unwrap());
        }
        let removed: Vec<MessageId> = expected.iter().copied().skip(round).step_by(7).collect();
        let ids = removed.iter().map(|id| crate::select::IdSelector::Message(*id)).collect();
        let selector = Selector { ids: Some(ids), ..Selector::default() };
        queue.control(&selector, Act::Remove, now()).await.unwrap();
        for id in removed {
            expected.remove(&id);
        }
        let found = queued(&queue);
        assert!(
            found.is_sorted() && found.iter().eq(&expected),
            "round {round}: {} of {}",
            found.len(),
            expected.len()
        );
    }
    assert!(expected.len() > 2_048);
    let check = queue.check().unwrap();
    assert_eq!((check.messages, check.problems.len()), (expected.len() as u64, 0));
}
