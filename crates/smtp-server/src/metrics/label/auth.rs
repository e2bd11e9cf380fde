//! Log-ins: of clients here, and of this server at next hops.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use smtp_client::LoginFailure;
use smtp_proto::Mechanism;

names! {
    /// By which mechanism a client logs in.
    AuthMechanism {
        /// RFC 4616.
        Plain = "PLAIN",
        /// Never standardised.
        Login = "LOGIN",
        /// RFC 7677.
        ScramSha256 = "SCRAM-SHA-256",
        /// The same, bound to the TLS channel.
        ScramSha256Plus = "SCRAM-SHA-256-PLUS",
        /// By client certificate (RFC 4422 appendix A).
        External = "EXTERNAL",
    }
}

impl AuthMechanism {
    /// The label of a mechanism that the server has.
    pub fn of(mechanism: Mechanism) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == mechanism.as_str())
    }
}

names! {
    /// How an exchange of AUTH ended.
    AuthResult {
        /// The client is logged in.
        Ok = "ok",
        /// It is not.
        Failed = "failed",
        /// It was not let in because of too many failures.
        LockedOut = "locked_out",
        /// Who knows the passwords could not be asked.
        Unavailable = "unavailable",
        /// It gave the exchange up.
        Cancelled = "cancelled",
    }
}

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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(in crate::metrics) struct ByAuth {
    pub mechanism: AuthMechanism,
    pub result: AuthResult,
}
