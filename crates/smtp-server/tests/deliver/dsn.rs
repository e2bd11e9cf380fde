//! What senders ask of reports, through the queue: passed on where DSN is offered, answered here where not (RFC 3461 §5.2).

use smtp_server::metrics::AttemptResult::{Delivered, Failed};
use smtp_testkit::peer::{Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, emptied, in_time, message, routed};

/// Has the server take a message of alice: parameters of MAIL, and recipients with theirs.
async fn accept(house: &House, parameters: &str, recipients: &[&str]) {
    let mut dialogue = house.connect().await;
    dialogue.ask("EHLO client.example").await;
    let mut lines = vec![format!("MAIL FROM:<alice@example.org>{parameters}")];
    lines.extend(recipients.iter().map(|recipient| format!("RCPT TO:{recipient}")));
    for line in lines {
        let reply = dialogue.ask(&line).await;
        assert!(reply.starts_with("250 "), "{line}: {reply}");
    }
    dialogue.ask("DATA").await;
    let reply = dialogue.ask(&format!("{}.", message("m"))).await;
    assert!(reply.starts_with("250 "), "{reply}");
}

fn conforming() -> Peer {
    Peer::start(Script::new().extensions(&["PIPELINING", "SIZE", "DSN"]))
}

/// The words of the peer's commands that begin so, but for SIZE, which is our own.
fn said(peer: &Peer, verb: &str) -> Vec<String> {
    let commands = peer.commands().into_iter().filter(|line| line.starts_with(verb));
    commands
        .map(|line| line.split(' ').filter(|word| !word.starts_with("SIZE=")).collect::<Vec<_>>().join(" "))
        .collect()
}

/// §5.2.1: each parameter as it came, none that did not come, and no report of ours, for the next hop makes them.
#[tokio::test]
async fn what_was_asked_is_passed_on_as_it_was_and_nothing_else() {
    let peer = conforming();
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    let asking = "<x@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;X+2By@Example.NET";
    accept(&house, " RET=HDRS ENVID=QQ+2B314", &[asking, "<y@example.net>", "<z@example.net> NOTIFY=NEVER"]).await;
    emptied(&mut house).await;
    accept(&house, "", &["<x@example.net>"]).await;
    emptied(&mut house).await;
    house.stop().await;
    assert_eq!(
        said(&peer, "MAIL"),
        ["MAIL FROM:<alice@example.org> RET=HDRS ENVID=QQ+2B314", "MAIL FROM:<alice@example.org>"]
    );
    let mut recipients = said(&peer, "RCPT");
    recipients[..3].sort();
    let asked =
        ["RCPT TO:<x@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;X+2By@Example.NET", "RCPT TO:<y@example.net>"];
    assert_eq!(recipients, [asked[0], asked[1], "RCPT TO:<z@example.net> NOTIFY=NEVER", "RCPT TO:<x@example.net>"]);
    assert_eq!(house.maildir("alice"), [""; 0]);
}

/// §5.2.2: where DSN is not offered nothing is passed on, and `relayed` is told to who asked for success, and to nobody else.
#[tokio::test]
async fn where_reports_are_unknown_relaying_is_told_to_who_asked_for_it() {
    let peer = Peer::start(Script::new().extensions(&["PIPELINING", "SIZE"]));
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    let recipients = [
        "<asked@example.net> NOTIFY=SUCCESS ORCPT=rfc822;Asked@example.net",
        "<failures@example.net> NOTIFY=FAILURE",
        "<never@example.net> NOTIFY=NEVER",
        "<nothing@example.net>",
    ];
    accept(&house, " RET=FULL ENVID=QQ314", &recipients).await;
    emptied(&mut house).await;
    house.stop().await;
    let passed_on = [said(&peer, "MAIL"), said(&peer, "RCPT")].concat();
    assert!(passed_on.iter().all(|line| !line.contains('=')), "{passed_on:?}");
    let reports = house.maildir("alice");
    assert_eq!(reports.len(), 1, "{reports:?}");
    for words in ["Original-Envelope-Id: QQ314", "Original-Recipient: rfc822; Asked@example.net", "Action: relayed"] {
        assert!(reports[0].contains(words), "{words} is not in {}", reports[0]);
    }
    // §4.3, §6.2: what tells of no failure returns the header alone; §5.2.8: and nobody else's fate.
    assert!(reports[0].contains("text/rfc822-headers") && !reports[0].contains("message/rfc822"), "{}", reports[0]);
    for other in ["failures@", "never@", "nothing@"] {
        assert!(!reports[0].contains(other), "{other}: {}", reports[0]);
    }
}

