//! What the operations of the schedule are made of: its indices kept true to the state of each delivery.

use std::num::NonZeroU32;
use std::time::SystemTime;

use smtp_mail::MessageId;

use super::lanes::{LaneIndex, Place};
use super::slab::{Entry, Slot, State, Urgency};
use super::tick::Tick;
use super::{DeliveryId, LeaseNumber, Leased, Overdue, Schedule};

/// A delivery id in 12 octets of alignment 4, in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IdKey([u32; 3]);

impl From<DeliveryId> for IdKey {
    fn from(id: DeliveryId) -> Self {
        let raw = id.message.as_raw();
        // The cast takes the lower half.
        #[allow(clippy::cast_possible_truncation)]
        let halves = ((raw >> 32) as u32, raw as u32);
        Self([halves.0, halves.1, id.number])
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueueKey {
    pub(super) lane: LaneIndex,
    pub(super) urgency: Urgency,
    pub(super) due: Tick,
    pub(super) slot: Slot,
}

impl Schedule {
    pub(super) fn slot(&self, id: DeliveryId) -> Option<Slot> {
        self.by_id.get(&id.into()).copied()
    }

    /// Lets what is over by now be over: holds and pauses.
    pub(super) fn advance(&mut self, now: SystemTime) -> Tick {
        let now = self.clock.now(now);
        if now.is_long_before(self.latest) {
            self.lanes.forget_served();
            self.refresh_all();
            self.latest = now;
        }
        self.latest = self.latest.max(now);
        while let Some((_, slot)) = self.holds.first().filter(|(until, _)| *until <= now).copied() {
            self.rearm(slot);
        }
        let ended: Vec<_> =
            self.lanes.pauses().filter(|(_, until)| *until <= now).map(|(scope, _)| scope.clone()).collect();
        for scope in ended {
            self.resume(&scope);
        }
        now
    }

    /// The waiting deliveries of a message that are wanted.
    pub(super) fn deliveries_of(&self, message: MessageId, wanted: impl Fn(&Self, &Entry) -> bool) -> Vec<Slot> {
        let key = |number| IdKey::from(DeliveryId { message, number });
        self.by_id
            .range(key(0)..=key(u32::MAX))
            .map(|(_, slot)| *slot)
            .filter(|slot| {
                let entry = &self.entries[*slot];
                entry.state == State::Waiting && wanted(self, entry)
            })
            .collect()
    }

    pub(super) fn lease_slots(&mut self, slots: &[Slot], overdue: Option<Overdue>) -> Leased {
        self.last_lease = self.last_lease.checked_add(1).unwrap_or(1);
        let lease = NonZeroU32::new(self.last_lease).unwrap_or(NonZeroU32::MIN);
        for slot in slots {
            self.disarm(*slot);
            self.entries[*slot].state = State::Leased(lease);
            self.leased += 1;
        }
        let first = &self.entries[slots[0]];
        Leased {
            lease: LeaseNumber(lease),
            message: first.message,
            numbers: slots.iter().map(|slot| self.entries[*slot].number).collect(),
            lane: self.lanes.name(self.lanes.lane_of(first.place)).clone(),
            overdue,
        }
    }

    pub(super) fn end_lease(&mut self, id: DeliveryId, lease: LeaseNumber, change: impl FnOnce(&mut Entry)) -> bool {
        if !self.is_leased(id, lease) {
            return false;
        }
        self.slot(id).is_some_and(|slot| {
            change(&mut self.entries[slot]);
            self.rearm(slot);
            true
        })
    }

    /// Lets a delivery wait, whatever it was before.
    pub(super) fn rearm(&mut self, slot: Slot) {
        self.disarm(slot);
        self.entries[slot].state = State::Waiting;
        self.arm(slot);
    }

    /// Puts a waiting delivery into the indices.
    pub(super) fn arm(&mut self, slot: Slot) {
        let entry = &self.entries[slot];
        if entry.timer() != Tick::NEVER {
            self.timers.insert((entry.timer(), slot));
        }
        let place = entry.place;
        if !self.lanes.is_paused(place) {
            let key = self.queue_key(slot);
            self.queue.insert(key);
        }
        self.refresh(self.lanes.lane_of(place));
    }

    /// Takes a delivery out of all indices but that of ids, as its state asks.
    pub(super) fn disarm(&mut self, slot: Slot) {
        let entry = &self.entries[slot];
        let lane = self.lanes.lane_of(entry.place);
        match entry.state {
            State::Waiting => {
                self.timers.remove(&(entry.timer(), slot));
                self.unqueue(slot);
            }
            State::Leased(lease) => {
                self.leased -= 1;
                self.lanes.end_probe(lane, lease);
            }
            State::Held { until } => {
                self.held -= 1;
                self.holds.remove(&(until, slot));
            }
        }
        self.refresh(lane);
    }

    pub(super) fn unqueue(&mut self, slot: Slot) {
        let key = self.queue_key(slot);
        self.queue.remove(&key);
    }

    pub(super) fn queue_key(&self, slot: Slot) -> QueueKey {
        let entry = &self.entries[slot];
        QueueKey { lane: self.lanes.lane_of(entry.place), urgency: entry.urgency, due: entry.due, slot }
    }

    pub(super) fn requeue_place(&mut self, place: Option<Place>) {
        match place {
            Some(place) => self.requeue(|entry| entry.place == place),
            None => self.refresh_all(),
        }
    }

    /// Queues or takes out what is meant, as the pauses now are, and looks at every lane again.
    pub(super) fn requeue(&mut self, meant: impl Fn(&Entry) -> bool) {
        let waiting: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.state == State::Waiting && meant(entry))
            .map(|(slot, entry)| (slot, self.lanes.is_paused(entry.place)))
            .collect();
        for (slot, paused) in waiting {
            let key = self.queue_key(slot);
            if paused {
                self.queue.remove(&key);
            } else {
                self.queue.insert(key);
            }
        }
        self.refresh_all();
    }

    pub(super) fn refresh_all(&mut self) {
        for lane in self.lanes.indices() {
            self.refresh(lane);
        }
    }

    pub(super) fn refresh(&mut self, lane: LaneIndex) {
        let first_due = self.firsts(lane).map(|key| key.due).min();
        self.lanes.set_first_due(lane, first_due);
    }

    /// The first to be due of each priority that there is in a lane, the highest priority first.
    pub(super) fn firsts(&self, lane: LaneIndex) -> impl Iterator<Item = QueueKey> {
        let mut from = Some(Urgency::FIRST);
        std::iter::from_fn(move || {
            let start = QueueKey { lane, urgency: from?, due: Tick::ZERO, slot: Slot(0) };
            let key = *self.queue.range(start..).next().filter(|key| key.lane == lane)?;
            from = key.urgency.next();
            Some(key)
        })
    }

    /// What is due in a lane and goes first: of the highest priority, and of that the longest due.
    pub(super) fn most_urgent(&self, lane: LaneIndex, now: Tick) -> Option<Slot> {
        self.firsts(lane).find(|key| key.due <= now).map(|key| key.slot)
    }

    /// How many are due in a lane, counted so far.
    pub(super) fn count_due(&self, lane: LaneIndex, now: Tick, at_most: usize) -> usize {
        let of = |first: QueueKey| self.queue.range(first..=QueueKey { due: now, slot: Slot(u32::MAX), ..first });
        self.firsts(lane).filter(|first| first.due <= now).flat_map(of).take(at_most).count()
    }
}

pub(super) fn overdue(entry: &Entry, now: Tick) -> Option<Overdue> {
    if entry.expires <= now {
        return Some(Overdue::Expired);
    }
    (entry.notice <= now).then_some(Overdue::NoticeOwed)
}
