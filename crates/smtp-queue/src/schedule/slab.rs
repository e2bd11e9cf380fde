//! The deliveries themselves, in one dense array.

use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

use smtp_mail::MessageId;
use smtp_proto::Priority;

use super::lanes::Place;
use super::tick::Tick;

/// Where a delivery lies in the [`Slab`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(pub(super) u32);

/// A priority, turned round: what is more urgent is less, and so comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Urgency(u8);

impl Urgency {
    pub(super) const FIRST: Self = Self(0);
    pub(super) const LAST: Self = Self(18);

    /// What is a step less urgent; `None` behind the last.
    pub(super) fn next(self) -> Option<Self> {
        (self < Self::LAST).then_some(Self(self.0 + 1))
    }
}

impl From<Priority> for Urgency {
    fn from(priority: Priority) -> Self {
        Self((9 - priority.value()).unsigned_abs())
    }
}

/// One delivery: 40 octets.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) message: MessageId,
    pub(super) number: u32,
    pub(super) place: Place,
    pub(super) due: Tick,
    pub(super) expires: Tick,
    /// When a delay notice is owed; never once it has been sent.
    pub(super) notice: Tick,
    pub(super) urgency: Urgency,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Leased(NonZeroU32),
    Held { until: Tick },
}

impl Entry {
    /// When it is overdue: its end, or the notice that is owed before.
    pub(super) fn timer(&self) -> Tick {
        self.expires.min(self.notice)
    }
}

/// A vector with holes that are filled again.
#[derive(Debug, Default)]
pub(super) struct Slab {
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
}

impl Slab {
    pub(super) fn insert(&mut self, entry: Entry) -> Slot {
        if let Some(slot) = self.free.pop() {
            self.entries[slot.0 as usize] = Some(entry);
            return slot;
        }
        if self.entries.len() == self.entries.capacity() {
            // Doubling, as Vec would, leaves up to half of the room unused.
            self.entries.reserve_exact((self.entries.len() / 8).max(64));
        }
        let slot = Slot(u32::try_from(self.entries.len()).expect("a schedule holds fewer than 2^32 deliveries"));
        self.entries.push(Some(entry));
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        self.entries[slot.0 as usize] = None;
        self.free.push(slot);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        (0..).zip(&self.entries).filter_map(|(slot, entry)| Some((Slot(slot), entry.as_ref()?)))
    }
}

impl Index<Slot> for Slab {
    type Output = Entry;

    fn index(&self, slot: Slot) -> &Entry {
        self.entries[slot.0 as usize].as_ref().expect("an indexed slot is filled")
    }
}

impl IndexMut<Slot> for Slab {
    fn index_mut(&mut self, slot: Slot) -> &mut Entry {
        self.entries[slot.0 as usize].as_mut().expect("an indexed slot is filled")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_40_octets() {
        assert_eq!(size_of::<Option<Entry>>(), 40);
    }
}
