//! Room on the disk, and memory for bodies: promised from one counter each, so that parallel drafts cannot overrun them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::store::QueueStore;

/// What a draft has reserved before the first octet of its body comes, at most.
pub(crate) const EMPTY_DRAFT_OCTETS: u64 = 64 << 10;
/// What a draft reserves at a time when it outgrows what it has.
const STEP_OCTETS: u64 = 1 << 20;
/// How long a look at the disk is believed.
const LOOK_VALID_FOR: Duration = Duration::from_millis(100);

/// The room of the queue's file system.
#[derive(Debug)]
pub(crate) struct Space {
    store: Arc<dyn QueueStore>,
    /// What messages may not take, so that settlements have room.
    floor_octets: u64,
    reserved: AtomicU64,
    /// What was free at the last look, less what was written since.
    free: AtomicU64,
    looked_at: Mutex<Option<Instant>>,
}

impl Space {
    pub(crate) fn new(store: Arc<dyn QueueStore>, floor_octets: u64) -> Self {
        Self { store, floor_octets, reserved: AtomicU64::new(0), free: AtomicU64::new(0), looked_at: Mutex::new(None) }
    }

    /// Promises room for so many octets; `None` where there is not so much.
    pub(crate) fn reserve(self: &Arc<Self>, octets: u64) -> Option<Reservation> {
        let mut reservation = Reservation { space: Arc::clone(self), octets: 0 };
        reservation.add(octets).then_some(reservation)
    }

    /// What may still be promised.
    pub(crate) fn available_octets(&self) -> u64 {
        let taken = self.floor_octets.saturating_add(self.reserved.load(Ordering::Relaxed));
        self.free_octets().saturating_sub(taken)
    }

    /// Notes that so many octets were written, until the next look shows it.
    pub(crate) fn written(&self, octets: u64) {
        // An error cannot come: the closure always gives a value.
        let _ = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| Some(free.saturating_sub(octets)));
    }

    fn free_octets(&self) -> u64 {
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = looked_at.is_none_or(|at| at.elapsed() > LOOK_VALID_FOR);
        if stale {
            // A disk that cannot even be asked has no room.
            self.free.store(self.store.free_octets().unwrap_or(0), Ordering::Relaxed);
            *looked_at = Some(Instant::now());
        }
        self.free.load(Ordering::Relaxed)
    }
}

/// A promise of room. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    space: Arc<Space>,
    octets: u64,
}

impl Reservation {
    /// Sees to it that at least so many octets are promised, and all that was declared. `false` where there is no room.
    pub(crate) fn cover(&mut self, octets: u64, declared: u64) -> bool {
        if octets <= declared {
            return self.octets >= declared || self.add(declared - self.octets);
        }
        self.octets >= octets || self.add((octets - self.octets).max(STEP_OCTETS))
    }

    /// Gives back what is promised beyond so many octets.
    pub(crate) fn shrink_to(&mut self, octets: u64) {
        let more = self.octets.saturating_sub(octets);
        self.space.reserved.fetch_sub(more, Ordering::Relaxed);
        self.octets -= more;
    }

    fn add(&mut self, octets: u64) -> bool {
        // Taken first and looked at then: of two that want the last room, one at most gets it.
        let reserved = self.space.reserved.fetch_add(octets, Ordering::Relaxed).saturating_add(octets);
        if reserved.saturating_add(self.space.floor_octets) > self.space.free_octets() {
            self.space.reserved.fetch_sub(octets, Ordering::Relaxed);
            return false;
        }
        self.octets += octets;
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.space.reserved.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

/// Memory for all bodies on their way in.
#[derive(Debug)]
pub(crate) struct BodyMemory {
    limit_octets: u64,
    used: AtomicU64,
}

impl BodyMemory {
    pub(crate) fn new(limit_octets: u64) -> Self {
        Self { limit_octets, used: AtomicU64::new(0) }
    }
}

/// A part of the memory, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    memory: Arc<BodyMemory>,
    octets: u64,
}

impl MemoryShare {
    pub(crate) fn new(memory: Arc<BodyMemory>) -> Self {
        Self { memory, octets: 0 }
    }

    /// Takes so many octets more. `false` where the limit is reached: the body goes into a file.
    pub(crate) fn add(&mut self, octets: u64) -> bool {
        let used = self.memory.used.fetch_add(octets, Ordering::Relaxed).saturating_add(octets);
        self.octets += octets;
        used <= self.memory.limit_octets
    }

    /// Gives all of it back.
    pub(crate) fn clear(&mut self) {
        self.memory.used.fetch_sub(std::mem::take(&mut self.octets), Ordering::Relaxed);
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.clear();
    }
}
