//! When mail is tried again, when it is given up, and what its sender hears of it.

use std::time::Duration;

use jiff::Timestamp;
use smtp_admin::Act;
use smtp_server::metrics::AttemptResult::{Deferred, Delivered, Expired};
use smtp_testkit::peer::{Answer, Peer, Script, Stage};

use crate::house::House;
use crate::support::{
    SOON, accept, act_on_all, attempts_booked, emptied, message, queued, replies, route, routed, status, until,
};

fn deferring() -> Peer {
    Peer::start(Script::new().on(Stage::Rcpt, "451 4.2.1 the mailbox is busy"))
}

#[tokio::test]
async fn attempts_are_counted_until_one_delivers() {
    let answers = replies(&["451 4.2.1 later", "451 4.2.1 later", "451 4.2.1 later", "250 2.1.5 now"]);
    let peer = Peer::start(Script::new().on_each(Stage::Rcpt, answers));
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
    let mut ends = Vec::new();
    for _ in 0..4 {
        let attempted = house.next_attempt().await;
        ends.push((attempted.result, attempted.attempts));
    }
    assert_eq!(ends, [(Deferred, 1), (Deferred, 2), (Deferred, 3), (Delivered, 4)]);
    emptied(&mut house).await;
    assert_eq!((peer.messages().len(), house.maildir("alice").len()), (1, 0));
    house.stop().await;
}

/// Each attempt is followed by the delay of its place in the schedule, changed by a tenth at most; the last one repeats.
/// An operator brings the next one forward, and moves none behind it.
#[tokio::test]
async fn the_delays_are_those_of_the_configuration() {
    let peer = deferring();
    let more = routed("retry = [\"1h\", \"3h\", \"9h\", \"…\"]\n", &[("example.net", &peer)]);
    let mut house = House::start(&more).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
    for (attempts, hours) in [(1, 1), (2, 3), (3, 9), (4, 9)] {
        let recipient = attempts_booked(&house, attempts).await;
        let last = recipient.last.unwrap();
        assert_eq!((last.status.as_str(), last.text.as_str()), ("4.2.1", "451 4.2.1 the mailbox is busy"));
        // A few moments passed between the beginning of the attempt and its end, when the delay begins.
        let delay = Duration::try_from(recipient.due_at.duration_since(last.at.unwrap())).unwrap();
        let expected = Duration::from_hours(hours);
        assert!(delay >= expected * 9 / 10 && delay <= expected * 11 / 10 + Duration::from_mins(1), "{delay:?}");
        assert!(recipient.due_at > Timestamp::now());
        assert_eq!(act_on_all(&house, Act::Schedule).await.changed, 1);
    }
    attempts_booked(&house, 5).await;
    house.stop().await;
}

/// Once, and with the words that the next hop said last.
#[tokio::test]
async fn what_expires_is_reported_once() {
    let peer = deferring();
    let more = routed(&format!("{SOON}expire_after = \"1s\"\n"), &[("example.net", &peer)]);
    let mut house = House::start(&more).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
    let expired = house.attempt("x@example.net", Expired).await;
    assert!(expired.attempts > 1 && status(&expired) == "4.2.1", "{expired:?}");
    emptied(&mut house).await;
    house.stop().await;
    let reports = house.maildir("alice");
    assert_eq!(reports.len(), 1, "{reports:?}");
    for words in
        ["From: ", "Auto-Submitted: auto-replied", "the mailbox is busy", "Action: failed", "Last-Attempt-Date: "]
    {
        assert!(reports[0].contains(words), "{words} is not in {}", reports[0]);
    }
    assert!(reports[0].starts_with("Return-Path: <>\r\nDelivered-To: alice@example.org\r\n"), "{}", reports[0]);
}

/// What was never tried itself, because its next hop was dead all the time, is reported with what is wrong with that.
#[tokio::test]
async fn what_expires_untried_is_reported_with_the_trouble_of_its_next_hop() {
    let peer =
        Peer::start(Script::new().on(Stage::Connect, Answer::ReplyAndClose("554 5.3.2 closed today".to_owned())));
    let retry = "retry = [\"1h\", \"…\"]\n";
    let mut house = House::start(&routed(retry, &[("example.net", &peer)])).await;
    accept(&house, "bob@example.org", &["first@example.net"], &message("m")).await;
    house.attempt("first@example.net", Deferred).await;
    house.configure(&routed(&format!("{retry}expire_after = \"300ms\"\n"), &[("example.net", &peer)]));
    house.reload().await;
    accept(&house, "alice@example.org", &["second@example.net"], &message("m")).await;
    let expired = house.attempt("second@example.net", Expired).await;
    assert_eq!((expired.attempts, status(&expired).as_str()), (0, "4.3.2"));
    until("the report", || !house.maildir("alice").is_empty()).await;
    let report = house.maildir("alice").remove(0);
    assert!(report.contains("554 5.3.2 closed today") && !report.contains("Last-Attempt-Date"), "{report}");
    assert_eq!(peer.connections(), 1);
    house.stop().await;
}

#[tokio::test]
async fn a_sender_hears_of_a_delay_once() {
    let mut answers = vec!["451 4.2.1 later"; 8];
    answers.push("250 2.1.5 now");
    let peer = Peer::start(Script::new().on_each(Stage::Rcpt, answers));
    let more = routed(&format!("{SOON}delay_notice_after = \"200ms\"\n"), &[("example.net", &peer)]);
    let mut house = House::start(&more).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
    let delivered = house.attempt("x@example.net", Delivered).await;
    assert_eq!(delivered.attempts, 9, "the notice is no attempt");
    emptied(&mut house).await;
    house.stop().await;
    let notices = house.maildir("alice");
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("Action: delayed") && notices[0].contains("Will-Retry-Until: "), "{}", notices[0]);
}

/// A message without a sender, a report, has nobody to hear of its delay or its end.
#[tokio::test]
async fn nobody_hears_of_a_message_without_a_sender() {
    let peer = deferring();
    let queue = format!("{SOON}delay_notice_after = \"200ms\"\nexpire_after = \"1s\"\n");
    let postmaster = Peer::start(Script::new());
    let more =
        routed(&queue, &[("example.net", &peer)]) + &route("*", &format!("smtp://{}", postmaster.address()), "none");
    let mut house = House::start(&more).await;
    accept(&house, "", &["x@example.net"], &message("m")).await;
    house.attempt("x@example.net", Expired).await;
    emptied(&mut house).await;
    assert!(queued(&house).await.is_empty());
    house.stop().await;
    assert_eq!((house.maildir("alice").len(), postmaster.connections()), (0, 0));
}
