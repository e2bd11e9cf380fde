//! MT-PRIORITY (RFC 6710): what is more urgent goes first.

use smtp_admin::Scope;
use smtp_server::metrics::AttemptResult::Delivered;
use smtp_testkit::peer::{Peer, Script};

use crate::house::House;
use crate::support::{in_time, message, pause, resume, routed, secured, submit};

/// §4.2, §4.3, §5.1: of what is due the higher goes first, also after a restart, and who offers it is told.
#[tokio::test]
async fn the_higher_priority_goes_first_and_is_passed_on() {
    for offered in [true, false] {
        let mut extensions = vec!["PIPELINING", "8BITMIME"];
        extensions.extend(offered.then_some("MT-PRIORITY MIXER"));
        let peer = Peer::start(Script::new().extensions(&extensions));
        let more = routed("", &[("example.net", &peer)]) + "[delivery]\nsessions_per_next_hop = 1\n";
        let mut house = House::start(&more).await;
        pause(&house, Scope::Mta).await;
        for parameters in ["MT-PRIORITY=-3", "", "MT-PRIORITY=5", "MT-PRIORITY=9", "MT-PRIORITY=5"] {
            submit(&house, "alice@example.org", parameters, &["x@example.net"], &message("m")).await;
        }
        house.stop().await;
        house.start_daemon().await;
        resume(&house, Scope::Mta).await;
        let received = in_time("all mail", peer.wait_for_messages(5)).await;
        let fields = received.iter().map(|one| String::from_utf8_lossy(&one.content).into_owned());
        let priority =
            |field: String| field.split_once("\tPRIORITY ").map(|(_, rest)| rest[..2].trim_matches(';').to_owned());
        let order: Vec<_> = fields.map(priority).map(Option::unwrap_or_default).collect();
        assert_eq!(order, ["9", "5", "5", "", "-3"]);
        for (one, priority) in received.iter().zip(order) {
            let expected = offered && !priority.is_empty();
            assert_eq!(one.mail.contains("MT-PRIORITY="), expected, "{}", one.mail);
            assert!(!expected || one.mail.contains(&format!("MT-PRIORITY={priority}")), "{}", one.mail);
        }
        house.stop().await;
    }
}

/// §4.1: with 2.3.6, the new priority and a blank in front.
#[tokio::test]
async fn a_priority_that_is_too_high_is_lowered_and_the_reply_says_so() {
    let peer = Peer::start(Script::new().extensions(&["PIPELINING", "8BITMIME", "MT-PRIORITY"]));
    let mut house = House::start(&(routed("", &[("example.net", &peer)]) + "[limits]\nmt_priority = 4\n")).await;
    let mut dialogue = secured(&house).await;
    for (asked, reply) in [(9, "250 2.3.6 4 is the new priority"), (4, "250 2.1.0 "), (-9, "250 2.1.0 ")] {
        let found = dialogue.ask(&format!("MAIL FROM:<alice@example.org> MT-PRIORITY={asked}")).await;
        assert!(found.starts_with(reply), "{found}");
        dialogue.ask("RSET").await;
    }
    submit(&house, "alice@example.org", "MT-PRIORITY=9", &["x@example.net"], &message("m")).await;
    house.attempt("x@example.net", Delivered).await;
    assert!(peer.messages()[0].mail.ends_with(" MT-PRIORITY=4"), "{}", peer.messages()[0].mail);
    house.stop().await;
}
