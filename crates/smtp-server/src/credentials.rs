//! Who may log in, and whether a password is right: the users file, proven.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use smtp_mail::LocalUser;
use smtp_policy::guard::GuardLimits;
use smtp_proto::{Mechanism, PeerCertificate, Secret, TlsFacts};
use smtp_sasl::{Login, PasswordHash, ScramKeys};
use tokio::sync::Semaphore;

/// What is kept of a user who can log in.
#[derive(Debug, Clone)]
pub struct UserCredentials {
    /// The user.
    pub user: LocalUser,
    /// The hash of the password. None: only a certificate lets the user in.
    pub password: Option<PasswordHash>,
    /// The keys of the same password for SCRAM-SHA-256.
    pub keys: Option<ScramKeys>,
}

/// `[auth]`, and who is in the users file.
pub struct Credentials {
    /// Everybody, by each login: the name and the addresses, in lower case.
    logins: HashMap<Box<str>, Arc<UserCredentials>>,
    people: usize,
    with_keys: usize,
    /// Verified where there is no such login, so that this takes as long.
    decoy: Option<PasswordHash>,
    verifications: Arc<Semaphore>,
    /// What is too often.
    pub limits: GuardLimits,
    /// AUTH is offered without TLS to clients on this machine.
    pub clear_on_loopback: bool,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("people", &self.people)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Nobody, so far. `verifications` passwords are verified at once.
    pub fn new(limits: GuardLimits, verifications: usize, clear_on_loopback: bool) -> Self {
        Self {
            logins: HashMap::new(),
            people: 0,
            with_keys: 0,
            decoy: None,
            verifications: Arc::new(Semaphore::new(verifications.min(Semaphore::MAX_PERMITS))),
            limits,
            clear_on_loopback,
        }
    }

    /// Adds a user with all the logins of that user.
    ///
    /// # Errors
    /// The first login that another user has, or that can be nobody's.
    pub fn add(&mut self, credentials: UserCredentials, logins: &[String]) -> Result<(), String> {
        self.people += usize::from(credentials.password.is_some());
        self.with_keys += usize::from(credentials.keys.is_some());
        self.decoy = self.decoy.take().or_else(|| credentials.password.clone());
        let credentials = Arc::new(credentials);
        for login in logins {
            let prepared =
                Login::prepare(login.as_bytes()).map_err(|error| format!("{login:?} is no login: {error}"))?;
            let before = self.logins.insert(key(prepared.as_str()), Arc::clone(&credentials));
            if before.is_some_and(|before| before.user != credentials.user) {
                return Err(format!("another user logs in as {login:?} already"));
            }
        }
        Ok(())
    }

    /// How many users have a password.
    pub fn people(&self) -> usize {
        self.people
    }

    /// Whether anybody can log in by a password.
    pub fn is_for_people(&self) -> bool {
        self.people > 0
    }

    /// Whether everybody who has a password can use SCRAM: who prefers it must not fail for want of keys.
    pub fn has_scram(&self) -> bool {
        self.people > 0 && self.with_keys == self.people
    }

    /// The mechanisms that can succeed under this TLS (or without it), the best first.
    pub(crate) fn mechanisms(&self, tls: Option<&TlsFacts>) -> Vec<Mechanism> {
        let bindings = tls.map(|tls| &tls.channel_bindings);
        let is_bound = bindings.is_some_and(|found| found.exporter.is_some() || found.server_end_point.is_some());
        let offers = [
            (Mechanism::SCRAM_SHA_256_PLUS, self.has_scram() && is_bound),
            (Mechanism::SCRAM_SHA_256, self.has_scram()),
            (Mechanism::PLAIN, self.is_for_people()),
            (Mechanism::LOGIN, self.is_for_people()),
            (Mechanism::EXTERNAL, tls.is_some_and(|tls| self.of_certificate(tls).is_some())),
        ];
        offers.into_iter().filter(|(_, can_succeed)| *can_succeed).map(|(mechanism, _)| mechanism).collect()
    }

    /// The user who logs in by that name or address.
    pub(crate) fn user(&self, login: &Login) -> Option<&LocalUser> {
        self.logins.get(&key(login.as_str())).map(|found| &found.user)
    }

    /// The name under which failures of that login are counted: the same for all logins of a user, in whatever case.
    pub(crate) fn guarded_name(&self, login: &Login) -> Box<str> {
        self.user(login).map_or_else(|| key(login.as_str()), |user| user.as_str().into())
    }

    /// Whom the client's certificate names, where it was verified: by a mailbox, else by its common name.
    pub(crate) fn of_certificate(&self, tls: &TlsFacts) -> Option<Login> {
        let PeerCertificate { common_name, mailboxes, .. } =
            tls.peer_certificate.as_deref().filter(|_| tls.verified)?;
        let names = mailboxes.iter().chain(common_name);
        let mut logins = names.filter_map(|name| Login::prepare(name.as_bytes()).ok());
        logins.find(|login| self.user(login).is_some())
    }

    /// The keys of that login; such as nobody has where there is none.
    pub(crate) fn keys(&self, login: &Login) -> ScramKeys {
        static SEED: OnceLock<[u8; 32]> = OnceLock::new();
        let keys = self.logins.get(&key(login.as_str())).and_then(|found| found.keys.clone());
        keys.unwrap_or_else(|| ScramKeys::decoy(SEED.get_or_init(ScramKeys::decoy_seed), login))
    }

    /// Whether that is the password of that login. Takes as long where there is no such login. Waits where as many are verified as may be;
    /// the work is away from the threads of the sessions.
    pub(crate) async fn verify(&self, login: &Login, password: Secret) -> bool {
        let known = self.logins.get(&key(login.as_str())).and_then(|found| found.password.clone());
        let is_known = known.is_some();
        let Some(hash) = known.or_else(|| self.decoy.clone()) else { return false };
        let permit = Arc::clone(&self.verifications).acquire_owned().await;
        let verified = tokio::task::spawn_blocking(move || {
            let is_right = hash.verify(&password);
            drop(permit);
            is_right
        });
        // The work can only panic by a fault of ours; then nobody is let in.
        verified.await.unwrap_or(false) && is_known
    }
}

fn key(login: &str) -> Box<str> {
    login.to_lowercase().into()
}

#[cfg(test)]
mod tests;
