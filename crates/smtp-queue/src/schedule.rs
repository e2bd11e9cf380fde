//! When each delivery is due: two levels, the lanes and then the deliveries in each by due time.
//!
//! Pure: time comes in as an argument, nothing is read or written, nothing is decided about a message. A lane
//! whose next hop is in trouble rests as a whole, and after the rest one probe tells how it does; so a dead
//! lane costs one attempt a step, however long it is, and no other lane waits for it. Everything is held
//! dense, because all that is queued is in here: see [`Schedule`] for what an entry costs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use smtp_mail::Destination;

use self::indices::{IdKey, QueueKey, overdue};
use self::lanes::{Lanes, Rest};
use self::slab::{Entry, Slab, Slot, State};
use self::tick::{Tick, TickClock};
pub use self::values::{Counts, DeliveryId, LeaseNumber, Leased, NewEntry, Overdue, PauseScope, ReadyLane, Standing};
use crate::lane::{Lane, LaneTable};

mod indices;
mod lanes;
mod slab;
mod tick;
mod values;

/// All deliveries, by lane and due time.
///
/// An entry costs about 120 octets; a domain with a lane of its own about 230 more, however many deliveries are in it
/// (`examples/schedule_memory.rs` measures it). Times are kept to the tenth of a second, so a delivery may be due
/// up to that much late, never early. Operations cost O(log n), unless they say otherwise.
#[derive(Debug)]
pub struct Schedule {
    clock: TickClock,
    entries: Slab,
    by_id: BTreeMap<IdKey, Slot>,
    /// What may be leased as soon as it is due: waiting, in no paused domain.
    queue: BTreeSet<QueueKey>,
    /// When what waits is overdue.
    timers: BTreeSet<(Tick, Slot)>,
    /// When holds end.
    holds: BTreeSet<(Tick, Slot)>,
    lanes: Lanes,
    /// The latest that the clock has shown.
    latest: Tick,
    last_lease: u32,
    leased: usize,
    held: usize,
}

impl Schedule {
    /// The most due deliveries that [`Schedule::ready`] counts in a lane.
    pub const DUE_COUNTED_MAX: usize = 256;

    /// An empty schedule that begins now. Due times of more than 30 days ago are not told apart.
    pub fn new(lanes: LaneTable, now: SystemTime) -> Self {
        Self {
            clock: TickClock::starting(now),
            entries: Slab::default(),
            by_id: BTreeMap::new(),
            queue: BTreeSet::new(),
            timers: BTreeSet::new(),
            holds: BTreeSet::new(),
            lanes: Lanes::new(lanes),
            latest: Tick::ZERO,
            last_lease: 0,
            leased: 0,
            held: 0,
        }
    }

    /// Takes a delivery in. `false` if it is there already; then nothing changes.
    pub fn insert(&mut self, new: &NewEntry<'_>) -> bool {
        let key = IdKey::from(new.id);
        if self.by_id.contains_key(&key) {
            return false;
        }
        let slot = self.entries.insert(Entry {
            message: new.id.message,
            number: new.id.number,
            place: self.lanes.enter(new.destination),
            due: self.clock.due(new.due),
            expires: self.clock.limit(new.expires_at),
            notice: self.clock.limit_or_never(new.notice_at),
            urgency: new.priority.into(),
            state: State::Waiting,
        });
        self.by_id.insert(key, slot);
        self.arm(slot);
        true
    }

    /// Takes a delivery out for good, whatever its state. `false` if it is not there.
    pub fn remove(&mut self, id: DeliveryId) -> bool {
        let Some(slot) = self.slot(id) else {
            return false;
        };
        self.disarm(slot);
        self.by_id.remove(&id.into());
        self.lanes.leave(self.entries[slot].place);
        self.entries.remove(slot);
        true
    }

    /// The lanes in which something is due and may be leased: that of the mailboxes, then the others, those first of which
    /// nothing was leased for the longest time since it was due; at most so many. O(what is returned).
    pub fn ready(&mut self, now: SystemTime, at_most: usize) -> Vec<ReadyLane> {
        let now = self.advance(now);
        // Mailboxes need no next hop: however many lanes wait for theirs, this one is not behind them.
        self.lanes
            .local_awake(now)
            .into_iter()
            .chain(self.lanes.others_awake(now))
            .take(at_most)
            .filter_map(|(since, lane)| {
                let probe = self.lanes.rest(lane) != Rest::Open;
                let counted = if probe { 1 } else { Self::DUE_COUNTED_MAX };
                let due = self.count_due(lane, now, counted);
                let since = self.clock.time(since)?;
                Some(ReadyLane { lane: self.lanes.name(lane).clone(), due, since, probe })
            })
            .collect()
    }

