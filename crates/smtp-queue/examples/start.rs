//! How long a long queue takes to open, what it takes of memory, and how long a look into it takes.
//!
//! `cargo run --release -p smtp-queue --example start -- fill|open [directory] [messages]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use smtp_mail::Destination;
use smtp_proto::{ContentFacts, Mail, Rcpt};
use smtp_queue::{NewDelivery, NewMessage, NewRecipient, Page, Queue, QueueConfig, Selector};

/// Every so many messages go to a domain of their own kind.
const DOMAINS: usize = 1_000;
const AT_ONCE: usize = 500;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let directory = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from).join("smtp-queue-start");
    let messages = arguments.next().map_or(200_000, |text| text.parse().unwrap());
    if mode == "fill" {
        let _ = std::fs::remove_dir_all(&directory);
        fill(Queue::open(&QueueConfig::new(&directory)).unwrap().0, messages).await;
    }
    let before = resident_octets();
    let began = Instant::now();
    let (queue, report) = Queue::open(&QueueConfig::new(&directory)).unwrap();
    println!("opened {} deliveries in {:?}, replayed {}", report.deliveries, began.elapsed(), report.replayed);
    println!("memory {} MiB, of it {} before", resident_octets() >> 20, before >> 20);
    let now = SystemTime::now();
    let domain = Selector { domain: Some("d7.example".parse().unwrap()), ..Selector::default() };
    for (what, selector) in [("one domain", domain), ("everything", Selector::default())] {
        let began = Instant::now();
        let found = queue.find(&selector, Page::ALL, now).unwrap().len();
        println!("found {found} of {what} in {:?}", began.elapsed());
    }
    let began = Instant::now();
    println!("{:?} in {:?}", queue.stats(now), began.elapsed());
}

async fn fill(queue: Queue, messages: usize) {
    let began = Instant::now();
    for start in (0..messages).step_by(AT_ONCE) {
        let commits: Vec<_> = (start..messages.min(start + AT_ONCE))
            .map(|number| {
                let queue = queue.clone();
                tokio::spawn(async move {
                    let draft = queue.draft(Some(0)).unwrap();
                    draft.commit(message(number)).await.unwrap();
                })
            })
            .collect();
        for commit in commits {
            commit.await.unwrap();
        }
    }
    println!("filled with {messages} in {:?}", began.elapsed());
    queue.close();
}

fn message(number: usize) -> NewMessage {
    let now = SystemTime::now();
    let domain = format!("d{}.example", number % DOMAINS);
    let rcpt = Rcpt::parse(format!("RCPT TO:<user{number}@{domain}>").as_bytes()).unwrap();
    NewMessage {
        mail: Mail::parse(b"MAIL FROM:<alice@example.org>").unwrap(),
        header: Bytes::from_static(b"Received: from a by b; now\r\nSubject: bench\r\n\r\n"),
        facts: ContentFacts::default(),
        received_at: now,
        expires_at: now + Duration::from_hours(120),
        delay_notice_at: Some(now + Duration::from_hours(4)),
        deliveries: vec![NewDelivery {
            destination: Destination::Domain(domain.parse().unwrap()),
            recipients: vec![NewRecipient { rcpt, original: None }],
            reverse_path: None,
        }],
        origin: "bench".to_owned(),
        hold: None,
    }
}

fn resident_octets() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
