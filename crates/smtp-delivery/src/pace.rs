//! How many sessions each next hop gets, and how long a dead one rests. Pure: the clock and the dice come from outside.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The limits of [`Pace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceLimits {
    /// Sessions at once with one next hop.
    pub sessions_per_next_hop: usize,
    /// Sessions at once with all next hops.
    pub sessions: usize,
    /// How long a next hop rests after it could not be reached once. Doubles with each time.
    pub rest_min: Duration,
    /// How long it rests at most: the retry step, so that a delivery never waits longer than its own schedule says.
    pub rest_max: Duration,
}

impl Default for PaceLimits {
    fn default() -> Self {
        Self {
            sessions_per_next_hop: 20,
            sessions: 500,
            rest_min: Duration::from_secs(1),
            rest_max: Duration::from_mins(5),
        }
    }
}

/// Whether one more session may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may. [`Pace::release`] must follow.
    Granted,
    /// The next hop was dead when it was last tried: one session may find out whether it still is, with one delivery.
    /// [`Pace::release`] must follow.
    Probe,
    /// It rests until then.
    Resting(Instant),
    /// It has all the sessions that it may have, or a probe is under way.
    Busy,
    /// There are as many sessions as there may be in all.
    Full,
}

#[derive(Debug, Default)]
struct Hop {
    sessions: usize,
    failures: u32,
    resting_until: Option<Instant>,
}

/// The sessions open to each next hop, and which of them are dead. `K` names a next hop.
///
/// A next hop is known only while it has sessions or is dead, so the table does not grow with the number of domains
/// that were ever written to.
#[derive(Debug)]
pub struct Pace<K> {
    limits: PaceLimits,
    hops: HashMap<K, Hop>,
    sessions: usize,
}

impl<K: Eq + Hash + Clone> Pace<K> {
    /// Nothing is open and nothing is dead.
    pub fn new(limits: PaceLimits) -> Self {
        Self { limits, hops: HashMap::new(), sessions: 0 }
    }

    /// Takes other limits; sessions that are too many by them end when they are done.
    pub fn set_limits(&mut self, limits: PaceLimits) {
        self.limits = limits;
    }

    /// The sessions open now.
    pub fn sessions(&self) -> usize {
        self.sessions
    }

    /// The sessions open now with `key`.
    pub fn sessions_with(&self, key: &K) -> usize {
        self.hops.get(key).map_or(0, |hop| hop.sessions)
    }

    /// Asks for a session with `key`.
    pub fn admit(&mut self, key: &K, now: Instant) -> Admission {
        if self.sessions >= self.limits.sessions {
            return Admission::Full;
        }
        let hop = self.hops.entry(key.clone()).or_default();
        let admission = match hop.resting_until {
            Some(until) if now < until => Admission::Resting(until),
            _ if hop.failures > 0 && hop.sessions > 0 => Admission::Busy,
            _ if hop.failures > 0 => Admission::Probe,
            _ if hop.sessions >= self.limits.sessions_per_next_hop => Admission::Busy,
            _ => Admission::Granted,
        };
        if matches!(admission, Admission::Granted | Admission::Probe) {
            hop.sessions += 1;
            self.sessions += 1;
        } else if hop.sessions == 0 && hop.failures == 0 {
            self.hops.remove(key);
        }
        admission
    }

    /// A session with `key` is open: it is not dead.
    pub fn reached(&mut self, key: &K) {
        if let Some(hop) = self.hops.get_mut(key) {
            hop.failures = 0;
            hop.resting_until = None;
        }
    }

    /// `key` could not be reached. It rests until the moment that is returned: twice as long each time, and by `dice`
    /// (any number) up to a quarter shorter, so that next hops which died together are not tried together.
    pub fn unreachable(&mut self, key: &K, now: Instant, dice: u8) -> Instant {
        let hop = self.hops.entry(key.clone()).or_default();
        // Sessions that began before the first of them failed tell of the same failure.
        if let Some(until) = hop.resting_until.filter(|&until| now < until) {
            return until;
        }
        hop.failures = hop.failures.saturating_add(1);
        let doubled = 1_u32.checked_shl(hop.failures - 1).unwrap_or(u32::MAX);
        let rest = self.limits.rest_min.saturating_mul(doubled).min(self.limits.rest_max);
        let until = now + rest / 4 * 3 + rest / 4 * (256 - u32::from(dice)) / 256;
        hop.resting_until = Some(until);
        until
    }

