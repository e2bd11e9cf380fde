//! Who gets the mail for an address of a local domain.

use smtp_server::metrics::AttemptResult;

use crate::client::hello;
use crate::house::House;

/// RCPT to each, in one transaction: all the replies.
async fn rcpt(house: &House, recipients: &[&str]) -> Vec<String> {
    let mut dialogue = hello(house).await;
    dialogue.ask("MAIL FROM:<someone@example.net>").await;
    let mut replies = Vec::new();
    for recipient in recipients {
        replies.push(dialogue.ask(&format!("RCPT TO:<{recipient}>")).await);
    }
    replies
}

#[tokio::test]
async fn unknown_users_are_refused_at_rcpt_and_the_transaction_goes_on() {
    let mut house = House::start("").await;
    let mut dialogue = hello(&house).await;
    for (line, expected) in [
        ("MAIL FROM:<someone@example.net>", "250 2.1.0 "),
        ("RCPT TO:<nobody@example.org>", "550 5.1.1 <nobody@example.org>: no such user"),
        ("RCPT TO:<alice@example.org>", "250 2.1.5 "),
        ("RCPT TO:<x@example.net>", "550 5.7.1 "),
        ("RCPT TO:<bob@example.org>", "250 2.1.5 "),
        ("RCPT TO:<nobody@example.org>", "550 5.1.1 "),
        ("DATA", "354 "),
        ("Subject: x\r\n\r\nx\r\n.", "250 2.0.0 "),
    ] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with(expected), "{line}: {reply}");
    }
    house.attempt("bob@example.org", AttemptResult::Delivered).await;
    drop(dialogue);
    house.stop().await;
    assert_eq!((house.maildir("alice").len(), house.maildir("bob").len()), (1, 1));
}

#[tokio::test]
async fn local_parts_match_without_case_quoting_and_tag() {
    let mut house = House::start("").await;
    let same = [
        "alice@example.org",
        "ALICE@example.org",
        "Alice@EXAMPLE.Org",
        "\"alice\"@example.org",
        "\"ALICE\"@example.org",
        "\"al\\ice\"@example.org",
        "alice+tag@example.org",
        "Alice+Tag+more@example.org",
        "\"alice+a tag\"@example.org",
        "alice+@example.org",
    ];
    for (recipient, reply) in same.iter().zip(rcpt(&house, &same).await) {
        assert!(reply.starts_with("250 2.1.5 "), "{recipient}: {reply}");
    }
    let other =
        ["alic@example.org", "alicex@example.org", "alice-tag@example.org", "+alice@example.org", "\"\"@example.org"];
    for (recipient, reply) in other.iter().zip(rcpt(&house, &other).await) {
        assert!(reply.starts_with("550 5.1.1 "), "{recipient}: {reply}");
    }
    // All of them are one mailbox, which gets one copy.
    let reply = house.send("someone@example.net", &same, "Subject: x\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    house.stop().await;
    assert_eq!(house.maildir("alice").len(), 1);
}

/// RFC 5321 §4.5.1: postmaster is always there, with a domain and without one, in any case.
#[tokio::test]
async fn postmaster_is_always_taken() {
    let mut house = House::start("").await;
    let ways = ["postmaster", "Postmaster", "POSTMASTER", "postmaster@example.org", "PostMaster@Example.ORG"];
    for (way, reply) in ways.iter().zip(rcpt(&house, &ways).await) {
        assert!(reply.starts_with("250 2.1.5 "), "{way}: {reply}");
    }
    for way in ways {
        let reply = house.send("", &[way], "Subject: x\r\n\r\nx\r\n").await;
        assert!(reply.starts_with("250 "), "{reply}");
        house.next_attempt().await;
    }
    house.stop().await;
    assert_eq!(house.maildir("alice").len(), ways.len());
}

#[tokio::test]
async fn a_catch_all_takes_what_nobody_has_and_only_that() {
    let mut house = House::start("").await;
    let text = std::fs::read_to_string(house.path("c.toml")).unwrap();
    house.write(
        "c.toml",
        &text.replace("[[listener]]\nservice = \"mx\"", "catch_all = \"bob\"\n[[listener]]\nservice = \"mx\""),
    );
    house.reload().await;
    let reply = house.send("a@example.net", &["any.body@example.org", "\"odd one\"@example.org"], "\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.next_attempt().await;
    let reply = house.send("a@example.net", &["alice@example.org"], "\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    house.attempt("alice@example.org", AttemptResult::Delivered).await;
    let elsewhere = rcpt(&house, &["any.body@example.net", "any.body@mx.example.org"]).await;
    assert!(elsewhere.iter().all(|reply| reply.starts_with("550 5.7.1 ")), "{elsewhere:?}");
    house.stop().await;
    assert_eq!((house.maildir("alice").len(), house.maildir("bob").len()), (1, 1));
}

/// C03: `=` is part of a local part; parameters begin behind the path. C02: a name after EHLO refuses nobody.
#[tokio::test]
async fn c02_c03_odd_but_real_clients_are_served() {
    let mut house = House::start("").await;
    let names = ["k7Qz2Ab", "office-.example", "app_1.internal_net", "_", "[IPV6:2001:db8::7]", "host.example."];
    for hello in names {
        let mut dialogue = house.connect().await;
        for (line, expected) in [
            (&*format!("EHLO {hello}"), "250-"),
            ("MAIL FROM:<SRS0=aB1c=xy=shop.example=news@fwd.example.net> SIZE=10 BODY=8BITMIME", "250 "),
            ("RCPT TO:<alice@example.org>", "250 "),
            ("DATA", "354 "),
            ("Subject: x\r\n\r\nx\r\n.", "250 "),
        ] {
            let reply = dialogue.ask(line).await;
            assert!(reply.starts_with(expected), "{hello}: {line}: {reply}");
        }
        house.attempt("alice@example.org", AttemptResult::Delivered).await;
    }
    house.stop().await;
    let stored = house.maildir("alice");
    assert_eq!(stored.len(), names.len());
    assert!(
        stored.iter().all(|mail| mail.starts_with("Return-Path: <SRS0=aB1c=xy=shop.example=news@fwd.example.net>\r\n"))
    );
}
