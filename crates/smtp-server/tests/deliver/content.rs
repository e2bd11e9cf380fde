//! Messages that not every next hop can take, and long ones.

use smtp_proto::ContentFacts;
use smtp_server::metrics::AttemptResult::{Delivered, Failed};
use smtp_testkit::peer::{Peer, Script};

use crate::house::House;
use crate::support::{accept, emptied, in_time, message, routed, status};

/// One transaction with these parameters of MAIL.
async fn accept_with(house: &House, parameters: &str, to: &str, content: &str) {
    let mut dialogue = house.connect().await;
    dialogue.ask("EHLO client.example").await;
    dialogue.ask(&format!("MAIL FROM:<alice@example.org>{parameters}")).await;
    dialogue.ask(&format!("RCPT TO:<{to}>")).await;
    dialogue.ask("DATA").await;
    let reply = dialogue.ask(&format!("{content}.")).await;
    assert!(reply.starts_with("250 "), "{reply}");
}

/// C26: what needs no SMTPUTF8 goes without it, whatever the client has said (RFC 6531 §3.5).
#[tokio::test]
async fn smtputf8_is_asked_for_only_where_it_is_needed() {
    let peer = Peer::start(Script::new().extensions(&["PIPELINING", "8BITMIME"]));
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    accept_with(&house, " SMTPUTF8", "x@example.net", &message("ascii")).await;
    house.attempt("x@example.net", Delivered).await;
    assert_eq!(peer.messages()[0].mail, "<alice@example.org>");
    accept_with(&house, " BODY=8BITMIME SMTPUTF8", "x@example.net", &message("gr\u{fc}n")).await;
    let failed = house.attempt("x@example.net", Failed).await;
    assert_eq!(status(&failed), "5.6.9", "{}", failed.report);
    emptied(&mut house).await;
    assert_eq!((peer.messages().len(), house.maildir("alice").len()), (1, 1));
    house.stop().await;
}

/// RFC 6531 §3.2: our own Received field makes no message need SMTPUTF8 that does without it behind an alias.
#[tokio::test]
async fn the_trace_of_an_address_in_utf8_asks_for_nothing() {
    let peer = Peer::start(Script::new().extensions(&["PIPELINING"]));
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    house.write("aliases", "postmaster: alice\nj\u{fc}rgen: x@example.net\n");
    house.reload().await;
    accept_with(&house, " SMTPUTF8", "j\u{fc}rgen@example.org", &message("m")).await;
    house.attempt("x@example.net", Delivered).await;
    let received = peer.messages().remove(0);
    assert_eq!((received.mail.as_str(), received.content.is_ascii()), ("<alice@example.org>", true));
    house.stop().await;
}

/// RFC 1870 §6: all that is sent is declared, with the field that was put on top, and without the dots of the wire.
#[tokio::test]
async fn the_size_that_is_declared_is_that_of_what_is_sent() {
    let peer = Peer::start(Script::new().extensions(&["PIPELINING", "SIZE"]));
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    for content in ["Subject: x\r\n\r\nhello\r\n", " no header\r\n", "Subject: x\r\n\r\n..\r\n..x\r\n"] {
        accept(&house, "alice@example.org", &["x@example.net"], content).await;
        house.attempt("x@example.net", Delivered).await;
        let received = peer.messages().pop().unwrap();
        assert_eq!(received.mail, format!("<alice@example.org> SIZE={}", received.content.len()), "{content:?}");
    }
    house.stop().await;
}

/// Octets are never changed, so what a next hop cannot take goes back (RFC 6152 §3).
#[tokio::test]
async fn eight_bits_go_only_where_they_are_taken() {
    let peer = Peer::start(Script::new().extensions(&["PIPELINING"]));
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    accept_with(&house, " BODY=8BITMIME", "x@example.net", "Subject: x\r\n\r\ngr\u{fc}n\r\n").await;
    let failed = house.attempt("x@example.net", Failed).await;
    assert_eq!(status(&failed), "5.6.3", "{}", failed.report);
    emptied(&mut house).await;
    assert_eq!((peer.messages().len(), house.maildir("alice").len()), (0, 1));
    house.stop().await;
}