    /// Takes out what is due in a lane, the highest priority first, at most so many messages: all due deliveries of one message in that lane
    /// are one lease. A lane that has rested gives one probe, and no more until [`Schedule::wake_lane`].
    pub fn lease(&mut self, lane: &Lane, now: SystemTime, at_most: usize) -> Vec<Leased> {
        let now = self.advance(now);
        let Some(lane) = self.lanes.find(lane) else {
            return Vec::new();
        };
        let at_most = self.lanes.leases_allowed(lane, now, at_most);
        let mut leases = Vec::new();
        while leases.len() < at_most {
            let Some(slot) = self.most_urgent(lane, now) else {
                break;
            };
            if self.entries[slot].expires <= now {
                // It stays among the timers, and so is leased as expired.
                self.unqueue(slot);
                continue;
            }
            let message = self.entries[slot].message;
            let slots = self.deliveries_of(message, |this, entry| {
                this.lanes.lane_of(entry.place) == lane
                    && entry.due <= now
                    && entry.expires > now
                    && !this.lanes.is_paused(entry.place)
            });
            leases.push(self.lease_slots(&slots, None));
        }
        if let (Rest::Until(_), Some(probe)) = (self.lanes.rest(lane), leases.first()) {
            self.lanes.set_rest(lane, Rest::Probing(probe.lease.0));
        }
        if !leases.is_empty() {
            self.lanes.set_served(lane, now);
        }
        self.refresh(lane);
        leases
    }

    /// Takes out what has expired or is owed a notice of delay, at most so many messages, whatever their lanes do.
    /// Deliveries of one message with the same fate are one lease, so that they can share a report.
    pub fn lease_overdue(&mut self, now: SystemTime, at_most: usize) -> Vec<Leased> {
        let now = self.advance(now);
        let mut leases = Vec::new();
        while leases.len() < at_most {
            let Some((_, slot)) = self.timers.first().filter(|(at, _)| *at <= now).copied() else {
                break;
            };
            let Entry { message, .. } = self.entries[slot];
            let fate = overdue(&self.entries[slot], now);
            let slots = self.deliveries_of(message, |_, entry| overdue(entry, now) == fate);
            leases.push(self.lease_slots(&slots, fate));
        }
        leases
    }

    /// A lease is given back as it was taken: nothing has been tried. Such as in a stop. `false` if the delivery is
    /// not under that lease any more.
    pub fn give_back(&mut self, id: DeliveryId, lease: LeaseNumber) -> bool {
        self.end_lease(id, lease, |_| ())
    }

    /// An attempt has ended, and the delivery is due again then.
    /// `false` if the delivery is not under that lease any more.
    pub fn defer(&mut self, id: DeliveryId, lease: LeaseNumber, due: SystemTime) -> bool {
        let due = self.clock.due(due);
        self.end_lease(id, lease, |entry| entry.due = due)
    }

    /// The notice of delay has been sent; all else is as before.
    /// `false` if the delivery is not under that lease any more.
    pub fn notice_sent(&mut self, id: DeliveryId, lease: LeaseNumber) -> bool {
        self.end_lease(id, lease, |entry| entry.notice = Tick::NEVER)
    }

    /// A delivery has come to its end, by success or failure.
    /// `false` if it is not under that lease any more; then it stays.
    pub fn finish(&mut self, id: DeliveryId, lease: LeaseNumber) -> bool {
        self.is_leased(id, lease) && self.remove(id)
    }

    /// Is the delivery still under that lease?
    pub fn is_leased(&self, id: DeliveryId, lease: LeaseNumber) -> bool {
        self.slot(id).is_some_and(|slot| self.entries[slot].state == State::Leased(lease.0))
    }

    /// Holds a delivery: it is not tried, does not expire and causes no notice, until it is released or the time has
    /// come. An attempt under way loses its lease. `false` if the delivery is not there.
    pub fn hold(&mut self, id: DeliveryId, until: Option<SystemTime>) -> bool {
        let Some(slot) = self.slot(id) else {
            return false;
        };
        self.disarm(slot);
        let until = self.clock.limit_or_never(until);
        self.entries[slot].state = State::Held { until };
        self.held += 1;
        if until != Tick::NEVER {
            self.holds.insert((until, slot));
        }
        true
    }

    /// Ends a hold. `false` if the delivery is not held.
    pub fn release(&mut self, id: DeliveryId) -> bool {
        let slot = self.slot(id).filter(|slot| matches!(self.entries[*slot].state, State::Held { .. }));
        slot.is_some_and(|slot| {
            self.rearm(slot);
            true
        })
    }

