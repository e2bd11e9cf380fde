//! What a server keeps of a password for SCRAM.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::{pbkdf2, rand};
use smtp_proto::Secret;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{DIGEST_OCTETS, Digest, base64, hmac_sha256, sha256, xor};

/// The iterations of new keys: what RFC 7677 §4 asks for at the least, which a phone has done in a blink.
pub const DEFAULT_ITERATIONS: u32 = 4096;
/// The fewest iterations taken (RFC 7677 §4).
pub const ITERATIONS_MIN: u32 = 4096;
/// The most iterations taken: a client does them at each log-in, a second of work.
pub const ITERATIONS_MAX: u32 = 1_000_000;

const SALT_OCTETS: usize = 16;
const SALT_OCTETS_MAX: usize = 64;
const PREFIX: &str = "SCRAM-SHA-256$";

/// The keys of SCRAM-SHA-256 (RFC 5802 §3): with them a server tells the right password, and proves that it knew it. They are not the
/// password, but whoever has them can pass for the server. `Debug` shows nothing of them.
#[derive(Clone)]
pub struct ScramKeys {
    pub(super) iterations: u32,
    pub(super) salt: Box<[u8]>,
    stored_key: Digest,
    server_key: Digest,
}

/// Why a text holds no keys that can be used. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramKeysError {
    /// It has another shape.
    #[error("it is not SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey; make it with `smtpctl encrypt`")]
    Syntax,
    /// The iterations are too few to protect the password, or too many for clients.
    #[error("its iterations are not from {ITERATIONS_MIN} to {ITERATIONS_MAX}")]
    Iterations,
}

impl ScramKeys {
    /// Makes keys with a new salt from a password that is [prepared](crate::prepare_password).
    ///
    /// # Panics
    /// When the system has no random octets.
    pub fn make(password: &Secret) -> Self {
        let mut salt = [0; SALT_OCTETS];
        rand::fill(&mut salt).expect("the system gives random octets");
        Self::derive(password, &salt, DEFAULT_ITERATIONS)
    }

    pub(super) fn derive(password: &Secret, salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(password, salt, iterations);
        let client_key = Zeroizing::new(client_key(&salted));
        Self { iterations, salt: salt.into(), stored_key: sha256(&*client_key), server_key: server_key(&salted) }
    }

    /// Reads keys as they stand in a users file: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, the last three in base64.
    ///
    /// # Errors
    /// When no exchange can succeed with them.
    pub fn parse(text: &str) -> Result<Self, ScramKeysError> {
        let (iterations, salt, stored_key, server_key) = split(text).ok_or(ScramKeysError::Syntax)?;
        let decode = |text: &str| Secret::from_base64(text.as_bytes()).map_err(|_| ScramKeysError::Syntax);
        let key = |text: &str| Digest::try_from(decode(text)?.as_bytes()).map_err(|_| ScramKeysError::Syntax);
        let salt = decode(salt)?;
        if salt.is_empty() || salt.as_bytes().len() > SALT_OCTETS_MAX {
            return Err(ScramKeysError::Syntax);
        }
        let iterations: u32 = iterations.parse().map_err(|_| ScramKeysError::Syntax)?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(ScramKeysError::Iterations);
        }
        Ok(Self {
            iterations,
            salt: salt.as_bytes().into(),
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }

    /// Keys that no password fits, for somebody whom nobody knows: the same each time, so that the exchange looks and takes as long as any
    /// other (RFC 5802 §9). `seed` is a secret of this server; iterations and length of the salt are those of `like`, the keys of somebody.
    ///
    /// Names that are the same for logging in must be handed over as the same `name`.
    pub fn decoy(seed: &[u8; 32], name: &str, like: Option<&Self>) -> Self {
        let part = |part: &[u8]| hmac_sha256(seed, &[part, b"\0", name.as_bytes()]);
        let salt: [Digest; SALT_OCTETS_MAX / DIGEST_OCTETS] = [part(b"salt"), part(b"more salt")];
        Self {
            iterations: like.map_or(DEFAULT_ITERATIONS, |keys| keys.iterations),
            salt: salt.as_flattened()[..like.map_or(SALT_OCTETS, |keys| keys.salt.len())].into(),
            stored_key: part(b"stored"),
            server_key: part(b"server"),
        }
    }

    /// A seed for [`ScramKeys::decoy`], made once for a server's life.
    ///
    /// # Panics
    /// When the system has no random octets.
    pub fn decoy_seed() -> [u8; 32] {
        let mut seed = [0; 32];
        rand::fill(&mut seed).expect("the system gives random octets");
        seed
    }

    /// The keys as they are written into a users file.
    pub fn expose(&self) -> String {
        let Self { iterations, salt, stored_key, server_key } = self;
        format!("{PREFIX}{iterations}:{}${}:{}", base64(salt), base64(stored_key), base64(server_key))
    }

    /// Whether the client's proof is right for what both have said (RFC 5802 §3).
    pub(super) fn proves(&self, proof: &Digest, auth_message: &[&[u8]]) -> bool {
        let client_key = Zeroizing::new(xor(proof, &hmac_sha256(&self.stored_key, auth_message)));
        sha256(&*client_key).ct_eq(&self.stored_key).into()
    }

    /// The server's own proof.
    pub(super) fn signature(&self, auth_message: &[&[u8]]) -> Digest {
        hmac_sha256(&self.server_key, auth_message)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(…)")
    }
}

impl Drop for ScramKeys {
    fn drop(&mut self) {
        self.stored_key.zeroize();
        self.server_key.zeroize();
    }
}

fn split(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (parameters, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    Some((iterations, salt, stored_key, server_key))
}

/// `SaltedPassword` of RFC 5802 §3.
pub(super) fn salted_password(password: &Secret, salt: &[u8], iterations: u32) -> Zeroizing<Digest> {
    let mut salted = Zeroizing::new([0; DIGEST_OCTETS]);
    let iterations = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), &mut *salted);
    salted
}

/// `ClientKey` of RFC 5802 §3.
pub(super) fn client_key(salted: &Digest) -> Digest {
    hmac_sha256(salted, &[b"Client Key"])
}

/// `ServerKey` of RFC 5802 §3.
pub(super) fn server_key(salted: &Digest) -> Digest {
    hmac_sha256(salted, &[b"Server Key"])
}

/// The client's proof (RFC 5802 §3).
pub(super) fn client_proof(salted: &Digest, auth_message: &[&[u8]]) -> Digest {
    let client_key = Zeroizing::new(client_key(salted));
    xor(&client_key, &hmac_sha256(&sha256(&*client_key), auth_message))
}

/// Whether the server's signature is right.
pub(super) fn is_signature(salted: &Digest, auth_message: &[&[u8]], signature: &[u8]) -> bool {
    let key = Zeroizing::new(server_key(salted));
    hmac_sha256(&*key, auth_message).ct_eq(signature).into()
}
