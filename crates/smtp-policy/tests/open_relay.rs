//! The open-relay table: every way that we know of to send through a server that one may not send through.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use smtp_mail::LocalUser;
use smtp_policy::aliases::Aliases;
use smtp_policy::recipients::{LocalRules, Target};
use smtp_policy::{Facts, LocalRecipients, Policy, Relay, Service, Verdict};
use smtp_proto::{Command, Rcpt};

const STRANGER: &str = "203.0.113.9";
const CLIENT: &str = "10.1.2.3";

/// mx.example.org: example.org is local, 10.0.0.0/8 may send to anywhere, anybody to corp.example and *.dept.example.
fn policy() -> Policy {
    let aliases = Aliases::parse("postmaster: alice\nfwd: far@example.net\nlist: alice, bob\n").unwrap();
    let rules = LocalRules { aliases, ..LocalRules::default() };
    let mut local = LocalRecipients::new(["example.org".parse().unwrap()], rules);
    for user in ["alice", "bob"].map(LocalUser::new) {
        local.add_user(&user).unwrap();
        local.add_everywhere(&user);
    }
    let networks = vec!["10.0.0.0/8".parse().unwrap(), "2001:db8:1::/48".parse().unwrap()];
    let domains = ["corp.example", "*.dept.example"].map(|pattern| pattern.parse().unwrap()).to_vec();
    Policy::new("mx.example.org".parse().unwrap(), Relay::new(networks, domains), Some(local))
}

/// The code of the answer, as a client sees it: what cannot be parsed is a 501.
fn code(policy: &Policy, service: Service, client: &str, line: &str) -> u16 {
    match Command::parse(line.as_bytes()) {
        Ok(Command::Rcpt(rcpt)) => {
            verdict(policy, service, client, &rcpt).refusal().map_or(250, |reply| reply.code().number())
        }
        Ok(_) => panic!("{line} is no RCPT"),
        Err(_) => 501,
    }
}

fn verdict(
    policy: &Policy,
    service: Service,
    client: &str,
    rcpt: &Rcpt,
) -> Verdict<smtp_policy::recipients::Expansion> {
    policy.rcpt(&Facts::new(service, client.parse::<IpAddr>().unwrap()), rcpt)
}

