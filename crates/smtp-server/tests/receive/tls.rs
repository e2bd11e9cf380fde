//! TLS with clients: what is told of it, what is never run, and the life of the certificates.

use std::io::Read as _;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use smtp_server::config::Config;
use smtp_server::metrics::{AttemptResult, Service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio_rustls::client::TlsStream;

use crate::client::{OTHER, connect_from, hello, hello_from, secure, secure_with, starttls};
use crate::house::{Dialogue, House, until};
use crate::lines::Lines;

const CONTENT: &str = "Subject: x\r\n\r\nx\r\n";
const TRUSTED: &str = "[relay]\nnetworks = [\"127.0.0.9/32\"]\n";

fn failures(house: &House) -> bool {
    let text = house.metrics();
    text.lines().any(|line| line.starts_with("smtp_server_tls_failures_total{dir=\"in\"") && !line.ends_with(" 0"))
}

fn leaf(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// The certificate that a new session is shown.
async fn shown(house: &House) -> CertificateDer<'static> {
    let dialogue = starttls(house, hello(house).await).await;
    leaf(&dialogue.stream)
}

/// RFC 8314 §4.3, RFC 3848: how a message came stands in its trace field.
#[tokio::test]
async fn what_tls_gave_is_told_in_received() {
    let mut house = House::start(TRUSTED).await;
    let mx = house.address(Service::Mx, false);
    let mut clear = hello_from(OTHER, mx).await;
    let mut upgraded = starttls(&house, hello_from(OTHER, mx).await).await;
    let config = house.authority.client_config_with(&[&rustls::version::TLS12]);
    let mut older = hello_from(OTHER, mx).await;
    older.ask("STARTTLS").await;
    let mut older = Dialogue::new(secure_with(config, older.stream).await);
    older.ask("EHLO client.example").await;
    let implicit = connect_from(OTHER, house.address(Service::Submission, true)).await;
    let mut implicit = Dialogue::new(secure(&house, implicit.stream).await);
    assert!(implicit.reply().await.starts_with("220 "));
    let offered = implicit.ask("EHLO client.example").await;
    assert!(!offered.contains("STARTTLS"), "{offered}");

    let recipient = ["alice@example.org"];
    for reply in [
        clear.send("a@example.net", &recipient, CONTENT).await,
        upgraded.send("b@example.net", &recipient, CONTENT).await,
        older.send("c@example.net", &recipient, CONTENT).await,
        implicit.send("d@example.net", &recipient, CONTENT).await,
    ] {
        assert!(reply.starts_with("250 "), "{reply}");
        house.attempt(recipient[0], AttemptResult::Delivered).await;
    }
    drop((clear, upgraded, older, implicit));
    house.stop().await;
    let received = |from: &str| {
        let mail = house.maildir("alice").into_iter().find(|mail| mail.contains(&format!("<{from}@"))).unwrap();
        mail.split("\r\n\r\n").next().unwrap().replace("\r\n\t", " ")
    };
    assert!(received("a").contains(" with ESMTP id "), "{}", received("a"));
    assert!(!received("a").contains("TLS"), "{}", received("a"));
    for (from, version) in [("b", "TLSv1.3"), ("c", "TLSv1.2"), ("d", "TLSv1.3")] {
        let received = received(from);
        assert!(received.contains(" with ESMTPS ") && received.contains(version), "{received}");
    }
}

/// RFC 3207 §4.2, however the octets are cut: what was sent in the clear is never run under TLS.
#[tokio::test]
async fn what_stands_behind_starttls_in_the_clear_is_never_run() {
    let mut house = House::start("").await;
    let injected = "STARTTLS\r\nRSET\r\nMAIL FROM:<root@example.org>\r\nRCPT TO:<alice@example.org>\r\n";
    for cut in 0..injected.len() {
        let mut dialogue = hello(&house).await;
        let (first, second) = injected.as_bytes().split_at(cut);
        dialogue.write(first).await;
        for _ in 0..3 {
            yield_now().await;
        }
        dialogue.write(second).await;
        let reply = dialogue.reply().await;
        // Either it was seen to stand there, or the handshake was begun with it and has failed.
        assert!(reply.starts_with("554 5.5.1 ") || reply.starts_with("220 2.0.0 "), "cut at {cut}: {reply}");
        let rest = dialogue.reply().await;
        assert!(!rest.starts_with(|c: char| c.is_ascii_digit()), "cut at {cut}: {rest}");
    }
    house.stop().await;
}

/// What Exim did not see (CVE-2026-45185): with `close_notify` the session is over, in the middle of a chunk and of mail data
/// as well. What follows in the clear is neither the rest of the message nor a command.
#[tokio::test]
async fn close_notify_in_the_middle_of_bdat_and_of_data_is_the_end() {
    const PATIENCE: Duration = Duration::from_secs(30);
    const IN_THE_CLEAR: &[u8] =
        b" a message\r\n.\r\nMAIL FROM:<root@example.org>\r\nRCPT TO:<alice@example.org>\r\nNOOP\r\n";
    let mut house = House::start("").await;
    for begin in ["BDAT 25 LAST\r\nSubject: half", "Subject: half"] {
        let mut dialogue = starttls(&house, hello(&house).await).await;
        for command in ["EHLO client.example", "MAIL FROM:<a@example.net>", "RCPT TO:<alice@example.org>"] {
            assert!(dialogue.ask(command).await.starts_with("250"), "{command}");
        }
        if !begin.starts_with("BDAT") {
            // Mail data behind DATA comes when it is asked for (RFC 2920 §3.1).
            assert!(dialogue.ask("DATA").await.starts_with("354 "));
        }
        dialogue.write(begin.as_bytes()).await;
        let (mut stream, mut tls) = dialogue.stream.into_inner();
        let mut octets = Vec::new();
        tls.send_close_notify();
        tls.write_tls(&mut octets).unwrap();
        octets.extend_from_slice(IN_THE_CLEAR);
        stream.write_all(&octets).await.unwrap();
        let mut heard = Vec::new();
        // The server does not wait for what it does not want to read: its end may be a reset.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut heard)).await.expect("the session ends");
        tls.read_tls(&mut &heard[..]).unwrap();
        tls.process_new_packets().expect("nothing is said in the clear");
        let mut replies = String::new();
        let _ = tls.reader().read_to_string(&mut replies);
        assert_eq!(replies, "", "{begin:?}");
    }
    let metrics = house.daemon().control().metrics().clone();
    until("all sessions are closed", || metrics.sessions_open() == 0).await;
    assert_eq!(house.daemon().control().queue().stats(SystemTime::now()).messages, 0);
    assert!(house.mailbox("alice").is_empty());
    house.stop().await;
}

#[tokio::test]
async fn nothing_that_was_said_in_the_clear_lasts_under_tls() {
    let mut house = House::start("").await;
    let mut dialogue = hello(&house).await;
    dialogue.ask("STARTTLS").await;
    let mut dialogue = Dialogue::new(secure(&house, dialogue.stream).await);
    for (line, expected) in [
        ("MAIL FROM:<a@example.net>", "503 5.5.1 "),
        ("STARTTLS", "503 5.5.1 "),
        ("EHLO client.example", "250-"),
        ("STARTTLS", "503 5.5.1 "),
    ] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
    drop(dialogue);
    house.stop().await;
}

#[tokio::test]
async fn a_handshake_that_fails_is_counted_and_harms_nobody() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    let mut other = starttls(&house, hello(&house).await).await;
    assert!(!failures(&house));
    let mut dialogue = hello(&house).await;
    dialogue.ask("STARTTLS").await;
    dialogue.write(b"GET / HTTP/1.1\r\n\r\n").await;
    // What is read is an alert of TLS, then the end.
    while !dialogue.end().await {}
    until("the end is logged", || !lines.of("closed").is_empty()).await;
    assert!(failures(&house));
    let closed = &lines.of("closed")[0];
    assert_eq!((&closed["level"], &closed["service"]), (&"info".into(), &"mx".into()));
    let reason = closed["reason"].as_str().unwrap();
    assert!(reason.contains("the TLS handshake failed"), "{reason}");
    let reply = other.send("a@example.net", &["alice@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    assert!(lines.grave().is_empty(), "{:?}", lines.grave());
    drop(other);
    house.stop().await;
}

/// C10: renewed by rename, seen by the next session, without a signal; the sessions that are open go on.
#[tokio::test]
async fn c10_certificates_that_are_replaced_are_served_to_new_sessions() {
    let lines = Lines::capture();
    let mut house = House::start("").await;
    let mut open = starttls(&house, hello(&house).await).await;
    let first = leaf(&open.stream);
    let renewed = house.authority.issue(&["mx.example.org", "localhost"]);
    for (name, text) in [("mx.pem", renewed.chain_pem()), ("mx.key", renewed.key_pem())] {
        house.write("new", text);
        std::fs::rename(house.path("new"), house.path(name)).unwrap();
    }
    look_at_certificates().await;
    until("they are loaded", || !lines.of("certificates_reloaded").is_empty()).await;
    let second = shown(&house).await;
    assert_ne!(first, second);

    // Garbage: the old chain is served, and it is said.
    house.write("new", "no certificate");
    std::fs::rename(house.path("new"), house.path("mx.pem")).unwrap();
    look_at_certificates().await;
    until("it is noticed", || !lines.of("certificates_not_reloaded").is_empty()).await;
    assert_eq!(shown(&house).await, second);
    let problems = house.daemon().control().readiness(SystemTime::now());
    assert!(problems.ready && problems.problems[0].contains("mx.pem"), "{problems:?}");
    // A reload by signal finds the same, and changes nothing.
    let error = Config::load(&house.path("c.toml")).unwrap_err();
    assert!(error.to_string().contains("mx.pem"), "{error}");
    house.daemon().note_reload_failed(&error);
    assert_eq!(shown(&house).await, second);

    let reply = open.send("a@example.net", &["alice@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 "), "the session that is open: {reply}");
    drop(open);
    house.stop().await;
}

/// Lets the time pass at which the files are looked at.
pub(crate) async fn look_at_certificates() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(11)).await;
    tokio::time::resume();
}

