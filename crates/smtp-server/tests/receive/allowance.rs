//! How much somebody who has logged in may send in an hour, and what becomes of more.

use std::time::SystemTime;

use smtp_queue::{Act, DeliveryState, HoldCause, Page, Selector};
use smtp_server::metrics::AttemptResult;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::auth::{AUTH, plain, submission, users};
use crate::house::{Dialogue, House};

const CONTENT: &str = "From: alice@example.org\r\nSubject: x\r\n\r\nx\r\n";
const TO_BOB: [&str; 1] = ["bob@example.org"];

/// A house in which alice, and bob with the same password, can log in; `limits` are of `[auth]`.
async fn house(limits: &str) -> House {
    let mut house = House::start(&format!("{AUTH}{limits}")).await;
    let users = users(false);
    let password = users.lines().find(|line| line.starts_with("password")).unwrap();
    house.write("users.toml", &format!("{users}{password}\n"));
    house.reload().await;
    house
}

async fn log_in(house: &House, login: &str) -> Dialogue<TlsStream<TcpStream>> {
    let (mut session, _) = submission(house).await;
    let reply = session.ask(&plain(&format!("\0{login}\0wonderland"))).await;
    assert!(reply.starts_with("235 "), "{reply}");
    session
}

async fn send(session: &mut Dialogue<TlsStream<TcpStream>>) -> String {
    session.send("alice@example.org", &TO_BOB, CONTENT).await
}

#[tokio::test]
async fn who_has_sent_too_much_is_told_until_when_in_every_session_and_after_a_reload() {
    let mut house = house("messages_per_hour = 2\n").await;
    let mut session = log_in(&house, "alice").await;
    for _ in 0..2 {
        let reply = send(&mut session).await;
        assert!(reply.starts_with("250 "), "{reply}");
    }
    house.reload().await;
    for login in ["alice", "alice@example.org", "ALICE"] {
        let reply = log_in(&house, login).await.ask("MAIL FROM:<alice@example.org>").await;
        let wait = reply.strip_prefix("450 4.7.1 alice: too many messages; the next may come in ").unwrap();
        let (seconds, at) = wait.split_once(" s, at ").unwrap();
        assert!((1..=1801).contains(&seconds.parse::<u32>().unwrap()), "{reply}");
        assert!(at.trim_end().ends_with('Z'), "{reply}");
    }
    let reply = log_in(&house, "bob").await.send("bob@example.org", &TO_BOB, "Subject: x\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "others are not concerned: {reply}");
    assert!(house.metrics().contains("smtp_server_excess_total{limit=\"messages\",held=\"no\"} 3"));
    house.stop().await;
}

#[tokio::test]
async fn only_what_is_accepted_counts() {
    let mut house = house("messages_per_hour = 1\n").await;
    let mut session = log_in(&house, "alice").await;
    for _ in 0..2 {
        let forged = "From: bob@example.org\r\n\r\nx\r\n";
        let reply = session.send("alice@example.org", &TO_BOB, forged).await;
        assert!(reply.starts_with("550 5.7.1 "), "{reply}");
        assert!(session.ask("MAIL FROM:<alice@example.org>").await.starts_with("250 "));
        assert!(session.ask("RSET").await.starts_with("250 "));
    }
    assert!(send(&mut session).await.starts_with("250 "));
    assert!(send(&mut session).await.starts_with("450 4.7.1 "));
    house.stop().await;
}

/// Each was permitted when it began.
#[tokio::test]
async fn messages_that_come_together_are_no_more_than_those_that_come_in_turn() {
    let mut house = house("messages_per_hour = 2\n").await;
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let mut session = log_in(&house, "alice").await;
        for command in ["MAIL FROM:<alice@example.org>", "RCPT TO:<bob@example.org>", "DATA"] {
            let reply = session.ask(command).await;
            assert!(reply.starts_with(['2', '3']), "{reply}");
        }
        sessions.push(session);
    }
    let mut replies = Vec::new();
    for session in &mut sessions {
        replies.push(session.ask(&format!("{CONTENT}.")).await[..9].to_owned());
    }
    replies.sort();
    assert_eq!(replies, ["250 2.0.0", "250 2.0.0", "450 4.7.1", "450 4.7.1"]);
    house.stop().await;
}

#[tokio::test]
async fn recipients_are_counted_over_all_messages() {
    let mut house = house("recipients_per_hour = 3\n").await;
    let mut session = log_in(&house, "alice").await;
    assert!(
        session.send("alice@example.org", &["bob@example.org", "alice@example.org"], CONTENT).await.starts_with("250")
    );
    session.ask("MAIL FROM:<alice@example.org>").await;
    assert!(session.ask("RCPT TO:<nobody@example.org>").await.starts_with("550 "));
    assert!(session.ask("RCPT TO:<bob@example.org>").await.starts_with("250 "));
    let reply = session.ask("RCPT TO:<alice@example.org>").await;
    assert!(reply.starts_with("450 4.7.1 alice: too many recipients; the next may come in "), "{reply}");
    assert!(session.ask("DATA").await.starts_with("354 "));
    assert!(session.ask(&format!("{CONTENT}.")).await.starts_with("250 "), "the others have it");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    assert!(house.metrics().contains("smtp_server_excess_total{limit=\"recipients\",held=\"no\"} 1"));
    house.stop().await;
}

#[tokio::test]
async fn what_is_too_much_is_held_where_that_is_configured() {
    let mut house = house("messages_per_hour = 1\nrecipients_per_hour = 2\nexcess = \"hold\"\n").await;
    let mut session = log_in(&house, "alice").await;
    assert!(send(&mut session).await.starts_with("250 "));
    house.attempt("bob@example.org", AttemptResult::Delivered).await;
    let reply = send(&mut session).await;
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    let queue = house.daemon().control().queue().clone();
    let found = queue.find(&Selector::default(), Page::ALL, SystemTime::now()).unwrap();
    assert_eq!(found.len(), 1);
    let DeliveryState::Held(hold) = &found[0].state else { panic!("{found:?}") };
    assert_eq!(hold.cause, HoldCause::Policy);
    assert_eq!(hold.reason, "alice has sent too many messages in an hour ([auth] excess)");
    assert_eq!(house.maildir("bob").len(), 1);
    queue.control(&Selector::default(), Act::Release, SystemTime::now()).await.unwrap();
    house.attempt("bob@example.org", AttemptResult::Delivered).await;
    assert_eq!(house.maildir("bob").len(), 2);
    assert!(house.metrics().contains("smtp_server_excess_total{limit=\"messages\",held=\"yes\"} 1"));
    house.stop().await;
}
