use super::*;
use crate::SyntaxReason as R;
use crate::syntax::whole;

fn ok_path(text: &str) -> Mailbox {
    match whole(text.as_bytes(), reverse_path) {
        Ok(ReversePath::Mailbox(mailbox)) => mailbox,
        other => panic!("{text}: {other:?}"),
    }
}

fn refused(text: impl AsRef<[u8]>) -> (usize, R) {
    let error = whole(text.as_ref(), forward_path).expect_err(&String::from_utf8_lossy(text.as_ref()));
    (error.offset, error.reason)
}

#[test]
fn reverse_path_is_a_path_or_null() {
    assert_eq!(whole(b"<>", reverse_path), Ok(ReversePath::Null));
    assert_eq!(ok_path("<a@example.com>").to_string(), "a@example.com");
    assert!(whole(b"< >", reverse_path).is_err());
    assert!(whole(b"", reverse_path).is_err());
}

#[test]
fn forward_path_is_a_path_or_postmaster_in_any_case() {
    for text in ["<Postmaster>", "<postmaster>", "<POSTMASTER>"] {
        assert_eq!(whole(text.as_bytes(), forward_path), Ok(ForwardPath::Postmaster));
    }
    let with_domain = whole(b"<Postmaster@example.com>", forward_path).unwrap();
    assert_eq!(with_domain.to_string(), "<Postmaster@example.com>");
    assert_eq!(refused("<>"), (1, R::LocalPart));
    assert_eq!(refused("<root>"), (5, R::AtExpected));
}

#[test]
fn a_path_stands_in_brackets_and_nothing_follows_it() {
    assert_eq!(refused("a@example.com"), (0, R::PathStart));
    assert_eq!(refused("<a@example.com"), (14, R::PathEnd));
    assert_eq!(refused("<a@example.com "), (14, R::PathEnd));
    assert_eq!(refused("<<a@example.com>>"), (1, R::LocalPart));
    assert_eq!(refused("<a@example.com>>"), (15, R::EndExpected));
    assert_eq!(refused("< a@example.com>"), (1, R::LocalPart));
}

#[test]
fn a_source_route_is_read_and_dropped() {
    assert_eq!(ok_path("<@one.example:a@b.example>").to_string(), "a@b.example");
    assert_eq!(ok_path("<@one.example,@two.example:a@b>").to_string(), "a@b");
    assert_eq!(refused("<@one.example>"), (13, R::SourceRoute));
    assert_eq!(refused("<@one.example,two.example:a@b>"), (14, R::SourceRoute));
    assert_eq!(refused("<@:a@b>"), (2, R::Domain));
}

#[test]
fn a_dot_string_is_atoms_with_single_dots() {
    for local in ["a", "a.b.c", "!#$%&'*+-/=?^_`{|}~", "1", "SRS0=aB1c=xy=shop.example=news", "a%b.example", "b!a"] {
        let mailbox = ok_path(&format!("<{local}@example.com>"));
        assert_eq!(mailbox.local_part().as_str(), local);
        assert!(!mailbox.local_part().is_quoted());
    }
    for (text, offset) in [("<.a@b>", 1), ("<a.@b>", 3), ("<a..c@b>", 3)] {
        assert_eq!(refused(text), (offset, R::LocalPart), "{text}");
    }
    for text in ["<a b@c>", "<a,b@c>", "<a(b)@c>", "<a\\b@c>", "<a\"b\"@c>", "<a:b@c>", "<a;b@c>", "<a[b@c>"] {
        assert_eq!(refused(text), (2, R::AtExpected), "{text}");
    }
}

