//! `[auth]`.

use std::path::PathBuf;

use serde::Deserialize;

use crate::value::{Period, Placed, words};

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub struct Auth {
    /// AUTH is offered without TLS to clients on this machine.
    pub clear_on_loopback: bool,
    /// Passwords verified at once.
    pub verifications: Option<Placed<u32>>,
    /// Failures until a client is locked out.
    pub failures_per_client: Placed<u32>,
    /// Failures until a login is locked.
    pub failures_per_login: Placed<u32>,
    /// How long failures count, and how long who has too many is locked out.
    pub lockout: Placed<Period>,
    /// How long the answer to a first failure waits.
    pub failure_delay: Placed<Period>,
    /// Dovecot's socket for authentication clients: the second source of passwords.
    pub dovecot_socket: Option<Placed<PathBuf>>,
    /// How long Dovecot may take for an answer.
    pub dovecot_timeout: Placed<Period>,
    /// What one user may send in an hour; 0: any number.
    pub messages_per_hour: Placed<u32>,
    /// The recipients that one user may send to in an hour; 0: any number.
    pub recipients_per_hour: Placed<u32>,
    /// What becomes of what is more.
    pub excess: OnExcess,
}

words! {
    /// What becomes of the messages of a user who has sent too many.
    pub enum OnExcess {
        /// They are refused for the time being.
        Refuse = "refuse",
        /// They are accepted and held in the queue.
        Hold = "hold",
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            clear_on_loopback: false,
            verifications: None,
            failures_per_client: Placed::unwritten(10),
            failures_per_login: Placed::unwritten(100),
            lockout: Placed::unwritten(Period::seconds(15 * 60)),
            failure_delay: Placed::unwritten(Period::seconds(1)),
            dovecot_socket: None,
            dovecot_timeout: Placed::unwritten(Period::seconds(30)),
            messages_per_hour: Placed::unwritten(1000),
            recipients_per_hour: Placed::unwritten(10_000),
            excess: OnExcess::Refuse,
        }
    }
}
