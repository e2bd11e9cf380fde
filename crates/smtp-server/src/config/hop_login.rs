//! How this server logs in at a next hop: who it is, and where the secret is.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use smtp_client::{HopLogin, SecretFile};
use smtp_config::file::{HopMechanism, NextHopTls, Route, SecretSource, SmartHost};
use smtp_config::{NextHopUrl, Placed};
use smtp_proto::Mechanism;
use smtp_sasl::Login;

use super::prover::Prover;

/// Where systemd puts the credentials of the service.
const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// The bits of a mode by which others than the owner can read a file.
const READABLE_BY_OTHERS: u32 = 0o044;

/// What `[[route]]` and `[smart_host]` both say of a next hop.
pub(super) struct WrittenHop<'a> {
    pub(super) to: &'a Placed<NextHopUrl>,
    pub(super) tls: Option<&'a Placed<NextHopTls>>,
    pub(super) chunking: bool,
    password: Option<&'a Placed<SecretSource>>,
    token: Option<&'a Placed<SecretSource>>,
    mechanisms: Option<&'a Placed<Vec<HopMechanism>>>,
    login_in_clear: bool,
}

macro_rules! written_hop {
    ($($section:ty),*) => {
        $(impl<'a> From<&'a $section> for WrittenHop<'a> {
            fn from(section: &'a $section) -> Self {
                Self {
                    to: &section.to,
                    tls: section.tls.as_ref(),
                    chunking: section.chunking,
                    password: section.password.as_ref(),
                    token: section.token.as_ref(),
                    mechanisms: section.mechanisms.as_ref(),
                    login_in_clear: section.login_in_clear,
                }
            }
        })*
    };
}

written_hop!(Route, SmartHost);

/// Who this server is at the next hop; none where `to` names nobody.
pub(super) fn login(prover: &mut Prover<'_>, hop: &WrittenHop<'_>, tls: NextHopTls) -> Option<HopLogin> {
    let Some(user) = &hop.to.user else {
        if let Some(place) = hop.password.or(hop.token).map(Placed::place) {
            prover.error(
                place,
                "there is no user to log in as: name one in `to`, like \"submissions://app1@smtp.example.net\"",
            );
        } else {
            warn_of_terms(prover, hop);
        }
        return None;
    };
    let user = Login::prepare(user.as_bytes())
        .map_err(|error| prover.error(hop.to.place(), format!("this can be nobody's user name: {error}")))
        .ok();
    let secret = secret(prover, hop);
    let mechanisms = mechanisms(prover, hop);
    check_privacy(prover, hop, tls);
    Some(HopLogin { user: user?, secret: secret?, mechanisms: mechanisms?, in_clear: hop.login_in_clear })
}

/// What is said of a log-in that there is none of.
fn warn_of_terms(prover: &mut Prover<'_>, hop: &WrittenHop<'_>) {
    let missing = "there is no user in `to` to log in as";
    if let Some(mechanisms) = hop.mechanisms {
        prover.warn(mechanisms.place(), format!("`mechanisms` changes nothing: {missing}"));
    }
    if hop.login_in_clear {
        prover.warn(hop.to.place(), format!("`login_in_clear` changes nothing: {missing}"));
    }
}

/// A log-in that can be read on its way is told of before it is.
fn check_privacy(prover: &mut Prover<'_>, hop: &WrittenHop<'_>, tls: NextHopTls) {
    let place = hop.tls.map_or_else(|| hop.to.place(), Placed::place);
    match tls {
        NextHopTls::Verify => {}
        NextHopTls::Require => prover.warn(
            place,
            "this server logs in under TLS with any certificate: whoever stands between can take the password; \"verify\" prevents that",
        ),
        NextHopTls::Opportunistic | NextHopTls::None if hop.login_in_clear => {}
        NextHopTls::Opportunistic | NextHopTls::None => prover.error(
            place,
            format!("this server logs in here, and with tls = \"{tls}\" the password could go in the clear: take \"verify\""),
        ),
    }
}

