//! What every store must do: one set of tests, run on each.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use smtp_mail::{DomainPattern, RecipientId};
use smtp_proto::Mail;
use smtp_queue::lane::LaneTable;
use smtp_queue::select::IdSelector;
use smtp_queue::{
    Act, CommitError, ControlReport, DeliveryState, Hold, HoldCause, Lane, Lease, NewMessage, NewReport, Overdue, Page,
    Pause, PauseScope, RecipientChange, RecipientProgress, Selector, Settled, Settlement,
};
use support::{Bench, HEADER, message, now, outcome, reverse_path, seconds, settlement};

macro_rules! on_each_store {
    ($($name:ident),* $(,)?) => {
        mod in_memory {
            $(#[tokio::test] async fn $name() { super::$name(super::Bench::in_memory()).await; })*
        }
        mod on_disk {
            $(#[tokio::test] async fn $name() { super::$name(super::Bench::on_disk()).await; })*
        }
    };
}

on_each_store!(
    a_message_is_leased_and_delivered,
    a_deferral_comes_back_when_it_is_due,
    a_lease_that_is_dropped_is_returned,
    many_recipients_become_several_deliveries,
    deliveries_of_one_lane_leave_together_and_own_reverse_paths_apart,
    a_failure_and_its_report_are_one,
    a_report_of_a_superseded_settlement_is_not_sent,
    what_was_delivered_stays_delivered_though_held_meanwhile,
    a_removal_wins_over_an_attempt,
    holds_do_not_expire_and_are_released,
    what_is_held_from_the_start_waits_for_its_release,
    one_recipient_is_removed_alone,
    due_now_makes_due,
    what_its_sender_holds_is_due_at_its_release,
    a_pause_is_no_attempt,
    pauses_and_states_survive_a_restart,
    overdue_deliveries_are_leased_whatever_their_lane_does,
    a_lane_at_rest_gives_one_probe,
    lanes_are_sorted_anew,
    pages_and_limits,
    one_domain_is_found_among_many,
    long_bodies_arrive_whole,
    a_dropped_draft_leaves_nothing,
    a_message_without_recipients_is_refused,
    after_everything_is_removed_new_mail_leaves_at_once,
    a_closed_queue_refuses,
);

const DELIVERED: RecipientChange = RecipientChange::Delivered;

async fn a_message_is_leased_and_delivered(bench: Bench) {
    let id = bench.send("alice@example.org", &["bob@example.net"], "Hello\r\n").await;
    let queue = &bench.queue;
    assert_eq!(queue.stats(now()).messages, 1);
    let ready = queue.ready(now());
    assert_eq!((ready.len(), ready[0].due, ready[0].lane.as_str()), (1, 1, "example.net"));
    let lease = bench.lease_one(now());
    assert_eq!((lease.id(), lease.attempts(), lease.overdue()), (id, 0, None));
    let content = &lease.attempt().content;
    assert_eq!(content.chunk(0, 1000).unwrap(), HEADER);
    assert_eq!(content.chunk(HEADER.len() as u64, 1000).unwrap(), "Hello\r\n");
    assert!(queue.ready(now()).is_empty());
    assert_eq!(bench.find_one().state, DeliveryState::InFlight);
    assert_eq!(bench.settle(lease, DELIVERED).await, Settled::Settled);
    assert!(bench.find_all().is_empty());
    assert!(queue.message(id, now()).unwrap().is_none());
    let stats = queue.stats(now());
    assert_eq!((stats.messages, stats.deliveries, stats.content_octets), (0, 0, 0));
}

async fn a_deferral_comes_back_when_it_is_due(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net"], "x\r\n").await;
    let due = now() + seconds(60);
    bench.settle(bench.lease_one(now()), RecipientChange::Deferred { due }).await;
    assert!(bench.queue.ready(now() + seconds(59)).is_empty());
    assert!(bench.queue.next_due(now()).unwrap() >= due);
    let view = bench.find_one();
    assert_eq!((view.attempts, view.due, view.last_attempt_at), (1, due, Some(now())));
    assert_eq!(view.recipients[0].report.as_ref().unwrap().text(), "450 later");
    let lease = bench.lease_one(due + seconds(1));
    assert_eq!((lease.attempts(), lease.attempts_of(1)), (1, 1));
    assert_eq!(lease.last_report_of(1).unwrap().text(), "450 later");
}

async fn a_lease_that_is_dropped_is_returned(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net"], "x\r\n").await;
    let lease = bench.lease_one(now());
    assert!(bench.lease_all(now()).is_empty());
    drop(lease);
    tokio::time::timeout(seconds(10), bench.queue.changed()).await.unwrap();
    assert_eq!(bench.lease_one(now()).attempts(), 0);
}

async fn many_recipients_become_several_deliveries(bench: Bench) {
    let recipients: Vec<String> = (0..500).map(|number| format!("user.number.{number}@example.net")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    bench.send("alice@example.org", &recipients, "x\r\n").await;
    let views = bench.find_all();
    assert!(views.len() > 1);
    let numbers: Vec<u32> = views.iter().flat_map(|view| &view.recipients).map(|recipient| recipient.number).collect();
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
    let lease = bench.lease_one(now());
    assert_eq!(lease.attempt().recipients.len(), 500);
    // Half of them are delivered, the others are tried again.
    let mut outcomes = Vec::new();
    for number in 1..=500 {
        let change = if number % 2 == 0 { DELIVERED } else { RecipientChange::Deferred { due: now() + seconds(5) } };
        outcomes.push(outcome(number, change));
    }
    let settlement = Settlement { lease, outcomes, reports: Vec::new(), notice_sent: false };
    bench.queue.settle(vec![settlement]).await.unwrap();
    let lease = bench.lease_one(now() + seconds(6));
    assert_eq!(lease.attempt().recipients.len(), 250);
    bench.settle(lease, DELIVERED).await;
    assert!(bench.find_all().is_empty());
}

async fn deliveries_of_one_lane_leave_together_and_own_reverse_paths_apart(bench: Bench) {
    let mut new = message("alice@example.org", &["ann@local", "ben@local", "cyd@local"], "x\r\n");
    new.deliveries[2].reverse_path = Some(reverse_path("srs@example.org"));
    bench.commit(new, "x\r\n").await;
    let mut leases = bench.lease_all(now());
    leases.sort_by_key(|lease| lease.attempt().recipients.len());
    assert_eq!(leases.len(), 2);
    assert_eq!(leases[0].attempt().mail.reverse_path, reverse_path("srs@example.org"));
    assert_eq!(leases[0].attempt().recipients[0].user.as_ref().unwrap().as_str(), "cyd");
    assert_eq!(leases[1].attempt().mail.reverse_path, reverse_path("alice@example.org"));
    let users: Vec<_> =
        leases[1].attempt().recipients.iter().map(|recipient| recipient.user.clone().unwrap()).collect();
    assert_eq!(users.iter().map(smtp_mail::LocalUser::as_str).collect::<Vec<_>>(), ["ann", "ben"]);
    assert!(leases.iter().all(|lease| lease.lane().is_local()));
}

async fn a_failure_and_its_report_are_one(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net", "eve@example.net"], "x\r\n").await;
    let lease = bench.lease_one(now());
    let id = bench.queue.next_id();
    let report = NewReport {
        message: message("", &["alice@example.org"], "failed\r\n"),
        body: "failed\r\n".into(),
        id: Some(id),
    };
    let settlement = Settlement {
        lease,
        outcomes: vec![
            outcome(1, RecipientChange::Failed),
            outcome(2, RecipientChange::Deferred { due: now() + seconds(9) }),
        ],
        reports: vec![report],
        notice_sent: false,
    };
    assert_eq!(bench.queue.settle(vec![settlement]).await.unwrap(), [Settled::Settled]);
    let views = bench.find_all();
    assert_eq!(views.len(), 2);
    let states: Vec<_> = views[0].recipients.iter().map(|recipient| recipient.state).collect();
    assert_eq!(states, [RecipientProgress::Failed, RecipientProgress::Queued]);
    let texts: Vec<_> = views[0].recipients.iter().map(|recipient| recipient.report.as_ref().unwrap().text()).collect();
    assert_eq!(texts, ["550 no such user", "450 later"]);
    let lease = bench.lease_one(now());
    assert_eq!(lease.id(), id);
    assert_eq!(lease.attempt().mail.reverse_path, reverse_path(""));
    assert_eq!(lease.attempt().content.chunk(HEADER.len() as u64, 100).unwrap(), "failed\r\n");
}

async fn a_report_of_a_superseded_settlement_is_not_sent(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net"], "x\r\n").await;
    let lease = bench.lease_one(now());
    hold(&bench, None).await;
    let report =
        NewReport { message: message("", &["alice@example.org"], "failed\r\n"), body: "failed\r\n".into(), id: None };
    let mut settlement = settlement(lease, RecipientChange::Failed);
    settlement.reports.push(report);
    assert_eq!(bench.queue.settle(vec![settlement]).await.unwrap(), [Settled::Superseded]);
    let view = bench.find_one();
    assert_eq!((view.attempts, view.recipients[0].state), (0, RecipientProgress::Queued));
    assert!(matches!(view.state, DeliveryState::Held(_)));
}

async fn hold(bench: &Bench, until: Option<Duration>) -> ControlReport {
    let act = Act::Hold { reason: "looking into it".to_owned(), until: until.map(|until| now() + until) };
    bench.queue.control(&Selector::default(), act, now()).await.unwrap()
}

async fn what_was_delivered_stays_delivered_though_held_meanwhile(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net", "eve@example.net"], "x\r\n").await;
    let lease = bench.lease_one(now());
    assert_eq!(hold(&bench, None).await, ControlReport { matched: 2, changed: 2 });
    let outcomes = vec![outcome(1, DELIVERED), outcome(2, RecipientChange::Deferred { due: now() + seconds(60) })];
    let settlement = Settlement { lease, outcomes, reports: Vec::new(), notice_sent: false };
    assert_eq!(bench.queue.settle(vec![settlement]).await.unwrap(), [Settled::Superseded]);
    let view = bench.find_one();
    assert_eq!(view.recipients[0].state, RecipientProgress::Delivered);
    assert_eq!(view.recipients[1].state, RecipientProgress::Queued);
    assert!(matches!(view.state, DeliveryState::Held(_)));
    assert!(bench.lease_all(now()).is_empty());
}

async fn a_removal_wins_over_an_attempt(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net"], "x\r\n").await;
    let lease = bench.lease_one(now());
    let report = bench.queue.control(&Selector::default(), Act::Remove, now()).await.unwrap();
    assert_eq!(report, ControlReport { matched: 1, changed: 1 });
    assert_eq!(bench.settle(lease, RecipientChange::Deferred { due: now() }).await, Settled::Superseded);
    assert!(bench.find_all().is_empty());
    assert_eq!(bench.queue.stats(now()).messages, 0);
}

async fn holds_do_not_expire_and_are_released(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net"], "x\r\n").await;
    hold(&bench, None).await;
    assert_eq!(hold(&bench, None).await.changed, 0);
    let late = now() + Duration::from_hours(1000);
    assert!(bench.queue.lease_overdue(late, 10).is_empty());
    assert!(bench.lease_all(now()).is_empty());
    let DeliveryState::Held(held) = bench.find_one().state else { panic!() };
    assert_eq!((held.reason.as_str(), held.until), ("looking into it", None));
    let released = bench.queue.control(&Selector::default(), Act::Release, now()).await.unwrap();
    assert_eq!(released.changed, 1);
    assert_eq!(bench.lease_one(now()).attempts(), 0);
    // A hold with an end ends by itself.
    hold(&bench, Some(seconds(30))).await;
    assert!(bench.lease_all(now() + seconds(29)).is_empty());
    assert_eq!(bench.lease_all(now() + seconds(31)).len(), 1);
}

/// Also after a restart, and every part of it.
async fn what_is_held_from_the_start_waits_for_its_release(bench: Bench) {
    let reason = "alice has sent too much";
    let recipients = ["bob@example.net", "ann@local"];
    let message = NewMessage { hold: Some(reason.to_owned()), ..message("alice@example.org", &recipients, "x\r\n") };
    let id = bench.commit(message, "x\r\n").await;
    assert!(bench.lease_all(now()).is_empty());
    let (bench, _) = bench.reopened();
    assert!(bench.lease_all(now() + Duration::from_hours(1)).is_empty());
    let states: Vec<_> = bench.find_all().into_iter().map(|delivery| delivery.state).collect();
    let held = DeliveryState::Held(Hold { cause: HoldCause::Policy, reason: reason.to_owned(), until: None });
    assert_eq!(states, [held.clone(), held]);
    let released = bench.queue.control(&Selector::default(), Act::Release, now()).await.unwrap();
    assert_eq!(released.changed, 2);
    let leases = bench.lease_all(now());
    assert_eq!(leases.iter().map(Lease::id).collect::<Vec<_>>(), [id, id]);
}

async fn one_recipient_is_removed_alone(bench: Bench) {
    let id = bench.send("alice@example.org", &["bob@example.net", "eve@example.net", "x@example.com"], "x\r\n").await;
    let only = |number| Selector {
        ids: Some([IdSelector::Recipient(RecipientId { message: id, number })].into()),
        ..Selector::default()
    };
    let report = bench.queue.control(&only(1), Act::Remove, now()).await.unwrap();
    assert_eq!(report, ControlReport { matched: 1, changed: 1 });
    let left: Vec<u32> =
        bench.find_all().iter().flat_map(|view| &view.recipients).map(|recipient| recipient.number).collect();
    assert_eq!(left, [2, 3]);
    bench.queue.control(&only(2), Act::Remove, now()).await.unwrap();
    assert_eq!(bench.find_one().recipients[0].number, 3);
    assert_eq!(bench.queue.stats(now()).messages, 1);
    bench.queue.control(&only(3), Act::Remove, now()).await.unwrap();
    assert_eq!(bench.queue.stats(now()).messages, 0);
}

async fn due_now_makes_due(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net"], "x\r\n").await;
    bench.settle(bench.lease_one(now()), RecipientChange::Deferred { due: now() + seconds(600) }).await;
    assert!(bench.lease_all(now()).is_empty());
    let report = bench.queue.control(&Selector::default(), Act::DueNow, now()).await.unwrap();
    assert_eq!(report, ControlReport { matched: 1, changed: 1 });
    assert_eq!(bench.find_one().due, now());
    let lease = bench.lease_one(now());
    // Under way it is as due as can be.
    let report = bench.queue.control(&Selector::default(), Act::DueNow, now()).await.unwrap();
    assert_eq!(report.changed, 0);
    assert_eq!(bench.settle(lease, DELIVERED).await, Settled::Settled);
}

/// RFC 4865 §4.2.
async fn what_its_sender_holds_is_due_at_its_release(bench: Bench) {
    let mut held = message("alice@example.org", &["bob@example.net", "carol@local"], "x\r\n");
    held.mail = Mail::parse(b"MAIL FROM:<alice@example.org> HOLDFOR=600").unwrap();
    bench.commit(held, "x\r\n").await;
    let (bench, _) = bench.reopened();
    assert!(bench.lease_all(now() + seconds(600) - Duration::from_millis(1)).is_empty());
    for delivery in bench.find_all() {
        assert_eq!(delivery.released_at, now() + seconds(600));
        assert!(delivery.due >= delivery.released_at && delivery.due <= now() + seconds(601));
        assert_eq!(delivery.state, DeliveryState::Waiting);
    }
    assert_eq!(bench.lease_all(now() + seconds(601)).len(), 2);
    bench.queue.control(&Selector::default(), Act::DueNow, now() + seconds(1)).await.unwrap();
    let (bench, _) = bench.reopened();
    assert_eq!(bench.lease_all(now() + seconds(2)).len(), 2);
}

/// Case C32: a pause of a minute, ten messages meanwhile; gone when it ends, and no attempt was counted.
async fn a_pause_is_no_attempt(bench: Bench) {
    let scope = PauseScope::Domain("example.net".parse().unwrap());
    let pause = Pause { scope, until: Some(now() + seconds(60)), reason: "moving".to_owned() };
    bench.queue.pause(pause.clone()).await.unwrap();
    assert_eq!(bench.queue.pauses(now()), [pause]);
    for number in 0..10 {
        bench.send("alice@example.org", &[&format!("user{number}@example.net")], "x\r\n").await;
    }
    bench.send("alice@example.org", &["bob@example.com"], "x\r\n").await;
    assert_eq!(bench.lease_all(now() + seconds(59)).len(), 1);
    assert_eq!(bench.find_all().iter().filter(|view| view.state == DeliveryState::Paused).count(), 10);
    let next = bench.queue.next_due(now() + seconds(30)).unwrap();
    assert!(next <= now() + seconds(61));
    let after = now() + seconds(61);
    assert!(bench.queue.pauses(after).is_empty());
    let leases = bench.lease_all(after);
    let paused = leases.iter().filter(|lease| lease.lane().as_str() == "example.net");
    assert_eq!(paused.map(smtp_queue::Lease::attempts).collect::<Vec<_>>(), [0; 10]);
}

async fn pauses_and_states_survive_a_restart(bench: Bench) {
    bench.queue.pause(Pause { scope: PauseScope::Mta, until: None, reason: "storm".to_owned() }).await.unwrap();
    let id = bench.send("alice@example.org", &["bob@example.net", "eve@example.com", "ann@local"], "x\r\n").await;
    bench.settle(bench.lease_one(now()), RecipientChange::Deferred { due: now() + seconds(60) }).await;
    let before = format!("{:?}", bench.find_all());
    let (bench, report) = bench.reopened();
    assert!(report.damage.is_empty() && !report.rebuilt, "{report:?}");
    assert_eq!(format!("{:?}", bench.find_all()), before);
    assert_eq!(bench.queue.pauses(now())[0].reason, "storm");
    assert!(bench.lease_all(now()).is_empty());
    assert!(bench.queue.resume(PauseScope::Mta).await.unwrap());
    let leases = bench.lease_all(now() + seconds(61));
    assert_eq!(leases.len(), 3);
    assert!(leases.iter().all(|lease| lease.id() == id));
    assert!(bench.queue.next_id() > id);
}

async fn overdue_deliveries_are_leased_whatever_their_lane_does(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net"], "x\r\n").await;
    let lane = bench.queue.ready(now())[0].lane.clone();
    bench.queue.rest_lane(&lane, now() + Duration::from_hours(1000));
    assert!(bench.queue.lease_overdue(now(), 10).is_empty());
    let past_notice = now() + Duration::from_hours(5);
    let mut leases = bench.queue.lease_overdue(past_notice, 10);
    let lease = leases.remove(0);
    assert_eq!(lease.overdue(), Some(Overdue::NoticeOwed));
    let notice =
        NewReport { message: message("", &["alice@example.org"], "late\r\n"), body: "late\r\n".into(), id: None };
    let settlement = Settlement { lease, outcomes: Vec::new(), reports: vec![notice], notice_sent: true };
    bench.queue.settle(vec![settlement]).await.unwrap();
    assert!(bench.queue.lease_overdue(past_notice, 10).is_empty());
    let waiting = bench.find_all();
    assert_eq!((waiting.len(), waiting[0].attempts, waiting[0].delay_notice_at), (2, 0, None));
    // The notice itself does not get there either, and expires with the message.
    let very_late = now() + Duration::from_hours(121);
    let leases = bench.queue.lease_overdue(very_late, 10);
    assert_eq!(leases.iter().map(smtp_queue::Lease::overdue).collect::<Vec<_>>(), [Some(Overdue::Expired); 2]);
    for lease in leases {
        assert_eq!(bench.settle(lease, RecipientChange::Failed).await, Settled::Settled);
    }
    assert!(bench.find_all().is_empty());
}

async fn a_lane_at_rest_gives_one_probe(bench: Bench) {
    for number in 0..20 {
        bench.send("alice@example.org", &[&format!("user{number}@example.net")], "x\r\n").await;
    }
    bench.send("alice@example.org", &["bob@example.com"], "x\r\n").await;
    let dead = Lane::new("example.net");
    bench.queue.rest_lane(&dead, now() + seconds(60));
    assert_eq!(bench.lease_all(now()).len(), 1);
    let probe = bench.queue.lease(&dead, now() + seconds(61), 100);
    assert_eq!(probe.len(), 1);
    assert!(bench.queue.lease(&dead, now() + seconds(61), 100).is_empty());
    bench.queue.wake_lane(&dead);
    assert_eq!(bench.queue.lease(&dead, now() + seconds(61), 100).len(), 19);
}

async fn lanes_are_sorted_anew(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net"], "x\r\n").await;
    bench.send("alice@example.org", &["bob@example.com"], "x\r\n").await;
    let pattern: DomainPattern = "example.net".parse().unwrap();
    bench.queue.set_lanes(LaneTable::new(vec![(pattern, Lane::new("smtp://10.0.0.5:25"))], None));
    let mut lanes: Vec<String> = bench.queue.ready(now()).iter().map(|ready| ready.lane.to_string()).collect();
    lanes.sort();
    assert_eq!(lanes, ["example.com", "smtp://10.0.0.5:25"]);
    assert_eq!(bench.find_all()[0].lane.as_str(), "smtp://10.0.0.5:25");
}

async fn pages_and_limits(bench: Bench) {
    for number in 0..25 {
        bench.send("alice@example.org", &[&format!("user{number}@example.net")], "x\r\n").await;
    }
    let (mut page, mut seen) = (Page::first(10), Vec::new());
    loop {
        let views = bench.queue.find(&Selector::default(), page, now()).unwrap();
        assert!(views.len() <= 10);
        let Some(last) = views.last() else { break };
        page = page.after(last.id);
        seen.extend(views.into_iter().map(|view| view.id));
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted());
    let limited = Selector { limit: Some(7), ..Selector::default() };
    assert_eq!(bench.queue.find(&limited, Page::ALL, now()).unwrap().len(), 7);
    let report = bench.queue.control(&limited, Act::Remove, now()).await.unwrap();
    assert_eq!(report, ControlReport { matched: 7, changed: 7 });
    let one = Selector { rcpt: Some("user20@example.net".parse().unwrap()), ..Selector::default() };
    assert_eq!(bench.queue.find(&one, Page::ALL, now()).unwrap().len(), 1);
    let none = Selector { domain: Some("example.com".parse().unwrap()), ..Selector::default() };
    assert!(bench.queue.find(&none, Page::ALL, now()).unwrap().is_empty());
}

/// More rows than are read at a time, read back from the disk, and one of them changed since.
async fn one_domain_is_found_among_many(bench: Bench) {
    let recipients: Vec<String> = (0..1000).map(|number| format!("user@d{number}.example.net")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(bench.send("alice@example.org", &recipients, "x\r\n").await);
    }
    let (bench, _) = bench.reopened();
    let found = |domain: &str| {
        let selector = Selector { domain: Some(domain.parse().unwrap()), ..Selector::default() };
        let views = bench.queue.find(&selector, Page::ALL, now()).unwrap();
        views.into_iter().map(|view| view.id.message).collect::<Vec<_>>()
    };
    for domain in ["d0.example.net", "d7.example.net", "D999.Example.NET"] {
        assert_eq!(found(domain), ids);
    }
    assert_eq!(found("*.example.net").len(), 3000);
    assert!(found("example.net").is_empty());
    let one = Selector { domain: Some("d7.example.net".parse().unwrap()), limit: Some(1), ..Selector::default() };
    let report = bench.queue.control(&one, Act::Remove, now()).await.unwrap();
    assert_eq!(report, ControlReport { matched: 1, changed: 1 });
    assert_eq!(found("d7.example.net"), ids[1..]);
}

async fn long_bodies_arrive_whole(bench: Bench) {
    let body: String = "a line of a long body\r\n".repeat(60_000);
    assert!(body.len() > 1_000_000);
    let medium = &body[..150_000];
    bench.send("alice@example.org", &["bob@example.net"], &body).await;
    bench.send("alice@example.org", &["bob@example.net"], medium).await;
    let (bench, _) = bench.reopened();
    let mut leases = bench.lease_all(now());
    leases.sort_by_key(|lease| lease.attempt().content.octets());
    for (lease, expected) in leases.into_iter().zip([medium, &body]) {
        let content = &lease.attempt().content;
        assert_eq!(content.body_octets(), expected.len() as u64);
        let mut read = Vec::new();
        loop {
            let chunk = content.chunk(HEADER.len() as u64 + read.len() as u64, 70_000).unwrap();
            if chunk.is_empty() {
                break;
            }
            read.extend_from_slice(&chunk);
        }
        assert!(read == expected.as_bytes());
        // What is leased stays readable though it is removed.
        bench.queue.control(&Selector::default(), Act::Remove, now()).await.unwrap();
        assert_eq!(content.chunk(HEADER.len() as u64, 6).unwrap(), "a line");
    }
}

async fn a_dropped_draft_leaves_nothing(bench: Bench) {
    let mut draft = bench.queue.draft(Some(5_000_000)).unwrap();
    draft.write(Bytes::from(vec![b'x'; 600_000])).await.unwrap();
    assert_eq!(draft.octets(), 600_000);
    drop(draft);
    assert!(bench.find_all().is_empty());
    let (bench, report) = bench.reopened();
    assert_eq!(report.orphan_bodies, 0);
    assert!(bench.find_all().is_empty());
}

async fn a_message_without_recipients_is_refused(bench: Bench) {
    let draft = bench.queue.draft(None).unwrap();
    let refused = draft.commit(message("alice@example.org", &[], "")).await;
    assert!(matches!(refused, Err(CommitError::NoRecipient)));
}

/// Case C33: everything is removed while some are in flight; then a new message leaves at once.
async fn after_everything_is_removed_new_mail_leaves_at_once(bench: Bench) {
    for number in 0..100 {
        bench.send("alice@example.org", &[&format!("user{number}@example.net")], "x\r\n").await;
    }
    let lane = Lane::new("example.net");
    let in_flight = bench.queue.lease(&lane, now(), 30);
    let report = bench.queue.control(&Selector::default(), Act::Remove, now()).await.unwrap();
    assert_eq!(report, ControlReport { matched: 100, changed: 100 });
    let stats = bench.queue.stats(now());
    assert_eq!((stats.messages, stats.deliveries, stats.in_flight, stats.held, stats.due), (0, 0, 0, 0, 0));
    bench.send("alice@example.org", &["new@example.net"], "x\r\n").await;
    let new = bench.lease_one(now());
    assert_eq!(bench.settle(new, DELIVERED).await, Settled::Settled);
    drop(in_flight);
    let (bench, _) = bench.reopened();
    let stats = bench.queue.stats(now());
    assert_eq!((stats.messages, stats.deliveries, stats.in_flight, stats.content_octets), (0, 0, 0, 0));
}

async fn a_closed_queue_refuses(bench: Bench) {
    bench.send("alice@example.org", &["bob@example.net"], "x\r\n").await;
    let draft = bench.queue.draft(None).unwrap();
    let lease = bench.lease_one(now());
    bench.queue.close();
    let refused = draft.commit(message("alice@example.org", &["bob@example.net"], "")).await;
    assert!(matches!(refused, Err(CommitError::Closed)));
    assert!(bench.queue.settle(vec![settlement(lease, DELIVERED)]).await.is_err());
}
