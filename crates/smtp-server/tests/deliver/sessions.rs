//! How many sessions a next hop gets, and what each carries.

use smtp_admin::Scope;
use smtp_server::metrics::AttemptResult::{Deferred, Delivered};
use smtp_testkit::peer::{Answer, Gate, Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, accept, emptied, in_time, message, pause, queued, resume, routed};

/// Takes so many messages in while nothing leaves, then lets all go at once.
async fn burst(house: &House, count: usize, to: &str) {
    pause(house, Scope::Mta).await;
    for number in 0..count {
        accept(house, "alice@example.org", &[to], &message(&number.to_string())).await;
    }
    resume(house, Scope::Mta).await;
}

#[tokio::test]
async fn one_session_carries_many_messages() {
    let peer = Peer::start(Script::new());
    let more = routed(SOON, &[("example.net", &peer)]) + "[delivery]\nsessions_per_next_hop = 1\n";
    let mut house = House::start(&more).await;
    burst(&house, 30, "x@example.net").await;
    in_time("all messages", peer.wait_for_messages(30)).await;
    assert_eq!(peer.connections(), 1);
    emptied(&mut house).await;
    house.stop().await;
    in_time("a QUIT", peer.wait_until_idle()).await;
    assert_eq!(peer.count_commands("QUIT"), 1);
}

#[tokio::test]
async fn a_session_ends_after_as_many_messages_as_it_may_carry() {
    let peer = Peer::start(Script::new());
    let more =
        routed(SOON, &[("example.net", &peer)]) + "[delivery]\nsessions_per_next_hop = 1\nmessages_per_session = 10\n";
    let mut house = House::start(&more).await;
    burst(&house, 30, "x@example.net").await;
    let messages = in_time("all messages", peer.wait_for_messages(30)).await;
    for connection in 1..=3 {
        assert_eq!(messages.iter().filter(|message| message.connection == connection).count(), 10);
    }
    assert_eq!(peer.connections(), 3);
    house.stop().await;
}

/// Much mail for one next hop leaves over several sessions, but not before the first has shown that it takes mail.
#[tokio::test]
async fn a_burst_takes_the_sessions_that_it_may_have_and_no_more() {
    let (greeting, dot) = (Gate::new(), Gate::new());
    let script = Script::new()
        .on(Stage::Connect, Answer::Wait(greeting.clone(), Box::new("220 peer.test".into())))
        .on(Stage::Dot, Answer::Wait(dot.clone(), Box::new("250 2.0.0 taken".into())));
    let peer = Peer::start(script);
    let more = routed(SOON, &[("example.net", &peer)]) + "[delivery]\nsessions_per_next_hop = 5\n";
    let mut house = House::start(&more).await;
    burst(&house, 40, "x@example.net").await;
    in_time("a first session", greeting.reached(1)).await;
    assert_eq!(peer.connections(), 1);
    greeting.open();
    in_time("all sessions", dot.reached(5)).await;
    assert_eq!(peer.connections(), 5);
    dot.open();
    in_time("all messages", peer.wait_for_messages(40)).await;
    assert_eq!(peer.connections(), 5);
    emptied(&mut house).await;
    house.stop().await;
}

/// A host that takes one session at a time is not dead: its mail goes over that one, and no attempt is lost on the others.
#[tokio::test]
async fn a_next_hop_that_refuses_more_sessions_keeps_those_it_has() {
    let first = Gate::new();
    let refused = Answer::ReplyAndClose("421 4.7.0 too many connections from your address".to_owned());
    let script = Script::new().on_each(Stage::Connect, ["220 peer.test".into(), refused]).on_each(
        Stage::Dot,
        [Answer::Wait(first.clone(), Box::new("250 2.0.0 taken".into())), "250 2.0.0 taken".into()],
    );
    let peer = Peer::start(script);
    // A refused session is not tried again for a while, which is longer than this test.
    let mut house = House::start(&routed("retry = [\"10m\", \"…\"]\n", &[("example.net", &peer)])).await;
    burst(&house, 20, "x@example.net").await;
    in_time("the first message", first.reached(1)).await;
    crate::support::until("a refused session", || peer.connections() > 1).await;
    first.open();
    let messages = in_time("all messages", peer.wait_for_messages(20)).await;
    assert!(messages.iter().all(|message| message.connection == 1));
    for _ in 0..20 {
        let attempted = house.next_attempt().await;
        assert_eq!((attempted.result, attempted.attempts), (Delivered, 1));
    }
    emptied(&mut house).await;
    house.stop().await;
}

/// A message that takes its time does not hold up the few behind it.
#[tokio::test]
async fn no_message_waits_long_behind_another() {
    let slow = Gate::new();
    let script = Script::new().on_each(
        Stage::Dot,
        [Answer::Wait(slow.clone(), Box::new("250 2.0.0 taken".into())), "250 2.0.0 taken".into()],
    );
    let peer = Peer::start(script);
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("slow")).await;
    in_time("the slow one", slow.reached(1)).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("quick")).await;
    let received = in_time("the quick one", peer.wait_for_messages(1)).await;
    assert!(String::from_utf8_lossy(&received[0].content).contains("Subject: quick"));
    slow.open();
    in_time("the slow one", peer.wait_for_messages(2)).await;
    emptied(&mut house).await;
    house.stop().await;
}

/// With sessions for one next hop only, two with mail take turns.
#[tokio::test]
async fn a_next_hop_with_much_mail_leaves_sessions_to_others() {
    let gates: Vec<_> = (0..10).map(|_| Gate::new()).collect();
    let behind = |gate: &Gate| Answer::Wait(gate.clone(), Box::new("250 2.0.0 taken".into()));
    let much = Peer::start(Script::new().on_each(Stage::Dot, gates.iter().map(behind)));
    let little = Peer::start(Script::new());
    let more = routed(SOON, &[("much.example", &much), ("little.example", &little)]) + "[delivery]\nsessions = 1\n";
    let mut house = House::start(&more).await;
    burst(&house, 10, "x@much.example").await;
    in_time("the first", gates[0].reached(1)).await;
    accept(&house, "alice@example.org", &["x@little.example"], &message("one")).await;
    for (number, gate) in gates.iter().enumerate() {
        gate.open();
        in_time("one more message to the one, or the one to the other", async {
            tokio::select! {
                _ = much.wait_for_messages(number + 1) => {}
                _ = little.wait_for_messages(1) => {}
            }
        })
        .await;
    }
    in_time("all", much.wait_for_messages(10)).await;
    in_time("all", little.wait_for_messages(1)).await;
    let mut order = Vec::new();
    for _ in 0..11 {
        order.push(house.next_attempt().await.forward_path.to_string());
    }
    let turn = order.iter().position(|path| path == "<x@little.example>").unwrap();
    assert!(turn < 5, "{order:?}");
    house.stop().await;
}

/// A lane at rest costs nothing, however much mail joins it: not one attempt is booked but those of the probes.
#[tokio::test]
async fn mail_for_a_dead_next_hop_waits_untried() {
    let peer = Peer::start(Script::new().on(Stage::Connect, Answer::Close));
    let mut house = House::start(&routed("retry = [\"1h\", \"…\"]\n", &[("example.net", &peer)])).await;
    accept(&house, "alice@example.org", &["first@example.net"], &message("m")).await;
    house.attempt("first@example.net", Deferred).await;
    for _ in 0..10 {
        accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
    }
    let untried = queued(&house).await.into_iter().filter(|found| found.attempts == 0).count();
    assert_eq!((untried, peer.connections()), (10, 1));
    house.stop().await;
}
