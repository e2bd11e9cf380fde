//! What a next hop gets, and what its replies mean.

use smtp_server::metrics::AttemptResult::{Deferred, Delivered, Failed};
use smtp_testkit::peer::{Answer, Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, accept, emptied, in_time, message, replies, route, routed, status};

/// Below the trace field, the octets are those that came in (RFC 5321 §6.4).
#[tokio::test]
async fn content_leaves_octet_for_octet_by_route_and_by_smart_host() {
    let (routed_to, smart) = (Peer::start(Script::new()), Peer::start(Script::new()));
    let by_route = routed("", &[("example.net", &routed_to)]);
    let by_smart_host = format!("[smart_host]\nto = \"smtp://{}\"\ntls = \"none\"\n", smart.address());
    let mut house = House::start(&(by_route + &by_smart_host)).await;
    let long = "x".repeat(990);
    let sent = format!(
        "Subject:  two  spaces \r\nX-Folded: a\r\n\tb\r\n\r\n.\u{e9}\u{20ac} \t \r\n..\r\n{long}\r\n\r\n.leading\r\nend \r\n\r\n"
    );
    let stuffed = sent.replace("\r\n.", "\r\n..");
    let mut dialogue = house.connect().await;
    dialogue.ask("EHLO client.example").await;
    dialogue.ask("MAIL FROM:<a@example.com> BODY=8BITMIME").await;
    dialogue.ask("RCPT TO:<\"odd one\"@example.net>").await;
    dialogue.ask("RCPT TO:<b@elsewhere.example>").await;
    dialogue.ask("DATA").await;
    let reply = dialogue.ask(&format!("{stuffed}.")).await;
    assert!(reply.starts_with("250 "), "{reply}");
    for (peer, recipient) in [(&routed_to, "<\"odd one\"@example.net>"), (&smart, "<b@elsewhere.example>")] {
        let received = in_time("a message", peer.wait_for_messages(1)).await.remove(0);
        assert_eq!(received.recipients, [recipient]);
        assert_eq!(received.mail, "<a@example.com> BODY=8BITMIME");
        assert_eq!(received.hello, "mx.example.org");
        let content = String::from_utf8(received.content).unwrap();
        let trace = content.strip_suffix(&sent).unwrap_or_else(|| panic!("{content:?}"));
        assert!(trace.starts_with("Received: from client.example ") && trace.ends_with("\r\n"), "{trace:?}");
        assert_eq!(trace.replace("\r\n\t", "").replace("\r\n ", "").matches("\r\n").count(), 1, "{trace:?}");
    }
    emptied(&mut house).await;
    house.stop().await;
}

/// RFC 5321 §4.2.1: one recipient has it, one is tried again, one never gets it, and only of that one the sender hears.
#[tokio::test]
async fn each_recipient_of_a_transaction_has_an_outcome_of_its_own() {
    let script = Script::new()
        .on_recipient("later@example.net", replies(&["451 4.2.1 later", "250 2.1.5 now"]))
        .on_recipient("nobody@example.net", ["550 5.1.1 no such user"]);
    let peer = Peer::start(script);
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    let to = ["now@example.net", "later@example.net", "nobody@example.net"];
    accept(&house, "alice@example.org", &to, &message("three")).await;
    let mut ends = Vec::new();
    for _ in 0..3 {
        let attempted = house.next_attempt().await;
        ends.push((attempted.forward_path.to_string(), attempted.result, status(&attempted)));
    }
    assert_eq!(
        ends,
        [
            ("<now@example.net>".to_owned(), Delivered, "2.0.0".to_owned()),
            ("<later@example.net>".to_owned(), Deferred, "4.2.1".to_owned()),
            ("<nobody@example.net>".to_owned(), Failed, "5.1.1".to_owned()),
        ]
    );
    let again = house.attempt("later@example.net", Delivered).await;
    assert_eq!(again.attempts, 2);
    emptied(&mut house).await;
    let recipients: Vec<_> = peer.messages().into_iter().map(|message| message.recipients).collect();
    assert_eq!(recipients, [["<now@example.net>"], ["<later@example.net>"]]);
    let reports = house.maildir("alice");
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert!(reports[0].contains("nobody@example.net") && reports[0].contains("550 5.1.1 no such user"), "{reports:?}");
    assert!(!reports[0].contains("later@example.net") && !reports[0].contains("<now@example.net>"), "{reports:?}");
    house.stop().await;
}

