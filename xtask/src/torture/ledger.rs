//! What was promised, what arrived, and whether the two agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, SystemTime};

/// A copy that arrived so long before a kill may not have been settled when it came. Generous: what is held
/// against the server is a copy that had all the time.
const UNSETTLED_MAX: Duration = Duration::from_secs(3);

/// Names one message: it stands in a header field of it.
pub(super) type Token = String;

/// A message that was found where it should end, or the report on it.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) token: Token,
    pub(super) at: SystemTime,
    /// Whether all of it was there, octet for octet.
    pub(super) whole: bool,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: usize,
    answered: BTreeSet<Token>,
    kills: Vec<SystemTime>,
    arrivals: BTreeMap<Token, Vec<Arrival>>,
}

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    Lost(Token),
    Doubled { token: Token, copies: usize },
    Changed(Token),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(token) => write!(f, "{token}: answered 250, and lost"),
            Self::Doubled { token, copies } => write!(f, "{token}: {copies} copies, and no kill explains it"),
            Self::Changed(token) => write!(f, "{token}: not as it was sent"),
        }
    }
}

impl Ledger {
    pub(super) fn killed(&mut self, at: SystemTime) {
        self.kills.push(at);
    }

    pub(super) fn answered(&mut self, answered: Vec<Token>, sent: usize) {
        self.answered.extend(answered);
        self.sent += sent;
    }

    pub(super) fn arrived(&mut self, arrivals: Vec<Arrival>) {
        for arrival in arrivals {
            self.arrivals.entry(arrival.token.clone()).or_default().push(arrival);
        }
    }

    /// Everything that is wrong.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let lost = self.answered.iter().filter(|token| !self.arrivals.contains_key(*token));
        let mut faults: Vec<Fault> = lost.cloned().map(Fault::Lost).collect();
        for (token, copies) in &self.arrivals {
            if copies.iter().any(|copy| !copy.whole) {
                faults.push(Fault::Changed(token.clone()));
            }
            let mut times: Vec<SystemTime> = copies.iter().map(|copy| copy.at).collect();
            times.sort_unstable();
            let (_, earlier) = times.split_last().unwrap_or((&SystemTime::UNIX_EPOCH, &[]));
            if earlier.iter().any(|at| !self.could_not_be_settled(*at)) {
                faults.push(Fault::Doubled { token: token.clone(), copies: copies.len() });
            }
        }
        faults
    }

    fn could_not_be_settled(&self, arrived: SystemTime) -> bool {
        let after = |kill: &SystemTime| kill.duration_since(arrived).is_ok_and(|time| time <= UNSETTLED_MAX);
        self.kills.iter().any(after)
    }

    pub(super) fn summary(&self) -> String {
        let doubled = self.arrivals.values().filter(|copies| copies.len() > 1).count();
        format!(
            "{} kills; {} messages sent, {} answered 250; {} arrived, {doubled} of them twice over a kill",
            self.kills.len(),
            self.sent,
            self.answered.len(),
            self.arrivals.len(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn arrival(token: &str, seconds: u64) -> Arrival {
        Arrival { token: token.into(), at: at(seconds), whole: true }
    }

    fn ledger(arrivals: Vec<Arrival>) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.answered(vec!["a".into()], 2);
        ledger.killed(at(100));
        ledger.arrived(arrivals);
        ledger
    }

    #[test]
    fn one_copy_is_right_and_none_is_a_loss() {
        assert_eq!(ledger(vec![arrival("a", 50)]).faults(), []);
        assert_eq!(ledger(vec![]).faults(), [Fault::Lost("a".into())]);
    }

    #[test]
    fn a_second_copy_needs_a_kill_right_after_the_first() {
        assert_eq!(ledger(vec![arrival("a", 99), arrival("a", 105)]).faults(), []);
        let doubled = Fault::Doubled { token: "a".into(), copies: 2 };
        assert_eq!(ledger(vec![arrival("a", 50), arrival("a", 60)]).faults(), std::slice::from_ref(&doubled));
        assert_eq!(ledger(vec![arrival("a", 101), arrival("a", 102)]).faults(), [doubled]);
    }

    #[test]
    fn what_was_not_answered_may_arrive_or_not() {
        assert_eq!(ledger(vec![arrival("a", 1), arrival("b", 1)]).faults(), []);
    }

    #[test]
    fn a_changed_message_is_found() {
        let changed = Arrival { whole: false, ..arrival("a", 1) };
        assert_eq!(ledger(vec![changed]).faults(), [Fault::Changed("a".into())]);
    }
}
