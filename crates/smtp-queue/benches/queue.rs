//! What the queue costs a message: made durable alone and in company, and lent, settled and gone.
//!
//! The queue lies in the temporary directory (`TMPDIR`), so these are figures of the disk that this is on.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use smtp_queue::RecipientChange;
use tokio::runtime::Runtime;

use self::support::{Bench, now, settlement};

#[allow(dead_code)]
#[path = "../tests/support/mod.rs"]
mod support;

const BODY_OCTETS: usize = 4096;
/// How many messages are settled together.
const SETTLED_TOGETHER: u64 = 100;

fn commit(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("commit");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    for producers in [1, 8, 64] {
        let bench = Arc::new(Bench::on_disk());
        group.bench_function(format!("{producers} producers"), |bencher| {
            bencher.iter_custom(|messages| runtime.block_on(send(&bench, messages, producers)));
        });
    }
    group.finish();
}

fn settle(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("settle");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    for (name, bench) in [("on disk", Bench::on_disk()), ("in memory", Bench::in_memory())] {
        let bench = Arc::new(bench);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|messages| {
                let settled = async {
                    send(&bench, messages, SETTLED_TOGETHER).await;
                    let start = Instant::now();
                    settle_all(&bench).await;
                    start.elapsed()
                };
                runtime.block_on(settled)
            });
        });
    }
    group.finish();
}

/// How long it takes so many producers to make so many messages durable.
async fn send(bench: &Arc<Bench>, messages: u64, producers: u64) -> Duration {
    let body = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(BODY_OCTETS / 64);
    let start = Instant::now();
    let tasks: Vec<_> = (0..producers)
        .map(|producer| {
            let (bench, body) = (Arc::clone(bench), body.clone());
            let share = (messages + producer) / producers;
            tokio::spawn(async move {
                for _ in 0..share {
                    bench.send("alice@example.org", &["bob@example.net"], &body).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    start.elapsed()
}

async fn settle_all(bench: &Bench) {
    loop {
        let ready = bench.queue.ready(now());
        let leases: Vec<_> = ready
            .iter()
            .flat_map(|ready| bench.queue.lease(&ready.lane, now(), usize::try_from(SETTLED_TOGETHER).unwrap()))
            .collect();
        if leases.is_empty() {
            return;
        }
        let settlements = leases.into_iter().map(|lease| settlement(lease, RecipientChange::Delivered)).collect();
        bench.queue.settle(settlements).await.unwrap();
    }
}

criterion_group!(benches, commit, settle);
criterion_main!(benches);
