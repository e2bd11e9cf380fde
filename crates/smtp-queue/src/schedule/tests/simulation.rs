//! A week of the schedule's life, with everything that happens to mail, on a simulated clock.

use std::collections::{BTreeMap, HashMap};

use fastrand::Rng;

use super::*;
use crate::retry::RetrySchedule;

const HOUR: u64 = 3_600;
const EXPIRES_AFTER: u64 = 5 * 24 * HOUR;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    Failed,
    Expired,
    Removed,
}

/// An attempt under way: when it ends.
struct Flight {
    lease: Leased,
    ends: SystemTime,
}

struct World {
    schedule: Schedule,
    rng: Rng,
    retry: RetrySchedule,
    now: SystemTime,
    flights: Vec<Flight>,
    expires: BTreeMap<DeliveryId, SystemTime>,
    held_until: HashMap<DeliveryId, SystemTime>,
    attempts: HashMap<DeliveryId, u32>,
    ends: BTreeMap<DeliveryId, End>,
    next_message: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let table = LaneTable::new(vec![("*.corp.example".parse().unwrap(), lane("hop"))], None);
        let delays = [60, 300, 900, HOUR, 4 * HOUR].map(Duration::from_secs).to_vec();
        Self {
            schedule: Schedule::new(table, start()),
            rng: Rng::with_seed(seed),
            retry: RetrySchedule::new(delays).unwrap(),
            now: start(),
            flights: Vec::new(),
            expires: BTreeMap::new(),
            held_until: HashMap::new(),
            attempts: HashMap::new(),
            ends: BTreeMap::new(),
            next_message: 1,
        }
    }

    fn submit(&mut self) {
        let message = self.next_message;
        self.next_message += 1;
        for number in 0..self.rng.u32(1..4) {
            let destination = match self.rng.u32(0..40) {
                0..10 => to_mailbox(),
                10..15 => to_domain(&format!("d{}.corp.example", self.rng.u32(0..3))),
                15..20 => to_domain("dead.example"),
                other => to_domain(&format!("d{other}.example")),
            };
            let expires_at = self.now + Duration::from_secs(EXPIRES_AFTER);
            let notice_at = self.rng.bool().then(|| self.now + Duration::from_secs(4 * HOUR));
            let id = id(message, number);
            let new = NewEntry {
                id,
                destination: &destination,
                due: self.now,
                expires_at,
                notice_at,
                priority: priority_of(id.message),
            };
            assert!(self.schedule.insert(&new));
            self.expires.insert(id, expires_at);
        }
    }

    fn end(&mut self, id: DeliveryId, end: End) {
        assert_eq!(self.ends.insert(id, end), None, "{id:?} has come to two ends");
    }

    /// Takes out all that is due or overdue.
    fn pick(&mut self) {
        let overdue = self.schedule.lease_overdue(self.now, 100);
        for lease in overdue {
            self.report(&lease);
        }
        for ready in self.schedule.ready(self.now, usize::MAX) {
            for lease in self.schedule.lease(&ready.lane, self.now, 20) {
                for id in ids(&lease) {
                    assert!(self.expires[&id] > self.now, "{id:?} is tried after its expiry");
                    *self.attempts.entry(id).or_default() += 1;
                }
                let ends = self.now + Duration::from_secs(self.rng.u64(0..600));
                self.flights.push(Flight { lease, ends });
            }
        }
    }

    fn report(&mut self, lease: &Leased) {
        for id in ids(lease) {
            match lease.overdue.unwrap() {
                Overdue::NoticeOwed => assert!(self.schedule.notice_sent(id, lease.lease)),
                Overdue::Expired => {
                    assert!(self.schedule.finish(id, lease.lease));
                    // What is held does not expire, and an attempt under way is awaited.
                    let last =
                        self.held_until.get(&id).map_or(self.expires[&id], |until| self.expires[&id].max(*until));
                    assert!(self.now <= last + self.retry.delay_max(), "{id:?} has outlived its expiry");
                    self.end(id, End::Expired);
                }
            }
        }
    }

    fn land(&mut self, lease: &Leased) {
        let dead = lease.lane.as_str() == "dead.example" || (lease.lane.as_str() == "hop" && self.rng.u32(0..3) > 0);
        if dead {
            self.schedule.rest_lane(&lease.lane, self.now + Duration::from_secs(self.rng.u64(60..HOUR)));
        } else {
            self.schedule.wake_lane(&lease.lane);
        }
        for id in ids(lease) {
            if !self.schedule.is_leased(id, lease.lease) {
                // An operator has taken it meanwhile: whatever came of the attempt, it is superseded.
                assert!(!self.schedule.finish(id, lease.lease));
                continue;
            }
            match self.rng.u32(0..10) {
                _ if dead => self.defer(id, lease.lease),
                0..5 => {
                    assert!(self.schedule.finish(id, lease.lease));
                    self.end(id, End::Delivered);
                }
                5 => {
                    assert!(self.schedule.finish(id, lease.lease));
                    self.end(id, End::Failed);
                }
                6 => assert!(self.schedule.give_back(id, lease.lease)),
                _ => self.defer(id, lease.lease),
            }
        }
    }

    fn defer(&mut self, id: DeliveryId, lease: LeaseNumber) {
        let due = self.retry.next(self.attempts[&id], self.now, self.expires[&id], id.message.as_raw());
        assert!(self.schedule.defer(id, lease, due));
    }

    /// What operators do once in a while.
    fn meddle(&mut self) {
        let alive: Vec<_> = self.expires.keys().filter(|id| !self.ends.contains_key(id)).copied().collect();
        if alive.is_empty() {
            return;
        }
        let id = *self.rng.choice(&alive).unwrap();
        let soon = self.now + Duration::from_secs(self.rng.u64(1..6 * HOUR));
        let scopes = [PauseScope::Mta, PauseScope::Mda, PauseScope::Domain("d25.example".parse().unwrap())];
        match self.rng.u32(0..6) {
            0 => {
                assert!(self.schedule.remove(id));
                self.end(id, End::Removed);
            }
            1 => {
                assert!(self.schedule.hold(id, Some(soon)));
                self.held_until.insert(id, soon);
            }
            2 => drop(self.schedule.release(id)),
            3 => drop(self.schedule.due_now(id, self.now)),
            4 => self.schedule.pause(self.rng.choice(&scopes).unwrap(), Some(soon)),
            _ => drop(self.schedule.resume(self.rng.choice(&scopes).unwrap())),
        }
    }

    /// Lets time pass to the next event, but no more than ten minutes.
    fn step(&mut self) {
        let flight = self.flights.iter().map(|flight| flight.ends).min();
        let due = self.schedule.next_due(self.now);
        let soon = self.now + Duration::from_mins(10);
        self.now = [flight, due].into_iter().flatten().min().unwrap_or(soon).clamp(self.now, soon);
        let (landed, flying) =
            std::mem::take(&mut self.flights).into_iter().partition(|flight| flight.ends <= self.now);
        self.flights = flying;
        for flight in landed {
            self.land(&flight.lease);
        }
        self.pick();
    }
}

