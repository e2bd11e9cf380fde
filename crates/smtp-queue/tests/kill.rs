//! A process that uses the queue is killed, at each step of commit, settlement and cleaning and at random moments; afterwards
//! nothing that was answered is missing, and nothing that was settled comes back.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smtp_mail::MessageId;
use smtp_queue::{Lease, NewReport, Page, Queue, QueueConfig, RecipientChange, Selector, Settlement, StartReport};
use support::{message, now, outcome, seconds};

const CHILD: &str = "SMTP_QUEUE_KILL_CHILD";
const FAIL_POINT: &str = "SMTP_QUEUE_FAIL_POINT";
const SIGKILL: i32 = 9;

fn config(directory: &Path) -> QueueConfig {
    // Short segments, cleaned whenever that brings anything: every step is passed often.
    QueueConfig {
        segment_octets: 256 << 10,
        log_slack_octets: 0,
        ballast_octets: 0,
        hot_memory_octets: 64 << 10,
        ..QueueConfig::new(directory.join("queue"))
    }
}

/// What the child says before and after each operation: kept by the system when the child is killed.
struct Diary(Mutex<File>);

impl Diary {
    fn note(&self, event: &str, id: MessageId) {
        self.0.lock().unwrap().write_all(format!("{event} {id}\n").as_bytes()).unwrap();
    }
}

/// Not a test of its own: what the others start, and kill.
#[test]
fn child() {
    let Ok(directory) = std::env::var(CHILD) else {
        return;
    };
    let directory = PathBuf::from(directory);
    let diary = OpenOptions::new().append(true).create(true).open(directory.join("diary")).unwrap();
    let diary = Arc::new(Diary(Mutex::new(diary)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (queue, _) = Queue::open(&config(&directory)).unwrap();
        for producer in 0..8 {
            tokio::spawn(produce(queue.clone(), Arc::clone(&diary), producer));
        }
        consume(queue, diary).await;
    });
}

async fn produce(queue: Queue, diary: Arc<Diary>, producer: u64) {
    let mut random = fastrand::Rng::with_seed(producer + u64::from(std::process::id()));
    loop {
        let octets = if random.u8(..20) == 0 { 300_000 } else { random.usize(..6_000) };
        let body = "x".repeat(octets);
        let mut draft = queue.draft(None).unwrap();
        for piece in body.as_bytes().chunks(65_536) {
            draft.write(piece.to_vec().into()).await.unwrap();
        }
        if random.u8(..10) == 0 {
            continue;
        }
        let recipients: &[&str] = if random.bool() { &["bob@example.net"] } else { &["bob@example.net", "eve@local"] };
        let id = draft.commit(message("alice@example.org", recipients, &body)).await.unwrap();
        diary.note("committed", id);
    }
}

/// Settles whole messages, each in one of the ways there are.
async fn consume(queue: Queue, diary: Arc<Diary>) {
    let mut random = fastrand::Rng::with_seed(u64::from(std::process::id()));
    let mut at = now();
    loop {
        at += seconds(1);
        let mut settlements = Vec::new();
        let mut ends = Vec::new();
        for ready in queue.ready(at) {
            for lease in queue.lease(&ready.lane, at, 20) {
                let id = lease.id();
                match random.u8(..4) {
                    0 => settlements
                        .push(settled(lease, RecipientChange::Deferred { due: at + seconds(random.u64(..9)) })),
                    1 if lease.lane().is_local() => {
                        diary.note("failing", id);
                        let report = queue.next_id();
                        diary.note("reporting", report);
                        let mut settlement = settled(lease, RecipientChange::Failed);
                        let message = message("", &["alice@example.org"], "report");
                        settlement.reports.push(NewReport { message, body: "report".into(), id: Some(report) });
                        settlements.push(settlement);
                        ends.push(("failed", id));
                        ends.push(("reported", report));
                    }
                    _ => {
                        let part = if lease.lane().is_local() { "eve" } else { "bob" };
                        diary.note(&format!("delivering-{part}"), id);
                        settlements.push(settled(lease, RecipientChange::Delivered));
                        ends.push((if part == "eve" { "delivered-eve" } else { "delivered-bob" }, id));
                    }
                }
            }
        }
        if settlements.is_empty() {
            queue.changed().await;
            continue;
        }
        queue.settle(settlements).await.unwrap();
        for (event, id) in ends {
            diary.note(event, id);
        }
    }
}

fn settled(lease: Lease, change: RecipientChange) -> Settlement {
    let outcomes = lease.attempt().recipients.iter().map(|recipient| outcome(recipient.number, change)).collect();
    Settlement { lease, outcomes, reports: Vec::new(), notice_sent: false }
}

