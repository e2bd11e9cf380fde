//! What is too much is refused at the right place, and the session stays in step.

use std::time::SystemTime;

use smtp_server::metrics::{AttemptResult, Service};
use tokio::net::TcpStream;

use crate::client::hello;
use crate::house::{Dialogue, House};

/// Says MAIL, RCPT and DATA, up to 354.
async fn begin(dialogue: &mut Dialogue<TcpStream>) {
    for line in ["MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>"] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with("250 "), "{line}: {reply}");
    }
    let reply = dialogue.ask("DATA").await;
    assert!(reply.starts_with("354 "), "{reply}");
}

fn queue_is_empty(house: &mut House) {
    assert_eq!(house.daemon().control().queue().stats(SystemTime::now()).messages, 0);
}

#[tokio::test]
async fn a_size_that_is_declared_is_refused_at_mail() {
    let mut house = House::start("[limits]\nmessage_octets = \"64 KiB\"\n").await;
    let mut dialogue = house.connect().await;
    let reply = dialogue.ask("EHLO client.example").await;
    assert!(reply.contains("SIZE 65536"), "{reply}");
    for (line, expected) in [
        ("MAIL FROM:<a@example.net> SIZE=65537", "552 5.3.4 "),
        ("MAIL FROM:<a@example.net> SIZE=18446744073709551615", "552 5.3.4 "),
        ("MAIL FROM:<a@example.net> SIZE=99999999999999999999999", "501 "),
        ("MAIL FROM:<a@example.net> SIZE=65536", "250 "),
        ("RSET", "250 "),
        ("MAIL FROM:<a@example.net> SIZE=0", "250 "),
    ] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
    drop(dialogue);
    house.stop().await;
}

/// C29: the rest of a message that is too long is not a command.
#[tokio::test]
async fn c29_a_message_over_the_limit_is_read_to_its_true_end() {
    let mut house = House::start("[limits]\nmessage_octets = \"64 KiB\"\n").await;
    let mut dialogue = hello(&house).await;
    let line = "MAIL FROM:<root@example.org>\r\n";
    let body = line.repeat(200 * 1024 / line.len());
    begin(&mut dialogue).await;
    dialogue.write(format!("Subject: x\r\n\r\n{body}.\r\nNOOP\r\nRCPT TO:<alice@example.org>\r\n").as_bytes()).await;
    for expected in ["552 5.3.4 ", "250 2.0.0 ", "503 5.5.1 "] {
        let reply = dialogue.reply().await;
        assert!(reply.starts_with(expected), "{expected}: {reply}");
    }
    queue_is_empty(&mut house);
    // The longest that is taken is taken whole.
    let header = "Subject: x\r\n\r\n";
    let longest = format!("{header}{}\r\n", "x".repeat(65_536 - header.len() - 2));
    let reply = dialogue.send("a@example.net", &["alice@example.org"], &longest).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    drop(dialogue);
    house.stop().await;
    assert!(house.maildir("alice")[0].ends_with(&longest));
}

#[tokio::test]
async fn a_header_over_the_limit_is_refused_at_the_end() {
    let mut house = House::start("[limits]\nheader_octets = \"16 KiB\"\n").await;
    let mut dialogue = hello(&house).await;
    let field = "X-Field: MAIL FROM:<root@example.org>\r\n";
    let header = field.repeat(20 * 1024 / field.len());
    begin(&mut dialogue).await;
    dialogue.write(format!("{header}\r\nbody\r\n.\r\nNOOP\r\n").as_bytes()).await;
    for expected in ["552 5.3.4 ", "250 2.0.0 "] {
        let reply = dialogue.reply().await;
        assert!(reply.starts_with(expected), "{expected}: {reply}");
    }
    queue_is_empty(&mut house);
    let reply = dialogue.send("a@example.net", &["alice@example.org"], "Subject: x\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    drop(dialogue);
    house.stop().await;
}

/// RFC 5321 §4.5.3.1.10: 452, and those that were taken get the message.
#[tokio::test]
async fn recipients_past_the_limit_are_put_off() {
    let mut house = House::start("[limits]\nrecipients_per_message = 3\n").await;
    let mut dialogue = hello(&house).await;
    dialogue.ask("MAIL FROM:<a@example.net>").await;
    for (recipient, expected) in [
        ("alice+1", "250 "),
        ("nobody", "550 "),
        ("alice+2", "250 "),
        ("bob", "250 "),
        ("bob+2", "452 4.5.3 "),
        ("nobody", "452 4.5.3 "),
    ] {
        let reply = dialogue.ask(&format!("RCPT TO:<{recipient}@example.org>")).await;
        assert!(reply.starts_with(expected), "{recipient}: {reply}");
    }
    dialogue.ask("DATA").await;
    let reply = dialogue.ask("Subject: x\r\n\r\nx\r\n.").await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("bob@example.org", AttemptResult::Delivered).await;
    drop(dialogue);
    house.stop().await;
}

/// RFC 5321 §6.3: mail that has gone through so many servers goes round in a circle.
#[tokio::test]
async fn a_message_with_too_many_hops_is_refused() {
    let mut house = House::start("[limits]\nreceived_hops = 5\n").await;
    let content = |hops: usize| {
        let received = "Received: from a.example by b.example; Thu, 1 Jan 2026 00:00:00 +0000\r\n";
        format!("{}Subject: x\r\n\r\nReceived: not in the header\r\n", received.repeat(hops))
    };
    let mut dialogue = hello(&house).await;
    let reply = dialogue.send("a@example.net", &["alice@example.org"], &content(5)).await;
    assert!(reply.starts_with("554 5.4.6 "), "{reply}");
    queue_is_empty(&mut house);
    let reply = dialogue.send("a@example.net", &["alice@example.org"], &content(4)).await;
    assert!(reply.starts_with("250 "), "{reply}");
    drop(dialogue);
    house.stop().await;
}

#[tokio::test]
async fn errors_have_a_limit_and_refusals_are_none() {
    let mut house = House::start("[limits]\nerrors_per_session = 3\n").await;
    let mut dialogue = hello(&house).await;
    dialogue.ask("MAIL FROM:<a@example.net>").await;
    for _ in 0..10 {
        let reply = dialogue.ask("RCPT TO:<nobody@example.org>").await;
        assert!(reply.starts_with("550 "), "{reply}");
    }
    for expected in ["500 ", "500 ", "421 4.7.0 mx.example.org ", ""] {
        let reply = if expected.is_empty() { dialogue.reply().await } else { dialogue.ask("FROBNICATE").await };
        assert!(reply.starts_with(expected), "{expected}: {reply}");
        assert!(!expected.is_empty() || reply.is_empty(), "{reply}");
    }
    drop(dialogue);
    house.stop().await;
}

/// A client that is too many hears so, at once, and the next one is served when there is room again.
#[tokio::test]
async fn sessions_have_a_limit() {
    let mut house = House::start("[limits]\nsessions = 2\n").await;
    let first = house.connect().await;
    let mut second = house.connect().await;
    let address = house.address(Service::Mx, false);
    let mut third = Dialogue::new(TcpStream::connect(address).await.unwrap());
    let reply = third.reply().await;
    assert!(reply.starts_with("421 4.7.0 "), "{reply}");
    assert_eq!(third.reply().await, "", "the connection is closed");
    let reply = second.ask("QUIT").await;
    assert!(reply.starts_with("221 "), "{reply}");
    drop(second);
    let metrics = house.daemon().control().metrics().clone();
    crate::house::until("the session is over", || metrics.sessions_open() == 1).await;
    house.connect().await;
    drop(first);
    house.stop().await;
}
