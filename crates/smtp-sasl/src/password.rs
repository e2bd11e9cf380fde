//! Password hashes: argon2id to make and verify, bcrypt and sha-crypt to verify.

use std::fmt;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, PasswordHasher as _, PasswordVerifier as _, Version};
use sha_crypt::ShaCrypt;
use smtp_proto::Secret;
use zeroize::Zeroizing;

/// Memory of argon2 in KiB: what a users file may ask for, so that a slip of the pen does not cost all there is.
const ARGON2_KIB_MAX: u32 = 1 << 20;
const ARGON2_PASSES_MAX: u32 = 64;
const ARGON2_LANES_MAX: u32 = 64;
/// Memory that a workspace keeps, in blocks of 1 KiB.
const WORKSPACE_KEPT_KIB: usize = 64 * 1024;
/// The cost of bcrypt is the logarithm of its rounds: 16 are some seconds.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=16;
/// Rounds of sha-crypt, which takes some seconds with the most.
const SHA_CRYPT_ROUNDS_MAX: u32 = 10_000_000;

/// A password as it is kept: enough to tell the right one, and not to tell what it is. `Debug` shows only which kind it is.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    kind: Kind,
    text: Zeroizing<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Argon2id,
    Bcrypt,
    ShaCrypt,
}

/// Why a text is no password hash that can be used. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// It does not begin like one.
    #[error(
        "it is no hash of argon2id ($argon2id$…), bcrypt ($2b$…) or sha-crypt ($5$…, $6$…); make one with `smtpctl encrypt`"
    )]
    Unknown,
    /// It begins like one, and is not whole.
    #[error("it begins like a hash of {0} and is damaged; make one with `smtpctl encrypt`")]
    Damaged(&'static str),
    /// Verifying one password would take too long, or too much memory.
    #[error("its parameters ask for more work than a log-in may cost: at most {0}")]
    TooCostly(&'static str),
}

impl PasswordHash {
    /// Reads a hash as it stands in a users file: a PHC string of argon2id, or `$2a$`, `$2b$`, `$2y$`, `$5$`, `$6$` of crypt(3).
    ///
    /// # Errors
    /// When no password can be verified with it.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let kind = match text.split('$').nth(1) {
            Some("argon2id") if text.starts_with('$') => check_argon2id(text).map(|()| Kind::Argon2id)?,
            Some("2a" | "2b" | "2y") if text.starts_with('$') => check_bcrypt(text).map(|()| Kind::Bcrypt)?,
            Some("5" | "6") if text.starts_with('$') => check_sha_crypt(text).map(|()| Kind::ShaCrypt)?,
            _ => return Err(HashError::Unknown),
        };
        Ok(Self { kind, text: Zeroizing::new(text.to_owned()) })
    }

    /// Hashes a password that is [prepared](crate::prepare_password) with argon2id: 19 MiB, two passes, one lane, a salt of its own.
    ///
    /// # Panics
    /// When the system has no random octets.
    pub fn make(password: &Secret) -> Self {
        let hash: phc::PasswordHash = Argon2::default()
            .hash_password(password.as_bytes())
            .expect("the default parameters are valid, and the system gives random octets");
        Self { kind: Kind::Argon2id, text: Zeroizing::new(hash.to_string()) }
    }

    /// Whether it is the hash of this password, which is [prepared](crate::prepare_password). It takes as long for a wrong one.
    pub fn verify(&self, password: &Secret) -> bool {
        self.verify_in(password, &mut Workspace::default())
    }

    /// The same, for who verifies many: argon2id works in this memory.
    pub fn verify_in(&self, password: &Secret, workspace: &mut Workspace) -> bool {
        let (password, text) = (password.as_bytes(), self.text.as_str());
        match self.kind {
            Kind::Argon2id => is_argon2id_of(password, text, workspace).unwrap_or(false),
            Kind::Bcrypt => bcrypt::verify(password, text).unwrap_or(false),
            Kind::ShaCrypt => ShaCrypt::default().verify_password(password, text).is_ok(),
        }
    }

    /// The hash as it is written into a users file.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?}, …)", self.kind)
    }
}

