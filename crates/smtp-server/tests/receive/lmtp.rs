//! LMTP: an answer for each recipient (RFC 2033).

use smtp_server::metrics::{AttemptResult, Service};
use tokio::net::TcpStream;

use crate::client::connect_from;
use crate::house::{Dialogue, House};

const LISTENER: &str = "[[listener]]\nservice = \"lmtp\"\naddresses = [\"127.0.0.1:0\"]\ntls = \"none\"\n";

async fn lhlo(house: &House) -> Dialogue<TcpStream> {
    let mut dialogue = connect_from("127.0.0.1", house.address(Service::Lmtp, false)).await;
    let greeting = dialogue.reply().await;
    assert!(greeting.starts_with("220 ") && greeting.contains(" LMTP"), "{greeting}");
    for line in ["EHLO client.example", "HELO client.example"] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with("500 5.5.1 "), "{line}: {reply}");
    }
    let reply = dialogue.ask("LHLO client.example").await;
    assert!(reply.starts_with("250-") && reply.contains("PIPELINING"), "{reply}");
    dialogue
}

#[tokio::test]
async fn each_accepted_recipient_has_its_answer() {
    let mut house = House::start(LISTENER).await;
    let mut dialogue = lhlo(&house).await;
    for (line, expected) in [
        ("MAIL FROM:<a@example.net>", "250 "),
        ("RCPT TO:<alice@example.org>", "250 "),
        ("RCPT TO:<nobody@example.org>", "550 5.1.1 "),
        ("RCPT TO:<bob@example.org>", "250 "),
        ("DATA", "354 "),
    ] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
    dialogue.write(b"Subject: x\r\n\r\nhello\r\n.\r\nNOOP\r\n").await;
    for _ in 0..2 {
        let reply = dialogue.reply().await;
        assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    }
    assert_eq!(dialogue.reply().await.trim_end(), "250 2.0.0 OK", "NOOP");
    house
        .attempts(&[("alice@example.org", AttemptResult::Delivered), ("bob@example.org", AttemptResult::Delivered)])
        .await;
    assert!(house.maildir("alice")[0].contains(" with LMTP"), "{:?}", house.maildir("alice"));
}

/// Cases C29: over the limit each recipient has its 552, and no command is found in the rest.
#[tokio::test]
async fn over_the_limit_each_recipient_is_refused_and_the_session_stays_in_step() {
    let house = House::start(&format!("{LISTENER}[limits]\nmessage_octets = \"64 KiB\"\n")).await;
    let mut dialogue = lhlo(&house).await;
    for line in ["MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>", "RCPT TO:<bob@example.org>"] {
        assert!(dialogue.ask(line).await.starts_with("250 "), "{line}");
    }
    assert!(dialogue.ask("DATA").await.starts_with("354 "));
    let line = [&b"x".repeat(998)[..], b"\r\n"].concat();
    dialogue.write(&line.repeat(200)).await;
    dialogue.write(b"MAIL FROM:<root@example.org>\r\n.\r\nNOOP\r\n").await;
    for _ in 0..2 {
        assert!(dialogue.reply().await.starts_with("552 5.3.4 "));
    }
    assert_eq!(dialogue.reply().await.trim_end(), "250 2.0.0 OK", "NOOP");
    assert!(house.mailbox("alice").is_empty());
}

#[tokio::test]
async fn without_a_recipient_data_is_out_of_sequence() {
    let house = House::start(LISTENER).await;
    let mut dialogue = lhlo(&house).await;
    dialogue.ask("MAIL FROM:<a@example.net>").await;
    dialogue.ask("RCPT TO:<nobody@example.org>").await;
    assert!(dialogue.ask("DATA").await.starts_with("503 5.5.1 "));
}
