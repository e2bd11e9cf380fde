//! The users file: one table a user, named after the user.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::de::{DeTable, DeValue};

use crate::source::Misplaced;
use crate::suggest::nearest;
use crate::value::{Hidden, Placed};

const USER_KEYS: [&str; 4] = ["addresses", "password", "scram_sha_256", "certificates"];

/// The users file as written:
///
/// ```toml
/// [alice]
/// addresses = ["alice@example.com", "a.smith@example.com"]
///
/// password = "$argon2id$v=19$…"            # both made by `smtpctl encrypt`
/// scram_sha_256 = "SCRAM-SHA-256$4096:…"
///
/// certificates = ["sha256:4f2a…", "alice@example.com"]    # of clients, for EXTERNAL
///
/// [bob]                       # bob at each local domain; cannot log in
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Users(pub BTreeMap<Placed<String>, UserEntry>);

/// One user, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct UserEntry {
    /// The addresses whose mail ends in the user's mailbox. Left out: the user's name at each local domain.
    pub addresses: Option<Vec<Placed<String>>>,
    /// The hash of the password. Left out: the user cannot log in.
    pub password: Option<Hidden>,
    /// The keys of the password for SCRAM-SHA-256.
    pub scram_sha_256: Option<Hidden>,
    /// The client certificates that let the user log in: `sha256:` and a fingerprint, a mailbox, or a domain name.
    #[serde(default)]
    pub certificates: Vec<Placed<String>>,
}

impl Users {
    pub(crate) fn unknown_keys(document: &DeTable<'_>) -> Vec<Misplaced> {
        document
            .iter()
            .filter_map(|(user, value)| match value.get_ref() {
                DeValue::Table(table) => Some((user.get_ref(), table)),
                _ => None,
            })
            .flat_map(|(user, table)| table.iter().map(move |(key, _)| (user, key)))
            .filter(|(_, key)| !USER_KEYS.contains(&key.get_ref().as_ref()))
            .map(|(user, key)| {
                let suggestion = nearest(key.get_ref(), USER_KEYS).map(|word| format!("; did you mean `{word}`?"));
                Misplaced {
                    span: key.span(),
                    message: format!("unknown key `{}` in [{user}]{}", key.get_ref(), suggestion.unwrap_or_default()),
                    beside_secrets: true,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