fn secret(prover: &mut Prover<'_>, hop: &WrittenHop<'_>) -> Option<SecretFile> {
    let (source, kind): (_, fn(PathBuf) -> SecretFile) = match (hop.password, hop.token) {
        (Some(password), None) => (password, SecretFile::Password),
        (None, Some(token)) => (token, SecretFile::Token),
        (Some(_), Some(token)) => {
            prover.error(token.place(), "there is a `password` already: a log-in has one of the two");
            return None;
        }
        (None, None) => {
            prover
                .error(hop.to.place(), "this user has no `password = { file = \"…\" }` to log in with, and no `token`");
            return None;
        }
    };
    let path = path(prover, source)?;
    let secret = kind(path);
    // Nobody learns what stands in it.
    match secret.read() {
        Ok(_) => warn_of_readers(prover, source, secret.path()),
        Err(error) => prover.error(source.place(), error.to_string()),
    }
    Some(secret)
}

fn path(prover: &mut Prover<'_>, source: &Placed<SecretSource>) -> Option<PathBuf> {
    match (&source.file, &source.credential) {
        (Some(file), None) => Some(prover.resolve(&**file)),
        (None, Some(name)) => credential(prover, name),
        _ => {
            prover.error(source.place(), "either `file` or `credential` must be written here");
            None
        }
    }
}

fn credential(prover: &mut Prover<'_>, name: &Placed<String>) -> Option<PathBuf> {
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        prover.error(name.place(), "this is no name of a credential");
        return None;
    }
    let Some(directory) = std::env::var_os(CREDENTIALS_DIRECTORY) else {
        let text = format!(
            "systemd gives this process no credentials: write `LoadCredential={}:/path` into the unit, or take `file`",
            **name
        );
        prover.error(name.place(), text);
        return None;
    };
    Some(Path::new(&directory).join(&**name))
}

fn warn_of_readers(prover: &mut Prover<'_>, source: &Placed<SecretSource>, path: &Path) {
    let Ok(found) = std::fs::metadata(path) else { return };
    if source.file.is_some() && found.mode() & READABLE_BY_OTHERS != 0 {
        let mode = found.mode() & 0o7777;
        let text = format!(
            "{} has mode {mode:04o}: others can read the secret; give it to the server's user with mode 0400",
            path.display()
        );
        prover.warn(source.place(), text);
    }
}

fn mechanisms(prover: &mut Prover<'_>, hop: &WrittenHop<'_>) -> Option<Vec<Mechanism>> {
    let Some(written) = hop.mechanisms else { return Some(Vec::new()) };
    let is_for_token =
        |mechanism: &HopMechanism| matches!(mechanism, HopMechanism::OauthBearer | HopMechanism::Xoauth2);
    if !written.iter().any(|mechanism| is_for_token(mechanism) == hop.token.is_some()) {
        let (secret, fitting) = match hop.token {
            Some(_) => ("token", "OAUTHBEARER and XOAUTH2"),
            None => ("password", "SCRAM-SHA-256-PLUS, SCRAM-SHA-256, PLAIN and LOGIN"),
        };
        prover.error(written.place(), format!("none of these is for a {secret}: those are {fitting}"));
        return None;
    }
    Some(written.iter().map(|mechanism| mechanism_of(*mechanism)).collect())
}

fn mechanism_of(written: HopMechanism) -> Mechanism {
    match written {
        HopMechanism::ScramSha256Plus => Mechanism::SCRAM_SHA_256_PLUS,
        HopMechanism::ScramSha256 => Mechanism::SCRAM_SHA_256,
        HopMechanism::Plain => Mechanism::PLAIN,
        HopMechanism::Login => Mechanism::LOGIN,
        HopMechanism::OauthBearer => Mechanism::OAUTHBEARER,
        HopMechanism::Xoauth2 => Mechanism::XOAUTH2,
    }
}
