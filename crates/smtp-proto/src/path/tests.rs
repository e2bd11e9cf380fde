use std::collections::HashSet;

use super::*;
use crate::{AddressLiteral, DomainName};

fn mailbox(text: &str) -> Mailbox {
    text.parse().unwrap()
}

#[test]
fn domains_compare_and_hash_without_case_and_local_parts_with_it() {
    assert_eq!(mailbox("a@Example.COM"), mailbox("a@example.com"));
    assert_ne!(mailbox("A@example.com"), mailbox("a@example.com"));
    assert_ne!(mailbox("\"a\"@example.com"), mailbox("a@example.com"));
    let set = HashSet::from([mailbox("a@Example.COM"), mailbox("a@example.com"), mailbox("A@example.com")]);
    assert_eq!(set.len(), 2);
}

#[test]
fn what_was_written_is_shown() {
    for text in
        ["a@Example.COM", "\"a b\"@example.com", "a@[192.0.2.1]", "a@[IPv6:2001:db8::1]", "\u{e9}@\u{e9}.example"]
    {
        assert_eq!(mailbox(text).to_string(), text);
    }
    for text in ["<>", "<a@b.example>"] {
        assert_eq!(text.parse::<ReversePath>().unwrap().to_string(), text);
    }
    for text in ["<postmaster>", "<a@b.example>"] {
        assert_eq!(text.parse::<ForwardPath>().unwrap().to_string(), text);
    }
}

#[test]
fn a_local_part_is_quoted_only_where_it_must_be() {
    for (meant, written) in [
        ("alice", "alice"),
        ("a.b+c", "a.b+c"),
        ("a b", "\"a b\""),
        ("a..b", "\"a..b\""),
        ("\"a\"", "\"\\\"a\\\"\""),
        ("", "\"\""),
        ("say \"hi\" \\", "\"say \\\"hi\\\" \\\\\""),
    ] {
        let local_part = LocalPart::from_unquoted(meant).unwrap();
        assert_eq!(local_part.as_str(), written);
        assert_eq!(local_part.unquoted(), meant);
    }
    assert!(LocalPart::from_unquoted("a\nb").is_err());
    assert!(LocalPart::from_unquoted(&"a".repeat(65)).is_err());
    assert!(LocalPart::from_unquoted(&" ".repeat(63)).is_err());
}

#[test]
fn a_mailbox_cannot_be_made_longer_than_a_path_holds() {
    let local_part: LocalPart = "l".repeat(64).parse().unwrap();
    let name = |octets: usize| -> DomainName {
        format!("{0}.{0}.{1}", "d".repeat(63), "e".repeat(octets - 128)).parse().unwrap()
    };
    assert!(Mailbox::new(local_part.clone(), name(189).into()).is_ok());
    let error = Mailbox::new(local_part.clone(), name(190).into()).unwrap_err();
    assert_eq!(error.reason, SyntaxReason::PathTooLong);
    let literal: AddressLiteral = "[IPv6:2001:db8:1111:2222:3333:4444:5555:6666]".parse().unwrap();
    assert!(Mailbox::new(local_part, literal.into()).is_ok());
}

#[test]
fn labels_are_read_from_both_ends() {
    let name: DomainName = "mx.Example.com".parse().unwrap();
    assert_eq!(name.labels().collect::<Vec<_>>(), ["mx", "Example", "com"]);
    assert_eq!(name.labels().next_back(), Some("com"));
    assert_eq!(name.to_lowercase(), "mx.example.com");
}