/// A connection that was good is closed with 421: nothing was begun, so nothing counts as tried (RFC 5321 §3.8).
#[tokio::test]
async fn an_old_session_that_ends_with_421_costs_no_attempt() {
    let going = Answer::ReplyAndClose("421 4.3.2 going down".to_owned());
    let peer = Peer::start(Script::new().on_each(Stage::Mail, ["250 2.1.0 yes".into(), going, "250 2.1.0 yes".into()]));
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    for _ in 0..2 {
        accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
        assert_eq!(house.attempt("x@example.net", Delivered).await.attempts, 1);
    }
    assert_eq!((peer.messages().len(), peer.connections()), (2, 2));
    house.stop().await;
}

#[tokio::test]
async fn a_421_to_a_new_session_defers_and_is_no_failure() {
    let away = Answer::ReplyAndClose("421 4.7.0 not now".to_owned());
    for stage in [Stage::Connect, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data] {
        let usual = match stage {
            Stage::Connect => "220 peer.test",
            Stage::Data => "354 go on",
            _ => "250 yes",
        };
        let peer = Peer::start(Script::new().on_each(stage, [away.clone(), usual.into()]));
        let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
        accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
        let deferred = house.next_attempt().await;
        assert_eq!((deferred.result, status(&deferred).as_str()), (Deferred, "4.7.0"), "{stage:?}");
        assert!(deferred.report.to_string().contains("not now"), "{}", deferred.report);
        let delivered = house.next_attempt().await;
        assert_eq!((delivered.result, delivered.attempts), (Delivered, 2), "{stage:?}");
        house.stop().await;
    }
}

/// Nobody knows whether it was taken: it may come twice, and is not lost (RFC 1047).
#[tokio::test]
async fn a_connection_that_is_lost_behind_the_dot_defers() {
    let peer = Peer::start(Script::new().on_each(Stage::Dot, [Answer::Close, "250 2.0.0 taken".into()]));
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
    let deferred = house.next_attempt().await;
    assert_eq!((deferred.result, status(&deferred).as_str()), (Deferred, "4.4.2"));
    assert_eq!(house.attempt("x@example.net", Delivered).await.attempts, 2);
    assert_eq!(peer.messages().len(), 1);
    emptied(&mut house).await;
    assert_eq!(house.maildir("alice"), Vec::<String>::new());
    house.stop().await;
}

/// C13: bare codes, 251 and codes that nobody knows count by their first digit (RFC 5321 §4.2).
#[tokio::test]
async fn bare_and_unknown_codes_deliver() {
    let script = Script::new()
        .on(Stage::Connect, "220")
        .on(Stage::Ehlo, "250-x\r\n250")
        .on(Stage::Mail, "250")
        .on_recipient("x@example.net", ["251"])
        .on_recipient("y@example.net", ["298 fine"])
        .on(Stage::Data, "354")
        .on(Stage::Dot, "250");
    let peer = Peer::start(script);
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    accept(&house, "alice@example.org", &["x@example.net", "y@example.net"], &message("m")).await;
    for recipient in ["x@example.net", "y@example.net"] {
        house.attempt(recipient, Delivered).await;
    }
    assert_eq!(peer.messages()[0].recipients.len(), 2);
    house.stop().await;
}

/// What the configuration lacks is told in its own words, and the mail waits until it is there.
#[tokio::test]
async fn mail_without_a_route_waits_for_one() {
    let mut house = House::start(&routed(SOON, &[])).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
    let deferred = house.next_attempt().await;
    assert_eq!((deferred.result, status(&deferred).as_str()), (Deferred, "4.4.4"));
    for key in ["[[route]]", "[smart_host]", "example.net"] {
        assert!(deferred.report.text().contains(key), "{}", deferred.report);
    }
    let peer = Peer::start(Script::new());
    house.configure(&(routed(SOON, &[]) + &route("*", &format!("smtp://{}", peer.address()), "none")));
    house.reload().await;
    house.attempt("x@example.net", Delivered).await;
    assert_eq!(peer.messages().len(), 1);
    house.stop().await;
}

/// Mail that waits for one next hop leaves by another when the configuration says so.
#[tokio::test]
async fn a_reload_turns_waiting_mail_to_the_new_next_hop() {
    let old = Peer::start(Script::new().on(Stage::Rcpt, "450 4.2.0 not here"));
    let new = Peer::start(Script::new());
    let mut house = House::start(&routed(SOON, &[("*", &old)])).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
    house.attempt("x@example.net", Deferred).await;
    house.configure(&routed(SOON, &[("example.net", &new), ("*", &old)]));
    house.reload().await;
    house.attempt("x@example.net", Delivered).await;
    assert_eq!((old.messages().len(), new.messages().len()), (0, 1));
    house.stop().await;
}
