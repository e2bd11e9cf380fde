//! Time in four octets: what keeps the schedule small.

use std::time::{Duration, SystemTime};

/// A moment, in tenths of a second since the base of a [`TickClock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(u32);

impl Tick {
    pub(super) const ZERO: Self = Self(0);
    /// A moment that does not come: later than every [`TickClock::now`].
    pub(super) const NEVER: Self = Self(u32::MAX);
    const LAST: Self = Self(u32::MAX - 1);

    /// By more than threads differ in their idea of now.
    pub(super) fn is_long_before(self, other: Self) -> bool {
        self.0.saturating_add(SECOND_TICKS) < other.0
    }
}

const TICK_MILLISECONDS: u128 = 100;
const SECOND_TICKS: u32 = 10;

/// What the past is good for: deliveries overdue since longer than this are leased in any order.
const PAST: Duration = Duration::from_hours(30 * 24);

/// Turns times into ticks. Reaches 13 years beyond the time it was made at.
#[derive(Debug, Clone, Copy)]
pub(super) struct TickClock {
    base: SystemTime,
}

impl TickClock {
    pub(super) fn starting(now: SystemTime) -> Self {
        Self { base: now.checked_sub(PAST).unwrap_or(now) }
    }

    /// The tick that has begun at `time`.
    pub(super) fn now(&self, time: SystemTime) -> Tick {
        Tick(self.ticks(time, 0)).min(Tick::LAST)
    }

    /// The tick at which something is due: never before `time`.
    pub(super) fn due(&self, time: SystemTime) -> Tick {
        self.limit(time).min(Tick::LAST)
    }

    /// The tick at which something ends: never before `time`, and not at all if it is out of reach. So a clock
    /// that was far off at the start makes nothing expire.
    pub(super) fn limit(&self, time: SystemTime) -> Tick {
        Tick(self.ticks(time, TICK_MILLISECONDS - 1))
    }

    pub(super) fn limit_or_never(&self, time: Option<SystemTime>) -> Tick {
        time.map_or(Tick::NEVER, |time| self.limit(time))
    }

    /// The time of a tick; `None` for the one that does not come.
    pub(super) fn time(&self, tick: Tick) -> Option<SystemTime> {
        let milliseconds = u64::from(tick.0) * 100;
        (tick != Tick::NEVER).then(|| self.base + Duration::from_millis(milliseconds))
    }

    fn ticks(&self, time: SystemTime, round_up: u128) -> u32 {
        let nanoseconds = time.duration_since(self.base).unwrap_or_default().as_nanos();
        let milliseconds = if round_up > 0 { nanoseconds.div_ceil(1_000_000) } else { nanoseconds / 1_000_000 };
        u32::try_from((milliseconds + round_up) / TICK_MILLISECONDS).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_due_before_its_time() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let clock = TickClock::starting(start);
        for nanoseconds in [0, 1, 99_999_999, 100_000_000, 100_000_001, 123_456_789] {
            let time = start + Duration::from_nanos(nanoseconds);
            let due = clock.time(clock.due(time)).unwrap();
            assert!(due >= time && due < time + Duration::from_millis(100));
            assert!(clock.now(due) == clock.due(time));
            assert!(clock.time(clock.now(time)).unwrap() <= time);
        }
    }

    #[test]
    fn what_is_out_of_reach_is_due_but_does_not_expire() {
        let clock = TickClock::starting(SystemTime::UNIX_EPOCH);
        let far = SystemTime::UNIX_EPOCH + Duration::from_hours(20 * 365 * 24);
        assert!(clock.due(far) <= clock.now(far));
        assert!(clock.limit(far) > clock.now(far));
        assert_eq!(clock.time(clock.limit(far)), None);
        assert_eq!(clock.limit_or_never(None), Tick::NEVER);
        assert_eq!(clock.due(SystemTime::UNIX_EPOCH - PAST - PAST), Tick::ZERO);
    }
}
