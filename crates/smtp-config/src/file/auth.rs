//! `[auth]`.

use serde::Deserialize;

use crate::value::{Period, Placed};

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Auth {
    /// AUTH is offered without TLS to clients on this machine.
    pub clear_on_loopback: bool,
    /// Passwords verified at once.
    pub verifications: Placed<u32>,
    /// Failures until a client is locked out.
    pub failures_per_client: Placed<u32>,
    /// Failures until a login is locked.
    pub failures_per_login: Placed<u32>,
    /// How long failures count, and how long who has too many is locked out.
    pub lockout: Placed<Period>,
    /// How long the answer to a first failure waits.
    pub failure_delay: Placed<Period>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            clear_on_loopback: false,
            verifications: Placed::unwritten(4),
            failures_per_client: Placed::unwritten(10),
            failures_per_login: Placed::unwritten(100),
            lockout: Placed::unwritten(Period::seconds(15 * 60)),
            failure_delay: Placed::unwritten(Period::seconds(1)),
        }
    }
}
