//! DELIVERBY (RFC 2852): mail that is to be there in time.

use smtp_admin::{Act, Scope};
use smtp_server::metrics::AttemptResult::{Deferred, Delivered, Expired, Failed};
use smtp_testkit::peer::{Peer, Script, Stage};

use crate::house::House;
use crate::support::{
    SOON, act_on_all, emptied, in_time, message, pause, replies, routed, secured, status, submit, until,
};

const NO_LEAST: &str = "[limits]\ndeliver_by = \"0s\"\n";
/// What is not delivered at once is not tried again while a test lasts.
const ONCE: &str = "retry = [\"1h\", \"…\"]\n";

fn offering(extensions: &[&str]) -> Script {
    let others = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"];
    Script::new().extensions(&[&others[..], extensions].concat())
}

async fn house(peer: &Peer) -> House {
    house_with(SOON, peer).await
}

async fn house_with(queue: &str, peer: &Peer) -> House {
    House::start(&(routed(queue, &[("example.net", peer)]) + NO_LEAST)).await
}

async fn send(house: &House, parameters: &str) {
    submit(house, "alice@example.org", parameters, &["x@example.net"], &message("m")).await;
}

/// The seconds of BY= that the next hop was given.
fn seconds_left(mail: &str) -> i64 {
    let value = mail.split_once(" BY=").unwrap_or_else(|| panic!("no BY in {mail}")).1;
    value.split(';').next().unwrap().parse().unwrap()
}

/// §4.1.4: what is left of the time goes on, never more than was given. All went in time: no report.
#[tokio::test]
async fn what_is_left_of_the_time_goes_on() {
    let peer = Peer::start(offering(&["DELIVERBY 30", "DSN"]));
    let mut house = house(&peer).await;
    for (parameters, most, mode) in [("BY=120;R", 120, ";R"), ("BY=-5;N", -5, ";N"), ("BY=+100;N", 100, ";N")] {
        send(&house, parameters).await;
        house.attempt("x@example.net", Delivered).await;
        let mail = peer.messages().pop().unwrap().mail;
        let left = seconds_left(&mail);
        assert!((most - 60..=most).contains(&left) && mail.contains(mode), "{parameters}: {mail}");
        emptied(&mut house).await;
    }
    let reports = house.maildir("alice");
    // Of what was late when it came the sender hears so.
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("Action: delayed"), "{reports:?}");
    house.stop().await;
}

/// §4.1.4.1: with mode R it goes to nobody who would not return it in time.
#[tokio::test]
async fn what_must_come_back_in_time_goes_to_nobody_who_does_not_promise_that() {
    for extensions in [&["DSN"][..], &["DELIVERBY 500"]] {
        let peer = Peer::start(offering(extensions));
        let mut house = house(&peer).await;
        send(&house, "BY=120;R").await;
        let failed = house.attempt("x@example.net", Failed).await;
        assert_eq!((status(&failed).as_str(), peer.count_commands("MAIL")), ("5.3.3", 0));
        emptied(&mut house).await;
        let report = house.maildir("alice").remove(0);
        assert!(report.contains("\r\nDeliver-By-Date: ") && report.contains("\r\nArrival-Date: "), "{report}");
        house.stop().await;
    }
}

/// §4.1.3: no attempt after the deadline, whatever the next hop said before it.
#[tokio::test]
async fn what_is_not_delivered_in_time_comes_back() {
    let peer = Peer::start(offering(&["DELIVERBY"]).on(Stage::Mail, "451 4.3.0 later"));
    let mut house = house_with(ONCE, &peer).await;
    send(&house, "BY=5;R").await;
    let deferred = house.next_attempt().await;
    assert_eq!((deferred.result, status(&deferred).as_str()), (Deferred, "4.3.0"));
    comes_back(&mut house, 1).await;
    assert_eq!(peer.count_commands("MAIL"), 1);
    house.stop().await;
}

/// §4.1.3: also what was never tried.
#[tokio::test]
async fn what_could_not_be_tried_in_time_comes_back() {
    let peer = Peer::start(offering(&["DELIVERBY"]));
    let mut house = house(&peer).await;
    pause(&house, Scope::Mta).await;
    send(&house, "BY=5;R").await;
    comes_back(&mut house, 0).await;
    assert_eq!(peer.count_commands("MAIL"), 0);
    house.stop().await;
}

