//! The octets of a message: kept as they came, under the trace fields.

use smtp_server::metrics::{AttemptResult, Service};
use smtp_testkit::peer::{Peer, Script};

use crate::client::{OTHER, hello, hello_from};
use crate::house::House;

fn relaying(peer: &Peer) -> String {
    let to = peer.address();
    format!(
        "[relay]\nnetworks = [\"{OTHER}/32\"]\n[[route]]\nrecipients = [\"*\"]\nto = \"smtp://{to}\"\ntls = \"none\"\n"
    )
}

/// Sends content by the mx listener to alice and, at once, to somebody at the peer. What arrived: in the Maildir without
/// Return-Path and Delivered-To, and at the peer; both then begin with Received.
async fn through(house: &mut House, peer: &Peer, parameters: &str, content: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let before = (house.mailbox("alice").len(), peer.messages().len());
    let mut dialogue = hello_from(OTHER, house.address(Service::Mx, false)).await;
    for line in [
        &*format!("MAIL FROM:<a@example.net>{parameters}"),
        "RCPT TO:<alice@example.org>",
        "RCPT TO:<x@example.net>",
        "DATA",
    ] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
    }
    dialogue.write(&stuffed(content)).await;
    let reply = dialogue.reply().await;
    assert!(reply.starts_with("250 "), "{reply}");
    house
        .attempts(&[("alice@example.org", AttemptResult::Delivered), ("x@example.net", AttemptResult::Delivered)])
        .await;
    let mailbox = house.mailbox("alice");
    let stored = mailbox.iter().find(|mail| ends_with_content(mail, content)).unwrap_or(&mailbox[before.0]);
    let relayed = peer.wait_for_messages(before.1 + 1).await.pop().unwrap().content;
    let received = find(stored, b"\r\nReceived: ").unwrap() + 2;
    (stored[received..].to_vec(), relayed)
}

fn stuffed(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    for line in content.split_inclusive(|&octet| octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

fn ends_with_content(mail: &[u8], content: &[u8]) -> bool {
    mail.ends_with(content) && !content.is_empty()
}

/// What stands under our own field: the rest behind the first line that is not folded.
fn below_received(octets: &[u8]) -> &[u8] {
    assert!(octets.starts_with(b"Received: "), "{}", String::from_utf8_lossy(octets));
    let mut at = 0;
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        if at > 0 && !line.starts_with(b"\t") && !line.starts_with(b" ") {
            break;
        }
        at += line.len();
    }
    &octets[at..]
}

/// C18: whatever the form of a message, nothing of it is lost, and no line of it becomes part of our field.
#[tokio::test]
async fn c18_messages_of_any_form_are_kept_whole() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&relaying(&peer)).await;
    for (content, below) in [
        (" hello\r\nworld\r\n", "\r\n hello\r\nworld\r\n"),
        ("\thello\r\nworld\r\n", "\r\n\thello\r\nworld\r\n"),
        ("no colon here\r\n", "\r\nno colon here\r\n"),
        ("no colon here\r\n\r\nbelow\r\n", "\r\nno colon here\r\n\r\nbelow\r\n"),
        ("Subject: x\r\nX-Last: y\r\n", "Subject: x\r\nX-Last: y\r\n"),
        (":\r\n", "\r\n:\r\n"),
        ("\r\nonly a body\r\n", "\r\nonly a body\r\n"),
        ("Subject: x\r\n\r\n", "Subject: x\r\n\r\n"),
        ("Subject: x\r\nno colon\r\n\r\nbelow\r\n", "Subject: x\r\nno colon\r\n\r\nbelow\r\n"),
        (
            "From someone Thu Jan  1 00:00:00 2026\r\nSubject: x\r\n\r\nx\r\n",
            "From someone Thu Jan  1 00:00:00 2026\r\nSubject: x\r\n\r\nx\r\n",
        ),
        ("", ""),
    ] {
        let (stored, relayed) = through(&mut house, &peer, "", content.as_bytes()).await;
        assert_eq!(String::from_utf8_lossy(below_received(&stored)), below, "{content:?} in the Maildir");
        assert_eq!(String::from_utf8_lossy(below_received(&relayed)), below, "{content:?} relayed");
    }
    house.stop().await;
}

