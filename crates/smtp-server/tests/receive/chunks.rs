//! Content by BDAT: octets as they stand, counted, in whatever chunks.

use std::time::SystemTime;

use smtp_server::metrics::AttemptResult;
use tokio::io::AsyncWriteExt;

use crate::client::hello;
use crate::house::House;

const CONTENT: &[u8] =
    b"Subject: chunks\r\n\r\n.lead\r\n.\r\n..\r\nMAIL FROM:<root@example.org>\r\nQUIT\r\nthe end\r\n";

/// Cases C14: nothing in a chunk is dot-stuffing, an end, or a command.
#[tokio::test]
async fn chunks_of_31_octets_arrive_octet_for_octet() {
    let mut house = House::start("").await;
    let mut dialogue = hello(&house).await;
    assert!(dialogue.ask("MAIL FROM:<a@example.net>").await.starts_with("250 "));
    assert!(dialogue.ask("RCPT TO:<alice@example.org>").await.starts_with("250 "));
    for chunk in CONTENT.chunks(31) {
        dialogue.write(&[format!("BDAT {}\r\n", chunk.len()).as_bytes(), chunk].concat()).await;
        let reply = dialogue.reply().await;
        assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    }
    let reply = dialogue.ask("BDAT 0 LAST").await;
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{reply}");
    house.attempts(&[("alice@example.org", AttemptResult::Delivered)]).await;
    let mailbox = house.mailbox("alice");
    assert!(mailbox[0].ends_with(CONTENT), "{}", String::from_utf8_lossy(&mailbox[0]));
}

/// Cases C29: one 552, and what stood in the chunk opens no transaction.
#[tokio::test]
async fn a_chunk_over_the_limit_is_refused_once_and_nothing_in_it_is_run() {
    let house = House::start("[limits]\nmessage_octets = \"64 KiB\"\n").await;
    let mut dialogue = hello(&house).await;
    dialogue.ask("MAIL FROM:<a@example.net>").await;
    dialogue.ask("RCPT TO:<alice@example.org>").await;
    let mut content = b"x\r\n".repeat(60_000);
    content.extend_from_slice(b"MAIL FROM:<root@example.org>\r\n");
    dialogue.write(&[format!("BDAT {} LAST\r\n", content.len()).as_bytes(), &content, b"NOOP\r\n"].concat()).await;
    let reply = dialogue.reply().await;
    assert!(reply.starts_with("552 5.3.4 "), "{reply}");
    assert!(dialogue.reply().await.starts_with("250 2.0.0 "), "NOOP");
    assert!(dialogue.ask("MAIL FROM:<c@example.net>").await.starts_with("250 2.1.0 "), "no transaction was opened");
    assert!(house.mailbox("alice").is_empty());
}

/// A client that ends its stream inside a chunk has sent no message.
#[tokio::test]
async fn a_message_that_breaks_off_in_a_chunk_is_nobodys() {
    let mut house = House::start("").await;
    let mut dialogue = hello(&house).await;
    dialogue.ask("MAIL FROM:<a@example.net>").await;
    dialogue.ask("RCPT TO:<alice@example.org>").await;
    dialogue.write(b"BDAT 7\r\nwhole\r\nBDAT 100 LAST\r\nnot whole\r\n").await;
    assert!(dialogue.reply().await.starts_with("250 2.0.0 "), "the first chunk");
    dialogue.stream.shutdown().await.unwrap();
    assert!(dialogue.end().await, "the session is over");
    assert_eq!(house.daemon().control().queue().stats(SystemTime::now()).messages, 0);
}