#[test]
fn a_quoted_string_keeps_its_quotes_and_pairs() {
    for (local, meant) in [
        (r#""a b""#, "a b"),
        (r#""a@b""#, "a@b"),
        (r#""""#, ""),
        (r#""\"""#, "\""),
        (r#""a\\b\ c""#, "a\\b c"),
        (r#""<>,;:()[]""#, "<>,;:()[]"),
        (r#""..""#, ".."),
        ("\"gr\u{fc}\u{df}e an\"", "gr\u{fc}\u{df}e an"),
    ] {
        let mailbox = ok_path(&format!("<{local}@example.com>"));
        assert_eq!(mailbox.local_part().as_str(), local);
        assert!(mailbox.local_part().is_quoted());
        assert_eq!(mailbox.local_part().unquoted(), meant);
    }
    assert_eq!(refused(r#"<"a@b>"#), (6, R::LocalPart));
    assert_eq!(refused(r#"<"a"b@c>"#), (4, R::AtExpected));
    assert_eq!(refused("<\"a\tb\"@c>"), (3, R::LocalPart));
    assert_eq!(refused("<\"a\\\r\n\"@c>"), (4, R::LocalPart));
}

#[test]
fn local_parts_in_utf8_are_taken_and_marked() {
    let mailbox = ok_path("<\u{7528}\u{6237}@example.com>");
    assert!(!mailbox.is_ascii() && mailbox.domain().is_ascii());
    assert!(!ok_path("<a@b\u{fc}cher.example>").is_ascii());
    assert!(ok_path("<a@b.example>").is_ascii());
    // Not UTF-8: a lone continuation octet, an overlong form, a surrogate.
    for octets in [&b"<\x80@b>"[..], b"<\xc0\xaf@b>", b"<\xed\xa0\x80@b>"] {
        assert_eq!(refused(octets), (1, R::LocalPart));
    }
    // A control character of UTF-8.
    assert_eq!(refused("<a\u{85}b@c>"), (1, R::LocalPart));
}

#[test]
fn a_domain_is_labels_of_letters_digits_and_inner_hyphens() {
    for domain in [
        "b",
        "example.com",
        "EXAMPLE.Com",
        "a-b.c--d.example",
        "1.2.3.4",
        "xn--bcher-kva.example",
        "b\u{fc}cher.example",
    ] {
        assert_eq!(ok_path(&format!("<a@{domain}>")).domain().to_string(), domain);
    }
    for text in ["<a@>", "<a@.b>", "<a@b..c>", "<a@b.>", "<a@-b>", "<a@b->", "<a@b-.c>", "<a@_b>", "<a@*.c>"] {
        assert_eq!(refused(text).1, R::Domain, "{text}");
    }
    for text in ["<a@b_c>", "<a@b@c>", "<a@b c>", "<a@b,c>", "<a@b\r>", "<a@b\0>"] {
        assert_eq!(refused(text), (4, R::PathEnd), "{text:?}");
    }
}

#[test]
fn a_domain_holds_nothing_that_others_take_for_a_dot_or_a_space() {
    for character in ['\u{3002}', '\u{ff0e}', '\u{ff61}', '\u{a0}', '\u{2003}', '\u{85}'] {
        assert_eq!(refused(format!("<a@b{character}example>")), (3, R::Domain), "{character:?}");
    }
}

#[test]
fn an_address_literal_is_typed() {
    let address = |text: &str| match ok_path(text).domain() {
        Domain::Literal(AddressLiteral(address)) => *address,
        Domain::Name(name) => panic!("{name}"),
    };
    assert_eq!(address("<a@[127.0.0.1]>"), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(address("<a@[IPv6:2001:db8::7]>").to_string(), "2001:db8::7");
    assert_eq!(address("<a@[IPV6:2001:DB8::7]>").to_string(), "2001:db8::7");
    assert_eq!(address("<a@[ipv6:::ffff:192.0.2.1]>").to_string(), "::ffff:192.0.2.1");
    for text in [
        "<a@[]>",
        "<a@[127.0.0]>",
        "<a@[127.0.0.256]>",
        "<a@[0127.0.0.1]>",
        "<a@[2001:db8::7]>",
        "<a@[IPv6:]>",
        "<a@[IPv6:1:2]>",
        "<a@[IPv6:fe80::1%eth0]>",
        "<a@[X-net:abc]>",
        "<a@[127.0.0.1>",
        "<a@[ 127.0.0.1]>",
        "<a@[example.com]>",
    ] {
        assert_eq!(refused(text), (3, R::AddressLiteral), "{text}");
    }
}

#[test]
fn the_limits_of_section_4_5_3_1_hold() {
    let label = "d".repeat(63);
    let domain_255 = format!("{label}.{label}.{label}.{label}");
    assert_eq!(domain_255.len(), 255);
    assert!(domain_255.parse::<DomainName>().is_ok());
    assert_eq!(format!("{domain_255}.e").parse::<DomainName>().unwrap_err().reason, R::DomainTooLong);
    assert_eq!(format!("{label}d.e").parse::<DomainName>().unwrap_err().reason, R::DomainTooLong);

    let local_64 = "l".repeat(64);
    assert!(local_64.parse::<LocalPart>().is_ok());
    assert_eq!(format!("{local_64}l").parse::<LocalPart>().unwrap_err().reason, R::LocalPartTooLong);

    let domain_189 = format!("{label}.{label}.{}", "d".repeat(61));
    let longest = format!("<{local_64}@{domain_189}>");
    assert_eq!(longest.len(), 256);
    assert_eq!(ok_path(&longest).to_string().len(), 254);
    assert_eq!(refused(format!("<{local_64}@{domain_189}d>")).1, R::PathTooLong);
    // The path is limited as a whole, route and all.
    assert_eq!(refused(format!("<@r.example:{local_64}@{domain_189}>")), (0, R::PathTooLong));
}

#[test]
fn labels_in_utf8_are_counted_in_characters() {
    assert!("\u{7528}".repeat(63).parse::<DomainName>().is_ok());
    assert_eq!("\u{7528}".repeat(64).parse::<DomainName>().unwrap_err().reason, R::DomainTooLong);
}
