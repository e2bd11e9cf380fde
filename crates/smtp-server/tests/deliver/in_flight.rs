//! The server stops, or is reloaded, while attempts are under way.

use smtp_server::metrics::AttemptResult::Delivered;
use smtp_testkit::peer::{Answer, Gate, Peer, Script, Stage};

use crate::house::House;
use crate::support::{SOON, accept, emptied, in_time, message, queued, routed};

fn taken_behind(gate: &Gate) -> Answer {
    Answer::Wait(gate.clone(), Box::new("250 2.0.0 taken".into()))
}

/// Numbers of the messages that a peer has, sorted.
fn numbers(peer: &Peer) -> Vec<usize> {
    let subject = |content: &[u8]| -> Option<usize> {
        String::from_utf8_lossy(content).lines().find_map(|line| line.strip_prefix("Subject: ")?.parse().ok())
    };
    let mut numbers: Vec<_> = peer.messages().iter().map(|message| subject(&message.content).unwrap()).collect();
    numbers.sort_unstable();
    numbers
}

/// What was on the wire may come twice; nothing else does, and nothing is lost.
#[tokio::test]
async fn a_stop_in_the_middle_of_attempts_loses_nothing() {
    let gate = Gate::new();
    let mut answers = vec![taken_behind(&gate); 3];
    answers.push("250 2.0.0 taken".into());
    let peer = Peer::start(Script::new().on_each(Stage::Dot, answers));
    let more = routed(SOON, &[("example.net", &peer)])
        + "[delivery]\nsessions_per_next_hop = 3\n[timeouts]\ndrain = \"50ms\"\n";
    let mut house = House::start(&more).await;
    for number in 0..50 {
        accept(&house, "alice@example.org", &["x@example.net"], &message(&number.to_string())).await;
    }
    in_time("attempts under way", gate.reached(3)).await;
    house.stop().await;
    assert_eq!(peer.messages().len(), 0);
    house.start_daemon().await;
    in_time("all mail", peer.wait_for_messages(50)).await;
    // Now the three that were on the wire come to their end at the peer.
    gate.open();
    in_time("what was on the wire", peer.wait_for_messages(53)).await;
    emptied(&mut house).await;
    let mut numbers = numbers(&peer);
    assert_eq!(numbers.len(), 53);
    numbers.dedup();
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
    house.stop().await;
}

/// An attempt that ends within the drain time is booked: nothing comes twice.
#[tokio::test]
async fn a_stop_waits_for_the_attempts_under_way() {
    let gate = Gate::new();
    let peer = Peer::start(Script::new().on(Stage::Dot, taken_behind(&gate)));
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("0")).await;
    in_time("the attempt", gate.reached(1)).await;
    let stopped = async {
        house.stop().await;
        house.start_daemon().await;
        queued(&house).await
    };
    let (left, ()) = tokio::join!(stopped, async { gate.open() });
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(numbers(&peer), [0]);
    house.stop().await;
}

/// A reload does not break off what is under way.
#[tokio::test]
async fn a_reload_leaves_attempts_alone() {
    let gate = Gate::new();
    let peer = Peer::start(Script::new().on(Stage::Dot, taken_behind(&gate)));
    let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
    accept(&house, "alice@example.org", &["x@example.net"], &message("0")).await;
    in_time("the attempt", gate.reached(1)).await;
    // Nothing leads to the peer any more.
    house.configure(&routed(SOON, &[]));
    house.reload().await;
    gate.open();
    assert_eq!(house.attempt("x@example.net", Delivered).await.attempts, 1);
    emptied(&mut house).await;
    assert_eq!((numbers(&peer), peer.connections()), (vec![0], 1));
    house.stop().await;
}
