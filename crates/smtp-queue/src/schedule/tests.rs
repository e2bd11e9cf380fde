#![allow(clippy::unwrap_used)]

use super::*;
use smtp_mail::{DomainPattern, LocalUser, MessageId};
use smtp_proto::Priority;
use std::time::Duration;

mod model;
mod simulation;

pub(super) fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(500_000)
}

pub(super) fn at(seconds: u64) -> SystemTime {
    start() + Duration::from_secs(seconds)
}

pub(super) fn id(message: u64, number: u32) -> DeliveryId {
    DeliveryId { message: MessageId::from_raw(message), number }
}

pub(super) fn to_domain(name: &str) -> Destination {
    Destination::Domain(name.parse().unwrap())
}

pub(super) fn to_mailbox() -> Destination {
    Destination::Mailbox(LocalUser::new("alice"))
}

/// The priority of a message: three take turns.
pub(super) fn priority_of(message: MessageId) -> Priority {
    let turn = usize::try_from(message.as_raw() % 3).unwrap();
    Priority::new([-9, 0, 9][turn]).unwrap()
}

fn by_domain() -> Schedule {
    Schedule::new(LaneTable::default(), start())
}

fn insert(schedule: &mut Schedule, id: DeliveryId, destination: &Destination, due: u64) {
    let new = NewEntry {
        id,
        destination,
        due: at(due),
        expires_at: at(1_000),
        notice_at: None,
        priority: Priority::default(),
    };
    assert!(schedule.insert(&new));
}

fn lane(name: &str) -> Lane {
    Lane::new(name)
}

/// A lane in which one delivery has been due since then.
fn one_due(lane: Lane, since: u64) -> ReadyLane {
    ReadyLane { lane, due: 1, since: at(since), probe: false }
}

fn messages(leases: &[Leased]) -> Vec<u64> {
    leases.iter().map(|lease| lease.message.as_raw()).collect()
}

#[test]
fn due_deliveries_of_one_message_in_one_lane_are_one_lease() {
    let table = LaneTable::new(vec![("a.example".parse().unwrap(), lane("hop"))], Some(lane("hop")));
    let mut schedule = Schedule::new(table, start());
    insert(&mut schedule, id(1, 1), &to_domain("a.example"), 0);
    insert(&mut schedule, id(1, 2), &to_domain("b.example"), 0);
    insert(&mut schedule, id(1, 3), &to_domain("c.example"), 60);
    insert(&mut schedule, id(1, 4), &to_mailbox(), 0);
    insert(&mut schedule, id(2, 1), &to_domain("a.example"), 0);
    let leases = schedule.lease(&lane("hop"), at(0), 10);
    assert_eq!(messages(&leases), [1, 2]);
    assert_eq!(leases[0].numbers, [1, 2]);
    assert!(schedule.lease(&lane("hop"), at(0), 10).is_empty(), "nothing is leased twice");
    assert_eq!(schedule.ready(at(0), usize::MAX), [one_due(Lane::local(), 0)]);
    assert_eq!(schedule.counts().leased, 3);
}

#[test]
fn the_longest_due_goes_first() {
    let mut schedule = by_domain();
    for (message, due) in [(1, 30), (2, 10), (3, 20)] {
        insert(&mut schedule, id(message, 1), &to_domain("a.example"), due);
    }
    insert(&mut schedule, id(4, 1), &to_domain("b.example"), 5);
    let ready: Vec<_> = schedule.ready(at(100), usize::MAX).into_iter().map(|ready| (ready.lane, ready.due)).collect();
    assert_eq!(ready, [(lane("b.example"), 1), (lane("a.example"), 3)]);
    assert_eq!(schedule.ready(at(100), 1), [one_due(lane("b.example"), 5)]);
    assert_eq!((schedule.due(at(4)), schedule.due(at(20)), schedule.due(at(100))), (0, 3, 4));
    assert_eq!(messages(&schedule.lease(&lane("a.example"), at(100), 2)), [2, 3]);
    assert_eq!(messages(&schedule.lease(&lane("a.example"), at(100), 2)), [1]);
}

