//! The labels of the guards: the limits of a session, and the rules of SMTP that are watched.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use smtp_proto::Timer;
use smtp_proto::server::CloseReason;

use crate::listener::TooMany;

names! {
    /// What stood against a client: a limit of `[limits]` or `[timeouts]`, or a rule of `[guards]`.
    Guard {
        /// It spoke before it was greeted.
        EarlyTalker = "early_talker",
        /// It spoke out of turn.
        Pipelining = "pipelining",
        /// `errors_per_session`.
        Errors = "errors",
        /// `commands_per_session`.
        Commands = "commands",
        /// `idle_commands_per_message`.
        IdleCommands = "idle_commands",
        /// `transactions_per_session`.
        Transactions = "transactions",
        /// `recipients_per_message`.
        Recipients = "recipients",
        /// `sessions`.
        Sessions = "sessions",
        /// `sessions_per_client`.
        SessionsPerClient = "sessions_per_client",
        /// `[timeouts] session`.
        SessionTime = "session_time",
        /// `[timeouts] command`, `data_block`, or the time for all mail data.
        IdleTime = "idle_time",
    }
}

names! {
    /// What a guard has done.
    GuardAction {
        /// The client was refused.
        Refused = "refused",
        /// It was counted only, and served.
        Counted = "counted",
    }
}

impl Guard {
    /// The limit that ended a session, where one did.
    pub fn of_end(reason: CloseReason) -> Option<Self> {
        use CloseReason as R;
        match reason {
            R::TooManyErrors => Some(Self::Errors),
            R::TooManyCommands => Some(Self::Commands),
            R::TooManyIdleCommands => Some(Self::IdleCommands),
            R::TooManyTransactions => Some(Self::Transactions),
            R::Timeout(Timer::Session) => Some(Self::SessionTime),
            R::Timeout(Timer::Command | Timer::DataBlock | Timer::MailData) => Some(Self::IdleTime),
            _ => None,
        }
    }
}

impl From<TooMany> for Guard {
    fn from(too_many: TooMany) -> Self {
        match too_many {
            TooMany::Sessions => Self::Sessions,
            TooMany::SessionsPerClient => Self::SessionsPerClient,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(in crate::metrics) struct ByGuard {
    pub guard: Guard,
    pub action: GuardAction,
}
