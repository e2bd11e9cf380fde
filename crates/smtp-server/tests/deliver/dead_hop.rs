//! One next hop that is dead, with much mail: it delays no other, and costs one try a rest.

use smtp_server::metrics::AttemptResult::Delivered;
use smtp_testkit::peer::{Answer, Gate, Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, accept, accept_many, emptied, in_time, message, routed};

/// So many messages for the dead next hop.
const MESSAGES: usize = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_next_hop_with_much_mail_delays_no_other() {
    let (fourth, alive) = (Gate::new(), Gate::new());
    let dead = || Answer::ReplyAndClose("421 4.3.2 closed".to_owned());
    let answers = [
        dead(),
        dead(),
        dead(),
        Answer::Wait(fourth.clone(), Box::new(dead())),
        Answer::Wait(alive.clone(), Box::new("220 peer.test".into())),
    ];
    let peer = Peer::start(Script::new().on_each(Stage::Connect, answers));
    let other = Peer::start(Script::new());
    let mut house = House::start(&routed(SOON, &[("dead.example", &peer), ("live.example", &other)])).await;
    accept_many(&house, MESSAGES, "alice@example.org", "x@dead.example").await;
    in_time("the fourth probe", fourth.reached(1)).await;
    // While it is under way there is no fifth, whatever comes in.
    accept(&house, "alice@example.org", &["x@dead.example"], &message("one more")).await;
    for number in 1..=3 {
        accept(&house, "alice@example.org", &["x@live.example"], &message("quick")).await;
        accept(&house, "x@live.example", &["bob@example.org"], &message("quick")).await;
        in_time("mail for the other", other.wait_for_messages(number)).await;
    }
    assert_eq!((peer.connections(), peer.messages().len()), (4, 0));
    fourth.open();
    in_time("the fifth probe", alive.reached(1)).await;
    assert_eq!(peer.connections(), 5);
    alive.open();
    in_time("all mail", peer.wait_for_messages(MESSAGES + 1)).await;
    emptied(&mut house).await;
    // Nothing twice, nothing lost; and it left over the sessions that one next hop may have.
    assert_eq!(peer.messages().len(), MESSAGES + 1);
    assert_eq!(house.maildir("bob").len(), 3);
    let carried = (MESSAGES + 1).div_ceil(100);
    assert!(peer.connections() <= 5 + 20 + carried, "{} connections", peer.connections());
    house.stop().await;
}

/// The next hop dies while it has sessions: what was on the wire is deferred, the rest waits untried, and all of it leaves.
#[tokio::test]
async fn a_next_hop_that_dies_in_the_middle_costs_only_what_was_on_the_wire() {
    let script = Script::new()
        .on_each(Stage::Connect, ["220 peer.test".into(), Answer::Close, "220 peer.test".into()])
        .on_each(Stage::Dot, ["250 2.0.0 taken".into(), Answer::Close, "250 2.0.0 taken".into()]);
    let peer = Peer::start(script);
    let more = routed(SOON, &[("example.net", &peer)]) + "[delivery]\nsessions_per_next_hop = 1\n";
    let mut house = House::start(&more).await;
    crate::support::pause(&house, smtp_admin::Scope::Mta).await;
    for number in 0..10 {
        accept(&house, "alice@example.org", &["x@example.net"], &message(&number.to_string())).await;
    }
    crate::support::resume(&house, smtp_admin::Scope::Mta).await;
    let mut tried_again = 0;
    let mut delivered = 0;
    while delivered < 10 {
        let attempted = house.next_attempt().await;
        if attempted.result == Delivered {
            delivered += 1;
        } else {
            tried_again += 1;
        }
    }
    // One was on the wire, one found the next hop dead.
    assert_eq!((tried_again, peer.connections()), (2, 3));
    emptied(&mut house).await;
    house.stop().await;
}