/// C10: without a certificate the keyword is not there, and the command is not implemented.
#[tokio::test]
async fn c10_without_certificates_starttls_is_not_there() {
    let mut house = House::start("").await;
    let mut before = hello(&house).await;
    let text = std::fs::read_to_string(house.path("c.toml")).unwrap();
    let text = text.replace("certificates = [{ chain = \"mx.pem\", key = \"mx.key\" }]", "");
    house.write("c.toml", &text.replace("\"starttls\"", "\"none\"").replace("\"implicit\"", "\"none\""));
    house.reload().await;
    let mut dialogue = house.connect().await;
    let offered = dialogue.ask("EHLO client.example").await;
    assert!(!offered.contains("STARTTLS"), "{offered}");
    let reply = dialogue.ask("STARTTLS").await;
    assert!(reply.starts_with("502 5.5.1 "), "{reply}");
    let reply = dialogue.send("a@example.net", &["alice@example.org"], CONTENT).await;
    assert!(reply.starts_with("250 "), "{reply}");
    assert!(house.daemon().listening().iter().all(|listening| !listening.implicit_tls));
    // A session that was offered it can have it.
    let reply = before.ask("STARTTLS").await;
    assert!(reply.starts_with("220 "), "{reply}");
    secure(&house, before.stream).await;
    drop(dialogue);
    house.stop().await;
}
