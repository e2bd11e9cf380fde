//! How many sessions each next hop gets, and how long a dead one rests. Pure: the clock and the dice come from outside.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// So many next hops are known at least, before those are looked for that can be forgotten.
const SWEEP_MIN: usize = 1024;

/// The limits of [`Pace`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceLimits {
    /// Sessions at once with one next hop.
    pub sessions_per_next_hop: usize,
    /// Sessions at once with all next hops.
    pub sessions: usize,
    /// How long a next hop rests after it could not be reached once. Doubles with each time. So long, too, it is given no
    /// more sessions than it has, after it has refused one.
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
    /// The next hop rests until then.
    Resting(Instant),
    /// It has all the sessions that it may have now; or its first one is under way, and tells whether it takes more.
    Busy,
    /// There are as many sessions as there may be in all.
    Full,
}

#[derive(Debug)]
struct Hop<T> {
    sessions: usize,
    /// A session has come about since there were none.
    proven: bool,
    /// It has refused one more session than so many; until when that counts.
    limit: Option<(usize, Instant)>,
    failures: u32,
    rest: Option<Rest<T>>,
}

#[derive(Debug)]
struct Rest<T> {
    until: Instant,
    /// An operator has ended it.
    ended: bool,
    trouble: T,
}

impl<T> Default for Hop<T> {
    fn default() -> Self {
        Self { sessions: 0, proven: false, limit: None, failures: 0, rest: None }
    }
}

impl<T> Hop<T> {
    fn resting_until(&self, now: Instant) -> Option<Instant> {
        self.rest.as_ref().filter(|rest| !rest.ended && now < rest.until).map(|rest| rest.until)
    }

    fn sessions_max(&self, limits: PaceLimits, now: Instant) -> usize {
        match self.limit {
            // The first session tells if it takes more.
            _ if !self.proven => 1,
            Some((limit, until)) if now < until => limit.min(limits.sessions_per_next_hop),
            _ => limits.sessions_per_next_hop,
        }
    }
}

/// The sessions open to each next hop, and which of them are dead. `K` names a next hop, `T` is what is wrong with it.
///
/// One that has no session gets one first, and more when that has come about: so a dead one costs one try a rest, and
/// one that takes only so many sessions is not taken for dead.
///
/// A next hop is known while it has sessions, or for a while after it was dead, so the table does not grow with the number
/// of domains that were ever written to.
#[derive(Debug)]
pub struct Pace<K, T> {
    limits: PaceLimits,
    hops: HashMap<K, Hop<T>>,
    sessions: usize,
    /// With so many next hops it is looked for those that can be forgotten.
    sweep_at: usize,
}

impl<K: Eq + Hash + Clone, T> Pace<K, T> {
    /// Nothing is open and nothing is dead.
    pub fn new(limits: PaceLimits) -> Self {
        Self { limits, hops: HashMap::new(), sessions: 0, sweep_at: SWEEP_MIN }
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
        let unknown = Hop::default();
        let hop = self.hops.get(key).unwrap_or(&unknown);
        if let Some(until) = hop.resting_until(now) {
            return Admission::Resting(until);
        }
        if hop.sessions >= hop.sessions_max(self.limits, now) {
            return Admission::Busy;
        }
        self.hops.entry(key.clone()).or_default().sessions += 1;
        self.sessions += 1;
        Admission::Granted
    }

    /// A session with `key` has come about: it is not dead, and may have more.
    pub fn reached(&mut self, key: &K) {
        if let Some(hop) = self.hops.get_mut(key) {
            hop.proven = true;
            hop.failures = 0;
            hop.rest = None;
        }
    }

    /// A session that [`admit`](Self::admit) let in has ended, or did not come about.
    pub fn release(&mut self, key: &K) {
        let Some(hop) = self.hops.get_mut(key) else { return };
        self.sessions = self.sessions.saturating_sub(1);
        hop.sessions = hop.sessions.saturating_sub(1);
        if hop.sessions == 0 && hop.failures == 0 {
            self.hops.remove(key);
        }
    }

    /// `key`, after the [`release`](Self::release), could not be reached. It rests until the moment that is returned: twice
    /// as long each time, and by `dice` (any number) up to a quarter shorter, so that next hops which died together are not
    /// tried together. `None`: it has other sessions, so it does not rest; it gets no more than those for a while.
    pub fn unreachable(&mut self, key: &K, trouble: T, now: Instant, dice: u8) -> Option<Instant> {
        self.sweep(now);
        let limits = self.limits;
        let hop = self.hops.entry(key.clone()).or_default();
        if hop.sessions > 0 {
            hop.limit = Some((hop.sessions, now + limits.rest_min));
            return None;
        }
        hop.failures = hop.failures.saturating_add(1);
        let doubled = 1_u32.checked_shl(hop.failures - 1).unwrap_or(u32::MAX);
        let rest = limits.rest_min.saturating_mul(doubled).min(limits.rest_max);
        let until = now + rest / 4 * 3 + rest / 4 * (256 - u32::from(dice)) / 256;
        hop.proven = false;
        hop.rest = Some(Rest { until, ended: false, trouble });
        Some(until)
    }