/// §5.2.2, §5.2.6: a refusal is told to who said nothing or asked for failures, and to nobody else.
#[tokio::test]
async fn a_refusal_is_told_unless_the_sender_asked_for_something_else() {
    for (notify, told) in
        [("", true), (" NOTIFY=FAILURE", true), (" NOTIFY=SUCCESS,DELAY", false), (" NOTIFY=NEVER", false)]
    {
        let peer = Peer::start(Script::new().on(Stage::Rcpt, "550 5.1.1 no such user"));
        let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
        accept(&house, "", &[&format!("<x@example.net>{notify}")]).await;
        house.attempt("x@example.net", Failed).await;
        emptied(&mut house).await;
        house.stop().await;
        let reports = house.maildir("alice");
        assert_eq!(reports.len(), usize::from(told), "{notify}: {reports:?}");
        assert!(reports.iter().all(|report| report.contains("Action: failed")), "{notify}: {reports:?}");
    }
}

/// §5.2.3: that it is in the mailbox is told to who asked for success, and to nobody else.
#[tokio::test]
async fn a_delivery_is_told_to_who_asked_for_it() {
    for (notify, told) in
        [("", false), (" NOTIFY=SUCCESS", true), (" NOTIFY=FAILURE,DELAY", false), (" NOTIFY=NEVER", false)]
    {
        let mut house = House::start("").await;
        accept(&house, " ENVID=QQ314", &[&format!("<bob@example.org>{notify}")]).await;
        house.attempt("bob@example.org", Delivered).await;
        emptied(&mut house).await;
        house.stop().await;
        let reports = house.maildir("alice");
        assert_eq!(reports.len(), usize::from(told), "{notify}: {reports:?}");
        for report in &reports {
            assert!(report.contains("Action: delivered") && report.contains("Original-Envelope-Id: QQ314"), "{report}");
            assert!(!report.contains("Original-Recipient:"), "{report}");
        }
    }
}

/// §5.2.7.2: an alias for one address makes no report of its own, and passes on what was asked, under the address that was.
#[tokio::test]
async fn an_alias_passes_on_what_was_asked() {
    let peer = conforming();
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    house.write("aliases", "postmaster: alice\nfwd: x@example.net\n");
    house.reload().await;
    accept(&house, " ENVID=QQ314", &["<fwd@example.org> NOTIFY=SUCCESS ORCPT=rfc822;Fwd@example.org"]).await;
    emptied(&mut house).await;
    house.stop().await;
    assert_eq!(said(&peer, "MAIL"), ["MAIL FROM:<alice@example.org> ENVID=QQ314"]);
    assert_eq!(said(&peer, "RCPT"), ["RCPT TO:<x@example.net> NOTIFY=SUCCESS ORCPT=rfc822;Fwd@example.org"]);
    assert_eq!(house.maildir("alice"), [""; 0]);
}

/// §5.2.7.3: of several addresses that an alias stands for one alone tells of success; failures are told of each.
#[tokio::test]
async fn an_alias_for_several_tells_of_success_once() {
    let peer = conforming();
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    house.write("aliases", "postmaster: alice\nteam: bob, x@example.net\n");
    house.reload().await;
    accept(&house, "", &["<team@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Team@example.org"]).await;
    emptied(&mut house).await;
    house.stop().await;
    assert_eq!(said(&peer, "RCPT"), ["RCPT TO:<x@example.net> NOTIFY=FAILURE ORCPT=rfc822;Team@example.org"]);
    let reports = house.maildir("alice");
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(
        reports[0].contains("Action: delivered") && reports[0].contains("Original-Recipient: rfc822; Team@"),
        "{reports:?}"
    );
}

/// §6.1: a report asks for nothing where it goes, also not for what the message asked for.
#[tokio::test]
async fn a_report_asks_for_no_report() {
    let (refuses, takes) = (Peer::start(Script::new().on(Stage::Rcpt, "550 5.1.1 no such user")), conforming());
    let mut house = House::start(&routed(SOON, &[("example.net", &refuses), ("example.com", &takes)])).await;
    let mut dialogue = house.connect().await;
    for line in [
        "EHLO client.example",
        "MAIL FROM:<a@example.com> RET=FULL ENVID=QQ314",
        "RCPT TO:<x@example.net> NOTIFY=SUCCESS,FAILURE",
        "DATA",
        &format!("{}.", message("m")),
    ] {
        let reply = dialogue.ask(line).await;
        assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
    }
    in_time("the report", takes.wait_for_messages(1)).await;
    emptied(&mut house).await;
    house.stop().await;
    assert_eq!(said(&takes, "MAIL"), ["MAIL FROM:<>"]);
    assert_eq!(said(&takes, "RCPT"), ["RCPT TO:<a@example.com>"]);
}
