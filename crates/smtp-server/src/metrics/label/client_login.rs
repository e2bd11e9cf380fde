//! How this server fares where it logs in.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use smtp_client::LoginFailure;

names! {
    /// How this server's log-in at a next hop ended.
    ClientLogin {
        /// The next hop knows who we are.
        Ok = "ok",
        /// There was no secret to log in with.
        Secret = "secret",
        /// There was no TLS for it.
        Clear = "clear",
        /// The next hop has no AUTH.
        NotOffered = "not_offered",
        /// It has none that can be used.
        NoMechanism = "no_mechanism",
        /// It refused.
        Refused = "refused",
        /// This server gave up.
        GivenUp = "given_up",
    }
}

impl ClientLogin {
    /// How it failed.
    pub fn of(failure: &LoginFailure) -> Self {
        let named = Self::ALL.iter().copied().find(|result| result.as_str() == failure.reason());
        named.unwrap_or(Self::GivenUp)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(in crate::metrics) struct ByClientLogin {
    pub result: ClientLogin,
}