/// RFC 6710 §5.1: what is not due yet keeps nobody, however urgent, and all of a priority go in their turn.
#[test]
fn of_what_is_due_the_higher_priority_goes_first() {
    let mut schedule = by_domain();
    let destination = to_domain("a.example");
    for (message, priority, due) in [(1, 0, 0), (2, -9, 0), (3, 9, 50), (4, 4, 20), (5, 4, 10), (6, 9, 200)] {
        let priority = Priority::new(priority).unwrap();
        let new = NewEntry {
            id: id(message, 1),
            destination: &destination,
            due: at(due),
            expires_at: at(1_000),
            notice_at: None,
            priority,
        };
        assert!(schedule.insert(&new));
    }
    let due = |schedule: &mut Schedule, now| schedule.ready(at(now), 1).first().map(|ready| ready.due);
    assert_eq!((due(&mut schedule, 5), due(&mut schedule, 60)), (Some(2), Some(5)));
    assert_eq!(messages(&schedule.lease(&lane("a.example"), at(5), 1)), [1]);
    assert_eq!(messages(&schedule.lease(&lane("a.example"), at(60), 10)), [3, 5, 4, 2]);
    assert_eq!(schedule.next_due(at(60)), Some(at(200)));
    assert_eq!(messages(&schedule.lease(&lane("a.example"), at(200), 10)), [6]);
}

#[test]
fn lanes_take_turns_however_old_their_mail() {
    let mut schedule = by_domain();
    for message in 1..=3 {
        insert(&mut schedule, id(message, 1), &to_domain("much.example"), 0);
    }
    insert(&mut schedule, id(9, 1), &to_domain("little.example"), 50);
    let first = |schedule: &mut Schedule, now| schedule.ready(at(now), 1).remove(0).lane;
    assert_eq!(first(&mut schedule, 60), lane("much.example"));
    assert_eq!(schedule.lease(&lane("much.example"), at(60), 1).len(), 1);
    assert_eq!(first(&mut schedule, 61), lane("little.example"));
    assert_eq!(schedule.ready(at(61), usize::MAX)[1].since, at(60));
    // A clock that is set back makes nobody wait for it.
    assert_eq!(first(&mut schedule, 55), lane("much.example"));
    assert_eq!(schedule.ready(at(55), usize::MAX).len(), 2);
}

#[test]
fn the_lane_of_mailboxes_waits_for_no_other() {
    let mut schedule = by_domain();
    insert(&mut schedule, id(1, 1), &to_domain("a.example"), 0);
    insert(&mut schedule, id(2, 1), &to_mailbox(), 10);
    assert_eq!(schedule.ready(at(9), 1)[0].lane, lane("a.example"));
    assert_eq!(schedule.ready(at(10), 1)[0].lane, Lane::local());
    assert_eq!(schedule.ready(at(10), usize::MAX).len(), 2);
}

#[test]
fn a_late_result_of_a_lost_lease_changes_nothing() {
    let mut schedule = by_domain();
    insert(&mut schedule, id(1, 1), &to_mailbox(), 0);
    let lost = schedule.lease(&Lane::local(), at(0), 1)[0].lease;
    assert!(schedule.hold(id(1, 1), None));
    assert!(!schedule.is_leased(id(1, 1), lost));
    assert!(schedule.release(id(1, 1)));
    let fresh = schedule.lease(&Lane::local(), at(0), 1)[0].lease;
    assert!(!schedule.finish(id(1, 1), lost));
    assert!(!schedule.defer(id(1, 1), lost, at(50)));
    assert!(!schedule.give_back(id(1, 1), lost));
    assert!(schedule.finish(id(1, 1), fresh));
    assert_eq!(schedule.counts(), Counts { lanes: 1, ..Counts::default() });
}

#[test]
fn a_resting_lane_gives_one_probe_a_step() {
    let mut schedule = by_domain();
    for message in 1..=5 {
        insert(&mut schedule, id(message, 1), &to_domain("dead.example"), 0);
    }
    insert(&mut schedule, id(9, 1), &to_domain("live.example"), 0);
    let dead = lane("dead.example");
    assert!(schedule.rest_lane(&dead, at(60)));
    assert_eq!(schedule.ready(at(59), usize::MAX), [one_due(lane("live.example"), 0)]);
    assert!(schedule.lease(&dead, at(59), 10).is_empty());
    assert_eq!(messages(&schedule.lease(&lane("live.example"), at(59), 10)), [9]);
    let [ready] = &schedule.ready(at(61), usize::MAX)[..] else { panic!("one lane is ready") };
    assert_eq!((ready.probe, ready.due, ready.since), (true, 1, at(60)));
    let probe = schedule.lease(&dead, at(60), 10);
    assert_eq!(messages(&probe), [1]);
    assert!(schedule.lease(&dead, at(61), 10).is_empty() && schedule.ready(at(61), usize::MAX).is_empty());
    // The probe has failed.
    schedule.rest_lane(&dead, at(120));
    schedule.defer(id(1, 1), probe[0].lease, at(300));
    assert!(schedule.ready(at(119), usize::MAX).is_empty());
    assert_eq!(messages(&schedule.lease(&dead, at(120), 10)), [2]);
    // The probe has gone through.
    assert!(schedule.wake_lane(&dead));
    assert_eq!(messages(&schedule.lease(&dead, at(121), 10)), [3, 4, 5]);
    assert!(!schedule.wake_lane(&dead));
}

