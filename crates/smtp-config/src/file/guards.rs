//! `[guards]`.

use serde::Deserialize;

use crate::value::{Period, Placed, words};

words! {
    /// What is done with a client that breaks a rule which no honest client breaks.
    pub enum GuardAction {
        /// It is refused, and the session closed.
        Refuse = "refuse",
        /// It is counted and logged, and served.
        Count = "count",
    }
}

/// `[guards]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Guards {
    /// Who speaks before the greeting.
    pub early_talkers: GuardAction,
    /// How long the greeting waits.
    pub greeting_delay: Placed<Period>,
    /// Who speaks out of turn.
    pub pipelining: GuardAction,
    /// The clients of `[relay] networks` are watched too.
    pub client_networks: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            early_talkers: GuardAction::Refuse,
            greeting_delay: Placed::unwritten(Period::seconds(0)),
            pipelining: GuardAction::Refuse,
            client_networks: false,
        }
    }
}