/// What a stranger tries, and the answer.
const REFUSED: &[(&str, u16)] = &[
    // Plainly.
    ("RCPT TO:<victim@example.net>", 550),
    ("RCPT TO:<VICTIM@EXAMPLE.NET>", 550),
    ("RCPT TO:<alice@example.net>", 550),
    ("RCPT TO:<postmaster@example.net>", 550),
    ("RCPT TO:<\"victim\"@example.net>", 550),
    ("RCPT TO:victim@example.net", 501),
    ("RCPT TO: victim@example.net", 501),
    ("RCPT TO:<victim>", 501),
    ("RCPT TO:<>", 501),
    ("RCPT TO:<@example.net>", 501),
    ("RCPT TO:<victim@>", 501),
    // Percent hack (RFC 5321 §7.9 is against all such routing).
    ("RCPT TO:<victim%example.net@example.org>", 550),
    ("RCPT TO:<victim%example.net@mx.example.org>", 550),
    ("RCPT TO:<victim%example.net@[192.0.2.25]>", 550),
    ("RCPT TO:<victim%example.net@localhost>", 550),
    ("RCPT TO:<\"victim%example.net\"@example.org>", 550),
    ("RCPT TO:<victim%example.net%example.org@example.org>", 550),
    ("RCPT TO:<victim%[198.51.100.7]@example.org>", 501),
    ("RCPT TO:<victim%example.net>", 501),
    ("RCPT TO:<alice%example.net@example.org>", 550),
    ("RCPT TO:<alice+%example.net@example.net>", 550),
    // Percent hack by way of a domain that anybody may send to.
    ("RCPT TO:<victim%example.net@corp.example>", 550),
    ("RCPT TO:<victim%example.net@a.dept.example>", 550),
    ("RCPT TO:<\"victim%example.net\"@corp.example>", 550),
    // Bang paths.
    ("RCPT TO:<example.net!victim>", 501),
    ("RCPT TO:<example.net!victim@example.org>", 550),
    ("RCPT TO:<mx.example.org!example.net!victim@example.org>", 550),
    ("RCPT TO:<example.org!example.net!victim>", 501),
    ("RCPT TO:<example.net!victim@corp.example>", 550),
    ("RCPT TO:<\"example.net!victim\"@corp.example>", 550),
    ("RCPT TO:<victim%example.net!x@example.org>", 550),
    // Source routes (RFC 5321 appendix C): dropped, so that only the last address counts.
    ("RCPT TO:<@example.org:victim@example.net>", 550),
    ("RCPT TO:<@mx.example.org:victim@example.net>", 550),
    ("RCPT TO:<@example.org,@corp.example:victim@example.net>", 550),
    ("RCPT TO:<@example.net:victim@example.org>", 550),
    ("RCPT TO:<@[192.0.2.25]:victim@example.net>", 501),
    ("RCPT TO:<@corp.example:victim%example.net@corp.example>", 550),
    ("RCPT TO:<@example.org:@example.net:victim@example.net>", 501),
    ("RCPT TO:<@example.org;victim@example.net>", 501),
    ("RCPT TO:@example.org:victim@example.net", 501),
    // Quotes around another address.
    ("RCPT TO:<\"victim@example.net\"@example.org>", 550),
    ("RCPT TO:<\"victim@example.net\"@corp.example>", 550),
    ("RCPT TO:<\"<victim@example.net>\"@corp.example>", 550),
    ("RCPT TO:<\"@corp.example:victim@example.net\"@corp.example>", 550),
    ("RCPT TO:<\"victim\\@example.net\"@corp.example>", 550),
    ("RCPT TO:<\"corp.example:victim\"@corp.example>", 550),
    ("RCPT TO:<\"victim@example.net\">", 501),
    ("RCPT TO:<\"victim@example.net\"@>", 501),
    ("RCPT TO:<victim@example.net@example.org>", 501),
    ("RCPT TO:<victim@example.net@corp.example>", 501),
    ("RCPT TO:<victim(comment)@example.net>", 501),
    ("RCPT TO:<victim@example.net(@example.org)>", 501),
    ("RCPT TO:<\"alice\"victim@example.net>", 501),
    // Address literals, ours and others.
    ("RCPT TO:<victim@[198.51.100.7]>", 550),
    ("RCPT TO:<victim@[127.0.0.1]>", 550),
    ("RCPT TO:<victim@[192.0.2.25]>", 550),
    ("RCPT TO:<victim@[IPv6:2001:db8::7]>", 550),
    ("RCPT TO:<victim@[IPv6:::ffff:198.51.100.7]>", 550),
    ("RCPT TO:<victim@[10.0.0.1]>", 550),
    ("RCPT TO:<victim@198.51.100.7>", 550),
    ("RCPT TO:<victim@[example.org]>", 501),
    ("RCPT TO:<victim@[dns:example.net]>", 501),
    ("RCPT TO:<victim@0xc6336407>", 550),
    // Look-alikes of our domains.
    ("RCPT TO:<victim@example.org.example.net>", 550),
    ("RCPT TO:<victim@example.org.>", 501),
    ("RCPT TO:<victim@sub.example.org>", 550),
    ("RCPT TO:<victim@notexample.org>", 550),
    ("RCPT TO:<victim@example.orgs>", 550),
    ("RCPT TO:<victim@example.or>", 550),
    ("RCPT TO:<victim@evilcorp.example>", 550),
    ("RCPT TO:<victim@sub.corp.example>", 550),
    ("RCPT TO:<victim@corp.example.net>", 550),
    ("RCPT TO:<victim@dept.example>", 550),
    ("RCPT TO:<victim@evildept.example>", 550),
    ("RCPT TO:<victim@dept.example.net>", 550),
    ("RCPT TO:<victim@ex\u{430}mple.org>", 550),
    ("RCPT TO:<victim@example\u{3002}org>", 501),
    // Octets that one server reads and another does not.
    ("RCPT TO:<victim@example.net\0@example.org>", 501),
    ("RCPT TO:<victim@example.net\r\n@example.org>", 501),
    ("RCPT TO:<victim@example.net >", 501),
    ("RCPT TO:<victim@example.org\t.example.net>", 501),
    ("RCPT TO:<alice@example.org> <victim@example.net>", 501),
    ("RCPT TO:<alice@example.org>,<victim@example.net>", 501),
    ("RCPT TO:<alice@example.org,victim@example.net>", 501),
    ("RCPT TO:<alice@example.org;victim@example.net>", 501),
    // Aliases and tags open nothing.
    ("RCPT TO:<fwd@example.net>", 550),
    ("RCPT TO:<nobody+victim@example.org>", 550),
    ("RCPT TO:<nobody+victim=example.net@example.org>", 550),
    ("RCPT TO:<|cat@example.org>", 550),
    ("RCPT TO:</etc/passwd@example.org>", 550),
    ("RCPT TO:<\":include:/etc/passwd\"@example.org>", 550),
];

