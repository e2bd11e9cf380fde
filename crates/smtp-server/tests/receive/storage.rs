//! A queue that cannot take mail: the client is told to come again, and the session goes on. That it can be written again
//! by itself when there is room is tested with whole disks beside the outbound loop.

use std::time::SystemTime;

use smtp_server::metrics::AttemptResult;

use crate::client::hello;
use crate::house::House;
use crate::lines::Lines;

const CONTENT: &str = "Subject: x\r\n\r\nx\r\n";

#[tokio::test]
async fn a_full_disk_is_told_at_mail() {
    // More than any disk has is to be left free.
    let mut house = House::start("free_octets_min = \"4000000 GiB\"\n").await;
    let mut dialogue = hello(&house).await;
    for line in ["MAIL FROM:<a@example.net>", "MAIL FROM:<a@example.net> SIZE=10"] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with("452 4.3.1 "), "{reply}");
        let reply = dialogue.ask("NOOP").await;
        assert!(reply.starts_with("250 "), "{reply}");
    }
    let problems = house.daemon().control().readiness(SystemTime::now()).problems;
    assert!(problems.iter().any(|problem| problem.contains("no room")), "{problems:?}");
    drop(dialogue);
    house.stop().await;
    house.configure("");
    house.start_daemon().await;
    let reply = house.send("a@example.net", &["alice@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.stop().await;
}

/// The file of a large message cannot be made: its end is found, it is put off, and what is small still goes through.
#[tokio::test]
async fn a_body_that_cannot_be_written_is_put_off_after_the_dot() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    let (bodies, away) = (house.path("queue/bodies"), house.path("away"));
    std::fs::rename(&bodies, &away).unwrap();
    let large = format!("Subject: large\r\n\r\n{}", "MAIL FROM:<root@example.org>\r\n".repeat(20_000));
    let mut dialogue = hello(&house).await;
    let reply = dialogue.send("a@example.net", &["alice@example.org"], &large).await;
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    assert!(!lines.of("queue_unavailable").is_empty());
    let reply = dialogue.send("a@example.net", &["alice@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    std::fs::rename(&away, &bodies).unwrap();
    let reply = dialogue.send("a@example.net", &["alice@example.org"], &large).await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    drop(dialogue);
    house.stop().await;
    assert!(house.maildir("alice").iter().any(|mail| mail.ends_with(&large)));
}
