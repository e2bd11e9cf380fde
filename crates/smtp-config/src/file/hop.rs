//! `[[route]]` and `[smart_host]`: where mail for other domains goes, on which terms, and how this server logs in there.

use std::path::PathBuf;

use serde::Deserialize;

use crate::value::{NextHopUrl, Placed, words};

words! {
    /// What TLS must give on the way to a next hop.
    pub enum NextHopTls {
        /// TLS where it is offered, with any certificate; else in the clear.
        Opportunistic = "opportunistic",
        /// TLS with any certificate, or no delivery.
        Require = "require",
        /// TLS with a certificate for the host's name from an authority that the system trusts, or no delivery.
        Verify = "verify",
        /// In the clear.
        None = "none",
    }
}

words! {
    /// A mechanism of AUTH by which this server can log in at a next hop.
    pub enum HopMechanism {
        /// RFC 7677, bound to the TLS channel.
        ScramSha256Plus = "SCRAM-SHA-256-PLUS",
        /// RFC 7677.
        ScramSha256 = "SCRAM-SHA-256",
        /// RFC 4616.
        Plain = "PLAIN",
        /// The older form of PLAIN.
        Login = "LOGIN",
        /// RFC 7628.
        OauthBearer = "OAUTHBEARER",
        /// The older form of OAUTHBEARER.
        Xoauth2 = "XOAUTH2",
    }
}

/// Where a secret is; it never stands in this file itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct SecretSource {
    /// A file that holds the secret and nothing else.
    pub file: Option<Placed<PathBuf>>,
    /// A credential that systemd gives to the service (`LoadCredential=`).
    pub credential: Option<Placed<String>>,
}

/// One `[[route]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Route {
    /// The domains that it is for: `example.com`, `*.example.com`, `*`.
    pub recipients: Vec<Placed<String>>,
    /// The next hop.
    pub to: Placed<NextHopUrl>,
    /// What TLS must give.
    pub tls: Option<Placed<NextHopTls>>,
    /// The password of the user in `to`.
    pub password: Option<Placed<SecretSource>>,
    /// The access token of the user in `to`.
    pub token: Option<Placed<SecretSource>>,
    /// The mechanisms of AUTH that may be used.
    pub mechanisms: Option<Placed<Vec<HopMechanism>>>,
    /// Whether the log-in may go without TLS.
    #[serde(default)]
    pub login_in_clear: bool,
    /// Whether content goes by BDAT where that is offered.
    #[serde(default = "default_chunking")]
    pub chunking: bool,
}

/// `[smart_host]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct SmartHost {
    /// The next hop.
    pub to: Placed<NextHopUrl>,
    /// What TLS must give.
    pub tls: Option<Placed<NextHopTls>>,
    /// The password of the user in `to`.
    pub password: Option<Placed<SecretSource>>,
    /// The access token of the user in `to`.
    pub token: Option<Placed<SecretSource>>,
    /// The mechanisms of AUTH that may be used.
    pub mechanisms: Option<Placed<Vec<HopMechanism>>>,
    /// Whether the log-in may go without TLS.
    #[serde(default)]
    pub login_in_clear: bool,
    /// Whether content goes by BDAT where that is offered.
    #[serde(default = "default_chunking")]
    pub chunking: bool,
}

fn default_chunking() -> bool {
    true
}
