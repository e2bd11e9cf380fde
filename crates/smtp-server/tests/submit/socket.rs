//! Sessions at the submit socket, in the name of the user that runs this test.

use std::os::unix::fs::PermissionsExt as _;

use smtp_server::metrics::AttemptResult;
use tokio::net::UnixStream;

use crate::house::{Dialogue, House};

const CONTENT: &str = "Subject: hello\r\n\r\nHello.\r\n";

async fn connect(house: &House) -> Dialogue<UnixStream> {
    let mut dialogue = Dialogue::new(UnixStream::connect(house.path("submit.sock")).await.unwrap());
    // The domain of addresses that have none, not the name of the host.
    assert_eq!(dialogue.reply().await, "220 example.org ESMTP");
    assert!(dialogue.ask("EHLO localhost").await.starts_with("250-example.org"));
    dialogue
}

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[tokio::test]
async fn a_program_sends_and_is_known_by_its_user() {
    let mut house = House::start("").await;
    let mode = std::fs::metadata(house.path("submit.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    let mut dialogue = connect(&house).await;
    let reply = dialogue.send("", &["alice@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    let message = &house.maildir("alice")[0];
    assert!(
        message.contains(&format!("Received: from localhost (uid {})\r\n\tby mx.example.org with ESMTP\r\n", uid()))
    );
    // It is a submission.
    assert!(message.contains("\r\nDate: ") && message.contains("\r\nMessage-ID: <"), "{message}");
    house.stop().await;
}

/// RFC 5322 §3.6.2. Who may send under any address is not named beside the one author.
#[tokio::test]
async fn a_program_whose_message_has_several_authors_is_named_as_its_sender() {
    let mut house = House::start("").await;
    let mut dialogue = connect(&house).await;
    for (from, sender) in [
        ("a@example.com, b@example.com", "\r\nSender: bob@example.org\r\n"),
        ("a@example.com", "\r\nFrom: a@example.com\r\n"),
    ] {
        let content = format!("From: {from}\r\nSubject: x\r\n\r\nx\r\n");
        let reply = dialogue.send("bob@example.org", &["alice@example.org"], &content).await;
        assert!(reply.starts_with("250 "), "{reply}");
        house.attempt("alice@example.org", AttemptResult::Delivered).await;
        let message = house.maildir("alice").pop().unwrap();
        assert!(message.contains(sender), "{message}");
        assert_eq!(message.contains("\r\nSender: "), from.contains(','), "{message}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_program_may_send_to_anywhere_though_nobody_else_may() {
    let mut house = House::start("").await;
    let mut network = house.connect().await;
    network.ask("EHLO client.example").await;
    assert!(network.send("a@example.com", &["b@example.net"], CONTENT).await.starts_with("550 5.7.1"));
    let mut dialogue = connect(&house).await;
    dialogue.ask("MAIL FROM:<>").await;
    let reply = dialogue.ask("RCPT TO:<b@example.net>").await;
    assert!(reply.starts_with("250 "), "{reply}");
    // A stop would wait for the end of an open transaction.
    drop((network, dialogue));
    house.stop().await;
}

/// C30: the limit is that of one user, and its key is in the reply that the log shows.
#[tokio::test]
async fn who_sends_too_much_is_asked_to_wait() {
    let mut house = House::start("[submit]\nmessages_per_hour = 2\n").await;
    for _ in 0..2 {
        let reply = connect(&house).await.send("", &["alice@example.org"], CONTENT).await;
        assert!(reply.starts_with("250 "), "{reply}");
    }
    let reply = connect(&house).await.ask("MAIL FROM:<>").await;
    assert!(reply.starts_with(&format!("450 4.7.1 uid {}: too many messages; ", uid())), "{reply}");
    // By the network there is no such limit.
    assert!(house.send("a@example.com", &["alice@example.org"], CONTENT).await.starts_with("250 "));
    house.stop().await;
}

/// What the queue had no room for is not held against the user.
#[tokio::test]
async fn what_finds_no_room_is_not_counted() {
    let mut house = House::start("free_octets_min = \"4000000 GiB\"\n[submit]\nmessages_per_hour = 1\n").await;
    let mut dialogue = connect(&house).await;
    for _ in 0..3 {
        let reply = dialogue.ask("MAIL FROM:<>").await;
        assert!(reply.starts_with("452 4.3.1 "), "{reply}");
    }
    house.stop().await;
}

#[tokio::test]
async fn the_sessions_of_one_user_have_a_limit() {
    let mut house = House::start("[limits]\nsessions_per_client = 1\n").await;
    let first = connect(&house).await;
    let mut second = Dialogue::new(UnixStream::connect(house.path("submit.sock")).await.unwrap());
    assert!(second.reply().await.starts_with("421 4.7.0 "));
    assert_eq!(second.reply().await, "", "the connection is closed");
    drop(first);
    house.stop().await;
}

#[tokio::test]
async fn the_socket_goes_with_the_server() {
    let mut house = House::start("").await;
    let mut open = connect(&house).await;
    house.stop().await;
    assert!(open.reply().await.starts_with("421 4.3.2"));
    assert!(!house.path("submit.sock").exists());
    house.start_daemon().await;
    connect(&house).await;
    house.stop().await;
}