    /// Makes a delivery due now, and ends the rest of its lane, so that it is soon known how that does. `false` if the
    /// delivery is held, leased or not there.
    pub fn due_now(&mut self, id: DeliveryId, now: SystemTime) -> bool {
        let slot = self.slot(id).filter(|slot| self.entries[*slot].state == State::Waiting);
        let Some(slot) = slot else {
            return false;
        };
        self.disarm(slot);
        // What has waited for longer does not go behind the others for it.
        self.entries[slot].due = self.entries[slot].due.min(self.clock.now(now));
        let lane = self.lanes.lane_of(self.entries[slot].place);
        if let Rest::Until(_) = self.lanes.rest(lane) {
            self.lanes.set_rest(lane, Rest::Until(Tick::ZERO));
        }
        self.arm(slot);
        true
    }

    /// Lets a lane rest: nothing of it is leased until then, and then one probe. Due times stay as they are.
    /// A rest is never shortened. `false` if there is no such lane.
    pub fn rest_lane(&mut self, lane: &Lane, until: SystemTime) -> bool {
        let until = self.clock.due(until);
        let Some(lane) = self.lanes.find(lane) else {
            return false;
        };
        let rest = match self.lanes.rest(lane) {
            Rest::Until(former) => Rest::Until(former.max(until)),
            Rest::Open | Rest::Probing(_) => Rest::Until(until),
        };
        self.lanes.set_rest(lane, rest);
        self.refresh(lane);
        true
    }

    /// Ends the rest of a lane: its next hop does well. `false` if it was not at rest.
    pub fn wake_lane(&mut self, lane: &Lane) -> bool {
        let lane = self.lanes.find(lane).filter(|lane| self.lanes.rest(*lane) != Rest::Open);
        lane.is_some_and(|lane| {
            self.lanes.set_rest(lane, Rest::Open);
            self.refresh(lane);
            true
        })
    }

    /// Stops attempts, those under way aside, until it is resumed or the time has come. What is paused still expires.
    /// O(deliveries) for a domain, else O(lanes).
    pub fn pause(&mut self, scope: &PauseScope, until: Option<SystemTime>) {
        let until = self.clock.limit_or_never(until);
        let place = self.lanes.pause(scope, until);
        self.requeue_place(place);
    }

    /// Ends a pause. `false` if there is none of that scope. Costs as much as [`Schedule::pause`].
    pub fn resume(&mut self, scope: &PauseScope) -> bool {
        if !self.lanes.is_paused_by(scope) {
            return false;
        }
        let place = self.lanes.resume(scope);
        self.requeue_place(place);
        true
    }

    /// Sorts everything anew by another table. Lanes that stay keep their rest. O(deliveries).
    pub fn set_lanes(&mut self, table: LaneTable) {
        self.queue.clear();
        self.lanes.set_table(table);
        self.requeue(|_| true);
    }

    /// When there is next something to do, if anything: a past time means now.
    pub fn next_due(&mut self, now: SystemTime) -> Option<SystemTime> {
        self.advance(now);
        let timer = self.timers.first().map(|(at, _)| *at);
        let hold = self.holds.first().map(|(at, _)| *at);
        let pause = self.lanes.pauses().map(|(_, until)| until).min();
        let next = [self.lanes.first_wake(), timer, hold, pause].into_iter().flatten().min()?;
        self.clock.time(next)
    }

    /// How a delivery stands, and in which lane.
    pub fn standing(&self, id: DeliveryId) -> Option<(Standing, &Lane)> {
        let entry = &self.entries[self.slot(id)?];
        let standing = match entry.state {
            State::Waiting => Standing::Waiting { due: self.clock.time(entry.due)? },
            State::Leased(_) => Standing::Leased,
            State::Held { until } => Standing::Held { until: self.clock.time(until) },
        };
        Some((standing, self.lanes.name(self.lanes.lane_of(entry.place))))
    }

    /// The lane of a destination, by the present table.
    pub fn lane_of(&self, destination: &Destination) -> Lane {
        self.lanes.table().lane_of(destination)
    }

    /// How many deliveries are due, also in lanes that are at rest. O(deliveries).
    pub fn due(&self, now: SystemTime) -> usize {
        let now = self.clock.now(now);
        self.queue.iter().filter(|key| key.due <= now).count()
    }

    /// How many there are of each. O(lanes).
    pub fn counts(&self) -> Counts {
        let lanes = self.lanes.indices();
        Counts {
            deliveries: self.by_id.len(),
            leased: self.leased,
            held: self.held,
            lanes: lanes.len(),
            lanes_at_rest: lanes.iter().filter(|lane| self.lanes.rest(**lane) != Rest::Open).count(),
        }
    }
}

#[cfg(test)]
mod tests;
