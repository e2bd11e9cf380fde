//! How often something may happen, counted for each key by itself.
//!
//! The generic cell rate algorithm: each event puts the moment at which the key is as if it had never been used further
//! into the future. One instant a key is kept, and none for a key that has been quiet long enough.

use std::collections::HashMap;
use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// So many events within so long: all of them at once, or spread out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub events: NonZeroU32,
    /// In how long.
    pub period: Duration,
}

impl Rate {
    /// So many in each hour.
    pub const fn hourly(events: NonZeroU32) -> Self {
        Self { events, period: Duration::from_hours(1) }
    }

    /// What `events` use up.
    fn time_of(self, events: u32) -> Duration {
        self.period / self.events.get() * events
    }
}

/// The keys that have been used lately.
#[derive(Debug)]
pub struct Rates<K> {
    /// When each is as if it had never been used.
    free_at: HashMap<K, Instant>,
    /// How many keys there may be before those are dropped that are free again.
    sweep_at: usize,
}

/// Fewer keys are not worth a sweep.
const SWEEP_MIN: usize = 64;
/// Keys that are kept at most. What is over it makes those go that would be free the soonest.
const KEYS_MAX: usize = 65_536;
/// How many are let go at once, so that a full table does not sort itself at every event.
const SPARE: usize = KEYS_MAX / 8;

/// Too often: when the next event may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too often; the next may come in {} s", .wait.as_secs().max(1))]
pub struct TooOften {
    /// How long to wait.
    pub wait: Duration,
}

impl<K: Eq + Hash> Default for Rates<K> {
    fn default() -> Self {
        Self { free_at: HashMap::new(), sweep_at: SWEEP_MIN }
    }
}

impl<K: Eq + Hash> Rates<K> {
    /// Counts `events` of `key` at once, unless that is too often: then none of them counts.
    ///
    /// # Errors
    /// When so many may happen.
    pub fn count(&mut self, key: K, events: u32, rate: Rate, now: Instant) -> Result<(), TooOften> {
        let free_at = self.free_after(&key, events, rate, now)?;
        self.sweep(now);
        self.free_at.insert(key, free_at);
        Ok(())
    }

    /// Whether `events` of `key` could be counted now.
    ///
    /// # Errors
    /// When they could.
    pub fn permit(&self, key: &K, events: u32, rate: Rate, now: Instant) -> Result<(), TooOften> {
        self.free_after(key, events, rate, now).map(drop)
    }

    /// Takes back `events` of `key` that were counted by this rate and have not happened after all.
    pub fn take_back(&mut self, key: &K, events: u32, rate: Rate) {
        if let Some(free_at) = self.free_at.get_mut(key) {
            *free_at = free_at.checked_sub(rate.time_of(events)).unwrap_or(*free_at);
        }
    }

    /// When the key will be as if it had never been used, once `events` more are counted.
    fn free_after(&self, key: &K, events: u32, rate: Rate, now: Instant) -> Result<Instant, TooOften> {
        let free_at = self.free_at.get(key).copied().filter(|&at| at > now).unwrap_or(now) + rate.time_of(events);
        let over = free_at.saturating_duration_since(now).saturating_sub(rate.period);
        if over.is_zero() { Ok(free_at) } else { Err(TooOften { wait: over }) }
    }

    /// Drops the keys that are free again, each time that their number has doubled or is at its limit.
    fn sweep(&mut self, now: Instant) {
        if self.free_at.len() < self.sweep_at {
            return;
        }
        self.free_at.retain(|_, at| *at > now);
        if self.free_at.len() >= KEYS_MAX {
            let mut ends: Vec<Instant> = self.free_at.values().copied().collect();
            let (_, &mut soon, _) = ends.select_nth_unstable(SPARE);
            self.free_at.retain(|_, at| *at > soon);
        }
        self.sweep_at = (self.free_at.len() * 2).clamp(SWEEP_MIN, KEYS_MAX);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RATE: Rate = Rate::hourly(NonZeroU32::new(60).unwrap());

    /// C30: the limit of one user is none of another's.
    #[test]
    fn each_key_has_a_limit_of_its_own() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        let taken = (0..200).filter(|_| rates.count(1000, 1, RATE, now).is_ok()).count();
        assert_eq!(taken, 60);
        assert_eq!(rates.count(1000, 1, RATE, now), Err(TooOften { wait: Duration::from_mins(1) }));
        assert_eq!(rates.count(1001, 1, RATE, now), Ok(()));
    }

    #[test]
    fn what_is_used_up_comes_back_bit_by_bit() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        while rates.count(1000, 1, RATE, now).is_ok() {}
        let later = now + Duration::from_mins(2);
        let taken = (0..10).filter(|_| rates.count(1000, 1, RATE, later).is_ok()).count();
        assert_eq!(taken, 2);
        let taken = (0..100).filter(|_| rates.count(1000, 1, RATE, later + RATE.period).is_ok()).count();
        assert_eq!(taken, 60);
    }

    #[test]
    fn keys_that_are_quiet_are_forgotten() {
        let (mut rates, mut now) = (Rates::default(), Instant::now());
        for key in 0..10_000 {
            rates.count(key, 1, RATE, now).unwrap();
            now += Duration::from_mins(1);
        }
        assert!(rates.free_at.len() <= SWEEP_MIN, "{}", rates.free_at.len());
    }

    #[test]
    fn what_comes_together_is_counted_whole_or_not_at_all() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        assert_eq!(rates.count(1000, 50, RATE, now), Ok(()));
        assert_eq!(rates.count(1000, 20, RATE, now), Err(TooOften { wait: Duration::from_mins(10) }));
        assert_eq!(rates.permit(&1000, 10, RATE, now), Ok(()));
        assert_eq!(rates.count(1000, 10, RATE, now), Ok(()));
        assert_eq!(rates.permit(&1000, 1, RATE, now), Err(TooOften { wait: Duration::from_mins(1) }));
    }

    #[test]
    fn what_is_taken_back_can_be_used_again() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        rates.count(1000, 60, RATE, now).unwrap();
        rates.take_back(&1000, 2, RATE);
        rates.take_back(&1001, 2, RATE);
        assert_eq!(rates.permit(&1000, 3, RATE, now), Err(TooOften { wait: Duration::from_mins(1) }));
        assert_eq!(rates.permit(&1000, 2, RATE, now), Ok(()));
    }

    /// However many keys are busy at once: those that have used the most are known the longest.
    #[test]
    fn the_number_of_keys_has_a_limit() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        let busy = KEYS_MAX * 2;
        for key in 0..KEYS_MAX * 3 {
            let events = if key == busy { 60 } else { 1 };
            rates.count(key, events, RATE, now + Duration::from_nanos(key as u64)).unwrap();
            assert!(rates.free_at.len() <= KEYS_MAX);
        }
        rates.permit(&busy, 1, RATE, now).unwrap_err();
    }
}
