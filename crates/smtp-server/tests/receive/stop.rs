//! The end of a server: who is told what, and what is in the queue afterwards.

use std::error::Error as _;
use std::time::Duration;

use smtp_queue::OpenError;
use smtp_server::config::Config;
use smtp_server::daemon::{Daemon, StartError};
use smtp_server::metrics::Service;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::client::{connect_from, hello};
use crate::house::{Dialogue, House, until};
use crate::lines::Lines;

const CONTENT: &str = "Subject: x\r\n\r\nx\r\n";

/// Says MAIL and RCPT.
async fn begin(house: &House) -> Dialogue<TcpStream> {
    let mut dialogue = hello(house).await;
    dialogue.ask("MAIL FROM:<a@example.net>").await;
    let reply = dialogue.ask("RCPT TO:<alice@example.org>").await;
    assert!(reply.starts_with("250 "), "{reply}");
    dialogue
}

/// RFC 5321 §3.8: nobody is left without a word, and a transaction that is open may be ended.
#[tokio::test]
async fn idle_sessions_are_told_and_transactions_may_end() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    let address = house.address(Service::Mx, false);
    let mut idle = hello(&house).await;
    let mut open = begin(&house).await;
    let clients = async {
        let reply = idle.reply().await;
        assert!(reply.starts_with("421 4.3.2 "), "{reply}");
        assert_eq!(idle.reply().await, "", "the connection is closed");
        drop(idle);
        assert!(TcpStream::connect(address).await.is_err(), "nobody new is let in");
        let reply = open.ask("RCPT TO:<bob@example.org>").await;
        assert!(reply.starts_with("250 "), "{reply}");
        open.ask("DATA").await;
        let reply = open.ask(&format!("{CONTENT}.")).await;
        assert!(reply.starts_with("250 2.0.0 "), "{reply}");
        let reply = open.reply().await;
        assert!(reply.starts_with("421 4.3.2 "), "{reply}");
        drop(open);
    };
    tokio::join!(house.stop(), clients);
    assert_eq!(lines.of("stopped")[0]["in_time"], true);
    house.start_daemon().await;
    until("both have it", || house.maildir("alice").len() == 1 && house.maildir("bob").len() == 1).await;
    house.stop().await;
}

/// A client that has its time and does not end its transaction is told too, in the middle of it.
#[tokio::test]
async fn when_the_time_is_up_all_are_told() {
    let lines = Lines::capture();
    let mut house = House::start("[timeouts]\ndrain = \"100ms\"\n").await;
    let mut open = begin(&house).await;
    let mut sending = begin(&house).await;
    sending.ask("DATA").await;
    sending.write(b"Subject: x\r\n\r\nhalf").await;
    let clients = async {
        for client in [&mut open, &mut sending] {
            let reply = client.reply().await;
            assert!(reply.starts_with("421 4.3.2 "), "{reply}");
        }
        drop((open, sending));
    };
    tokio::join!(house.stop(), clients);
    assert_eq!(lines.of("stopped")[0]["in_time"], false);
    house.start_daemon().await;
    assert_eq!(house.daemon().control().queue().stats(std::time::SystemTime::now()).messages, 0);
    house.stop().await;
}

/// A handshake that is under way, or never begins, does not hold up the end: there is nothing to be told in.
#[tokio::test]
async fn handshakes_do_not_hold_up_the_end() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    let address = house.address(Service::Submission, true);
    let silent = connect_from("127.0.0.1", address).await;
    let mut half = connect_from("127.0.0.1", address).await;
    half.write(b"\x16\x03\x01").await;
    let mut upgrading = hello(&house).await;
    let reply = upgrading.ask("STARTTLS").await;
    assert!(reply.starts_with("220 "), "{reply}");
    let metrics = house.daemon().control().metrics().clone();
    until("all are open", || metrics.sessions_open() == 3).await;
    house.stop().await;
    assert_eq!(lines.of("stopped")[0]["in_time"], true);
    drop((silent, half, upgrading));
}

/// What was answered 250 is there after the end, and nothing else is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_the_end() {
    let mut house = House::start("").await;
    let address = house.address(Service::Mx, false);
    let mut clients = JoinSet::new();
    for client in 0..8 {
        let mut dialogue = hello(&house).await;
        clients.spawn(async move {
            let mut accepted = Vec::new();
            loop {
                let subject = format!("{client}-{}", accepted.len());
                let content = format!("Subject: {subject}\r\n\r\nx\r\n");
                let reply = dialogue.try_send("a@example.net", "alice@example.org", &content).await;
                if !reply.starts_with("250 ") {
                    return accepted;
                }
                accepted.push(subject);
            }
        });
    }
    let metrics = house.daemon().control().metrics().clone();
    until("some were taken", || metrics.messages_received(Service::Mx) >= 20).await;
    house.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
    let mut accepted: Vec<String> = clients.join_all().await.concat();
    assert!(accepted.len() >= 20);
    house.start_daemon().await;
    until("all have arrived", || house.maildir("alice").len() >= accepted.len()).await;
    house.stop().await;
    let subject = |mail: &String| mail.split("Subject: ").nth(1).unwrap().split("\r\n").next().unwrap().to_owned();
    let mut arrived: Vec<String> = house.maildir("alice").iter().map(subject).collect();
    arrived.sort();
    accepted.sort();
    assert_eq!(arrived, accepted);
}

#[tokio::test]
async fn a_second_server_on_the_queue_does_not_start() {
    let mut house = House::start("").await;
    let config = Config::load(&house.path("c.toml")).unwrap().config;
    let started = tokio::time::timeout(Duration::from_secs(30), Daemon::start(config)).await.unwrap();
    let error = started.err().unwrap();
    assert!(matches!(error, StartError::Queue { source: OpenError::Locked { .. }, .. }), "{error:?}");
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("in use by another process"), "{cause}");
    // The first goes on.
    let reply = house.send("a@example.net", &["alice@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.stop().await;
}