/// A child that is just being made holds a copy of every lock that this process has, until it has become the program that
/// it runs. So none is made while a queue is open here, or its next owner could find it locked.
static OPEN_OR_FORK: Mutex<()> = Mutex::new(());

fn one_at_a_time() -> MutexGuard<'static, ()> {
    OPEN_OR_FORK.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(directory: &Path, fail_point: Option<&str>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    match fail_point {
        Some(point) => command.env(FAIL_POINT, point),
        None => command.env_remove(FAIL_POINT),
    };
    let _alone = one_at_a_time();
    command.spawn().unwrap()
}

/// What the diary says of one message.
#[derive(Default)]
struct Fate(BTreeSet<String>);

impl Fate {
    fn has(&self, event: &str) -> bool {
        self.0.contains(event)
    }

    fn has_part(&self, verb: &str) -> bool {
        self.0.iter().any(|event| event.starts_with(verb))
    }
}

fn read_diary(directory: &Path) -> BTreeMap<MessageId, Fate> {
    let mut fates: BTreeMap<MessageId, Fate> = BTreeMap::new();
    let text = std::fs::read_to_string(directory.join("diary")).unwrap_or_default();
    for line in text.lines() {
        if let Some((event, id)) = line.split_once(' ')
            && let Ok(id) = id.parse()
        {
            fates.entry(id).or_default().0.insert(event.to_owned());
        }
    }
    fates
}

/// Opens what the kill has left, and holds it against the diary.
fn verify(directory: &Path, what: &str) -> StartReport {
    let _alone = one_at_a_time();
    let (queue, report) = Queue::open(&config(directory)).unwrap();
    assert!(report.damage.is_empty() && !report.rebuilt, "{what}: {report:?}");
    let views = queue.find(&Selector::default(), Page::ALL, now()).unwrap();
    let mut queued: BTreeMap<MessageId, BTreeSet<String>> = BTreeMap::new();
    for view in &views {
        queued.entry(view.id.message).or_default().insert(view.destination.to_string());
    }
    let fates = read_diary(directory);
    for (id, fate) in &fates {
        let left = queued.get(id);
        if fate.has("committed") && !fate.has_part("deliver") && !fate.has("failing") {
            assert!(left.is_some(), "{what}: {id} was answered and is lost");
        }
        for (part, destination) in [("bob", "example.net"), ("eve", "eve")] {
            let is_left = left.is_some_and(|left| left.contains(destination));
            assert!(!(fate.has(&format!("delivered-{part}")) && is_left), "{what}: {id} for {part} came back");
        }
        let eve_left = left.is_some_and(|left| left.contains("eve"));
        assert!(!(fate.has("failed") && eve_left), "{what}: {id} failed and came back");
        if fate.has("reported") && !fate.has_part("deliver") && !fate.has("failing") {
            assert!(left.is_some(), "{what}: the report {id} was answered and is lost");
        }
    }
    assert!(queue.next_id() > *fates.keys().last().unwrap_or(&MessageId::from_raw(0)), "{what}");
    let check = queue.check().unwrap();
    assert!(check.compared && check.problems.is_empty(), "{what}: {check:?}");
    assert_eq!(queue.stats(now()).in_flight, 0);
    queue.close();
    report
}

/// Every step, early and late in the life of the process.
#[test]
fn killed_at_every_step_nothing_is_lost_and_nothing_comes_back() {
    const STEPS: [&str; 10] = [
        "append.before",
        "append.written",
        "append.synced",
        "commit.logged",
        "commit.before_answer",
        "index.written",
        "index.synced",
        "clean.copied",
        "clean.before_remove",
        "clean.removed",
    ];
    let directory = tempfile::tempdir().unwrap();
    for (number, step) in STEPS.into_iter().enumerate() {
        for passage in [1, 7 + number] {
            let point = format!("{step}:{passage}");
            let status = start(directory.path(), Some(&point)).wait().unwrap();
            assert_eq!(status.signal(), Some(SIGKILL), "{point}: {status}");
            verify(directory.path(), &point);
        }
    }
    assert!(read_diary(directory.path()).len() > 100);
}

#[test]
fn killed_at_random_moments_nothing_is_lost_and_nothing_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = fastrand::Rng::new();
    for round in 0..12 {
        let mut child = start(directory.path(), None);
        // A quarter is aimed at the opening.
        let life = Duration::from_millis(random.u64(..if round % 4 == 0 { 60 } else { 400 }));
        let (send, receive) = std::sync::mpsc::channel::<()>();
        // Nothing is ever sent: only the time passes.
        assert!(receive.recv_timeout(life).is_err());
        drop(send);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL));
        verify(directory.path(), &format!("round {round}, after {life:?}"));
    }
}
