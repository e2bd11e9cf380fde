//! What TLS must give on the way out (RFC 3207, RFC 7435), and that what it does not give is no refusal of the next hop.

use smtp_server::metrics::AttemptResult::{Deferred, Delivered, Expired};
use smtp_testkit::peer::{Peer, Script, Stage};
use smtp_testkit::tls::{Authority, Identity};

use crate::house::House;
use crate::support::{SOON, accept, emptied, in_time, message, route, routed, status};

/// A server with one route, on these terms.
async fn house(queue: &str, to: &str, tls: &str) -> House {
    House::start(&(routed(queue, &[]) + &route("example.net", to, tls))).await
}

fn smtp(peer: &Peer) -> String {
    format!("smtp://{}", peer.address())
}

/// The same by a name that a certificate can be for.
fn smtp_by_name(peer: &Peer) -> String {
    format!("smtp://localhost:{}", peer.address().port())
}

async fn send(house: &House) {
    accept(house, "alice@example.org", &["x@example.net"], &message("m")).await;
}

#[tokio::test]
async fn opportunistic_takes_any_certificate() {
    let peer = Peer::start(Script::new().starttls(Identity::self_signed(&["elsewhere.example"]).server_config()));
    let mut house = house("", &smtp(&peer), "opportunistic").await;
    send(&house).await;
    let delivered = house.attempt("x@example.net", Delivered).await;
    assert!(delivered.report.tls.as_ref().is_some_and(|tls| tls.starts_with("TLSv1.3 ")), "{:?}", delivered.report);
    assert!(peer.messages()[0].tls);
    house.stop().await;
}

#[tokio::test]
async fn opportunistic_goes_in_the_clear_where_tls_does_not_come_about() {
    let none = Script::new();
    let refused = Script::new()
        .starttls(Identity::self_signed(&["peer.test"]).server_config())
        .on(Stage::StartTls, "454 4.7.0 not now");
    // Offered, and agreed to, and then there is none.
    let broken = Script::new().extensions(&["STARTTLS"]).on(Stage::StartTls, "220 go on");
    for script in [none, refused, broken] {
        let peer = Peer::start(script);
        let mut house = house("", &smtp(&peer), "opportunistic").await;
        send(&house).await;
        let delivered = house.next_attempt().await;
        assert_eq!((delivered.result, &delivered.report.tls), (Delivered, &None));
        assert!(!peer.messages()[0].tls);
        house.stop().await;
    }
}

/// C08: STARTTLS is not sent where it is not offered; the mail waits, and leaves when it is.
#[tokio::test]
async fn required_tls_that_is_not_offered_defers_until_it_is() {
    for tls in ["require", "verify"] {
        let mut house = House::start(&routed("", &[])).await;
        let identity = house.authority.issue(&["localhost"]);
        let script = Script::new()
            .starttls(identity.server_config())
            .on_each(Stage::Ehlo, ["250 peer.test", "250-peer.test\r\n250 STARTTLS"]);
        let peer = Peer::start(script);
        house.configure(&(routed(SOON, &[]) + &route("example.net", &smtp_by_name(&peer), tls)));
        house.reload().await;
        send(&house).await;
        let deferred = house.next_attempt().await;
        assert_eq!((deferred.result, status(&deferred).as_str()), (Deferred, "4.7.4"), "{tls}");
        assert_eq!((peer.count_commands("STARTTLS"), peer.count_commands("MAIL")), (0, 0), "{tls}");
        let delivered = house.next_attempt().await;
        assert_eq!((delivered.result, delivered.attempts), (Delivered, 2), "{tls}");
        assert!(peer.messages()[0].tls);
        emptied(&mut house).await;
        assert_eq!(house.maildir("alice"), Vec::<String>::new());
        house.stop().await;
    }
}

/// C08: our own demand bounces the mail only when its time is over, and the report says what was missing.
#[tokio::test]
async fn required_tls_that_never_comes_bounces_at_the_end() {
    let peer = Peer::start(Script::new());
    let mut house = house(&format!("{SOON}expire_after = \"500ms\"\n"), &smtp(&peer), "require").await;
    send(&house).await;
    let expired = house.attempt("x@example.net", Expired).await;
    assert_eq!(status(&expired), "4.7.4");
    emptied(&mut house).await;
    let reports = house.maildir("alice");
    assert_eq!(reports.len(), 1);
    assert!(reports[0].contains("STARTTLS"), "{reports:?}");
    assert_eq!((peer.count_commands("STARTTLS"), peer.messages().len()), (0, 0));
    house.stop().await;
}

#[tokio::test]
async fn require_takes_any_certificate_and_verify_only_one_for_the_name_by_a_known_authority() {
    let mut house = House::start(&routed("", &[])).await;
    let good = house.authority.issue(&["localhost"]);
    let other_name = house.authority.issue(&["elsewhere.example"]);
    let expired = house.authority.issue_expired(&["localhost"]);
    let stranger = Authority::new().issue(&["localhost"]);
    for (identity, tls, result) in [
        (&good, "verify", Delivered),
        (&other_name, "verify", Deferred),
        (&expired, "verify", Deferred),
        (&stranger, "verify", Deferred),
        (&stranger, "require", Delivered),
        (&other_name, "require", Delivered),
    ] {
        let peer = Peer::start(Script::new().starttls(identity.server_config()));
        house.configure(&(routed("retry = [\"1h\", \"…\"]\n", &[]) + &route("example.net", &smtp_by_name(&peer), tls)));
        house.reload().await;
        send(&house).await;
        let attempted = house.next_attempt().await;
        assert_eq!(attempted.result, result, "{tls}: {}", attempted.report);
        if result == Deferred {
            assert_eq!(status(&attempted), "4.7.5", "{}", attempted.report);
            assert_eq!(peer.count_commands("MAIL"), 0);
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn submissions_is_tls_from_the_first_octet() {
    let mut house = House::start(&routed("", &[])).await;
    let peer = Peer::start(Script::new().implicit_tls(house.authority.issue(&["127.0.0.1"]).server_config()));
    let to = format!("submissions://{}", peer.address());
    house.configure(&(routed("", &[]) + &route("example.net", &to, "verify")));
    house.reload().await;
    send(&house).await;
    house.attempt("x@example.net", Delivered).await;
    let received = in_time("the message", peer.wait_for_messages(1)).await;
    assert!(received[0].tls);
    assert_eq!(peer.count_commands("STARTTLS"), 0);
    house.stop().await;
}
