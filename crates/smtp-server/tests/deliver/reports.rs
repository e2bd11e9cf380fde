//! Who hears of a failure, and how (RFC 3464).

use smtp_server::metrics::AttemptResult::{Delivered, Failed};
use smtp_testkit::peer::{Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, accept, emptied, in_time, message, routed};

fn refusing() -> Peer {
    Peer::start(Script::new().on(Stage::Rcpt, "550 5.7.1 not wanted here"))
}

#[tokio::test]
async fn a_sender_elsewhere_gets_the_report_by_route() {
    let (refuses, takes) = (refusing(), Peer::start(Script::new()));
    let mut house = House::start(&routed(SOON, &[("example.net", &refuses), ("example.com", &takes)])).await;
    accept(&house, "\"a b\"@example.com", &["x@example.net"], &message("m")).await;
    let report = in_time("a report", takes.wait_for_messages(1)).await.remove(0);
    assert_eq!((report.mail.as_str(), report.recipients), ("<>", vec!["<\"a b\"@example.com>".to_owned()]));
    let content = String::from_utf8(report.content).unwrap();
    for words in ["not wanted here", "multipart/report", "Action: failed", "To: <\"a b\"@example.com>"] {
        assert!(content.contains(words), "{words} is not in {content}");
    }
    emptied(&mut house).await;
    house.stop().await;
    assert_eq!((takes.messages().len(), house.maildir("alice").len()), (1, 0));
}

/// Two recipients that fail together are one report; a third that fails later is one more.
#[tokio::test]
async fn no_failure_is_reported_twice() {
    let script = Script::new()
        .on_recipient("c@example.net", ["451 4.2.1 later", "550 5.1.1 no c"])
        .on_recipient("a@example.net", ["550 5.1.1 no a"])
        .on_recipient("b@example.net", ["550 5.1.1 no b"]);
    let peer = Peer::start(script);
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    accept(&house, "alice@example.org", &["a@example.net", "b@example.net", "c@example.net"], &message("m")).await;
    house.attempt("c@example.net", Failed).await;
    emptied(&mut house).await;
    house.stop().await;
    let reports = house.maildir("alice");
    assert_eq!(reports.len(), 2, "{reports:?}");
    for (recipient, count) in [("no a", 1), ("no b", 1), ("no c", 1)] {
        let naming = reports.iter().filter(|report| report.contains(recipient)).count();
        assert_eq!(naming, count, "{recipient}");
    }
}

/// C15: only the null reverse-path suppresses a report (RFC 3461 §4.1); RFC 3834 is about responders.
#[tokio::test]
async fn automatic_mail_has_its_failures_reported_too() {
    let peer = refusing();
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    let content = "Auto-Submitted: auto-generated\r\nPrecedence: bulk\r\nList-Id: x\r\n\r\nhello\r\n";
    accept(&house, "alice@example.org", &["x@example.net"], content).await;
    house.attempt("alice@example.org", Delivered).await;
    assert!(house.maildir("alice")[0].contains("not wanted here"));
    house.stop().await;
}

/// The sender's address is ours and nobody has it: a report would be a report on a report.
#[tokio::test]
async fn a_report_for_nobody_is_dropped() {
    let peer = refusing();
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    accept(&house, "ghost@example.org", &["x@example.net"], &message("m")).await;
    house.attempt("x@example.net", Failed).await;
    emptied(&mut house).await;
    house.stop().await;
    assert_eq!((house.maildir("alice").len(), peer.count_commands("MAIL")), (0, 1));
}

/// The report cannot be delivered either: it has no sender, and so it ends there.
#[tokio::test]
async fn a_report_that_is_refused_makes_no_other() {
    let peer = refusing();
    let mut house = House::start(&routed(SOON, &[("*", &peer)])).await;
    accept(&house, "a@example.com", &["x@example.net"], &message("m")).await;
    house.attempt("a@example.com", Failed).await;
    emptied(&mut house).await;
    house.stop().await;
    let senders: Vec<_> = peer.commands().into_iter().filter(|line| line.starts_with("MAIL")).collect();
    assert_eq!(senders, ["MAIL FROM:<a@example.com>", "MAIL FROM:<>"]);
    assert_eq!(house.maildir("alice").len(), 0);
}

/// C25: what an alias forwards keeps its null reverse-path, so its refusal makes no bounce that could be forwarded again.
#[tokio::test]
async fn a_bounce_that_is_forwarded_and_refused_ends_there() {
    let peer = refusing();
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    house.write("aliases", "postmaster: alice\nfwd: x@example.net\n");
    house.reload().await;
    accept(&house, "", &["fwd@example.org"], &message("a report")).await;
    house.attempt("x@example.net", Failed).await;
    emptied(&mut house).await;
    house.stop().await;
    let senders: Vec<_> = peer.commands().into_iter().filter(|line| line.starts_with("MAIL")).collect();
    assert_eq!(senders, ["MAIL FROM:<>"]);
    assert_eq!(house.maildir("alice").len(), 0);
}

/// The report names the address that the sender wrote to, beside the one that it was forwarded to.
#[tokio::test]
async fn a_report_on_forwarded_mail_names_the_address_that_the_sender_knows() {
    let peer = refusing();
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    house.write("aliases", "postmaster: alice\nfwd: x@example.net\n");
    house.reload().await;
    accept(&house, "bob@example.org", &["fwd@example.org"], &message("m")).await;
    house.attempt("bob@example.org", Delivered).await;
    let report = house.maildir("bob").remove(0);
    for words in ["Original-Recipient: rfc822; fwd@example.org", "Final-Recipient: rfc822; x@example.net"] {
        assert!(report.contains(words), "{words} is not in {report}");
    }
    house.stop().await;
}
