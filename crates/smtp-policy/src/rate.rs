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
    /// Counts one event of `key`, unless that is too often. A refused event does not count.
    ///
    /// # Errors
    /// When the next may happen.
    pub fn count(&mut self, key: K, rate: Rate, now: Instant) -> Result<(), TooOften> {
        self.sweep(now);
        let one = rate.period / rate.events.get();
        let free_at = self.free_at.get(&key).copied().filter(|&at| at > now).unwrap_or(now) + one;
        let over = free_at.saturating_duration_since(now).saturating_sub(rate.period);
        if !over.is_zero() {
            return Err(TooOften { wait: over });
        }
        self.free_at.insert(key, free_at);
        Ok(())
    }

    /// Drops the keys that are free again, each time that their number has doubled.
    fn sweep(&mut self, now: Instant) {
        if self.free_at.len() >= self.sweep_at {
            self.free_at.retain(|_, at| *at > now);
            self.sweep_at = (self.free_at.len() * 2).max(SWEEP_MIN);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { events: NonZeroU32::new(60).unwrap(), period: Duration::from_hours(1) };

    /// C30: the limit of one user is none of another's.
    #[test]
    fn each_key_has_a_limit_of_its_own() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        let taken = (0..200).filter(|_| rates.count(1000, RATE, now).is_ok()).count();
        assert_eq!(taken, 60);
        assert_eq!(rates.count(1000, RATE, now), Err(TooOften { wait: Duration::from_mins(1) }));
        assert_eq!(rates.count(1001, RATE, now), Ok(()));
    }

    #[test]
    fn what_is_used_up_comes_back_bit_by_bit() {
        let (mut rates, now) = (Rates::default(), Instant::now());
        while rates.count(1000, RATE, now).is_ok() {}
        let later = now + Duration::from_mins(2);
        let taken = (0..10).filter(|_| rates.count(1000, RATE, later).is_ok()).count();
        assert_eq!(taken, 2);
        let taken = (0..100).filter(|_| rates.count(1000, RATE, later + RATE.period).is_ok()).count();
        assert_eq!(taken, 60);
    }

    #[test]
    fn keys_that_are_quiet_are_forgotten() {
        let (mut rates, mut now) = (Rates::default(), Instant::now());
        for key in 0..10_000 {
            rates.count(key, RATE, now).unwrap();
            now += Duration::from_mins(1);
        }
        assert!(rates.free_at.len() <= SWEEP_MIN, "{}", rates.free_at.len());
    }
}