    /// Ends the rest of `key`, as an operator may ask for: it may be tried now. That it was dead is not forgotten.
    pub fn end_rest(&mut self, key: &K) {
        if let Some(rest) = self.hops.get_mut(key).and_then(|hop| hop.rest.as_mut()) {
            rest.ended = true;
        }
    }

    /// What is wrong with `key`, if it was dead when it was last tried.
    pub fn trouble(&self, key: &K) -> Option<&T> {
        self.hops.get(key)?.rest.as_ref().map(|rest| &rest.trouble)
    }

    /// Forgets those that were not tried again long after their rest: there is no mail for them any more.
    fn sweep(&mut self, now: Instant) {
        if self.hops.len() < self.sweep_at {
            return;
        }
        let limits = self.limits;
        let is_fresh = |rest: &Rest<T>| now < rest.until + limits.rest_max;
        self.hops.retain(|_, hop| hop.sessions > 0 || hop.rest.as_ref().is_some_and(is_fresh));
        self.sweep_at = SWEEP_MIN.max(self.hops.len() * 2);
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

    /// One session with `key`, which came about.
    fn prove(pace: &mut Pace<&'static str, ()>, key: &'static str, now: Instant) {
        assert_eq!(pace.admit(&key, now), Admission::Granted);
        pace.reached(&key);
    }

    #[test]
    fn sessions_are_counted_by_next_hop_and_in_all() {
        let mut pace = Pace::new(LIMITS);
        let now = Instant::now();
        prove(&mut pace, "a", now);
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
    fn the_first_session_goes_alone_until_it_has_come_about() {
        let mut pace = Pace::<_, ()>::new(LIMITS);
        let now = Instant::now();
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
        assert_eq!(pace.admit(&"a", now), Admission::Busy);
        pace.reached(&"a");
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
    }

    #[test]
    fn a_dead_next_hop_rests_longer_and_longer_and_is_tried_once() {
        let mut pace = Pace::new(LIMITS);
        let mut now = Instant::now();
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
        let mut rests = Vec::new();
        for step in 0..9 {
            pace.release(&"a");
            let until = pace.unreachable(&"a", step, now, 0).unwrap();
            assert_eq!(pace.trouble(&"a"), Some(&step));
            rests.push((until - now).as_secs());
            assert_eq!(pace.admit(&"a", now), Admission::Resting(until));
            now = until;
            assert_eq!(pace.admit(&"a", now), Admission::Granted);
            assert_eq!(pace.admit(&"a", now), Admission::Busy);
        }
        assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pace.admit(&"b", now), Admission::Granted);
        pace.reached(&"a");
        assert_eq!(pace.trouble(&"a"), None);
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
    }

    #[test]
    fn one_that_takes_so_many_sessions_is_not_dead() {
        let mut pace = Pace::new(PaceLimits { sessions_per_next_hop: 5, sessions: 10, ..LIMITS });
        let now = Instant::now();
        prove(&mut pace, "a", now);
        for _ in 0..2 {
            assert_eq!(pace.admit(&"a", now), Admission::Granted);
        }
        pace.release(&"a");
        assert_eq!(pace.unreachable(&"a", (), now, 0), None);
        assert_eq!(pace.sessions_with(&"a"), 2);
        assert_eq!(pace.admit(&"a", now), Admission::Busy);
        assert_eq!(pace.admit(&"a", now + LIMITS.rest_min), Admission::Granted);
        // When the last one is gone too, it is.
        for _ in 0..3 {
            pace.release(&"a");
        }
        assert!(pace.unreachable(&"a", (), now, 0).is_some());
    }

    #[test]
    fn the_dice_shorten_by_a_quarter_at_most() {
        let now = Instant::now();
        for dice in [0, 1, 128, u8::MAX] {
            let mut pace = Pace::new(PaceLimits { rest_min: Duration::from_mins(1), ..LIMITS });
            let rest = pace.unreachable(&"a", (), now, dice).unwrap() - now;
            assert!((Duration::from_secs(45)..=Duration::from_mins(1)).contains(&rest), "{rest:?}");
        }
    }

    #[test]
    fn an_operator_can_end_a_rest_but_not_the_memory_of_it() {
        let mut pace = Pace::new(LIMITS);
        let now = Instant::now();
        let first = pace.unreachable(&"a", (), now, 0).unwrap();
        pace.end_rest(&"a");
        assert_eq!(pace.admit(&"a", now), Admission::Granted);
        assert_eq!(pace.admit(&"a", now), Admission::Busy);
        pace.release(&"a");
        assert!(pace.unreachable(&"a", (), now, 0).unwrap() > first);
    }

    #[test]
    fn the_dead_are_forgotten_when_nobody_writes_to_them() {
        let mut pace = Pace::new(LIMITS);
        let mut now = Instant::now();
        for key in 0..100 * SWEEP_MIN {
            pace.unreachable(&key, (), now, 0);
            now += Duration::from_secs(1);
            assert!(pace.hops.len() <= SWEEP_MIN);
        }
        assert!(pace.trouble(&(100 * SWEEP_MIN - 1)).is_some());
    }
}