#[test]
fn a_probe_that_gets_lost_is_followed_by_another() {
    let dead = lane("dead.example");
    for lose in [
        (|schedule: &mut Schedule, lease| schedule.give_back(id(1, 1), lease))
            as fn(&mut Schedule, LeaseNumber) -> bool,
        |schedule, lease| schedule.finish(id(1, 1), lease),
        |schedule, _| schedule.hold(id(1, 1), None),
        |schedule, _| schedule.remove(id(1, 1)),
        |schedule, lease| schedule.defer(id(1, 1), lease, at(500)),
        |schedule, _| {
            schedule.set_lanes(LaneTable::default());
            true
        },
    ] {
        let mut schedule = by_domain();
        insert(&mut schedule, id(1, 1), &to_domain("dead.example"), 0);
        insert(&mut schedule, id(2, 1), &to_domain("dead.example"), 1);
        schedule.rest_lane(&dead, at(60));
        let probe = schedule.lease(&dead, at(60), 10);
        assert_eq!(messages(&probe), [1]);
        assert!(lose(&mut schedule, probe[0].lease));
        assert_eq!(schedule.ready(at(60), usize::MAX).len(), 1);
        assert_eq!(schedule.lease(&dead, at(60), 10).len(), 1, "one probe, and no more");
    }
}

#[test]
fn making_a_delivery_due_ends_the_rest_of_its_lane() {
    let mut schedule = by_domain();
    insert(&mut schedule, id(1, 1), &to_domain("dead.example"), 500);
    schedule.rest_lane(&lane("dead.example"), at(600));
    assert!(schedule.due_now(id(1, 1), at(10)));
    assert_eq!(messages(&schedule.lease(&lane("dead.example"), at(10), 5)), [1]);
    assert!(!schedule.due_now(id(1, 1), at(10)), "it is under way");
}

#[test]
fn what_expires_is_never_tried_again() {
    let mut schedule = by_domain();
    let destination = to_domain("a.example");
    for number in 1..=3 {
        let notice_at = (number == 2).then(|| at(50));
        let expires_at = at(if number == 3 { 200 } else { 100 });
        let new = NewEntry {
            id: id(1, number),
            destination: &destination,
            due: at(0),
            expires_at,
            notice_at,
            priority: Priority::default(),
        };
        schedule.insert(&new);
    }
    schedule.rest_lane(&lane("a.example"), at(10_000));
    let owed = schedule.lease_overdue(at(50), 10);
    assert_eq!((owed.len(), &owed[0].numbers[..], owed[0].overdue), (1, &[2][..], Some(Overdue::NoticeOwed)));
    assert!(schedule.notice_sent(id(1, 2), owed[0].lease));
    assert!(schedule.lease_overdue(at(99), 10).is_empty());
    schedule.wake_lane(&lane("a.example"));
    assert_eq!(schedule.lease(&lane("a.example"), at(100), 10)[0].numbers, [3]);
    let expired = schedule.lease_overdue(at(100), 10);
    assert_eq!((expired.len(), &expired[0].numbers[..], expired[0].overdue), (1, &[1, 2][..], Some(Overdue::Expired)));
}

#[test]
fn what_is_held_neither_is_tried_nor_expires() {
    let mut schedule = by_domain();
    insert(&mut schedule, id(1, 1), &to_mailbox(), 0);
    schedule.hold(id(1, 1), Some(at(2_000)));
    assert_eq!(schedule.next_due(at(0)), Some(at(2_000)));
    assert!(schedule.lease_overdue(at(1_500), 10).is_empty() && schedule.ready(at(1_500), usize::MAX).is_empty());
    let (standing, _) = schedule.standing(id(1, 1)).unwrap();
    assert_eq!(standing, Standing::Held { until: Some(at(2_000)) });
    assert_eq!(schedule.lease_overdue(at(2_000), 10)[0].overdue, Some(Overdue::Expired));
}

