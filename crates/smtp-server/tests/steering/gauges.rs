//! C31: however a session ends, the gauges come back to nothing, and traffic makes no new series.

use std::collections::BTreeSet;
use std::time::Duration;

use smtp_server::metrics::Service;
use tokio::net::TcpStream;

use crate::house::{Dialogue, House};

/// What a client says before it goes away without a word.
const STAGES: &[&[&str]] = &[
    &[],
    &["EHLO client.example"],
    &["EHLO client.example", "STARTTLS"],
    &["EHLO client.example", "MAIL FROM:<a@example.net>"],
    &["EHLO client.example", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>"],
    &["EHLO client.example", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "DATA"],
    &["EHLO client.example", "MAIL FROM:<a@example.net>", "RCPT TO:<nobody@example.org>"],
];

async fn break_off(house: &House, said: &[&str]) {
    let mut dialogue = house.connect().await;
    for line in said {
        dialogue.ask(line).await;
    }
}

/// Waits until no session is open.
async fn all_closed(house: &mut House) {
    let metrics = house.daemon().control().metrics().clone();
    let closed = async {
        while metrics.sessions_open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), closed).await.expect("sessions stay open");
}

fn series(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_break_off_leave_nothing_behind() {
    let mut house = House::start("").await;
    for said in STAGES {
        for _ in 0..40 {
            break_off(&house, said).await;
            // Before the greeting, and in the handshake of implicit TLS.
            drop(TcpStream::connect(house.address(Service::Mx, false)).await.unwrap());
            drop(TcpStream::connect(house.address(Service::Submission, true)).await.unwrap());
        }
        house.reload().await;
    }
    all_closed(&mut house).await;
    let text = house.metrics();
    let negative = text.lines().find(|line| !line.starts_with('#') && line.contains(" -"));
    assert_eq!(negative, None);
    assert!(text.contains("smtp_server_sessions{service=\"mx\"} 0\n"), "{text}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_make_no_series() {
    let mut house = House::start("").await;
    let mut before = BTreeSet::new();
    for round in 0..100 {
        let mut dialogue: Dialogue<_> = house.connect().await;
        dialogue.ask(&format!("EHLO client{round}.example")).await;
        dialogue.ask(&format!("MAIL FROM:<a{round}@sender{round}.example>")).await;
        for n in 0..10 {
            let reply = dialogue.ask(&format!("RCPT TO:<user{n}@domain{round}.example>")).await;
            assert!(reply.starts_with('5'), "{reply}");
        }
        dialogue.ask("QUIT").await;
        if round == 0 {
            before = series(&house.metrics());
        }
    }
    assert_eq!(series(&house.metrics()), before);
    house.stop().await;
}
