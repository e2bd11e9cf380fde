//! FUTURERELEASE (RFC 4865): mail that is not to leave before its time.

use std::time::Duration;

use smtp_admin::{Act, QueueState};
use smtp_server::metrics::AttemptResult::{Delivered, Failed};
use smtp_testkit::peer::{Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, act_on_all, emptied, in_time, message, queued, routed, submit};

/// §4.2: shown as held, through a restart and through an index that is made anew; its life is counted from the release. An operator may
/// let it go.
#[tokio::test]
async fn it_is_held_until_then_whatever_happens_and_can_be_let_go() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&routed("expire_after = \"2d\"\n", &[("example.net", &peer)])).await;
    let to = ["x@example.net", "bob@example.org"];
    submit(&house, "alice@example.org", "HOLDFOR=3600", &to, &message("m")).await;
    for index_is_lost in [false, true] {
        let found = queued(&house).await;
        assert_eq!(found.len(), 2);
        for recipient in found {
            let until = recipient.hold.as_ref().and_then(|hold| hold.until).unwrap();
            assert_eq!((recipient.state, recipient.attempts), (QueueState::Scheduled, 0));
            assert_eq!(until.as_second() - recipient.received_at.as_second(), 3_600);
            assert!(recipient.due_at >= until && recipient.due_at.as_second() <= until.as_second() + 1);
            assert_eq!(recipient.expires_at.as_second() - until.as_second(), 2 * 86_400);
        }
        house.stop().await;
        if index_is_lost {
            std::fs::remove_dir_all(house.path("queue/index")).unwrap();
        }
        house.start_daemon().await;
    }
    assert_eq!((queued(&house).await.len(), peer.connections()), (2, 0));
    assert_eq!(act_on_all(&house, Act::Schedule).await.changed, 2);
    house.attempts(&[("x@example.net", Delivered), ("bob@example.org", Delivered)]).await;
    let received = in_time("the message", peer.wait_for_messages(1)).await;
    assert!(!received[0].mail.contains("HOLD"), "{}", received[0].mail);
    house.stop().await;
}

#[tokio::test]
async fn it_leaves_by_itself_and_not_before() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    submit(&house, "alice@example.org", "HOLDFOR=1", &["x@example.net"], &message("m")).await;
    let delivered = house.attempt("x@example.net", Delivered).await;
    assert!(delivered.age >= Duration::from_secs(1), "{:?}", delivered.age);
    house.stop().await;
}

/// §5.1.2: and a time that is past holds nothing.
#[tokio::test]
async fn a_report_repeats_what_was_asked_for() {
    let peer = Peer::start(Script::new().on(Stage::Rcpt, "550 5.1.1 nobody"));
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    let parameters = "HOLDUNTIL=2020-01-01T00:00:00Z";
    submit(&house, "alice@example.org", parameters, &["x@example.net"], &message("m")).await;
    house.attempt("x@example.net", Failed).await;
    emptied(&mut house).await;
    let report = house.maildir("alice").remove(0);
    assert!(report.contains("\r\nFuture-Release-Request: until;2020-01-01T00:00:00Z\r\n"), "{report}");
    assert!(report.contains("\r\nArrival-Date: "), "{report}");
    house.stop().await;
}
