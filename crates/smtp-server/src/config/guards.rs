//! Who is watched for what no honest client does.

use std::time::Duration;

use smtp_config::file::{self, GuardAction};

use super::prover::Prover;

/// What clients are glad to wait for their greeting: they must wait 5 minutes (RFC 5321 §4.5.3.2.1), and many do not.
const GREETING_DELAY_MAX: Duration = Duration::from_secs(30);

/// `[guards]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// What is done with who speaks before the greeting.
    pub early_talkers: GuardAction,
    /// How long the greeting waits.
    pub greeting_delay: Duration,
    /// What is done with who speaks out of turn.
    pub pipelining: GuardAction,
    /// The client networks are watched too.
    pub client_networks: bool,
}

pub(super) fn guards(prover: &mut Prover<'_>, guards: &file::Guards) -> Guards {
    if guards.greeting_delay.0 > GREETING_DELAY_MAX {
        prover.error(
            guards.greeting_delay.place(),
            "`greeting_delay` must be at most 30 seconds: honest clients go away",
        );
    }
    Guards {
        early_talkers: guards.early_talkers,
        greeting_delay: guards.greeting_delay.0,
        pipelining: guards.pipelining,
        client_networks: guards.client_networks,
    }
}
