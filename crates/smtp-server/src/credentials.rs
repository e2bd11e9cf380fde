//! Who may log in, and whether a password is right: the users file, proven.

mod certificate;
mod verifiers;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use smtp_mail::LocalUser;
use smtp_policy::guard::GuardLimits;
use smtp_proto::{Domain, Mechanism, PeerCertificate, Secret, TlsFacts};
use smtp_sasl::{Failure, Login, PasswordHash, ScramKeys};

use crate::dovecot::Dovecot;

pub use self::certificate::{CertificateName, CertificateNameError};
use self::verifiers::Verifiers;

/// What is kept of a user who can log in.
#[derive(Debug, Clone)]
pub struct UserCredentials {
    /// The user.
    pub user: LocalUser,
    /// The hash of the password. None: a certificate is needed.
    pub password: Option<PasswordHash>,
    /// The keys of the same password for SCRAM-SHA-256.
    pub keys: Option<ScramKeys>,
    /// The client certificates that are as good as a password.
    pub certificates: Vec<CertificateName>,
}

/// `[auth]`, and who is in the users file.
pub struct Credentials {
    /// Everybody, by each login: the name and the addresses, in lower case.
    logins: HashMap<Box<str>, Arc<UserCredentials>>,
    /// Whom each name of a certificate stands for, and the login that is then logged.
    certificates: HashMap<CertificateName, (LocalUser, Login)>,
    people: usize,
    with_password: usize,
    with_keys: usize,
    /// Of whom a login that nobody has gets the looks, so that it takes as long and is answered alike. With a password.
    first: Option<Arc<UserCredentials>>,
    /// The local domains, in lower case: a user may be called with one of them or without.
    domains: HashSet<Box<str>>,
    verifiers: Verifiers,
    /// Who knows those that the users file has no password of.
    dovecot: Option<Arc<Dovecot>>,
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
            certificates: HashMap::new(),
            people: 0,
            with_password: 0,
            with_keys: 0,
            first: None,
            domains: HashSet::new(),
            verifiers: Verifiers::new(verifications),
            dovecot: None,
            limits,
            clear_on_loopback,
        }
    }

    /// Takes Dovecot as a second source.
    pub fn set_dovecot(&mut self, dovecot: Dovecot) {
        self.dovecot = Some(Arc::new(dovecot));
    }

    /// The second source.
    pub fn dovecot(&self) -> Option<&Arc<Dovecot>> {
        self.dovecot.as_ref()
    }

    /// Who is asked for the password of that login, where it is not the users file.
    pub(crate) fn dovecot_for(&self, login: &Login) -> Option<&Arc<Dovecot>> {
        self.dovecot.as_ref().filter(|_| self.password(login).is_none())
    }

    /// Makes the local domains known.
    pub fn set_domains(&mut self, domains: &[Domain]) {
        self.domains = domains.iter().map(|domain| key(&domain.to_string())).collect();
    }

    /// Adds a user with all the logins of that user.
    ///
    /// # Errors
    /// The first login, or the first certificate, that another user has.
    pub fn add(&mut self, credentials: UserCredentials, logins: &[Login]) -> Result<(), String> {
        self.people += 1;
        self.with_password += usize::from(credentials.password.is_some());
        self.with_keys += usize::from(credentials.keys.is_some());
        let credentials = Arc::new(credentials);
        if credentials.password.is_some() {
            self.first.get_or_insert_with(|| Arc::clone(&credentials));
        }
        for login in logins {
            let before = self.logins.insert(key(login.as_str()), Arc::clone(&credentials));
            if before.is_some_and(|before| before.user != credentials.user) {
                return Err(format!("another user logs in as {:?} already", login.as_str()));
            }
        }
        if let Some(login) = logins.first() {
            for name in &credentials.certificates {
                let before = self.certificates.insert(name.clone(), (credentials.user.clone(), login.clone()));
                if before.is_some_and(|(user, _)| user != credentials.user) {
                    return Err(format!("another user logs in by the certificate {name} already"));
                }
            }
        }
        Ok(())
    }

    /// How many users can log in.
    pub fn people(&self) -> usize {
        self.people
    }

    /// Whether anybody can log in.
    pub fn is_for_people(&self) -> bool {
        self.people > 0 || self.dovecot.is_some()
    }

    /// Whether anybody can log in by a password.
    pub fn has_passwords(&self) -> bool {
        self.with_password > 0 || self.dovecot.is_some()
    }

    /// Whether anybody can log in by a client certificate.
    pub fn has_certificates(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Whether everybody in the users file who has a password can use SCRAM: who prefers it must not fail for want of keys.
    pub fn has_scram(&self) -> bool {
        self.has_passwords() && self.with_keys == self.with_password
    }

    /// The mechanisms that can succeed under this TLS (or without it), the best first: with Dovecot, those that it has too.
    pub(crate) async fn offered(&self, tls: Option<&TlsFacts>) -> Vec<Mechanism> {
        let mut mechanisms = self.mechanisms(tls);
        if let Some(dovecot) = &self.dovecot {
            let handed_on = dovecot.mechanisms().await;
            mechanisms.retain(|mechanism| *mechanism == Mechanism::EXTERNAL || handed_on.contains(mechanism));
        }
        mechanisms
    }

    /// The mechanisms that the users file can serve under this TLS (or without it), the best first.
    pub(crate) fn mechanisms(&self, tls: Option<&TlsFacts>) -> Vec<Mechanism> {
        let is_bound = tls.is_some_and(|tls| !tls.channel_bindings.is_empty());
        let offers = [
            (
                Mechanism::EXTERNAL,
                tls.and_then(verified_certificate).is_some_and(|shown| self.named_by(shown).is_some()),
            ),
            (Mechanism::SCRAM_SHA_256_PLUS, self.has_scram() && is_bound),
            (Mechanism::SCRAM_SHA_256, self.has_scram()),
            (Mechanism::PLAIN, self.has_passwords()),
            (Mechanism::LOGIN, self.has_passwords()),
        ];
        offers.into_iter().filter(|(_, can_succeed)| *can_succeed).map(|(mechanism, _)| mechanism).collect()
    }

    /// The user who logs in by that name or address.
    pub(crate) fn user(&self, login: &Login) -> Option<&LocalUser> {
        self.logins.get(&key(login.as_str())).map(|found| &found.user)
    }

    /// What the users file has of the password of that login.
    pub(crate) fn password(&self, login: &Login) -> Option<&PasswordHash> {
        self.logins.get(&key(login.as_str()))?.password.as_ref()
    }

    /// Whom a client's certificate names; nobody, where it names more than one.
    pub(crate) fn named_by(&self, certificate: &PeerCertificate) -> Option<(&LocalUser, &Login)> {
        let mut named = CertificateName::all_of(certificate).filter_map(|name| self.certificates.get(&name));
        let (user, login) = named.next()?;
        named.all(|(other, _)| other == user).then_some((user, login))
    }

    /// The login of whom the client's certificate names: as `authorization` has it, where that is the same user.
    pub(crate) fn login_by_certificate(
        &self,
        certificate: &PeerCertificate,
        authorization: Option<Login>,
    ) -> Result<Login, Failure> {
        let (user, login) = self.named_by(certificate).ok_or(Failure::Credentials)?;
        match authorization {
            None => Ok(login.clone()),
            Some(authorization) if self.user(&authorization) == Some(user) => Ok(authorization),
            Some(_) => Err(Failure::Identity),
        }
    }

    /// Whom Dovecot means by that login: the user of that name or address in the users file, else somebody who is in no file. Nobody, where
    /// Dovecot is not who is asked: a password in the users file is the only one, under whichever name Dovecot was asked.
    pub(crate) fn user_by_dovecot(&self, login: &Login) -> Option<LocalUser> {
        self.dovecot_for(login)?;
        Some(self.user(login).cloned().unwrap_or_else(|| LocalUser::new(&key(login.as_str()))))
    }

    /// The name under which failures of that login are counted: the same for all logins of a user, in whatever case.
    pub(crate) fn guarded_name(&self, login: &Login) -> Box<str> {
        self.user(login).map_or_else(|| key(login.as_str()), |user| user.as_str().into())
    }

    /// The keys of that login; such as nobody has where there is none.
    pub(crate) fn keys(&self, login: &Login) -> ScramKeys {
        // Random, and so others after a restart: what could be kept in the users file for it is made from passwords, and who is asked for
        // keys could then try passwords against the answer.
        static SEED: OnceLock<[u8; 32]> = OnceLock::new();
        let keys = self.logins.get(&key(login.as_str())).and_then(|found| found.keys.clone());
        let like = self.first.as_ref().and_then(|first| first.keys.as_ref());
        keys.unwrap_or_else(|| ScramKeys::decoy(SEED.get_or_init(ScramKeys::decoy_seed), &self.bare_name(login), like))
    }

    /// The name without a local domain: the keys of most users are the same with one and without.
    fn bare_name(&self, login: &Login) -> Box<str> {
        let name = key(login.as_str());
        match name.rsplit_once('@') {
            Some((bare, domain)) if self.domains.contains(domain) => bare.into(),
            _ => name,
        }
    }

    /// Whether that is the password of that login. Takes as long where there is no such login. Waits where as many are verified as may be.
    pub(crate) async fn verify(&self, login: &Login, password: Secret) -> bool {
        let known = self.logins.get(&key(login.as_str())).filter(|user| user.password.is_some());
        let is_known = known.is_some();
        let Some(hash) = known.or(self.first.as_ref()).and_then(|user| user.password.clone()) else { return false };
        self.verifiers.verify(hash, password).await && is_known
    }
}

/// What a client has shown, where an authority vouches for it.
pub(crate) fn verified_certificate(tls: &TlsFacts) -> Option<&PeerCertificate> {
    tls.peer_certificate.as_deref().filter(|_| tls.verified)
}

fn key(login: &str) -> Box<str> {
    login.to_lowercase().into()
}

#[cfg(test)]
mod tests;