/// The message expires after so many attempts, and its sender hears why.
async fn comes_back(house: &mut House, attempts: u32) {
    let expired = house.next_attempt().await;
    assert_eq!((expired.result, expired.attempts), (Expired, attempts));
    assert_eq!(status(&expired), "4.4.7", "{}", expired.report);
    emptied(house).await;
    let reports = house.maildir("alice");
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("Action: failed") && reports[0].contains("Status: 5.4.7"), "{}", reports[0]);
}

/// §4.1.3: with mode N the sender hears of it, whatever the next hop said, and delivery goes on.
#[tokio::test]
async fn what_is_late_is_told_and_tried_further() {
    let answers = replies(&["451 4.3.0 later", "250 2.1.0 now"]);
    let peer = Peer::start(offering(&["DELIVERBY", "DSN"]).on_each(Stage::Mail, answers));
    let mut house = house_with(ONCE, &peer).await;
    send(&house, "BY=5;N").await;
    house.attempt("x@example.net", Deferred).await;
    until("a report of the delay", || !house.maildir("alice").is_empty()).await;
    let report = house.maildir("alice").remove(0);
    for words in ["Action: delayed", "Status: 4.4.7", "\r\nDeliver-By-Date: "] {
        assert!(report.contains(words), "{words} is not in {report}");
    }
    assert_eq!(peer.count_commands("MAIL"), 1);
    act_on_all(&house, Act::Schedule).await;
    house.attempt("x@example.net", Delivered).await;
    let mail = in_time("the message", peer.wait_for_messages(1)).await.remove(0).mail;
    assert!(seconds_left(&mail) <= 0, "{mail}");
    emptied(&mut house).await;
    assert_eq!(house.maildir("alice").len(), 1);
    house.stop().await;
}

/// §4.1.4.2: from there on nobody knows of the time. The next hop is asked to report delays where it can.
#[tokio::test]
async fn a_next_hop_that_knows_no_times_is_told_of() {
    let peer = Peer::start(offering(&["DSN"]));
    let mut house = house(&peer).await;
    send(&house, "BY=120;N").await;
    house.attempt("x@example.net", Delivered).await;
    emptied(&mut house).await;
    let report = house.maildir("alice").remove(0);
    assert!(report.contains("Action: relayed"), "{report}");
    let received = peer.messages().remove(0);
    assert!(!received.mail.contains("BY="), "{}", received.mail);
    let mut words: Vec<_> = received.recipients[0].split_once("NOTIFY=").unwrap().1.split(',').collect();
    words.sort_unstable();
    assert_eq!(words, ["DELAY", "FAILURE"]);
    house.stop().await;
}

/// §4.1.4: T asks for a report of each step, unless the recipient's are not wanted at all.
#[tokio::test]
async fn each_step_is_reported_where_that_is_asked_for() {
    let peer = Peer::start(offering(&["DELIVERBY", "DSN"]));
    let mut house = house(&peer).await;
    let mut dialogue = secured(&house).await;
    for command in [
        "MAIL FROM:<alice@example.org> BY=120;RT",
        "RCPT TO:<x@example.net>",
        "RCPT TO:<y@example.net> NOTIFY=NEVER",
        "RCPT TO:<bob@example.org>",
    ] {
        let reply = dialogue.ask(command).await;
        assert!(reply.starts_with("250 "), "{command}: {reply}");
    }
    dialogue.ask("DATA").await;
    dialogue.ask(&format!("{}.", message("m"))).await;
    house.attempts(&[("x@example.net", Delivered), ("y@example.net", Delivered), ("bob@example.org", Delivered)]).await;
    emptied(&mut house).await;
    let reports = house.maildir("alice");
    assert_eq!(reports.len(), 1, "{reports:?}");
    let report = &reports[0];
    assert!(report.contains("Action: relayed") && report.contains("x@example.net"), "{report}");
    assert!(!report.contains("y@example.net") && !report.contains("bob@example.org"), "{report}");
    assert!(peer.messages()[0].mail.contains(";RT"), "{}", peer.messages()[0].mail);
    house.stop().await;
}