    /// A session that [`admit`](Self::admit) let in has ended.
    pub fn release(&mut self, key: &K) {
        self.sessions = self.sessions.saturating_sub(1);
        if let Some(hop) = self.hops.get_mut(key) {
            hop.sessions = hop.sessions.saturating_sub(1);
            if hop.sessions == 0 && hop.failures == 0 {
                self.hops.remove(key);
            }
        }
    }

    /// Forgets that `key` is dead, as an operator may ask for.
    pub fn wake(&mut self, key: &K) {
        self.reached(key);
        if self.hops.get(key).is_some_and(|hop| hop.sessions == 0) {
            self.hops.remove(key);
        }
    }

    /// The next hops that are dead, with the moment until which they rest.
    pub fn dead(&self) -> impl Iterator<Item = (&K, Instant)> {
        self.hops.iter().filter_map(|(key, hop)| Some((key, hop.resting_until?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PaceLimits = PaceLimits {
        sessions_per_next_hop: 2,
        sessions: 3,
        rest_min: Duration::from_secs(1),
        rest_max: Duration::from_mins(1),
    };

    #[test]
    fn sessions_are_counted_by_next_hop_and_in_all() {
        let mut pace = Pace::new(LIMITS);
        let now = Instant::now();
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
        assert_eq!(pace.admit(&"a", now), Admission::Busy);
        assert_eq!(pace.admit(&"b", now), Admission::Granted);
        assert_eq!(pace.admit(&"c", now), Admission::Full);
        assert_eq!(["a", "b", "c"].map(|key| pace.sessions_with(&key)), [2, 1, 0]);
        pace.release(&"a");
        assert_eq!(pace.admit(&"c", now), Admission::Granted);
        for key in ["a", "b", "c"] {
            pace.release(&key);
        }
        assert_eq!(pace.sessions(), 0);
        assert!(pace.hops.is_empty());
    }

    #[test]
    fn a_dead_next_hop_rests_longer_and_longer_and_is_probed_once() {
        let mut pace = Pace::new(LIMITS);
        let mut now = Instant::now();
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
        let mut rests = Vec::new();
        for _ in 0..9 {
            let until = pace.unreachable(&"a", now, 0);
            pace.release(&"a");
            rests.push((until - now).as_secs());
            assert_eq!(pace.admit(&"a", now), Admission::Resting(until));
            now = until;
            assert_eq!(pace.admit(&"a", now), Admission::Probe);
            assert_eq!(pace.admit(&"a", now), Admission::Busy);
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pace.admit(&"b", now), Admission::Granted);
        pace.reached(&"a");
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
        assert_eq!(pace.dead().count(), 0);
    }

    #[test]
    fn sessions_that_fail_together_are_one_failure() {
        let mut pace = Pace::new(LIMITS);
        let now = Instant::now();
        pace.admit(&"a", now);
        pace.admit(&"a", now);
        let until = pace.unreachable(&"a", now, 0);
        assert_eq!(pace.unreachable(&"a", now + Duration::from_millis(5), 7), until);
        assert_eq!(pace.dead().collect::<Vec<_>>(), [(&"a", until)]);
    }

    #[test]
    fn the_dice_shorten_by_a_quarter_at_most() {
        let now = Instant::now();
        for dice in [0, 1, 128, u8::MAX] {
            let mut pace = Pace::new(PaceLimits { rest_min: Duration::from_mins(1), ..LIMITS });
            let rest = pace.unreachable(&"a", now, dice) - now;
            assert!((Duration::from_secs(45)..=Duration::from_mins(1)).contains(&rest), "{rest:?}");
        }
    }

    #[test]
    fn an_operator_can_wake_it() {
        let mut pace = Pace::new(LIMITS);
        let now = Instant::now();
        pace.unreachable(&"a", now, 0);
        pace.wake(&"a");
        assert!(pace.hops.is_empty());
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
    }
}
