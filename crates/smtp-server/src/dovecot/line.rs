//! The lines of the protocol: a name and parameters, with a tab between each. Pure.

use bytes::BytesMut;
use smtp_proto::{Mechanism, Secret};
use smtp_sasl::Login;

use super::{About, Answer, Unavailable};

/// The longest line in octets; Dovecot itself takes half of it.
pub(super) const LINE_OCTETS_MAX: u64 = 32 * 1024;

/// What we say first: the version, and the number of this client, which nobody else who is connected may have.
pub(super) fn hello(client: u32) -> String {
    format!("VERSION\t1\t1\nCPID\t{client}\n")
}

/// Begins an exchange. We do not go on to ask for the user's data, so it is `nologin`. The response stands last.
pub(super) fn auth(id: u32, mechanism: Mechanism, about: About, response: Option<&Secret>) -> Secret {
    let secured = if about.secured { "\tsecured" } else { "" };
    let rip = about.address.map(|address| format!("\trip={}", address.to_canonical())).unwrap_or_default();
    let resp = if response.is_some() { "\tresp=" } else { "" };
    whole(&format!("AUTH\t{id}\t{mechanism}\tservice=smtp\tnologin{secured}{rip}{resp}"), response)
}

/// Goes on with an exchange.
pub(super) fn cont(id: u32, response: &Secret) -> Secret {
    whole(&format!("CONT\t{id}\t"), Some(response))
}

/// The line. All its memory is taken before the secret goes in: what must grow leaves its octets behind, and nobody overwrites them.
fn whole(head: &str, secret: Option<&Secret>) -> Secret {
    let secret_octets = secret.map_or(0, |secret| secret.as_bytes().len().div_ceil(3) * 4);
    let mut line = BytesMut::with_capacity(head.len() + secret_octets + 1);
    line.extend_from_slice(head.as_bytes());
    if let Some(secret) = secret {
        secret.encode_base64(&mut line);
    }
    line.extend_from_slice(b"\n");
    Secret::new(line.into())
}

/// What Dovecot says.
#[derive(Debug)]
pub(super) enum Line {
    /// The major version.
    Version(u32),
    /// It has this mechanism.
    Mechanism(Mechanism),
    /// That is all that it has to say of itself.
    Done,
    /// An answer in the exchange of this number. Its own error is one of that exchange alone.
    Answer(u32, Result<Answer, Unavailable>),
    /// Anything else, which does not concern us.
    Other,
}

impl Line {
    /// Reads a line, without its end. `None` where it cannot be understood.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let mut parts = line.split(|&octet| octet == b'\t');
        match parts.next()? {
            b"VERSION" => Some(Self::Version(number(parts.next()?)?)),
            // One that we have no name for is none of ours.
            b"MECH" => Some(Mechanism::parse(parts.next()?).map_or(Self::Other, Self::Mechanism)),
            b"DONE" => Some(Self::Done),
            b"CONT" => {
                let (id, challenge) = (number(parts.next()?)?, Secret::from_base64(parts.next()?).ok()?);
                Some(Self::Answer(id, Ok(Answer::Challenge(challenge))))
            }
            b"OK" => Some(Self::Answer(number(parts.next()?)?, authenticated(parts))),
            b"FAIL" => Some(Self::Answer(number(parts.next()?)?, failed(parts))),
            _ => Some(Self::Other),
        }
    }
}

/// Who it is: as Dovecot calls the user, whatever the client has said. A user may also have the right password, and not be allowed in; or be
/// one whom Dovecot hands on to another server, which alone knows the password: Dovecot may have looked at none.
fn authenticated<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Result<Answer, Unavailable> {
    let (mut user, mut is_refused, mut is_proxied) = (None, false, false);
    for (key, value) in parts.map(key_and_value) {
        match key {
            b"user" => user = user.or(Some(value)),
            b"nologin" => is_refused = true,
            b"proxy" => is_proxied = true,
            _ => {}
        }
    }
    match user.and_then(login) {
        _ if is_proxied => Err(Unavailable::Proxied),
        login if is_refused => Ok(Answer::Refused(login)),
        login => login.map(Answer::Authenticated).ok_or(Unavailable::Protocol),
    }
}

/// Whose log-in has failed, where Dovecot says it, unless it could not tell.
fn failed<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Result<Answer, Unavailable> {
    let mut user = None;
    for part in parts.map(key_and_value) {
        match part {
            (b"temp", _) | (b"code", b"temp_fail") => return Err(Unavailable::Temporary),
            (b"user", value) => user = user.or(Some(value)),
            _ => {}
        }
    }
    Ok(Answer::Refused(user.and_then(login)))
}

/// What a part is about, and what it says. Some versions of Dovecot write `nologin`, some `nologin=yes`; its own clients look at the key alone.
fn key_and_value(part: &[u8]) -> (&[u8], &[u8]) {
    let end = part.iter().position(|&octet| octet == b'=').unwrap_or(part.len());
    (&part[..end], part.get(end + 1..).unwrap_or_default())
}

fn login(user: &[u8]) -> Option<Login> {
    Login::prepare(&unescaped(user)).ok()
}

fn number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Takes out what stands for characters that have a meaning in lines: `\x01t` for a tab, and so on.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut octets = text.iter().copied();
    let mut unescaped = Vec::with_capacity(text.len());
    while let Some(octet) = octets.next() {
        unescaped.push(match octet {
            1 => match octets.next() {
                Some(b'0') => 0,
                Some(b't') => b'\t',
                Some(b'r') => b'\r',
                Some(b'l') => b'\n',
                Some(other) => other,
                None => break,
            },
            octet => octet,
        });
    }
    unescaped
}