#[test]
fn a_stranger_is_refused_whatever_is_tried() {
    let policy = policy();
    assert!(REFUSED.len() >= 60);
    for service in [Service::Mx, Service::Submission] {
        for &(line, expected) in REFUSED {
            assert_eq!(code(&policy, service, STRANGER, line), expected, "{line}");
        }
    }
}

#[test]
fn it_is_the_address_of_the_client_that_counts_and_nothing_that_it_says() {
    let policy = policy();
    for client in [
        "11.0.0.1",
        "9.255.255.255",
        "127.0.0.1",
        "::1",
        "2001:db8:2::1",
        "::ffff:203.0.113.9",
        "::10.1.2.3",
        "0.0.0.0",
    ] {
        assert_eq!(code(&policy, Service::Mx, client, "RCPT TO:<victim@example.net>"), 550, "{client}");
    }
    for client in [CLIENT, "10.255.255.255", "2001:db8:1::1", "::ffff:10.1.2.3"] {
        assert_eq!(code(&policy, Service::Mx, client, "RCPT TO:<victim@example.net>"), 250, "{client}");
    }
}

#[test]
fn what_is_allowed_goes_where_it_should() {
    let policy = policy();
    let user = |name| Target::User(LocalUser::new(name));
    let mailbox = |address: &str| Target::Mailbox(address.parse().unwrap());
    for (client, line, targets) in [
        (STRANGER, "RCPT TO:<alice@example.org>", vec![user("alice")]),
        (STRANGER, "RCPT TO:<ALICE+shop@EXAMPLE.org>", vec![user("alice")]),
        (STRANGER, "RCPT TO:<\"bob\"@example.org>", vec![user("bob")]),
        (STRANGER, "RCPT TO:<list@example.org>", vec![user("alice"), user("bob")]),
        (STRANGER, "RCPT TO:<postmaster>", vec![user("alice")]),
        (STRANGER, "RCPT TO:<Postmaster@example.org>", vec![user("alice")]),
        (STRANGER, "RCPT TO:<fwd@example.org>", vec![mailbox("far@example.net")]),
        (STRANGER, "RCPT TO:<@example.net:alice@example.org>", vec![user("alice")]),
        (STRANGER, "RCPT TO:<any.one@corp.example>", vec![mailbox("any.one@corp.example")]),
        (STRANGER, "RCPT TO:<any.one@CORP.example>", vec![mailbox("any.one@corp.example")]),
        (STRANGER, "RCPT TO:<\"odd user\"@a.b.dept.example>", vec![mailbox("\"odd user\"@a.b.dept.example")]),
        (CLIENT, "RCPT TO:<far@example.net>", vec![mailbox("far@example.net")]),
        (CLIENT, "RCPT TO:<far%away@example.net>", vec![mailbox("far%away@example.net")]),
        (CLIENT, "RCPT TO:<\"a@b\"@example.net>", vec![mailbox("\"a@b\"@example.net")]),
        (CLIENT, "RCPT TO:<@x.example:far@example.net>", vec![mailbox("far@example.net")]),
        (CLIENT, "RCPT TO:<far@[198.51.100.7]>", vec![mailbox("far@[198.51.100.7]")]),
        (CLIENT, "RCPT TO:<alice@example.org>", vec![user("alice")]),
    ] {
        let Ok(Command::Rcpt(rcpt)) = Command::parse(line.as_bytes()) else { panic!("{line}") };
        let accepted = verdict(&policy, Service::Mx, client, &rcpt).into_result().unwrap();
        assert_eq!(accepted.targets, targets, "{line}");
    }
    for line in ["RCPT TO:<nobody@example.org>", "RCPT TO:<victim%example.net@example.org>"] {
        assert_eq!(code(&policy, Service::Mx, CLIENT, line), 550, "a client is refused unknown users too: {line}");
    }
}

