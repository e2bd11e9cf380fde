use super::*;
use crate::header::Field;
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;

fn hello(kind: HelloKind, name: &str) -> Hello {
    Hello { kind, name: name.parse().unwrap() }
}

fn tls() -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3".into(),
        cipher_suite: "TLS_AES_256_GCM_SHA384".into(),
        key_exchange: Some("X25519MLKEM768".into()),
        ..TlsFacts::default()
    }
}

fn received(hello: &Hello) -> Received<'_> {
    Received {
        hello: Some(hello),
        address: Some("192.0.2.1".parse().unwrap()),
        uid: None,
        name: None,
        by: "mx.example.org",
        smtputf8: false,
        authenticated: false,
        tls: None,
        priority: None,
        id: "0123456789ABC".parse().unwrap(),
        recipient: None,
        at: SystemTime::UNIX_EPOCH + Duration::from_hours(482_136),
    }
}

fn text(received: &Received<'_>) -> String {
    String::from_utf8(received.to_field()).unwrap()
}

#[test]
fn a_plain_field_is_that_of_rfc_5321() {
    let hello = hello(HelloKind::Helo, "client.example");
    assert_eq!(
        text(&received(&hello)),
        "Received: from client.example ([192.0.2.1])\r\n\
         \tby mx.example.org with SMTP\r\n\
         \tid 0123456789ABC;\r\n\
         \tWed, 1 Jan 2025 00:00:00 +0000\r\n"
    );
}

#[test]
fn a_full_field_names_recipient_and_tls() {
    let hello = hello(HelloKind::Ehlo, "[IPv6:2001:db8::7]");
    let (name, path, tls) = ("c.example".parse().unwrap(), "<\"a (b\"@example.org>".parse().unwrap(), tls());
    let full = Received {
        address: Some("2001:db8::7".parse().unwrap()),
        name: Some(&name),
        tls: Some(&tls),
        recipient: Some(&path),
        ..received(&hello)
    };
    assert_eq!(
        text(&full),
        "Received: from [IPv6:2001:db8::7] (c.example [IPv6:2001:db8::7])\r\n\
         \tby mx.example.org with ESMTPS\r\n\
         \tid 0123456789ABC\r\n\
         \tfor <\"a (b\"@example.org>\r\n\
         \ttls TLS_AES_256_GCM_SHA384 group X25519MLKEM768 (TLSv1.3);\r\n\
         \tWed, 1 Jan 2025 00:00:00 +0000\r\n"
    );
}

// Case C02: names that are no domains are taken; here they must not be taken for more than they are.
#[test]
fn a_name_that_is_no_domain_is_a_comment() {
    for (name, shown) in [("_", "_"), ("a)by(b", "a\\)by\\(b"), ("x;\\", "x;\\\\")] {
        let hello = hello(HelloKind::Ehlo, name);
        let text = text(&received(&hello));
        let start = format!("Received: from [192.0.2.1] ([192.0.2.1])\r\n\t(HELO {shown})\r\n\tby mx");
        assert!(text.starts_with(&start), "{text}");
    }
}

#[test]
fn transmission_types() {
    let tls = tls();
    let with = |kind, tls, smtputf8| {
        let hello = hello(kind, "c.example");
        Received { smtputf8, tls, ..received(&hello) }.protocol()
    };
    assert_eq!(with(HelloKind::Ehlo, None, false), "ESMTP");
    assert_eq!(with(HelloKind::Ehlo, Some(&tls), true), "UTF8SMTPS");
    assert_eq!(with(HelloKind::Ehlo, None, true), "UTF8SMTP");
    assert_eq!(with(HelloKind::Lhlo, Some(&tls), false), "LMTPS");
    assert_eq!(with(HelloKind::Lhlo, None, false), "LMTP");
}

/// RFC 3848; where from is nobody's affair.
#[test]
fn who_has_logged_in_is_not_told_where_from() {
    let (tls, hello) = (tls(), hello(HelloKind::Ehlo, "laptop.home.example"));
    let field = text(&Received { authenticated: true, tls: Some(&tls), ..received(&hello) });
    assert!(field.starts_with("Received: from localhost\r\n\tby mx.example.org with ESMTPSA\r\n"), "{field}");
    assert!(!field.contains("192.0.2.1") && !field.contains("laptop"), "{field}");
    let in_utf8 = Received { authenticated: true, smtputf8: true, tls: None, ..received(&hello) };
    assert_eq!(in_utf8.protocol(), "UTF8SMTPA");
}

#[test]
fn a_local_program_is_known_by_the_user_that_runs_it() {
    let hello = hello(HelloKind::Ehlo, "localhost");
    let text = text(&Received { address: None, uid: Some(1000), ..received(&hello) });
    assert!(text.starts_with("Received: from localhost (uid 1000)\r\n\tby mx.example.org with ESMTP\r\n"), "{text}");
}

