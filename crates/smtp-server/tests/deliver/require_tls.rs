//! REQUIRETLS (RFC 8689): who is trusted with such a message, and what becomes of it where nobody is.

use smtp_server::metrics::AttemptResult::{Deferred, Delivered, Failed};
use smtp_testkit::peer::{Peer, Script, Stage};
use smtp_testkit::tls::{Authority, Identity};

use crate::house::House;
use crate::support::{SOON, accept, emptied, in_time, message, route, routed, status, submit};

const OFFERED: &[&str] = &["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "REQUIRETLS"];

/// A next hop under TLS.
fn secure_peer(identity: &Identity, script: Script) -> Peer {
    Peer::start(script.starttls(identity.server_config()))
}

/// A route to it by a name that a certificate can be for.
fn by_name(domain: &str, peer: &Peer, tls: &str) -> String {
    route(domain, &format!("smtp://localhost:{}", peer.address().port()), tls)
}

async fn reconfigure(house: &mut House, queue: &str, routes: &[String]) {
    house.configure(&(routed(queue, &[]) + &routes.concat()));
    house.reload().await;
}

async fn send(house: &House, parameters: &str) {
    submit(house, "alice@example.org", parameters, &["x@example.net"], &message("m")).await;
}

/// §4.2.1: also where other mail would take any certificate. What was asked for is asked for again after a restart.
#[tokio::test]
async fn it_goes_by_verified_tls_to_who_promises_the_same() {
    let mut house = House::start(&routed(SOON, &[])).await;
    let script = Script::new().extensions(OFFERED).on_each(Stage::Mail, ["451 4.3.0 later", "250 2.1.0 go on"]);
    let peer = secure_peer(&house.authority.issue(&["localhost"]), script);
    reconfigure(&mut house, "retry = [\"2s\", \"…\"]\n", &[by_name("example.net", &peer, "opportunistic")]).await;
    send(&house, "REQUIRETLS").await;
    assert_eq!(house.next_attempt().await.result, Deferred);
    house.stop().await;
    house.start_daemon().await;
    house.attempt("x@example.net", Delivered).await;
    let received = in_time("the message", peer.wait_for_messages(1)).await.remove(0);
    assert!(received.tls && received.mail.ends_with(" REQUIRETLS"), "{}", received.mail);
    house.stop().await;
}

/// §4.2.1, §5: it comes back, with its header only and as protected as it was. Other mail goes on.
#[tokio::test]
async fn it_comes_back_where_the_next_hop_promises_nothing() {
    let mut house = House::start(&routed(SOON, &[])).await;
    let peer = secure_peer(&house.authority.issue(&["localhost"]), Script::new());
    reconfigure(&mut house, SOON, &[by_name("example.net", &peer, "opportunistic")]).await;
    send(&house, "REQUIRETLS RET=FULL").await;
    let failed = house.attempt("x@example.net", Failed).await;
    assert_eq!((status(&failed).as_str(), peer.count_commands("MAIL")), ("5.7.30", 0));
    accept(&house, "bob@example.org", &["y@example.net"], &message("other")).await;
    house.attempt("y@example.net", Delivered).await;
    emptied(&mut house).await;
    let report = house.maildir("alice").remove(0);
    assert!(report.contains("Status: 5.7.30") && report.contains("Subject: m"), "{report}");
    assert!(!report.contains("hello"), "{report}");
    house.stop().await;
}

/// §4.2.1: 5.7.10, at once; the lane does not rest for it, and other mail goes as it went.
#[tokio::test]
async fn it_comes_back_where_tls_is_not_to_be_had_or_not_to_be_trusted() {
    let mut house = House::start(&routed(SOON, &[])).await;
    let good = house.authority.issue(&["localhost"]);
    let other_name = house.authority.issue(&["elsewhere.example"]);
    let stranger = Authority::new().issue(&["localhost"]);
    let script = || Script::new().extensions(OFFERED);
    for (peer, tls) in [
        (Peer::start(script()), "opportunistic"),
        (secure_peer(&other_name, script()), "opportunistic"),
        (secure_peer(&stranger, script()), "require"),
        (secure_peer(&good, script()), "none"),
    ] {
        reconfigure(&mut house, SOON, &[by_name("example.net", &peer, tls)]).await;
        send(&house, "REQUIRETLS").await;
        let failed = house.attempt("x@example.net", Failed).await;
        assert_eq!((status(&failed).as_str(), failed.attempts), ("5.7.10", 1), "{tls}: {}", failed.report);
        assert_eq!(peer.count_commands("MAIL"), 0);
        accept(&house, "bob@example.org", &["y@example.net"], &message("other")).await;
        house.attempt("y@example.net", Delivered).await;
        assert!(!peer.messages()[0].mail.contains("REQUIRETLS"));
    }
    house.stop().await;
}

/// A host that is not to be reached says nothing about TLS.
#[tokio::test]
async fn it_waits_where_nobody_answers() {
    let mut house = House::start(&routed(SOON, &[])).await;
    let identity = house.authority.issue(&["localhost"]);
    let script = Script::new().extensions(OFFERED).on_each(Stage::Connect, ["421 4.3.2 later", "220 peer.test"]);
    let peer = secure_peer(&identity, script);
    reconfigure(&mut house, SOON, &[by_name("example.net", &peer, "verify")]).await;
    send(&house, "REQUIRETLS").await;
    house.attempt("x@example.net", Delivered).await;
    assert!(peer.messages()[0].mail.contains("REQUIRETLS"));
    house.stop().await;
}

/// §4.4: a mailbox here is the end of the way.
#[tokio::test]
async fn it_is_delivered_here() {
    let mut house = House::start(&routed(SOON, &[])).await;
    submit(&house, "alice@example.org", "REQUIRETLS", &["bob@example.org"], &message("m")).await;
    house.attempt("bob@example.org", Delivered).await;
    assert_eq!(house.maildir("bob").len(), 1);
    house.stop().await;
}

/// §5: a report is protected where that can be had, and is not lost where it cannot.
#[tokio::test]
async fn a_report_on_it_is_as_protected_as_can_be() {
    let mut house = House::start(&routed(SOON, &[])).await;
    let good = house.authority.issue(&["localhost"]);
    let refuses = Peer::start(Script::new());
    let offering = || Script::new().extensions(OFFERED);
    let stranger = Authority::new().issue(&["localhost"]);
    for (takes, tls, protected) in [
        (secure_peer(&good, offering()), true, true),
        (secure_peer(&good, Script::new()), true, false),
        (secure_peer(&stranger, offering()), true, false),
        (Peer::start(offering()), false, false),
    ] {
        let routes =
            [by_name("example.net", &refuses, "opportunistic"), by_name("example.com", &takes, "opportunistic")];
        reconfigure(&mut house, SOON, &routes).await;
        submit(&house, "a@example.com", "REQUIRETLS", &["x@example.net"], &message("m")).await;
        let report = in_time("a report", takes.wait_for_messages(1)).await.remove(0);
        assert!(report.mail.starts_with("<>"), "{}", report.mail);
        assert_eq!((report.tls, report.mail.contains("REQUIRETLS")), (tls, protected), "{}", report.mail);
        emptied(&mut house).await;
    }
    house.stop().await;
}

/// §4.1: the field does not count beside the parameter. §3: alone it is about what the recipient's domain has published; what
/// the operator has set for a next hop stays.
#[tokio::test]
async fn the_header_field_lifts_neither_the_parameter_nor_the_operators_terms() {
    let mut house = House::start(&routed(SOON, &[])).await;
    let peer = Peer::start(Script::new());
    let content = "TLS-Required: No\r\nSubject: m\r\n\r\nhello\r\n";
    reconfigure(&mut house, SOON, &[by_name("example.net", &peer, "opportunistic")]).await;
    submit(&house, "alice@example.org", "REQUIRETLS", &["x@example.net"], content).await;
    let failed = house.attempt("x@example.net", Failed).await;
    assert_eq!(status(&failed), "5.7.10");
    submit(&house, "alice@example.org", "", &["y@example.net"], content).await;
    house.attempt("y@example.net", Delivered).await;
    assert!(!peer.messages()[0].tls);
    reconfigure(&mut house, SOON, &[by_name("example.net", &peer, "verify")]).await;
    submit(&house, "alice@example.org", "", &["z@example.net"], content).await;
    let deferred = house.attempt("z@example.net", Deferred).await;
    assert_eq!(status(&deferred), "4.7.4");
    house.stop().await;
}
