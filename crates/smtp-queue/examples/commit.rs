//! Messages a second made durable: 4 KB each, by 1, 8 and 64 producers, alone and with a consumer that settles them at once.
//!
//! `cargo run --release -p smtp-queue --example commit -- [directory] [seconds] [octets]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use smtp_mail::{Destination, Report};
use smtp_proto::{ContentFacts, EnhancedStatus, Mail, Rcpt};
use smtp_queue::{
    NewDelivery, NewMessage, NewRecipient, Queue, QueueConfig, RecipientChange, RecipientOutcome, Settlement,
};

/// What a producer hands in between two messages.
const PIECE_OCTETS: usize = 64 << 10;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("smtp-queue-bench");
    let seconds = arguments.next().map_or(2, |text| text.parse().unwrap());
    let octets = arguments.next().map_or(4096, |text| text.parse().unwrap());
    println!("{octets} octets a message, {seconds} s each, in {}", directory.display());
    println!("producers  consumer  messages/s  p50 ms  p99 ms  messages/sync  CPU µs/message");
    for producers in [1, 8, 64] {
        for consumer in [false, true] {
            run(&directory, producers, consumer, Duration::from_secs(seconds), octets).await;
        }
    }
}

async fn run(directory: &Path, producers: usize, consumer: bool, time: Duration, octets: usize) {
    let _ = std::fs::remove_dir_all(directory);
    let (queue, _) = Queue::open(&QueueConfig::new(directory)).unwrap();
    let body = Bytes::from(b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(octets / 64));
    let stop = Arc::new(AtomicBool::new(false));
    let settled = Arc::new(AtomicU64::new(0));
    let consuming = consumer.then(|| tokio::spawn(consume(queue.clone(), Arc::clone(&stop), Arc::clone(&settled))));
    let (began, cpu) = (Instant::now(), cpu_time());
    let mut tasks = Vec::new();
    for _ in 0..producers {
        tasks.push(tokio::spawn(produce(queue.clone(), body.clone(), began + time)));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    let (wall, cpu) = (began.elapsed(), cpu_time().saturating_sub(cpu));
    stop.store(true, Ordering::Relaxed);
    if let Some(consuming) = consuming {
        consuming.abort();
        let _ = consuming.await;
    }
    latencies.sort_unstable();
    let stats = queue.stats(SystemTime::now());
    let count = latencies.len();
    let at = |part: usize| latencies[(count * part / 100).min(count - 1)].as_secs_f64() * 1e3;
    let settled = if consumer { settled.load(Ordering::Relaxed).to_string() } else { "-".to_owned() };
    println!(
        "{producers:>9}  {settled:>8}  {:>10.0}  {:>6.2}  {:>6.2}  {:>13.1}  {:>14.1}",
        as_f64(count) / wall.as_secs_f64(),
        at(50),
        at(99),
        as_f64(count) / as_f64(usize::try_from(stats.batches).unwrap()),
        cpu.as_secs_f64() * 1e6 / as_f64(count),
    );
    queue.close();
    drop(queue);
    std::fs::remove_dir_all(directory).unwrap();
}

#[allow(clippy::cast_precision_loss)]
fn as_f64(count: usize) -> f64 {
    count as f64
}

async fn produce(queue: Queue, body: Bytes, until: Instant) -> Vec<Duration> {
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let mut draft = queue.draft(Some(body.len() as u64)).unwrap();
        for start in (0..body.len()).step_by(PIECE_OCTETS) {
            draft.write(body.slice(start..body.len().min(start + PIECE_OCTETS))).await.unwrap();
        }
        draft.commit(message(&body)).await.unwrap();
        latencies.push(began.elapsed());
    }
    latencies
}

fn message(body: &Bytes) -> NewMessage {
    let now = SystemTime::now();
    let rcpt: Rcpt = Rcpt::parse(b"RCPT TO:<bob@example.net>").unwrap();
    let domain = "example.net".parse().unwrap();
    NewMessage {
        mail: Mail::parse(b"MAIL FROM:<alice@example.org>").unwrap(),
        header: Bytes::from_static(b"Received: from a by b; now\r\nSubject: bench\r\n\r\n"),
        facts: ContentFacts { octets: body.len() as u64, ..ContentFacts::default() },
        received_at: now,
        expires_at: now + Duration::from_hours(120),
        delay_notice_at: None,
        deliveries: vec![NewDelivery {
            destination: Destination::Domain(domain),
            recipients: vec![NewRecipient { rcpt, original: None }],
            reverse_path: None,
        }],
        origin: "bench".to_owned(),
        hold: None,
    }
}

/// Reads each message, as whoever sends it would, and settles what it has got.
async fn consume(queue: Queue, stop: Arc<AtomicBool>, settled: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let now = SystemTime::now();
        let mut settlements = Vec::new();
        for ready in queue.ready(now) {
            for lease in queue.lease(&ready.lane, now, 1000) {
                let content = &lease.attempt().content;
                assert!(!content.chunk(content.header().len() as u64, PIECE_OCTETS).unwrap().is_empty());
                let report = Report::new(EnhancedStatus::new(2, 0, 0), "250 2.0.0 taken");
                let outcomes = vec![RecipientOutcome { number: 1, change: RecipientChange::Delivered, report }];
                settlements.push(Settlement { lease, outcomes, reports: Vec::new(), notice_sent: false });
            }
        }
        if settlements.is_empty() {
            queue.changed().await;
            continue;
        }
        settled.fetch_add(settlements.len() as u64, Ordering::Relaxed);
        queue.settle(settlements).await.unwrap();
    }
}

fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