#[test]
fn a_local_program_has_neither_name_nor_address() {
    let hello = hello(HelloKind::Ehlo, "x");
    let text = text(&Received { hello: None, address: None, ..received(&hello) });
    assert!(text.starts_with("Received: from localhost\r\n\tby mx.example.org with local\r\n"), "{text}");
}

#[test]
fn utf8_recipients_are_named_only_in_utf8_mail() {
    let hello = hello(HelloKind::Ehlo, "c.example");
    let path = "<jürgen@example.org>".parse().unwrap();
    let plain = Received { recipient: Some(&path), ..received(&hello) };
    assert!(!text(&plain).contains("for"));
    assert!(text(&Received { smtputf8: true, ..plain }).contains("\r\n\tfor <jürgen@example.org>;"));
}

fn block(octets: &str) -> HeaderBlock {
    HeaderBlock::from_bytes(Bytes::copy_from_slice(octets.as_bytes()))
}

#[test]
fn delivery_puts_fields_on_top_and_finds_loops() {
    let path: ForwardPath = "<Alice@Example.org>".parse().unwrap();
    assert_eq!(return_path(&ReversePath::Null), "Return-Path: <>\r\n");
    assert_eq!(return_path(&"<a@b.example>".parse().unwrap()), "Return-Path: <a@b.example>\r\n");
    assert_eq!(delivered_to(&path), "Delivered-To: Alice@Example.org\r\n");
    assert_eq!(delivered_to(&ForwardPath::Postmaster), "Delivered-To: postmaster\r\n");
    assert!(was_delivered_to(&block("A: b\r\ndelivered-to:  alice@example.ORG\r\n\r\n"), &path));
    assert!(!was_delivered_to(
        &block("Delivered-To: alice@example.org.x\r\n\r\nDelivered-To: alice@example.org"),
        &path
    ));
}

#[test]
fn hops_are_counted_whatever_their_case() {
    let header = block("Received: a\r\n\tReceived: b\r\nRECEIVED: c\r\nX-Received: d\r\n\r\nReceived: e\r\n");
    assert_eq!(hop_count(&header), 2);
}

#[test]
fn a_verified_client_certificate_is_named_unless_the_client_has_logged_in() {
    let hello = hello(HelloKind::Ehlo, "c.example");
    let field = |common_name: &str, verified, authenticated| {
        let certificate = PeerCertificate { common_name: Some(common_name.to_owned()), ..PeerCertificate::default() };
        let tls = TlsFacts { peer_certificate: Some(Box::new(certificate)), verified, ..tls() };
        text(&Received { tls: Some(&tls), authenticated, ..received(&hello) })
    };
    let named = field("mx (1) \"\\\".example", true, false);
    assert!(named.contains("\r\n\t(client certificate \"mx \\(1\\) \"\\\\\".example\");\r\n"), "{named}");
    for (name, verified, authenticated) in [("mx.example", false, false), ("mx.example", true, true)] {
        assert!(!field(name, verified, authenticated).contains("certificate"), "{name} {verified} {authenticated}");
    }
    for name in ["Bücher", &"x".repeat(65), ""] {
        assert!(
            field(name, true, false).contains(&format!("(client certificate sha256:{})", "0".repeat(64))),
            "{name}"
        );
    }
}

proptest! {
    #[test]
    fn nothing_said_breaks_out_of_the_field(
        name in "[!-~]{1,255}", by in "\\PC{0,30}|[\r\n;()]{0,9}", cipher in "\\PC{1,30}|[\r\n;()]{1,9}",
        common_name in "\\PC{0,30}|[\r\n;()\"]{0,9}",
    ) {
        let hello = hello(HelloKind::Ehlo, &name);
        let certificate = PeerCertificate { common_name: Some(common_name), ..PeerCertificate::default() };
        let tls = TlsFacts {
            version: by.clone(),
            cipher_suite: cipher,
            key_exchange: Some(by.clone()),
            verified: true,
            peer_certificate: Some(Box::new(certificate)),
            ..TlsFacts::default()
        };
        let field = Received { by: &by, tls: Some(&tls), ..received(&hello) }.to_field();
        let block = HeaderBlock::from_bytes(field.clone().into());
        prop_assert_eq!(block.fields().count(), 1);
        prop_assert_eq!(block.find("Received").map(Field::as_bytes), Some(&field[..]));
        prop_assert!(field.split(|octet| *octet == b'\n').all(|line| line.len() <= 998));
    }
}

/// RFC 6710 §7: `Pri = CFWS "PRIORITY" FWS priority-value`
#[test]
fn a_priority_is_named() {
    let hello = hello(HelloKind::Helo, "client.example");
    let named = text(&Received { priority: Priority::new(-3), ..received(&hello) });
    assert!(named.contains("\r\n\tPRIORITY -3;\r\n"), "{named}");
    assert!(!text(&received(&hello)).contains("PRIORITY"));
}