/// Octets of every value, dots at line starts, lines far over 1,000 octets: as they came, here and at the next hop.
#[tokio::test]
async fn content_arrives_octet_for_octet() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&relaying(&peer)).await;
    let every: Vec<u8> = (1..=255u8).filter(|octet| !b"\r\n".contains(octet)).collect();
    let mut eight_bit = b"Subject: =?x\r\nX-Raw: caf\xe9\r\n\r\n".to_vec();
    eight_bit.extend(every.iter().flat_map(|&octet| [octet, b'\r', b'\n']));
    let dots = b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n...\r\nx.\r\n. \r\n".to_vec();
    let mut long = b"Subject: x\r\n\r\n".to_vec();
    long.extend(every.iter().cycle().take(100_000));
    long.extend_from_slice(b"\r\n");
    // Over what is kept in memory, so that it goes through a file; and no two parts are alike.
    let mut large = b"Subject: x\r\n\r\n".to_vec();
    for n in 0..60_000 {
        large.extend_from_slice(format!(".{n} of the lines\r\n").as_bytes());
    }
    for content in [eight_bit, dots, long, large] {
        let (stored, relayed) = through(&mut house, &peer, " BODY=8BITMIME", &content).await;
        assert!(below_received(&stored) == content, "stored");
        assert!(below_received(&relayed) == content, "relayed");
    }
    house.stop().await;
}

/// RFC 6531: addresses and fields in UTF-8.
#[tokio::test]
async fn smtputf8_arrives_octet_for_octet() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&relaying(&peer)).await;
    let mut dialogue = hello_from(OTHER, house.address(Service::Submission, false)).await;
    let reply = dialogue.ask("MAIL FROM:<jürgen@bücher.example>").await;
    assert!(reply.starts_with("553 5.6.7 "), "{reply}");
    let content = "From: jürgen@bücher.example\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <x@bücher.example>\r\nSubject: Grüße\r\n\r\nübrigens\r\n";
    for (line, expected) in [
        ("MAIL FROM:<jürgen@bücher.example> BODY=8BITMIME SMTPUTF8", "250 "),
        ("RCPT TO:<δοκιμή@παράδειγμα.example>", "250 "),
        ("DATA", "354 "),
        (&*format!("{content}."), "250 "),
    ] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
    let message = peer.wait_for_messages(1).await.remove(0);
    assert!(
        message.mail.starts_with("<jürgen@bücher.example>") && message.mail.contains("SMTPUTF8"),
        "{}",
        message.mail
    );
    assert_eq!(message.recipients, ["<δοκιμή@παράδειγμα.example>"]);
    let text = String::from_utf8(message.content).unwrap();
    assert!(text.contains("with UTF8SMTP\r\n"), "{text}");
    assert!(text.ends_with(content), "{text}");
    drop(dialogue);
    house.stop().await;
}

fn count(mail: &str, name: &str) -> usize {
    let header = mail.split("\r\n\r\n").next().unwrap();
    header.lines().filter(|line| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))).count()
}

/// RFC 6409 §8: what a submitted message lacks is added; what came from another server is left alone.
#[tokio::test]
async fn date_and_message_id_are_added_on_submission_and_only_there() {
    let mut house = House::start(&format!("[relay]\nnetworks = [\"{OTHER}/32\"]\n")).await;
    let bare = "From: a@example.net\r\n\r\nbare\r\n";
    let whole =
        "from: a@example.net\r\nDATE : Thu, 1 Jan 2026 00:00:00 +0000\r\nmessage-id: <x@example.net>\r\n\r\nwhole\r\n";
    let cases = [
        (Service::Mx, bare, 0),
        (Service::Mx, whole, 1),
        (Service::Submission, bare, 1),
        (Service::Submission, whole, 1),
    ];
    for (service, content, fields) in cases {
        let before = house.maildir("alice");
        let mut dialogue = hello_from(OTHER, house.address(service, false)).await;
        let reply = dialogue.send("a@example.net", &["alice@example.org"], content).await;
        assert!(reply.starts_with("250 "), "{reply}");
        house.attempt("alice@example.org", AttemptResult::Delivered).await;
        let mail = house.maildir("alice").into_iter().find(|mail| !before.contains(mail)).unwrap();
        assert_eq!((count(&mail, "date"), count(&mail, "message-id")), (fields, fields), "{service:?}: {mail}");
        assert!(mail.ends_with(content), "{service:?}: {mail}");
    }
    house.stop().await;
}

/// RFC 5321 §7.2: the field names the recipient where there was one, and keeps others from each other.
#[tokio::test]
async fn received_names_the_client_and_the_one_recipient() {
    let mut house = House::start("").await;
    let mut dialogue = hello(&house).await;
    for recipients in [&["alice@example.org"][..], &["bob@example.org", "alice@example.org"]] {
        let reply = dialogue.send("a@example.net", recipients, "Subject: x\r\n\r\nx\r\n").await;
        let id = reply.rsplit(' ').next().unwrap().to_owned();
        house.attempt("alice@example.org", AttemptResult::Delivered).await;
        let mail = house.maildir("alice").into_iter().find(|mail| mail.contains(&id)).unwrap();
        let header = mail.split("\r\n\r\n").next().unwrap().replace("\r\n", "").replace('\t', " ");
        assert!(header.contains("from client.example ([127.0.0.1]) by mx.example.org with ESMTP id "), "{header}");
        assert_eq!(header.contains(" for <alice@example.org>"), recipients.len() == 1, "{header}");
    }
    drop(dialogue);
    house.stop().await;
}
