use std::net::IpAddr;

use super::*;
use crate::aliases::Aliases;
use crate::facts::{LoginState, Service};
use crate::recipients::{LocalRecipients, LocalRules};
use crate::relay::Relay;

const ALIASES: &str =
    "all: alice, bob, carol@example.net\nroot: alice\nout: dave@example.net\nloop: loop\nutf: \"ü\"@example.net\n";

fn policy() -> Policy {
    let domains = ["example.com", "example.org", "example.edu"].map(|domain| domain.parse().unwrap());
    let rules = LocalRules { aliases: Aliases::parse(ALIASES).unwrap(), ..LocalRules::default() };
    let mut local = LocalRecipients::new(domains, rules);
    for user in ["alice", "bob"].map(LocalUser::new) {
        local.add_user(&user).unwrap();
    }
    local.add_everywhere(&LocalUser::new("alice"));
    for (user, address) in [
        ("bob", "b.b@example.org"),
        ("bob", "a.b@example.com"),
        ("bob", "sales@example.com"),
        ("alice", "sales@example.edu"),
        ("bob", "info@example.com"),
        ("bob", "info@example.edu"),
    ] {
        local.add_address(&LocalUser::new(user), &address.parse().unwrap()).unwrap();
    }
    let relay = Relay::new(vec!["10.0.0.0/8".parse().unwrap()], Vec::new());
    Policy::new("mx.example.org".parse().unwrap(), relay, Some(local))
}

fn home() -> Domain {
    "example.org".parse().unwrap()
}

fn at(client: &str) -> Facts {
    Facts::new(Service::Mx, client.parse::<IpAddr>().unwrap())
}

fn shown(reply: &Reply) -> String {
    format!("{} {} {}", reply.code(), reply.status().unwrap(), reply.text())
}

#[test]
fn names_and_addresses_are_verified() {
    let policy = policy();
    for (asked, answer) in [
        ("alice", "250 2.1.5 <alice@example.org>"),
        ("<alice>", "250 2.1.5 <alice@example.org>"),
        ("Alice@EXAMPLE.com", "250 2.1.5 <Alice@EXAMPLE.com>"),
        ("<alice+tag@example.org>", "250 2.1.5 <alice+tag@example.org>"),
        ("root", "250 2.1.5 <root@example.org>"),
        ("\"alice\"", "250 2.1.5 <\"alice\"@example.org>"),
        ("all", "250 2.1.5 <all@example.org>"),
        ("b.b", "250 2.1.5 <b.b@example.org>"),
        ("a.b", "250 2.1.5 <a.b@example.com>"),
        ("info", "250 2.1.5 <info@example.com>"),
        ("out", "251 2.1.5 User not local; will forward to <dave@example.net>"),
        ("utf", "252 2.5.0 Cannot verify; send the message and see"),
        ("x@example.net", "252 2.5.0 Cannot verify; send the message and see"),
        ("nobody", "550 5.1.1 <nobody@example.org>: no such user here"),
        ("Alice Liddell", "550 5.1.1 <\"Alice Liddell\"@example.org>: no such user here"),
        ("nobody@example.com", "550 5.1.1 <nobody@example.com>: no such user here"),
        ("bob", "550 5.1.1 <bob@example.org>: no such user here"),
        ("loop", "550 5.4.6 <loop@example.org>: the aliases of this address lead in a circle, or too far"),
        ("sales", "553 5.1.4 Ambiguous; possibilities are\n<sales@example.com>\n<sales@example.edu>"),
        ("a@b@c", "553 5.1.3 That is no name and no address"),
        ("<alice@example.org", "553 5.1.3 That is no name and no address"),
        ("<>", "553 5.1.3 That is no name and no address"),
        ("", "553 5.1.3 That is no name and no address"),
    ] {
        assert_eq!(shown(&policy.verify(&at("10.0.0.1"), asked, &home())), answer, "{asked}");
    }
}

#[test]
fn lists_are_expanded() {
    let policy = policy();
    for (asked, answer) in [
        ("all", "250 2.1.5 <alice@example.org>\n<b.b@example.org>\n<carol@example.net>"),
        ("all@example.com", "250 2.1.5 <alice@example.org>\n<b.b@example.org>\n<carol@example.net>"),
        ("alice", "250 2.1.5 <alice@example.org>"),
        ("sales@example.com", "250 2.1.5 <b.b@example.org>"),
        ("root", "250 2.1.5 <alice@example.org>"),
        ("out", "250 2.1.5 <dave@example.net>"),
        ("utf", "252 2.5.0 Cannot verify; send the message and see"),
        ("list@example.net", "550 5.1.1 That is no list of this server"),
        ("nobody", "550 5.1.1 <nobody@example.org>: no such user here"),
        ("a@b@c", "553 5.1.3 That is no name and no address"),
    ] {
        assert_eq!(shown(&policy.expand(&at("10.0.0.1"), asked, &home())), answer, "{asked}");
    }
}

/// RFC 5321 §7.3: to strangers all answers are the same.
#[test]
fn strangers_learn_nothing() {
    let policy = policy();
    let stranger = at("192.0.2.1");
    for asked in ["alice", "nobody", "sales", "a@b@c", "x@example.net"] {
        assert_eq!(policy.verify(&stranger, asked, &home()), CANNOT_VERIFY);
        assert_eq!(policy.expand(&stranger, asked, &home()), NOT_SHOWN);
    }
    for friend in [stranger.with_login(LoginState::Done), Facts::of_local_user(), at("::ffff:10.0.0.1")] {
        assert_eq!(shown(&policy.verify(&friend, "alice", &home())), "250 2.1.5 <alice@example.org>");
    }
    assert!(!policy.may_ask(&stranger.with_login(LoginState::Missing)));
}

#[test]
fn without_local_domains_nobody_is_known() {
    let policy = Policy::new("mx.example.org".parse().unwrap(), Relay::default(), None);
    assert_eq!(policy.verify(&Facts::of_local_user(), "alice", &home()), CANNOT_VERIFY);
    assert_eq!(policy.expand(&Facts::of_local_user(), "alice", &home()), NO_LIST);
}
