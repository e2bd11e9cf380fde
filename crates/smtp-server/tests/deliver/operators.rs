//! What operators do by the admin socket to mail on its way.

use std::time::SystemTime;

use smtp_admin::{Act, Control, QueueState, Scope, Selector};
use smtp_server::metrics::AttemptResult::{Deferred, Delivered};
use smtp_testkit::peer::{Answer, Gate, Peer, Script, Stage};

use crate::house::House;
use crate::support::{
    SOON, accept, act_on_all, admin, emptied, in_time, message, pause, queued, resume, routed, until,
};

const HOURLY: &str = "retry = [\"1h\", \"…\"]\n";

async fn act(house: &House, act: Act, rcpt: &str) -> u64 {
    let selector = Selector { rcpt: Some(rcpt.to_owned()), ..Selector::default() };
    let control = Control { act, selector, reason: None, for_seconds: None, dry_run: false };
    admin(house).control(&control).await.unwrap().changed
}

/// C32: ten messages under a pause are tried not once, and all leave when it ends.
#[tokio::test]
async fn all_mail_under_a_pause_leaves_at_its_end_untried_before() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&routed(HOURLY, &[("example.net", &peer)])).await;
    for scope in [Scope::Mta, Scope::Domain("example.net".to_owned())] {
        let before = peer.messages().len();
        pause(&house, scope.clone()).await;
        for _ in 0..10 {
            accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
        }
        let resting = queued(&house).await;
        assert!(resting.iter().all(|found| (found.state, found.attempts) == (QueueState::Paused, 0)), "{resting:?}");
        assert_eq!((resting.len(), peer.messages().len()), (10, before));
        resume(&house, scope).await;
        in_time("all mail", peer.wait_for_messages(before + 10)).await;
        for _ in 0..10 {
            let attempted = house.next_attempt().await;
            assert_eq!((attempted.result, attempted.attempts), (Delivered, 1));
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn a_pause_of_mailboxes_stops_no_mail_to_others() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    pause(&house, Scope::Mda).await;
    accept(&house, "x@example.com", &["bob@example.org", "x@example.net"], &message("m")).await;
    in_time("the one elsewhere", peer.wait_for_messages(1)).await;
    assert_eq!(house.maildir("bob").len(), 0);
    resume(&house, Scope::Mda).await;
    house.attempt("bob@example.org", Delivered).await;
    assert_eq!(house.maildir("bob").len(), 1);
    house.stop().await;
}

#[tokio::test]
async fn what_is_held_waits_for_its_release() {
    let peer = Peer::start(Script::new());
    let mut house = House::start(&routed("", &[("example.net", &peer)])).await;
    pause(&house, Scope::Mta).await;
    accept(&house, "alice@example.org", &["held@example.net", "free@example.com"], &message("m")).await;
    assert_eq!(act(&house, Act::Hold, "held@example.net").await, 1);
    resume(&house, Scope::Mta).await;
    // The other one is tried, and has no route.
    house.attempt("free@example.com", Deferred).await;
    let held = queued(&house).await.into_iter().find(|found| found.forward_path == "held@example.net").unwrap();
    assert_eq!((held.state, held.attempts), (QueueState::Held, 0));
    assert_eq!(act(&house, Act::Schedule, "held@example.net").await, 0, "what is held is not scheduled");
    assert_eq!(act(&house, Act::Release, "held@example.net").await, 1);
    house.attempt("held@example.net", Delivered).await;
    house.stop().await;
}

/// An operator who has mended a next hop need not wait for the rest of its lane, nor does the rest begin anew.
#[tokio::test]
async fn scheduling_ends_the_rest_of_a_dead_next_hop() {
    let peer =
        Peer::start(Script::new().on_each(Stage::Connect, [Answer::Close, Answer::Close, "220 peer.test".into()]));
    let mut house = House::start(&routed(HOURLY, &[("example.net", &peer)])).await;
    for recipient in ["a@example.net", "b@example.net", "c@example.net"] {
        accept(&house, "alice@example.org", &[recipient], &message("m")).await;
    }
    house.attempt("a@example.net", Deferred).await;
    until("a probe that is booked", || peer.open_connections() == 0).await;
    // Still dead: one more probe, and no more.
    assert_eq!(act(&house, Act::Schedule, "b@example.net").await, 1);
    let second = house.next_attempt().await;
    assert_eq!((second.result, second.forward_path.to_string().as_str()), (Deferred, "<b@example.net>"));
    assert_eq!(peer.connections(), 2);
    // Alive: all that is due leaves with the one that was scheduled.
    assert_eq!(act(&house, Act::Schedule, "a@example.net").await, 1);
    let mut delivered = Vec::new();
    for _ in 0..2 {
        let attempted = house.next_attempt().await;
        assert_eq!(attempted.result, Delivered);
        delivered.push(attempted.forward_path.to_string());
    }
    delivered.sort();
    assert_eq!(delivered, ["<a@example.net>", "<c@example.net>"]);
    let queue = house.daemon().control().queue().clone();
    until("what is booked", || queue.stats(SystemTime::now()).deliveries == 1).await;
    assert_eq!(queued(&house).await[0].forward_path, "b@example.net");
    house.stop().await;
}

/// C33: emptied while some are in flight, the queue goes on with what comes next.
#[tokio::test]
async fn after_all_was_removed_new_mail_leaves_at_once() {
    let gate = Gate::new();
    let mut answers = vec![Answer::Wait(gate.clone(), Box::new("250 2.0.0 taken".into())); 5];
    answers.push("250 2.0.0 taken".into());
    let peer = Peer::start(Script::new().on_each(Stage::Dot, answers));
    let more = routed(HOURLY, &[("example.net", &peer)]) + "[delivery]\nsessions_per_next_hop = 5\n";
    let mut house = House::start(&more).await;
    for _ in 0..100 {
        accept(&house, "alice@example.org", &["old@example.net"], &message("old")).await;
    }
    in_time("some in flight", gate.reached(5)).await;
    let removed = act_on_all(&house, Act::Remove).await;
    assert_eq!((removed.matched, removed.changed), (100, 100));
    assert!(queued(&house).await.is_empty());
    gate.open();
    in_time("those on the wire", peer.wait_for_messages(5)).await;
    accept(&house, "alice@example.org", &["new@example.net"], &message("new")).await;
    in_time("the new one", peer.wait_for_messages(6)).await;
    emptied(&mut house).await;
    let status = admin(&house).status().await.unwrap();
    assert_eq!((status.queue.messages, status.queue.deliveries, status.queue.in_flight), (0, 0, 0));
    house.stop().await;
    let messages = peer.messages();
    assert_eq!(messages.iter().filter(|message| message.recipients == ["<old@example.net>"]).count(), 5);
    assert_eq!((messages.len(), house.maildir("alice").len()), (6, 0));
}

/// The operator's word wins over an attempt under way: what it brings is too late, and is neither tried again nor reported.
#[tokio::test]
async fn what_is_removed_in_flight_is_neither_tried_again_nor_reported() {
    for reply in ["451 4.2.1 later", "550 5.1.1 no such user", "250 2.0.0 taken"] {
        let gate = Gate::new();
        let peer = Peer::start(Script::new().on(Stage::Dot, Answer::Wait(gate.clone(), Box::new(reply.into()))));
        let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
        accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
        in_time("the attempt", gate.reached(1)).await;
        assert_eq!(queued(&house).await[0].state, QueueState::InFlight);
        assert_eq!(act_on_all(&house, Act::Remove).await.changed, 1);
        gate.open();
        house.next_attempt().await;
        // A message after it shows that the late result has been through the queue: settlements keep their order.
        accept(&house, "x@example.com", &["bob@example.org"], &message("after")).await;
        house.attempt("bob@example.org", Delivered).await;
        emptied(&mut house).await;
        assert!(queued(&house).await.is_empty());
        house.stop().await;
        assert_eq!((peer.count_commands("MAIL"), house.maildir("alice").len()), (1, 0), "{reply}");
    }
}

/// What is held in flight stays held when the attempt defers, and is done with when it delivers.
#[tokio::test]
async fn what_is_held_in_flight_stays_so_unless_it_was_delivered() {
    for (reply, stays) in [("451 4.2.1 later", true), ("250 2.0.0 taken", false)] {
        let gate = Gate::new();
        let peer = Peer::start(Script::new().on(Stage::Dot, Answer::Wait(gate.clone(), Box::new(reply.into()))));
        let mut house = House::start(&routed(SOON, &[("example.net", &peer)])).await;
        accept(&house, "alice@example.org", &["x@example.net"], &message("m")).await;
        in_time("the attempt", gate.reached(1)).await;
        assert_eq!(act_on_all(&house, Act::Hold).await.changed, 1);
        gate.open();
        house.next_attempt().await;
        if stays {
            accept(&house, "x@example.com", &["bob@example.org"], &message("after")).await;
            house.attempt("bob@example.org", Delivered).await;
            assert_eq!(act_on_all(&house, Act::Release).await.changed, 1);
            house.attempt("x@example.net", Deferred).await;
        } else {
            emptied(&mut house).await;
        }
        house.stop().await;
    }
}