/// RFC 3030 §3: no octet is changed on any way, and where there is none the sender hears of it, in lines.
#[tokio::test]
async fn binary_content_goes_where_it_is_taken_and_is_kept_as_it_is() {
    const CONTENT: &[u8] = b"Subject: x\nY: z\r\n\r\n\0a\nb\rc\r\r\n.\r\n\xff";
    let binary = Peer::start(Script::new().extensions(&["PIPELINING", "CHUNKING", "BINARYMIME"]));
    let other = Peer::start(Script::new().extensions(&["PIPELINING", "8BITMIME", "CHUNKING"]));
    let routes = routed("[extensions]\nbinarymime = true\n", &[("b.example", &binary), ("o.example", &other)]);
    let mut house = House::start(&routes).await;
    let mut dialogue = house.connect().await;
    dialogue.ask("EHLO client.example").await;
    for command in [
        "MAIL FROM:<alice@example.org> BODY=BINARYMIME RET=FULL",
        "RCPT TO:<bob@example.org>",
        "RCPT TO:<x@b.example>",
        "RCPT TO:<x@o.example>",
    ] {
        let reply = dialogue.ask(command).await;
        assert!(reply.starts_with("250 "), "{command}: {reply}");
    }
    dialogue.write(&[format!("BDAT {} LAST\r\n", CONTENT.len()).as_bytes(), CONTENT].concat()).await;
    let reply = dialogue.reply().await;
    assert!(reply.starts_with("250 2.0.0 "), "{reply}");
    let failed = house.attempt("x@o.example", Failed).await;
    assert_eq!(status(&failed), "5.6.3", "{}", failed.report);
    emptied(&mut house).await;
    assert!(house.mailbox("bob")[0].ends_with(CONTENT));
    let received = binary.messages().remove(0);
    assert!(received.mail.contains(" BODY=BINARYMIME") && received.content.ends_with(CONTENT), "{}", received.mail);
    assert_eq!((binary.count_commands("DATA"), other.messages().len()), (0, 0));
    let report = house.mailbox("alice").remove(0);
    assert!(!ContentFacts::of(&report).binary, "{}", String::from_utf8_lossy(&report));
    house.stop().await;
}

/// RFC 1870 §6.1: a message that is too long for the next hop by its own word is not sent to it.
#[tokio::test]
async fn what_is_too_long_for_a_next_hop_goes_back() {
    let peer = Peer::start(Script::new().extensions(&["PIPELINING", "SIZE 1000"]));
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    let long = format!("{}{}", message("m"), "x\r\n".repeat(1000));
    accept(&house, "alice@example.org", &["x@example.net"], &long).await;
    let failed = house.attempt("x@example.net", Failed).await;
    assert_eq!(status(&failed), "5.3.4", "{}", failed.report);
    emptied(&mut house).await;
    assert_eq!((peer.count_commands("DATA"), house.maildir("alice").len()), (0, 1));
    house.stop().await;
}

/// Longer than what is kept in memory: the body comes from a file, to a mailbox and to a next hop.
#[tokio::test]
async fn a_long_message_arrives_whole_everywhere() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    let line = format!("{}\r\n", "0123456789".repeat(7));
    let content = format!("Subject: long\r\n\r\n{}", line.repeat(60_000));
    accept(&house, "x@example.com", &["x@example.net", "bob@example.org"], &content).await;
    let received = in_time("the message", peer.wait_for_messages(1)).await.remove(0);
    assert!(received.content.ends_with(content.as_bytes()));
    emptied(&mut house).await;
    assert!(house.maildir("bob")[0].ends_with(&content));
    house.stop().await;
}

/// Recipients in several domains that share a next hop share a transaction; the same domain by another route does not.
#[tokio::test]
async fn one_transaction_for_all_recipients_of_one_next_hop() {
    let (shared, other) = (Peer::start(Script::new()), Peer::start(Script::new()));
    let routes = [("a.example", &shared), ("b.example", &shared), ("c.example", &other)];
    let mut house = House::start(&routed("", &routes)).await;
    let to = ["x@a.example", "y@b.example", "z@c.example", "z@a.example"];
    accept(&house, "x@example.com", &to, &message("m")).await;
    let received = in_time("the message", shared.wait_for_messages(1)).await.remove(0);
    let mut recipients = received.recipients;
    recipients.sort();
    assert_eq!(recipients, ["<x@a.example>", "<y@b.example>", "<z@a.example>"]);
    let received = in_time("the message", other.wait_for_messages(1)).await.remove(0);
    assert_eq!(received.recipients, ["<z@c.example>"]);
    emptied(&mut house).await;
    assert_eq!((shared.messages().len(), other.messages().len()), (1, 1));
    house.stop().await;
}