// Case C32: a pause is over when it is over, whatever was due meanwhile.
#[test]
fn a_pause_stops_its_scope_and_ends_in_time() {
    for (scope, left) in [
        (PauseScope::Mta, vec![Lane::local()]),
        (PauseScope::Mda, vec![lane("a.example"), lane("b.example")]),
        (PauseScope::Domain("A.example".parse().unwrap()), vec![Lane::local(), lane("b.example")]),
    ] {
        let mut schedule = by_domain();
        insert(&mut schedule, id(1, 1), &to_domain("a.example"), 0);
        schedule.pause(&scope, Some(at(60)));
        insert(&mut schedule, id(1, 2), &to_domain("a.example"), 0);
        insert(&mut schedule, id(2, 1), &to_domain("b.example"), 0);
        insert(&mut schedule, id(3, 1), &to_mailbox(), 0);
        let lanes = |schedule: &mut Schedule, now| {
            let mut lanes: Vec<_> = schedule.ready(now, usize::MAX).into_iter().map(|ready| ready.lane).collect();
            lanes.sort_by_key(|lane| (!lane.is_local(), lane.clone()));
            lanes
        };
        assert_eq!(lanes(&mut schedule, at(59)), left, "{scope:?}");
        assert_eq!(lanes(&mut schedule, at(60)).len(), 3);
        assert_eq!(schedule.lease(&lane("a.example"), at(60), 5)[0].numbers, [1, 2]);
        assert!(!schedule.resume(&scope));
    }
}

#[test]
fn a_domain_that_comes_while_it_is_paused_waits() {
    let mut schedule = by_domain();
    let scope = PauseScope::Domain("a.example".parse().unwrap());
    schedule.pause(&scope, None);
    insert(&mut schedule, id(1, 1), &to_domain("a.example"), 0);
    assert!(schedule.ready(at(10), usize::MAX).is_empty());
    assert!(schedule.lease(&lane("a.example"), at(10), 1).is_empty());
    assert!(schedule.resume(&scope));
    assert_eq!(schedule.ready(at(10), usize::MAX).len(), 1);
}

#[test]
fn new_lanes_re_sort_and_keep_the_rests_of_those_that_stay() {
    let mut schedule = by_domain();
    insert(&mut schedule, id(1, 1), &to_domain("a.example"), 0);
    insert(&mut schedule, id(1, 2), &to_domain("b.example"), 0);
    schedule.rest_lane(&lane("a.example"), at(60));
    let rules = vec![("b.example".parse().unwrap(), lane("hop"))];
    schedule.set_lanes(LaneTable::new(rules, None));
    assert_eq!(schedule.ready(at(0), usize::MAX), [one_due(lane("hop"), 0)]);
    assert_eq!(schedule.ready(at(60), usize::MAX).len(), 2);
    schedule.set_lanes(LaneTable::new(vec![(DomainPattern::ANY, lane("hop"))], None));
    assert_eq!(schedule.lease(&lane("hop"), at(0), 5)[0].numbers, [1, 2]);
    assert_eq!(schedule.standing(id(1, 1)).unwrap(), (Standing::Leased, &lane("hop")));
    assert!(schedule.lease(&lane("a.example"), at(60), 5).is_empty());
}

#[test]
fn domains_and_lanes_that_are_empty_are_swept_out() {
    let mut schedule = by_domain();
    for round in 0..20 {
        for domain in 0..100 {
            insert(&mut schedule, id(domain, 1), &to_domain(&format!("d{domain}-{round}.example")), 0);
        }
        assert_eq!(schedule.ready(at(0), usize::MAX).len(), 100);
        for domain in 0..100 {
            assert!(schedule.remove(id(domain, 1)));
        }
    }
    assert!(schedule.counts().lanes <= 165, "{:?}", schedule.counts());
    assert_eq!(schedule.next_due(at(0)), None);
}

#[test]
fn what_is_not_there_is_not_changed() {
    let mut schedule = by_domain();
    assert!(!schedule.remove(id(1, 1)) && !schedule.hold(id(1, 1), None) && !schedule.release(id(1, 1)));
    assert!(!schedule.due_now(id(1, 1), at(0)) && !schedule.rest_lane(&lane("x.example"), at(1)));
    assert!(schedule.standing(id(1, 1)).is_none() && schedule.next_due(at(0)).is_none());
    insert(&mut schedule, id(1, 1), &to_mailbox(), 0);
    let destination = to_mailbox();
    let again = NewEntry {
        id: id(1, 1),
        destination: &destination,
        due: at(9),
        expires_at: at(9),
        notice_at: None,
        priority: Priority::default(),
    };
    assert!(!schedule.insert(&again));
    assert!(!schedule.release(id(1, 1)), "it is not held");
    assert_eq!(schedule.next_due(at(0)), Some(at(0)));
}
