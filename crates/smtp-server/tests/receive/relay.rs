//! Who may send on through this server: the client networks to anywhere, anybody to the domains that are named, nobody else.

use std::time::SystemTime;

use smtp_server::metrics::{AttemptResult, Service};
use smtp_testkit::peer::{Peer, Script};

use crate::client::{OTHER, hello_from};
use crate::house::House;

/// Senders that servers were talked into trusting.
const SENDERS: &[&str] = &[
    "<>",
    "<someone@example.net>",
    "<alice@example.org>",
    "<postmaster@example.org>",
    "<admin@mx.example.org>",
    "<alice@[127.0.0.1]>",
    "<\"alice@example.org\"@example.net>",
    "<@example.org:alice@example.org>",
];

/// Recipients that are neither here nor in a domain that is relayed for, in all the ways that were tried on servers.
const RECIPIENTS: &[&str] = &[
    // Plain.
    "<victim@example.net>",
    "<victim@EXAMPLE.NET>",
    "<postmaster@example.net>",
    "<\"victim\"@example.net>",
    "<\"\"@example.net>",
    "<alice@example.net>",
    "<alice+tag@example.net>",
    // Source routes, which are dropped (RFC 5321 appendix C).
    "<@example.org:victim@example.net>",
    "<@mx.example.org:victim@example.net>",
    "<@corp.example:victim@example.net>",
    "<@example.org,@mx.example.org:victim@example.net>",
    // The percent hack.
    "<victim%example.net@example.org>",
    "<alice%example.net@example.org>",
    "<victim%example.net%corp.example@example.org>",
    "<victim%example.net@mx.example.org>",
    "<\"victim%example.net\"@example.org>",
    "<victim%example.net@corp.example>",
    "<\"victim%example.net\"@corp.example>",
    "<victim%example.net@[127.0.0.1]>",
    // Bang paths.
    "<example.net!victim@example.org>",
    "<example.net!alice@example.org>",
    "<\"example.net!victim\"@example.org>",
    "<example.net!victim@corp.example>",
    "<mx.example.org!example.net!victim@corp.example>",
    "<example.net!victim@mx.example.org>",
    // A whole address, or a route, as a local part.
    "<\"victim@example.net\"@example.org>",
    "<\"victim\\@example.net\"@example.org>",
    "<\"victim@example.net\"@corp.example>",
    "<\"victim@example.net\"@mx.example.org>",
    "<\"victim@example.net\"@[127.0.0.1]>",
    "<\"@example.net:victim\"@corp.example>",
    "<\"@example.net:victim@there\"@example.org>",
    "<\"<victim@example.net>\"@corp.example>",
    // Address literals, this machine's own too.
    "<victim@[192.0.2.1]>",
    "<victim@[127.0.0.1]>",
    "<alice@[127.0.0.1]>",
    "<victim@[IPv6:2001:db8::1]>",
    "<victim@[IPv6:::1]>",
    "<alice@[IPv6:::ffff:127.0.0.1]>",
    // Look-alikes of domains that are taken.
    "<alice@example.org.example.net>",
    "<alice@example.net.example.org>",
    "<alice@xexample.org>",
    "<alice@example.orgx>",
    "<alice@example.com>",
    "<alice@example>",
    "<alice@org>",
    "<alice@mx.example.org>",
    "<alice@www.example.org>",
    "<alice@xn--exmple-cua.org>",
    "<x@corp.example.net>",
    "<x@notcorp.example>",
    "<x@sub.corp.example>",
    "<x@example>",
    "<x@localhost>",
    // Nobody's local parts in a domain of ours.
    "<nobody@example.org>",
    "<nobody+alice@example.org>",
    "<\"alice \"@example.org>",
    "<\" alice\"@example.org>",
    "<\"al ice\"@example.org>",
];

/// What a lenient reader would find a recipient in, and what is no path.
const MALFORMED: &[&str] = &[
    "<victim@example.net@example.org>",
    "<alice@example.org@example.net>",
    "<victim@example.net%example.org>",
    "<victim@example.net,alice@example.org>",
    "<alice@example.org> <victim@example.net>",
    "<alice@example.org><victim@example.net>",
    "<alice@example.org victim@example.net>",
    "<@[127.0.0.1]:victim@example.net>",
    "<@example.org>",
    "<victim>",
    "<victim@>",
    "<victim@example.net.>",
    "<.alice@example.org>",
    "<alice..x@example.org>",
    "<\"alice\"\"victim\"@example.org>",
    "<alice(victim@example.net)@example.org>",
];

fn relaying(peer: &Peer) -> String {
    format!(
        "[relay]\nnetworks = [\"{OTHER}/32\"]\ndomains = [\"corp.example\"]\n[[route]]\nrecipients = [\"*\"]\nto = \"smtp://{}\"\ntls = \"none\"\n",
        peer.address()
    )
}