fn ids(lease: &Leased) -> Vec<DeliveryId> {
    lease.numbers.iter().map(|number| DeliveryId { message: lease.message, number: *number }).collect()
}

#[test]
fn every_delivery_comes_to_exactly_one_end() {
    for seed in 0..3 {
        let mut world = World::new(seed);
        let mut hour = 0;
        while world.now < at(2 * EXPIRES_AFTER) {
            // Mail comes in on the first two days.
            let passed = world.now.duration_since(start()).unwrap().as_secs() / HOUR;
            while hour <= passed {
                hour += 1;
                if hour < 48 {
                    (0..25).for_each(|_| world.submit());
                }
                world.meddle();
            }
            world.step();
        }
        assert_eq!(world.schedule.counts().deliveries, 0, "{:?}", world.schedule.counts());
        assert_eq!(world.ends.len(), world.expires.len());
        for end in [End::Delivered, End::Failed, End::Expired, End::Removed] {
            assert!(world.ends.values().any(|found| *found == end), "{end:?}");
        }
    }
}

#[test]
fn a_dead_lane_costs_one_probe_a_step_and_delays_no_other() {
    const DEAD: u64 = 100_000;
    let mut schedule = Schedule::new(LaneTable::default(), start());
    let (dead, dead_lane) = (to_domain("dead.example"), lane("dead.example"));
    for message in 1..=DEAD {
        let expires_at = at(EXPIRES_AFTER);
        let id = id(message, 0);
        let new = NewEntry {
            id,
            destination: &dead,
            due: start(),
            expires_at,
            notice_at: None,
            priority: priority_of(id.message),
        };
        schedule.insert(&new);
    }
    let steps = 24 * 6;
    let mut probes = 0;
    for step in 0..steps {
        let now = at(step * 600);
        // A delivery to each of ten other domains, due now.
        for number in 0..10 {
            let destination = to_domain(&format!("live{number}.example"));
            let expires_at = at(EXPIRES_AFTER);
            let new = NewEntry {
                id: id(DEAD + 1 + step, number),
                destination: &destination,
                due: now,
                expires_at,
                notice_at: None,
                priority: Priority::default(),
            };
            schedule.insert(&new);
        }
        let ready = schedule.ready(now, usize::MAX);
        assert_eq!(ready.iter().filter(|ready| ready.lane != dead_lane).count(), 10);
        for ready in ready {
            // The first time nobody knows that the lane is dead.
            let at_most = if step == 0 { 1 } else { 1_000 };
            for lease in schedule.lease(&ready.lane, now, at_most) {
                if lease.lane == dead_lane {
                    probes += 1;
                    schedule.rest_lane(&dead_lane, now + Duration::from_mins(10));
                    assert!(ids(&lease).into_iter().all(|id| schedule.defer(
                        id,
                        lease.lease,
                        now + Duration::from_hours(1)
                    )));
                } else {
                    assert!(ids(&lease).into_iter().all(|id| schedule.finish(id, lease.lease)));
                }
            }
        }
        assert!(schedule.ready(now, usize::MAX).is_empty(), "nothing waits for the dead lane");
    }
    assert_eq!(probes, steps);
    schedule.wake_lane(&dead_lane);
    assert_eq!(schedule.lease(&dead_lane, at(steps * 600 + HOUR), usize::MAX).len() as u64, DEAD);
}
