use proptest::prelude::*;

use super::AddressListReason::{Domain as NoDomain, Expected, LocalPart as NoLocalPart, NotText, Unclosed};
use super::*;

/// The addresses of a list, joined by spaces.
fn read(list: &str) -> String {
    let addresses = parse(list.as_bytes()).unwrap_or_else(|error| panic!("{list:?}: {error}"));
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn lists_are_read_as_rfc_5322_says() {
    for (list, addresses) in [
        ("", ""),
        (" \r\n ", ""),
        ("alice@example.org", "alice@example.org"),
        ("root", "root"),
        ("root, alice@example.org,bob", "root alice@example.org bob"),
        // RFC 5322 appendix A.1.
        ("John Doe <jdoe@machine.example>", "jdoe@machine.example"),
        ("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>", "mary@x.test jdoe@example.org one@y.test"),
        (
            "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
            "boss@nil.test sysservices@example.net",
        ),
        ("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;", "c@a.test joe@where.test jdoe@one.test"),
        ("Undisclosed recipients:;", ""),
        // A.5: comments and folds.
        ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "pete@silly.test"),
        (
            "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n  \
             John <jdoe@one.test> (my dear friend); (the end of the group)",
            "c@public.example joe@example.org jdoe@one.test",
        ),
        ("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", ""),
        // A.6: the obsolete forms.
        ("Joe Q. Public <john.q.public@example.com>", "john.q.public@example.com"),
        (
            "Mary Smith <@node.test,@other.test:mary@example.net>, , jdoe@test  . example",
            "mary@example.net jdoe@test.example",
        ),
        (",,alice@example.org,", "alice@example.org"),
        ("\"alice\" . b@example.org", "alice.b@example.org"),
        // Quoting is kept where it is needed, and only there.
        ("\"a b\"@example.org", "\"a b\"@example.org"),
        ("\"alice\"@example.org", "alice@example.org"),
        ("\"a@b\"@example.org, \"x\\\"y\"@example.org", "\"a@b\"@example.org \"x\\\"y\"@example.org"),
        ("<root>", "root"),
        ("alice@[192.0.2.1], bob@[IPv6:2001:db8::1]", "alice@[192.0.2.1] bob@[IPv6:2001:db8::1]"),
        ("Jürgen <jürgen@exämple.org>", "jürgen@exämple.org"),
        ("a:b@example.org;, c@example.org", "b@example.org c@example.org"),
    ] {
        assert_eq!(read(list), addresses, "{list:?}");
    }
}

#[test]
fn what_could_be_meant_for_somebody_else_is_no_address() {
    for (list, offset, reason) in [
        ("John Doe", 0, NoLocalPart),
        ("alice@example.org bob@example.org", 18, Expected),
        ("x, John Doe, y", 3, NoLocalPart),
        ("<>", 1, NoLocalPart),
        ("<alice@example.org", 18, Expected),
        ("<alice@example.org> bob", 20, Expected),
        ("alice@", 6, NoDomain),
        ("alice@-x-", 6, NoDomain),
        ("alice@[x]", 6, NoDomain),
        ("alice@[192.0.2.1", 6, Unclosed),
        ("@example.org", 0, NoLocalPart),
        (".alice@example.org", 0, NoLocalPart),
        ("a..b@example.org", 0, NoLocalPart),
        ("a.@example.org", 0, NoLocalPart),
        ("alice (", 6, Unclosed),
        ("\"alice", 0, Unclosed),
        ("\"alice\\", 0, Unclosed),
        ("group: alice@example.org", 24, Unclosed),
        ("a: b: c@example.org;;", 4, Expected),
        ("alice@example.org;", 17, Expected),
        (": alice;", 0, Expected),
        ("alice\0@example.org", 5, Expected),
        ("\"a\0\"@example.org", 2, NotText),
        ("alice@example.org>", 17, Expected),
        ("alice;bob", 5, Expected),
    ] {
        assert_eq!(parse(list.as_bytes()), Err(AddressListError { offset, reason }), "{list:?}");
    }
    assert_eq!(parse(b"a\xff").unwrap_err().reason, NotText);
}

#[test]
fn an_address_without_a_domain_is_at_the_one_given() {
    let domain: Domain = "example.org".parse().unwrap();
    let mailboxes = parse(b"root, bob@example.net").unwrap();
    let mailboxes: Vec<_> = mailboxes.into_iter().map(|address| address.at(&domain).unwrap().to_string()).collect();
    assert_eq!(mailboxes, ["root@example.org", "bob@example.net"]);
}

proptest! {
    #[test]
    fn no_text_panics(list in "[ -~\r\n\tü]{0,40}") {
        let _ = parse(list.as_bytes());
    }

    #[test]
    fn octets_do_not_panic(list in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = parse(&list);
    }

    #[test]
    fn what_was_read_is_read_again(list in "[a-c\",<>@.:; ]{0,20}") {
        if let Ok(addresses) = parse(list.as_bytes()) {
            let written: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            prop_assert_eq!(parse(written.join(",").as_bytes()).unwrap(), addresses);
        }
    }
}
