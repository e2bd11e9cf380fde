//! Clients that go away without a word, at every stage: nothing is left of them, and nobody is alarmed.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use smtp_server::metrics::Service;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::auth::{submission, users};
use crate::client::{connect_from, hello, starttls};
use crate::house::{House, until};
use crate::lines::Lines;

#[derive(Debug, Clone, Copy)]
enum Stage {
    BeforeGreeting,
    Greeted,
    BeforeHandshake,
    InHandshake,
    BehindStartTls,
    UnderTls,
    InAuth,
    InTransaction,
    InMailData,
}

const STAGES: [Stage; 9] = [
    Stage::BeforeGreeting,
    Stage::Greeted,
    Stage::BeforeHandshake,
    Stage::InHandshake,
    Stage::BehindStartTls,
    Stage::UnderTls,
    Stage::InAuth,
    Stage::InTransaction,
    Stage::InMailData,
];

/// A client that gets so far; what is left of it is its connection.
async fn at(house: &House, stage: Stage) -> TcpStream {
    let mx = house.address(Service::Mx, false);
    let implicit = house.address(Service::Submission, true);
    match stage {
        Stage::BeforeGreeting => connect_from("127.0.0.1", mx).await.stream,
        Stage::Greeted => house.connect().await.stream,
        Stage::BeforeHandshake => connect_from("127.0.0.1", implicit).await.stream,
        Stage::InHandshake => {
            let mut dialogue = connect_from("127.0.0.1", implicit).await;
            dialogue.write(b"\x16\x03\x01\x02\x00\x01\x00").await;
            dialogue.stream
        }
        Stage::BehindStartTls => {
            let mut dialogue = hello(house).await;
            dialogue.ask("STARTTLS").await;
            dialogue.stream
        }
        Stage::UnderTls => starttls(house, hello(house).await).await.stream.into_inner().0,
        Stage::InAuth => {
            let (mut dialogue, _) = submission(house).await;
            assert!(dialogue.ask("AUTH LOGIN YWxpY2U=").await.starts_with("334 "));
            dialogue.write(b"d29uZGVyb").await;
            dialogue.stream.into_inner().0
        }
        Stage::InTransaction | Stage::InMailData => {
            let mut dialogue = hello(house).await;
            dialogue.ask("MAIL FROM:<a@example.net>").await;
            dialogue.ask("RCPT TO:<alice@example.org>").await;
            if let Stage::InMailData = stage {
                dialogue.ask("DATA").await;
                dialogue.write(b"Subject: x\r\n\r\nhalf a li").await;
            }
            dialogue.stream
        }
    }
}

/// Ends the connection in order, or by a reset.
fn break_off(stream: &TcpStream, reset: bool) {
    if reset {
        SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

fn series(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

async fn all_closed(house: &mut House) {
    let metrics = house.daemon().control().metrics().clone();
    until("all sessions are closed", || metrics.sessions_open() == 0).await;
}

/// C31: 500 sessions broken off at each stage, by an end and by a reset, reloads in between.
#[tokio::test]
async fn c31_sessions_that_break_off_leave_nothing_behind() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    house.write("users.toml", &users(false));
    house.reload().await;
    let mut before = BTreeSet::new();
    for round in 0..10 {
        for stage in STAGES {
            let broken = join_all((0..50).map(async |n| break_off(&at(&house, stage).await, n % 2 == 0)));
            broken.await;
        }
        house.reload().await;
        all_closed(&mut house).await;
        let text = house.metrics();
        assert_eq!(text.lines().find(|line| !line.starts_with('#') && line.contains(" -")), None);
        if round == 0 {
            before = series(&text);
        }
        assert_eq!(series(&text), before);
    }
    let metrics = house.daemon().control().metrics().clone();
    let opened = metrics.sessions_opened(Service::Mx) + metrics.sessions_opened(Service::Submission);
    // A connection that is reset before it is accepted is never seen.
    assert!(opened > 3_000, "{opened}");
    assert_eq!(house.daemon().control().queue().stats(SystemTime::now()).messages, 0);
    assert!(lines.grave().is_empty(), "{:?}", lines.grave().first());
    house.stop().await;
}

/// C04 (b, c): checks of the port are a quiet line each at most, and no failure of anything.
#[tokio::test]
async fn c04_who_looks_and_goes_is_no_failure() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    for address in [house.address(Service::Mx, false), house.address(Service::Submission, true)] {
        for _ in 0..20 {
            let looks = join_all((0..50).map(async |_| drop(TcpStream::connect(address).await.unwrap())));
            looks.await;
        }
    }
    drop(house.connect().await);
    all_closed(&mut house).await;
    let text = house.metrics();
    let failures = text.lines().filter(|line| line.starts_with("smtp_server_tls_failures_total{dir=\"in\""));
    let failures: Vec<&str> = failures.collect();
    assert_eq!(failures.len(), 9, "one for each reason: {text}");
    assert!(failures.iter().all(|line| line.ends_with(" 0")), "{text}");
    assert!(!text.contains("smtp_server_rejects_total{"), "{text}");
    assert!(lines.grave().is_empty(), "{:?}", lines.grave().first());
    assert!(lines.of("closed").len() <= 2_001);
    assert!(lines.of("refused").is_empty());
    house.stop().await;
}

/// C04 (a): who talks before the greeting is served in order, where that is permitted.
#[tokio::test]
async fn c04_who_talks_first_is_served_in_order() {
    let mut house = House::start("[guards]\nearly_talkers = \"count\"\n").await;
    let mut dialogue = connect_from("127.0.0.1", house.address(Service::Mx, false)).await;
    dialogue.write(b"EHLO p\r\nQUIT\r\n").await;
    for expected in ["220 ", "250-", "221 "] {
        let reply = dialogue.reply().await;
        assert!(reply.starts_with(expected), "{expected}: {reply}");
    }
    house.stop().await;
}