/// Memory in which argon2id works. Kept from one password to the next, it need not be had from the system each time, which costs about
/// as much as a third of the work.
#[derive(Default)]
pub struct Workspace(Vec<Block>);

impl Workspace {
    /// So many blocks of 1 KiB, with whatever is in them.
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::default());
        }
        &mut self.0[..count]
    }

    /// Gives back what a hash of unusual parameters took.
    fn shrink(&mut self) {
        self.0.truncate(WORKSPACE_KEPT_KIB);
        self.0.shrink_to(WORKSPACE_KEPT_KIB);
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workspace({} KiB)", self.0.len())
    }
}

/// `None`: the text is no such hash.
fn is_argon2id_of(password: &[u8], text: &str, workspace: &mut Workspace) -> Option<bool> {
    let hash = phc::PasswordHash::new(text).ok()?;
    let (salt, expected) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
    let params = argon2::Params::try_from(&hash).ok()?;
    let version = hash.version.map(Version::try_from).transpose().ok()?.unwrap_or_default();
    let mut output = [0; phc::Output::MAX_LENGTH];
    let output = output.get_mut(..expected.len())?;
    let blocks = workspace.blocks(params.block_count());
    let made = Argon2::new(Algorithm::Argon2id, version, params);
    made.hash_password_into_with_memory(password, salt, output, blocks).ok()?;
    workspace.shrink();
    // It compares in a time that does not tell where they differ.
    Some(phc::Output::new(output).ok()? == *expected)
}

fn check_argon2id(text: &str) -> Result<(), HashError> {
    const DAMAGED: HashError = HashError::Damaged("argon2id");
    let hash = phc::PasswordHash::new(text).map_err(|_| DAMAGED)?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(DAMAGED);
    }
    let params = argon2::Params::try_from(&hash).map_err(|_| DAMAGED)?;
    let within = params.m_cost() <= ARGON2_KIB_MAX
        && params.t_cost() <= ARGON2_PASSES_MAX
        && params.p_cost() <= ARGON2_LANES_MAX;
    if within { Ok(()) } else { Err(HashError::TooCostly("m=1048576,t=64,p=64")) }
}

fn check_bcrypt(text: &str) -> Result<(), HashError> {
    let parts = text.parse::<bcrypt::HashParts>().map_err(|_| HashError::Damaged("bcrypt"))?;
    if BCRYPT_COSTS.contains(&parts.get_cost()) { Ok(()) } else { Err(HashError::TooCostly("cost 16")) }
}

/// `$5$[rounds=N$]salt$hash`: 43 characters of hash for SHA-256, 86 for SHA-512.
fn check_sha_crypt(text: &str) -> Result<(), HashError> {
    const DAMAGED: HashError = HashError::Damaged("sha-crypt");
    let mut fields = text.split('$').skip(1).peekable();
    let length = if fields.next() == Some("5") { 43 } else { 86 };
    if let Some(rounds) = fields.peek().and_then(|field| field.strip_prefix("rounds=")) {
        let rounds: u32 = rounds.parse().map_err(|_| DAMAGED)?;
        sha_crypt::Params::new(rounds).map_err(|_| DAMAGED)?;
        if rounds > SHA_CRYPT_ROUNDS_MAX {
            return Err(HashError::TooCostly("10,000,000 rounds"));
        }
        fields.next();
    }
    let is_crypt =
        |field: &str| field.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'/'));
    match (fields.next(), fields.next(), fields.next()) {
        (Some(salt), Some(hash), None)
            if salt.len() <= 16 && is_crypt(salt) && hash.len() == length && is_crypt(hash) =>
        {
            Ok(())
        }
        _ => Err(DAMAGED),
    }
}

#[cfg(test)]
mod tests;
