//! `[auth]`, and what the users file says about logging in.

use std::num::NonZeroU32;

use smtp_config::{Hidden, Placed, Source, UserEntry, Users, file};
use smtp_mail::LocalUser;
use smtp_policy::allowance::HourlyLimits;
use smtp_policy::guard::GuardLimits;
use smtp_proto::Domain;
use smtp_sasl::{Login, PasswordHash, ScramKeys};

use super::prover::Prover;
use crate::allowance::LoginAllowance;
use crate::credentials::{CertificateName, Credentials, UserCredentials};
use crate::dovecot::Dovecot;

/// Each is a thread.
const VERIFICATIONS_MAX: usize = 64;

/// The other half is for mail, however many passwords there are to verify.
fn half_of_the_processors() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    processors.div_ceil(2).min(VERIFICATIONS_MAX)
}

/// `[auth]`; nobody is added yet.
pub(super) fn credentials(prover: &mut Prover<'_>, auth: &file::Auth) -> Credentials {
    let verifications = auth.verifications.as_ref().map_or_else(half_of_the_processors, |written| {
        let verifications = prover.positive("verifications", written);
        if verifications > VERIFICATIONS_MAX {
            let text = format!("`verifications` is {VERIFICATIONS_MAX} at most: each takes a processor");
            prover.error(written.place(), text);
        }
        verifications
    });
    prover.positive("failures_per_client", &auth.failures_per_client);
    prover.positive("failures_per_login", &auth.failures_per_login);
    let limits = GuardLimits {
        failures_per_client: *auth.failures_per_client,
        failures_per_login: *auth.failures_per_login,
        lockout: prover.some_time("lockout", &auth.lockout),
        failure_delay: auth.failure_delay.0,
    };
    let mut credentials = Credentials::new(limits, verifications, auth.clear_on_loopback);
    let within = prover.some_time("dovecot_timeout", &auth.dovecot_timeout);
    match &auth.dovecot_socket {
        Some(socket) => credentials.set_dovecot(Dovecot::new(prover.resolve(&**socket), within)),
        None if auth.dovecot_timeout.place().is_some() => {
            prover.warn(auth.dovecot_timeout.place(), "`dovecot_timeout` is of no use without `dovecot_socket`");
        }
        None => {}
    }
    credentials
}

/// What a user who has logged in may send.
pub(super) fn allowance(auth: &file::Auth) -> LoginAllowance {
    let limits = HourlyLimits {
        messages: NonZeroU32::new(*auth.messages_per_hour),
        recipients: NonZeroU32::new(*auth.recipients_per_hour),
    };
    LoginAllowance { limits, on_excess: auth.excess }
}

/// Adds everybody in the users file who has a password or a certificate, each hash and key found to be one. What is wrong with a
/// password is told at the user, and not shown.
pub(super) fn add_users(
    prover: &mut Prover<'_>,
    source: &Source,
    users: &Users,
    domains: &[Domain],
    credentials: &mut Credentials,
) {
    credentials.set_domains(domains);
    for (name, entry) in &users.0 {
        let password = part(prover, source, name, "password", entry.password.as_ref(), PasswordHash::parse);
        let keys = part(prover, source, name, "scram_sha_256", entry.scram_sha_256.as_ref(), ScramKeys::parse);
        if entry.scram_sha_256.is_some() && entry.password.is_none() {
            let text = format!("[{}] has `scram_sha_256` without `password`: `smtpctl encrypt` makes both", **name);
            prover.error_elsewhere(source.problem(name.place(), text));
        }
        let certificates = certificates(prover, source, entry);
        // Those whom Dovecot knows are called by the same names.
        if password.is_none() && certificates.is_empty() && credentials.dovecot().is_none() {
            continue;
        }
        let user = UserCredentials { user: LocalUser::new(name), password, keys, certificates };
        let logins = logins(prover, source, name, entry, domains);
        // Two users of one name or address are told where recipients are.
        if let Err(message) = credentials.add(user, &logins)
            && !prover.has_problems()
        {
            prover.error_elsewhere(source.problem(name.place(), message));
        }
    }
}

fn part<T, E: std::fmt::Display>(
    prover: &mut Prover<'_>,
    source: &Source,
    name: &Placed<String>,
    key: &str,
    written: Option<&Hidden>,
    parse: fn(&str) -> Result<T, E>,
) -> Option<T> {
    let parsed = parse(written?.expose());
    let refused = |error| {
        prover
            .error_elsewhere(source.problem(name.place(), format!("`{key}` of [{}] cannot be used: {error}", **name)));
    };
    parsed.map_err(refused).ok()
}

fn certificates(prover: &mut Prover<'_>, source: &Source, entry: &UserEntry) -> Vec<CertificateName> {
    let parsed = entry.certificates.iter().filter_map(|written| {
        let refused = |error| {
            let text = format!("{:?} names no certificate: {error}", **written);
            prover.error_elsewhere(source.problem(written.place(), text));
        };
        written.parse().map_err(refused).ok()
    });
    parsed.collect()
}

/// The name of the user, and each address, as far as somebody can log in by it: an address may have what a login cannot (RFC 4013).
fn logins(
    prover: &mut Prover<'_>,
    source: &Source,
    name: &Placed<String>,
    entry: &UserEntry,
    domains: &[Domain],
) -> Vec<Login> {
    let addresses: Vec<String> = match &entry.addresses {
        Some(addresses) => addresses.iter().map(|address| (**address).clone()).collect(),
        None => domains.iter().map(|domain| format!("{}@{domain}", **name)).collect(),
    };
    let written = std::iter::once((**name).clone()).chain(addresses);
    let prepared = written.filter_map(|login| match Login::prepare(login.as_bytes()) {
        Ok(login) => Some(login),
        Err(error) => {
            prover.warn_elsewhere(source.problem(name.place(), format!("nobody can log in as {login:?}: {error}")));
            None
        }
    });
    prepared.collect()
}