#[test]
fn each_refusal_says_why() {
    let aliases = Aliases::parse("postmaster: alice\nx: y\ny: x\nmany: a@a.example, b@b.example").unwrap();
    let limits = smtp_policy::recipients::ExpansionLimits { recipients: 1, ..Default::default() };
    let mut local =
        LocalRecipients::new(["example.org".parse().unwrap()], LocalRules { aliases, limits, ..Default::default() });
    local.add_user(&LocalUser::new("alice")).unwrap();
    let relay = Relay::new(Vec::new(), vec!["corp.example".parse().unwrap()]);
    let policy = Policy::new("mx.example.org".parse().unwrap(), relay, Some(local));
    let reply = |line: &str| {
        let rcpt = Rcpt::parse(line.as_bytes()).unwrap();
        let refusal = verdict(&policy, Service::Mx, STRANGER, &rcpt).into_result().unwrap_err();
        format!("{} {} {}", refusal.code(), refusal.status().unwrap(), refusal.text())
    };
    for (line, expected) in [
        ("RCPT TO:<nobody@example.org>", "550 5.1.1 <nobody@example.org>: no such user here"),
        (
            "RCPT TO:<victim@example.net>",
            "550 5.7.1 <victim@example.net>: this is no address of this server, and [203.0.113.9] may not send through it",
        ),
        (
            "RCPT TO:<a%b@corp.example>",
            "550 5.7.1 <a%b@corp.example>: a route to another host is not taken in a local part",
        ),
        (
            "RCPT TO:<x@example.org>",
            "550 5.4.6 <x@example.org>: the aliases of this address lead in a circle, or too far",
        ),
        ("RCPT TO:<many@example.org>", "550 5.5.3 <many@example.org>: this address stands for too many recipients"),
        ("RCPT TO:<n\u{f6}body@example.org>", "550 5.1.1 No such user here"),
    ] {
        assert_eq!(reply(line), expected);
    }
}

#[test]
fn submission_is_for_the_client_networks() {
    let policy = policy();
    let mail = |service, client: &str| policy.mail(&Facts::new(service, client.parse().unwrap()));
    for (service, client) in [(Service::Mx, STRANGER), (Service::Mx, CLIENT), (Service::Submission, CLIENT)] {
        assert_eq!(mail(service, client), Verdict::Accept(()));
    }
    let refusal = mail(Service::Submission, STRANGER).into_result().unwrap_err();
    assert_eq!(
        (refusal.code().number(), refusal.text()),
        (550, "This service is for the clients of this network only")
    );
}

#[test]
fn without_local_domains_only_clients_are_served() {
    let relay = Relay::new(smtp_policy::Network::LOOPBACK.to_vec(), Vec::new());
    let policy = Policy::new("app1.example.com".parse().unwrap(), relay, None);
    for line in ["RCPT TO:<far@example.net>", "RCPT TO:<postmaster>", "RCPT TO:<alice@app1.example.com>"] {
        assert_eq!(code(&policy, Service::Submission, "127.0.0.1", line), 250, "{line}");
        assert_eq!(code(&policy, Service::Submission, "::1", line), 250, "{line}");
        assert_eq!(code(&policy, Service::Submission, STRANGER, line), 550, "{line}");
    }
    let Ok(Command::Rcpt(rcpt)) = Command::parse(b"RCPT TO:<Postmaster>") else { panic!("it is a RCPT") };
    let accepted = verdict(&policy, Service::Submission, "::1", &rcpt).into_result().unwrap();
    assert_eq!(accepted.targets, [Target::Mailbox("postmaster@app1.example.com".parse().unwrap())]);
}
