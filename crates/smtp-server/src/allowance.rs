//! How much one sender may send in an hour: asked at MAIL and RCPT, counted when a message is accepted.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use smtp_config::file::OnExcess;
use smtp_mail::LocalUser;
use smtp_policy::allowance::{Excess, HourlyLimits, Sent};
use smtp_proto::{EnhancedStatus, Reply, ReplyCode};

use crate::metrics::ExcessLimit;
use crate::shared::Shared;

const TOO_OFTEN: Reply =
    Reply::new(ReplyCode::MAILBOX_BUSY, EnhancedStatus::new(4, 7, 1), "Too much was sent lately; try again later");

/// Whose messages are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Account {
    /// A user of this machine, by the user id.
    Uid(u32),
    /// A user who has logged in, by whichever login and from wherever.
    Login(LocalUser),
}

impl fmt::Display for Account {
    /// `uid 1000`, or `alice`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uid(uid) => write!(f, "uid {uid}"),
            Self::Login(user) => user.fmt(f),
        }
    }
}

/// What the users who log in may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginAllowance {
    /// In an hour.
    pub limits: HourlyLimits,
    /// What becomes of more.
    pub on_excess: OnExcess,
}

/// What one sender may send.
#[derive(Debug)]
pub(crate) struct Allowance {
    account: Account,
    limits: HourlyLimits,
    on_excess: OnExcess,
}

/// How a message was counted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// It is within the limits.
    Within,
    /// It is too much, did not count, and is held for this reason.
    Held(String),
}

impl Counted {
    /// Why it is held, if it is.
    pub(crate) fn held_because(&self) -> Option<&str> {
        match self {
            Self::Within => None,
            Self::Held(reason) => Some(reason),
        }
    }
}

impl Allowance {
    /// What a user of this machine may send; more is refused, since the program that sends can wait.
    pub(crate) fn of_uid(uid: u32, messages: Option<NonZeroU32>) -> Self {
        let limits = HourlyLimits { messages, recipients: None };
        Self { account: Account::Uid(uid), limits, on_excess: OnExcess::Refuse }
    }

    /// What a user who has logged in may send.
    pub(crate) fn of_login(user: LocalUser, allowance: LoginAllowance) -> Self {
        let LoginAllowance { limits, on_excess } = allowance;
        Self { account: Account::Login(user), limits, on_excess }
    }

    /// Whether a message to so many recipients can be accepted now, as far as is known before its content has come.
    ///
    /// # Errors
    /// The reply to MAIL or RCPT, which says when it can be.
    pub(crate) fn permit(&self, shared: &Shared, recipients: usize) -> Result<(), Reply> {
        if self.on_excess == OnExcess::Hold {
            return Ok(());
        }
        let permitted = sent(shared).permit(&self.account, number(recipients), self.limits, Instant::now());
        permitted.map_err(|excess| self.refuse(shared, excess))
    }

    /// Counts a message that is about to be accepted. Those of sessions side by side are counted one after the other, so
    /// that all together are within the limits.
    ///
    /// # Errors
    /// The reply to the mail data, which says when it can be accepted.
    pub(crate) fn count(&self, shared: &Shared, recipients: usize) -> Result<Counted, Reply> {
        let counted = sent(shared).count(&self.account, number(recipients), self.limits, Instant::now());
        match (counted, self.on_excess) {
            (Ok(()), _) => Ok(Counted::Within),
            (Err(excess), OnExcess::Refuse) => Err(self.refuse(shared, excess)),
            (Err(excess), OnExcess::Hold) => {
                shared.metrics().excess(limit_of(excess), true);
                Ok(Counted::Held(format!("{} has sent {excess} in an hour ([auth] excess)", self.account)))
            }
        }
    }

    /// Takes back a message that was counted and has not been accepted after all.
    pub(crate) fn take_back(&self, shared: &Shared, recipients: usize, counted: &Counted) {
        if *counted == Counted::Within {
            sent(shared).take_back(&self.account, number(recipients), self.limits);
        }
    }

    fn refuse(&self, shared: &Shared, excess: Excess) -> Reply {
        shared.metrics().excess(limit_of(excess), false);
        // A second more than none, so that who comes then does not come too early.
        let wait = Duration::from_secs(excess.too_often().wait.as_secs() + 1);
        let at = Timestamp::try_from(SystemTime::now() + wait).unwrap_or(Timestamp::MAX);
        let at = at.strftime("%Y-%m-%dT%H:%M:%SZ");
        let text = format!("{}: {excess}; the next may come in {} s, at {at}", self.account, wait.as_secs());
        TOO_OFTEN.with_text(text).unwrap_or(TOO_OFTEN)
    }
}

fn limit_of(excess: Excess) -> ExcessLimit {
    match excess {
        Excess::Messages(_) => ExcessLimit::Messages,
        Excess::Recipients(_) => ExcessLimit::Recipients,
    }
}

fn number(recipients: usize) -> u32 {
    u32::try_from(recipients).unwrap_or(u32::MAX)
}

fn sent(shared: &Shared) -> MutexGuard<'_, Sent<Account>> {
    // Counting cannot panic half way, so a poisoned lock holds sound numbers.
    shared.sent.lock().unwrap_or_else(PoisonError::into_inner)
}