#[tokio::test]
async fn nobody_relays_through_mx() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&relaying(&peer)).await;
    let mut refused = 0;
    for sender in SENDERS {
        let mut dialogue = hello_from("127.0.0.1", house.address(Service::Mx, false)).await;
        let reply = dialogue.ask(&format!("MAIL FROM:{sender}")).await;
        assert!(reply.starts_with("250 "), "{sender}: {reply}");
        for recipient in RECIPIENTS {
            let reply = dialogue.ask(&format!("RCPT TO:{recipient}")).await;
            assert!(reply.starts_with("550 5."), "{sender} to {recipient}: {reply}");
            refused += 1;
        }
        for malformed in MALFORMED {
            let reply = dialogue.ask(&format!("RCPT TO:{malformed}")).await;
            assert!(reply.starts_with("501 5."), "{sender} to {malformed}: {reply}");
        }
        let reply = dialogue.ask("DATA").await;
        assert!(reply.starts_with("554 5.5.1 "), "{reply}");
    }
    assert!(refused >= 60, "{refused}");
    nothing_came_of_it(&mut house, &peer).await;
}

#[tokio::test]
async fn nobody_relays_through_submission() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&relaying(&peer)).await;
    let mut dialogue = hello_from("127.0.0.1", house.address(Service::Submission, false)).await;
    for sender in SENDERS {
        let reply = dialogue.ask(&format!("MAIL FROM:{sender}")).await;
        assert!(reply.starts_with("550 5.7.1 "), "{sender}: {reply}");
        // In one group with MAIL, as clients send them: there is no transaction that they could be part of.
        let group: String = RECIPIENTS.iter().flat_map(|recipient| ["RCPT TO:", recipient, "\r\n"]).collect();
        dialogue.write(format!("MAIL FROM:{sender}\r\n{group}DATA\r\n").as_bytes()).await;
        let reply = dialogue.reply().await;
        assert!(reply.starts_with("550 5.7.1 "), "{sender}: {reply}");
        for recipient in RECIPIENTS {
            let reply = dialogue.reply().await;
            assert!(reply.starts_with("503 "), "{sender} to {recipient}: {reply}");
        }
        let reply = dialogue.reply().await;
        assert!(reply.starts_with("503 "), "{reply}");
    }
    drop(dialogue);
    nothing_came_of_it(&mut house, &peer).await;
}

async fn nothing_came_of_it(house: &mut House, peer: &Peer) {
    assert_eq!(house.daemon().control().queue().stats(SystemTime::now()).messages, 0);
    house.stop().await;
    assert_eq!((peer.connections(), peer.messages().len()), (0, 0));
    assert!(house.maildir("alice").is_empty());
}

#[tokio::test]
async fn whom_the_configuration_names_is_relayed() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&relaying(&peer)).await;
    let mx = house.address(Service::Mx, false);
    let submission = house.address(Service::Submission, false);
    // The client networks to anywhere, by each service; anybody to the domain that is named, in capitals too.
    for (source, to, recipient) in [
        (OTHER, mx, "one@example.net"),
        (OTHER, submission, "two@example.net"),
        (OTHER, submission, "percent%example.com@example.net"),
        ("127.0.0.1", mx, "three@corp.example"),
        ("127.0.0.1", mx, "four@CORP.example"),
    ] {
        let mut dialogue = hello_from(source, to).await;
        let reply = dialogue.send("someone@example.net", &[recipient], "Subject: x\r\n\r\nx\r\n").await;
        assert!(reply.starts_with("250 2.0.0 "), "{recipient}: {reply}");
    }
    peer.wait_for_messages(5).await;
    house.stop().await;
}

/// RFC 5321 §2.4, §4.1.2: the octets of a local part are its host's matter, whatever is in them.
#[tokio::test]
async fn c01_quoted_local_parts_pass_unchanged() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&relaying(&peer)).await;
    let mut dialogue = hello_from(OTHER, house.address(Service::Submission, false)).await;
    let recipients = ["\"info@\"@example.net", "\"odd user\"@example.net", "\"a\\\"b\"@example.net"];
    let reply = dialogue.send("\"a@b\"@example.org", &recipients, "Subject: x\r\n\r\nx\r\n").await;
    assert!(reply.starts_with("250 "), "{reply}");
    let message = peer.wait_for_messages(1).await.remove(0);
    assert!(message.mail.starts_with("<\"a@b\"@example.org>"), "{}", message.mail);
    let expected: Vec<String> = recipients.iter().map(|recipient| format!("<{recipient}>")).collect();
    assert_eq!(message.recipients, expected);
    house.attempt(recipients[0], AttemptResult::Delivered).await;
    drop(dialogue);
    house.stop().await;
}
