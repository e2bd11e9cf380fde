//! When a deferred delivery is tried again (RFC 5321 §4.5.4.1).

use std::time::{Duration, SystemTime};

/// The delays between attempts: the first after the first failed attempt, and so on; the last repeats.
///
/// Each delay is changed by up to a tenth in either direction, so that what failed together does not come back
/// together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    delays: Vec<Duration>,
}

/// The delays are no schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryScheduleError {
    /// There must be one delay at least.
    #[error("a retry schedule has at least one delay")]
    Empty,
    /// Without a delay a dead host would be tried without end.
    #[error("the delay before retry {number} is shorter than {shortest:?}", shortest = RetrySchedule::DELAY_MIN)]
    TooShort {
        /// Which delay, from 1.
        number: usize,
    },
}

impl RetrySchedule {
    /// The shortest delay.
    pub const DELAY_MIN: Duration = Duration::from_millis(100);

    /// A schedule of these delays.
    pub fn new(delays: Vec<Duration>) -> Result<Self, RetryScheduleError> {
        if delays.is_empty() {
            return Err(RetryScheduleError::Empty);
        }
        match delays.iter().position(|delay| *delay < Self::DELAY_MIN) {
            Some(index) => Err(RetryScheduleError::TooShort { number: index + 1 }),
            None => Ok(Self { delays }),
        }
    }

    /// The delay after that many failed attempts (1 after the first), the same for the same seed.
    pub fn delay(&self, attempts: u32, seed: u64) -> Duration {
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let delay = self.delays[index.min(self.delays.len() - 1)];
        let permille = 900 + mix(seed ^ u64::from(attempts) << 32) % 201;
        let permille = u32::try_from(permille).unwrap_or(1_000);
        (delay / 1_000).saturating_mul(permille)
    }

    /// When to try again after that many failed attempts; never after `expires_at`, when it is given up.
    pub fn next(&self, attempts: u32, now: SystemTime, expires_at: SystemTime, seed: u64) -> SystemTime {
        let due = now.checked_add(self.delay(attempts, seed)).unwrap_or(expires_at);
        due.min(expires_at)
    }

    /// The longest delay, jitter and all: the step by which nothing goes on beyond its expiry.
    pub fn delay_max(&self) -> Duration {
        let longest = self.delays.iter().max().copied().unwrap_or_default();
        longest.saturating_add(longest / 10)
    }
}

/// Spreads a seed over all bits (`SplitMix64`).
fn mix(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minutes(delays: &[u64]) -> RetrySchedule {
        RetrySchedule::new(delays.iter().map(|delay| Duration::from_mins(*delay)).collect()).unwrap()
    }

    #[test]
    fn the_last_delay_repeats() {
        let retry = minutes(&[1, 5, 60]);
        for (attempts, about) in [(0, 1), (1, 1), (2, 5), (3, 60), (4, 60), (u32::MAX, 60)] {
            let about = Duration::from_mins(about);
            let delay = retry.delay(attempts, 42);
            assert!(delay >= about * 9 / 10 && delay <= about * 11 / 10, "{attempts}: {delay:?}");
        }
        assert_eq!(retry.delay_max(), Duration::from_mins(66));
    }

    #[test]
    fn what_failed_together_comes_back_apart() {
        let retry = minutes(&[60]);
        let mut delays: Vec<_> = (0..1_000).map(|seed| retry.delay(1, seed)).collect();
        let mean = delays.iter().sum::<Duration>() / 1_000;
        assert!(mean > Duration::from_mins(59) && mean < Duration::from_mins(61), "{mean:?}");
        delays.sort();
        delays.dedup();
        assert_eq!(delays.len(), 201);
        assert_eq!(retry.delay(3, 7), retry.delay(3, 7));
        assert_ne!(retry.delay(1, 7), retry.delay(2, 7));
    }

    #[test]
    fn schedules_that_would_not_do() {
        assert_eq!(RetrySchedule::new(Vec::new()), Err(RetryScheduleError::Empty));
        let delays = vec![Duration::from_secs(1), Duration::ZERO];
        assert_eq!(RetrySchedule::new(delays), Err(RetryScheduleError::TooShort { number: 2 }));
    }

    proptest! {
        #[test]
        fn no_attempt_is_due_after_expiry(
            attempts: u32, seed: u64, elapsed in 0_u64..1_000_000, delays in proptest::collection::vec(1_u64..100_000, 1..6)
        ) {
            let retry = minutes(&delays);
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(elapsed);
            let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(500_000);
            let due = retry.next(attempts, now, expires_at, seed);
            prop_assert!(due <= expires_at);
            prop_assert!(due > now || due == expires_at);
        }
    }
}
