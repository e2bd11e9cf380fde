//! How many messages, and to how many recipients, each sender may send in an hour.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Instant;

use crate::rate::{Rate, Rates, TooOften};

/// What one sender may send in an hour; `None`: any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HourlyLimits {
    /// Messages.
    pub messages: Option<NonZeroU32>,
    /// Recipients of all of them.
    pub recipients: Option<NonZeroU32>,
}

/// What a sender has too many of, and when there may be more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Messages.
    #[error("too many messages")]
    Messages(#[source] TooOften),
    /// Recipients.
    #[error("too many recipients")]
    Recipients(#[source] TooOften),
}

impl Excess {
    /// How long to wait.
    pub fn too_often(self) -> TooOften {
        match self {
            Self::Messages(too_often) | Self::Recipients(too_often) => too_often,
        }
    }
}

/// What each sender has sent of late. Bounded, as [`Rates`] are.
#[derive(Debug)]
pub struct Sent<K> {
    messages: Rates<K>,
    recipients: Rates<K>,
}

impl<K: Eq + Hash> Default for Sent<K> {
    fn default() -> Self {
        Self { messages: Rates::default(), recipients: Rates::default() }
    }
}

impl<K: Eq + Hash + Clone> Sent<K> {
    /// Whether a message to so many recipients could be counted now.
    ///
    /// # Errors
    /// What there would be too many of.
    pub fn permit(&self, sender: &K, recipients: u32, limits: HourlyLimits, now: Instant) -> Result<(), Excess> {
        if let Some(events) = limits.messages {
            self.messages.permit(sender, 1, Rate::hourly(events), now).map_err(Excess::Messages)?;
        }
        if let Some(events) = limits.recipients {
            self.recipients.permit(sender, recipients, Rate::hourly(events), now).map_err(Excess::Recipients)?;
        }
        Ok(())
    }

    /// Counts a message to so many recipients, unless that is too much: then nothing is counted.
    ///
    /// # Errors
    /// What there would be too many of.
    pub fn count(&mut self, sender: &K, recipients: u32, limits: HourlyLimits, now: Instant) -> Result<(), Excess> {
        self.permit(sender, recipients, limits, now)?;
        if let Some(events) = limits.messages {
            self.messages.count(sender.clone(), 1, Rate::hourly(events), now).map_err(Excess::Messages)?;
        }
        if let Some(events) = limits.recipients {
            self.recipients.count(sender.clone(), recipients, Rate::hourly(events), now).map_err(Excess::Recipients)?;
        }
        Ok(())
    }

    /// Takes back a message that was counted by these limits and has not been accepted after all.
    pub fn take_back(&mut self, sender: &K, recipients: u32, limits: HourlyLimits) {
        if let Some(events) = limits.messages {
            self.messages.take_back(sender, 1, Rate::hourly(events));
        }
        if let Some(events) = limits.recipients {
            self.recipients.take_back(sender, recipients, Rate::hourly(events));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMITS: HourlyLimits =
        HourlyLimits { messages: Some(NonZeroU32::new(2).unwrap()), recipients: Some(NonZeroU32::new(6).unwrap()) };

    fn wait(minutes: u64) -> TooOften {
        TooOften { wait: Duration::from_mins(minutes) }
    }

    #[test]
    fn messages_and_their_recipients_are_counted_each_by_itself() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        sent.count(&"alice", 1, LIMITS, now).unwrap();
        sent.count(&"alice", 1, LIMITS, now).unwrap();
        assert_eq!(sent.count(&"alice", 1, LIMITS, now), Err(Excess::Messages(wait(30))));
        assert_eq!(sent.count(&"bob", 7, LIMITS, now), Err(Excess::Recipients(wait(10))));
        assert_eq!(sent.count(&"bob", 6, LIMITS, now), Ok(()), "what was refused has used nothing up");
        assert_eq!(sent.permit(&"bob", 1, LIMITS, now), Err(Excess::Recipients(wait(10))));
    }

    #[test]
    fn what_was_not_accepted_is_given_back() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        for _ in 0..100 {
            sent.count(&"alice", 6, LIMITS, now).unwrap();
            sent.take_back(&"alice", 6, LIMITS);
        }
        assert_eq!(sent.count(&"alice", 6, LIMITS, now), Ok(()));
    }

    #[test]
    fn without_limits_any_number_goes() {
        let (mut sent, now) = (Sent::default(), Instant::now());
        for _ in 0..10 {
            sent.count(&"alice", u32::MAX, HourlyLimits::default(), now).unwrap();
        }
    }
}
